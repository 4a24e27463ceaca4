//! Logs and debug output contain no secrets.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use axum::http::Method;
use serde_json::json;
use tokio::runtime::Builder;

use crate::auth::signer::{RSA_PUBLIC, SECRET, Signer};
use crate::auth::{auth, bearer, claims, harness, seconds, send};

thread_local! {
    /// The log of this thread. Each test has its own thread.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Set once for all tests. A subscriber that exists only during one test would change the logs of
/// others.
static SUBSCRIBER: Once = Once::new();

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log, at all levels, of `work`.
fn logged(work: impl Future<Output = ()>) -> String {
    SUBSCRIBER.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Log)
            .init();
    });
    LOGGED.take();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work);
    String::from_utf8(LOGGED.take()).unwrap()
}

#[test]
fn neither_secrets_nor_tokens_are_logged() {
    let signer = Signer::Secret(SECRET.to_owned());
    let good = signer.token(&claims(json!({})));
    let tokens = [
        good.clone(),
        signer.token(&claims(json!({"exp": seconds(-3600)}))),
        signer.token(&claims(json!({"scope": "openid"}))),
        signer.token_with(
            json!({"kid": "a-kid-of-no-one", "alg": "RS256"}),
            &claims(json!({})),
        ),
        format!("{good}x"),
        "this-is-not-a-token".to_owned(),
    ];
    let text = logged(async {
        let keys = json!({"keys": [Signer::new_ec().jwk(json!({"kid": "known", "d": "private"}))]});
        let keys = with_a_usable_key(keys);
        let settings = [
            ("AUTH_HS256_SECRET", SECRET),
            ("AUTH_PUBLIC_KEY", RSA_PUBLIC),
            ("AUTH_JWKS", &keys),
        ];
        let harness = harness(&settings).await;
        for token in &tokens {
            for method in [Method::GET, Method::POST] {
                send(&harness, method, "/api/tasks", &[&bearer(token)]).await;
            }
        }
    });
    for expected in [
        "AUTH_ISSUER is not set",
        "AUTH_AUDIENCE is not set",
        "a key of AUTH_JWKS is not used",
        "a request was authorized",
        "a request was refused",
        "a scope is missing",
        "the token has expired",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(
        !text.contains(SECRET) && !text.contains("private\""),
        "{text}"
    );
    for token in &tokens {
        for part in token.split('.') {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }
}

fn with_a_usable_key(mut keys: serde_json::Value) -> String {
    let keys_list = keys["keys"].as_array_mut().unwrap();
    keys_list.push(Signer::rsa().jwk(json!({"kid": "good"})));
    keys.to_string()
}

#[test]
fn running_without_authentication_is_a_warning() {
    let text = logged(async {
        assert!(auth(&[("AUTH_MODE", "none")]).is_none());
    });
    assert!(
        text.contains("WARN") && text.contains("AUTH_MODE is none"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn complete_settings_cause_no_warning() {
    let text = logged(async {
        let rules = [("AUTH_ISSUER", "x"), ("AUTH_AUDIENCE", "y")];
        auth(&[("AUTH_HS256_SECRET", SECRET), rules[0], rules[1]]);
    });
    assert!(!text.contains("WARN") && text.contains("HS256"), "{text}");
}

#[test]
fn debug_output_contains_no_key() {
    let [.., ec] = Signer::all();
    let (jwks, keys) = ec.setting();
    let auth = auth(&[
        ("AUTH_HS256_SECRET", SECRET),
        ("AUTH_PUBLIC_KEY", RSA_PUBLIC),
        (jwks, &keys),
    ]);
    let shown = format!("{auth:?} {auth:#?}");
    let bytes = format!("{:?}", &SECRET.as_bytes()[..8]);
    let bytes = bytes.trim_matches(['[', ']']);
    assert!(!shown.contains(SECRET) && !shown.contains(bytes), "{shown}");
    assert!(shown.contains("redacted"), "{shown}");
}

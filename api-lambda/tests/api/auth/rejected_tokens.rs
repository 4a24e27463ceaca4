//! Tokens that are refused, and the reasons, for each accepted algorithm.

use axum::http::{HeaderValue, Method};
use serde_json::json;

use crate::auth::signer::{EC_PUBLIC, RSA_PUBLIC, SECRET, Signer, encoded};
use crate::auth::{
    AUDIENCE, CHALLENGE, assert_accepted, assert_refused, bearer, claims, get, harness,
    harness_for, seconds, send,
};

const MALFORMED: &str = "the token is not a valid JWT";
const BAD_SIGNATURE: &str = "the signature of the token is not valid";
const UNKNOWN_ALGORITHM: &str = "the token is signed with an algorithm that is not accepted";
const EXPIRED: &str = "the token has expired";
const NOT_YET: &str = "the token is not valid yet";
const WRONG_ISSUER: &str = "the token has another issuer";
const WRONG_AUDIENCE: &str = "the token is for another audience";

#[tokio::test]
async fn wrong_claims_are_refused() {
    for signer in Signer::all() {
        let harness = harness_for(&signer).await;
        let check = async |changes, reason: Option<&str>| {
            let token = signer.token(&claims(changes));
            match reason {
                None => assert_accepted(&harness, &token).await,
                Some(reason) => assert_refused(&harness, &token, reason).await,
            }
        };
        check(json!({}), None).await;
        // The leeway is a minute. Unit tests with a fixed clock check its exact end.
        check(json!({"exp": seconds(-30)}), None).await;
        check(json!({"exp": seconds(-60)}), Some(EXPIRED)).await;
        check(json!({"exp": 0}), Some(EXPIRED)).await;
        check(
            json!({"exp": null}),
            Some("the token has no expiration time"),
        )
        .await;
        for begin in ["nbf", "iat"] {
            check(json!({begin: seconds(30)}), None).await;
            check(json!({begin: seconds(90)}), Some(NOT_YET)).await;
        }
        check(
            json!({"iss": "https://evil.example.com/"}),
            Some(WRONG_ISSUER),
        )
        .await;
        check(json!({"iss": null}), Some(WRONG_ISSUER)).await;
        check(json!({"aud": ["x", AUDIENCE]}), None).await;
        check(json!({"aud": "x"}), Some(WRONG_AUDIENCE)).await;
        check(json!({"aud": null}), Some(WRONG_AUDIENCE)).await;
        check(json!({"sub": null}), None).await;
        for broken in [
            json!({"exp": "never"}),
            json!({"exp": seconds(300).to_string()}),
            json!({"aud": 1}),
            json!({"scope": 1}),
        ] {
            check(broken, Some(MALFORMED)).await;
        }
    }
}

#[tokio::test]
async fn the_leeway_can_be_configured() {
    let signer = Signer::Secret(SECRET.to_owned());
    let check = async |leeway: &str, exp: i64, is_accepted: bool| {
        let secret = ("AUTH_HS256_SECRET", SECRET);
        let harness = harness(&[secret, ("AUTH_LEEWAY_SECONDS", leeway)]).await;
        let token = signer.token(&claims(json!({"exp": seconds(exp), "iat": null})));
        let response = get(&harness, &[&bearer(&token)]).await;
        assert_eq!(response.status == 200, is_accepted, "{leeway} {exp}");
    };
    check("0", 30, true).await;
    check("0", 0, false).await;
    check("10", -5, true).await;
    check("10", -10, false).await;
    check("600", -590, true).await;
    check("600", -600, false).await;
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    for (signer, other) in Signer::all().into_iter().zip(Signer::others()) {
        let harness = harness_for(&signer).await;
        let token = signer.token(&claims(json!({})));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = message.split_once('.').unwrap();
        let admin = encoded(claims(json!({"sub": "admin"})).to_string());
        let headers = [
            header,
            &encoded(format!(r#"{{"alg": "{}"}}"#, signer.algorithm())),
        ];
        for header in headers {
            let forged = format!("{header}.{admin}.{signature}");
            assert_refused(&harness, &forged, BAD_SIGNATURE).await;
        }
        let of_other = other.token(&claims(json!({})));
        assert_refused(&harness, &of_other, BAD_SIGNATURE).await;
        let (_, of_other) = of_other.rsplit_once('.').unwrap();
        for signature in [of_other, "", "AAAA", &encoded([0; 32]), &encoded([0; 64])] {
            assert_refused(&harness, &format!("{message}.{signature}"), BAD_SIGNATURE).await;
        }
        for broken in [
            message,
            header,
            "",
            ".",
            "..",
            "...",
            &format!("{token}."),
            &format!(".{token}"),
            &format!("{token}.{signature}"),
            &format!("{header}..{signature}"),
            &format!(".{payload}.{signature}"),
            &format!("{token}="),
            &format!("{token} "),
            &format!("{token},"),
            &format!("{token}, Bearer {token}"),
        ] {
            let response = get(&harness, &[&bearer(broken)]).await;
            assert_eq!(response.status, 401, "{broken}");
        }
        assert_accepted(&harness, &token).await;
    }
}

#[tokio::test]
async fn the_header_of_a_token_does_not_choose_the_algorithm() {
    for signer in Signer::all() {
        let harness = harness_for(&signer).await;
        let claims = claims(json!({}));
        for none in ["none", "None", "NONE", "nOnE", ""] {
            let token = signer.token_with(json!({"alg": none}), &claims);
            assert_refused(&harness, &token, MALFORMED).await;
            let (message, _) = token.rsplit_once('.').unwrap();
            assert_refused(&harness, &format!("{message}."), MALFORMED).await;
        }
        for other in [
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
            "ES256", "ES384", "EdDSA",
        ] {
            if other != signer.algorithm() {
                let token = signer.token_with(json!({"alg": other}), &claims);
                assert_refused(&harness, &token, UNKNOWN_ALGORITHM).await;
            }
        }
        for missing in [
            json!({"alg": null}),
            json!({"alg": 1}),
            json!({"alg": ["HS256"]}),
        ] {
            let token = signer.token_with(missing, &claims);
            assert_refused(&harness, &token, MALFORMED).await;
        }
    }
}

#[tokio::test]
async fn a_public_key_is_not_accepted_as_a_secret() {
    let claims = claims(json!({}));
    for public in [RSA_PUBLIC, EC_PUBLIC] {
        let alone = harness(&[("AUTH_PUBLIC_KEY", public)]).await;
        let secret = ("AUTH_HS256_SECRET", SECRET);
        let beside = harness(&[("AUTH_PUBLIC_KEY", public), secret]).await;
        for secret in [public, public.trim_end(), &public.replace('\n', "")] {
            let forged = Signer::Secret(secret.to_owned()).token(&claims);
            assert_refused(&alone, &forged, UNKNOWN_ALGORITHM).await;
            assert_refused(&beside, &forged, BAD_SIGNATURE).await;
        }
    }
    // A key in the header of the token is ignored.
    let unknown = Signer::new_ec();
    let [_, _, known] = Signer::all();
    let harness = harness_for(&known).await;
    let forged = unknown.token_with(json!({"jwk": unknown.jwk(json!({}))}), &claims);
    assert_refused(&harness, &forged, BAD_SIGNATURE).await;
    let forged = unknown.token_with(json!({"jku": "https://evil.example.com/"}), &claims);
    assert_refused(&harness, &forged, BAD_SIGNATURE).await;
}

#[tokio::test]
async fn a_token_for_another_purpose_is_refused() {
    for signer in Signer::all() {
        let harness = harness_for(&signer).await;
        let claims = claims(json!({}));
        for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            let token = signer.token_with(json!({"typ": typ}), &claims);
            assert_accepted(&harness, &token).await;
        }
        assert_accepted(&harness, &signer.token_with(json!({"typ": null}), &claims)).await;
        for header in [
            json!({"typ": "logout+jwt"}),
            json!({"typ": "dpop+jwt"}),
            json!({"typ": 1}),
            json!({"crit": ["exp"]}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"crit": []}),
        ] {
            let token = signer.token_with(header, &claims);
            assert_refused(&harness, &token, MALFORMED).await;
        }
    }
}

#[tokio::test]
async fn ambiguous_json_is_refused() {
    for signer in Signer::all() {
        let harness = harness_for(&signer).await;
        let good = claims(json!({})).to_string();
        let header = format!(r#"{{"alg":"{}"}}"#, signer.algorithm());
        let good_token = signer.token_of(&header, &good);
        assert_accepted(&harness, &good_token).await;
        let twice = good.replacen('{', r#"{"exp":1,"#, 1);
        assert_refused(&harness, &signer.token_of(&header, &twice), MALFORMED).await;
        let twice = header.replacen('{', r#"{"alg":"none","#, 1);
        assert_refused(&harness, &signer.token_of(&twice, &good), MALFORMED).await;
        for payload in [
            "",
            "null",
            "[]",
            "1",
            "{",
            &format!("{good}x"),
            &"[".repeat(3000),
        ] {
            assert_refused(&harness, &signer.token_of(&header, payload), MALFORMED).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_is_too_long_is_refused() {
    for signer in Signer::all() {
        let harness = harness_for(&signer).await;
        let token = |length: usize| signer.token(&claims(json!({"pad": "x".repeat(length)})));
        assert_accepted(&harness, &token(4000)).await;
        let longest = token(8000);
        assert!(longest.len() > 8192);
        assert_refused(
            &harness,
            &longest,
            "the token must not be longer than 8192 bytes",
        )
        .await;
        let huge = "x".repeat(1_000_000);
        assert_refused(
            &harness,
            &huge,
            "the token must not be longer than 8192 bytes",
        )
        .await;
    }
}

#[tokio::test]
async fn a_request_without_a_token_gets_a_challenge() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let token = signer.token(&claims(json!({})));
    let headers_without_token = [
        None,
        Some(""),
        Some("Basic dXNlcjpwYXNzd29yZA=="),
        Some("Bearer"),
        Some(token.as_str()),
        Some("Digest realm=\"x\""),
    ];
    for value in headers_without_token {
        let values: Vec<_> = value.into_iter().collect();
        let response = get(&harness, &values).await;
        assert_eq!(response.status, 401, "{value:?}");
        assert_eq!(response.problem(), "unauthenticated");
        assert_eq!(response.header("www-authenticate"), CHALLENGE, "{value:?}");
    }
    let latin1 = HeaderValue::from_bytes(b"Bearer \xe9").unwrap();
    let mut request = axum::http::Request::new(axum::body::Body::empty());
    *request.uri_mut() = "/api/tasks".parse().unwrap();
    request.headers_mut().insert("authorization", latin1);
    assert_eq!(harness.send(request).await.status, 401);
}

#[tokio::test]
async fn only_a_single_authorization_header_is_read() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let token = signer.token(&claims(json!({})));
    let value = bearer(&token);
    for scheme in ["bearer", "BEARER"] {
        let response = get(&harness, &[&format!("{scheme} {token}")]).await;
        assert_eq!(response.status, 200, "{scheme}");
    }
    for values in [
        [&*value, &*value],
        [&*value, "Basic x"],
        ["Basic x", &*value],
    ] {
        let response = get(&harness, &values).await;
        assert_eq!(response.problem(), "unauthenticated");
        let challenge = response.header("www-authenticate").to_owned();
        assert!(challenge.contains("must occur only once"), "{challenge}");
    }
    for query in ["access_token", "authorization", "token"] {
        let path = format!("/api/tasks?{query}={token}");
        let response = send(&harness, Method::GET, &path, &[]).await;
        assert_eq!(response.status, 401, "{query}");
    }
    let request = axum::http::Request::get("/api/tasks/a").header("cookie", &value);
    let request = request.header("x-authorization", &value);
    let response = harness
        .send(request.body(axum::body::Body::empty()).unwrap())
        .await;
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn a_refused_head_has_no_body() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let response = send(&harness, Method::HEAD, "/api/tasks", &[]).await;
    assert_eq!(response.status, 401);
    assert_eq!(response.header("www-authenticate"), CHALLENGE);
    assert!(response.body.is_empty());
    let token = signer.token(&claims(json!({"scope": ""})));
    let response = send(&harness, Method::HEAD, "/api/tasks", &[&bearer(&token)]).await;
    assert_eq!(response.status, 403);
    assert!(response.body.is_empty());
    let token = signer.token(&claims(json!({})));
    let response = send(&harness, Method::HEAD, "/api/tasks", &[&bearer(&token)]).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn without_settings_any_issuer_and_audience_is_accepted() {
    for signer in Signer::all() {
        let (name, value) = signer.setting();
        let harness = harness(&[(name, &value)]).await;
        let token = signer.token(&json!({"exp": seconds(60), "scope": "progress:read"}));
        assert_accepted(&harness, &token).await;
        let other = json!({"iss": "x", "aud": "y"});
        assert_accepted(&harness, &signer.token(&claims(other))).await;
    }
}

//! What is refused, and how; for each algorithm that is taken.

use axum::http::{HeaderValue, Method};
use serde_json::json;

use crate::auth::signer::{EC_PUBLIC, RSA_PUBLIC, SECRET, Signer, encoded};
use crate::auth::{
    AUDIENCE, CHALLENGE, ask, bearer, claims, get, is_let_in, is_refused, seconds, world, world_of,
};

const MALFORMED: &str = "the token is not a JWT that can be read here";
const BAD_SIGNATURE: &str = "the signature of the token is not valid";
const UNKNOWN_ALGORITHM: &str = "the token is not signed with an algorithm that is taken here";
const EXPIRED: &str = "the token has expired";
const NOT_YET: &str = "the token is not valid yet";
const WRONG_ISSUER: &str = "the token is of another issuer";
const WRONG_AUDIENCE: &str = "the token is meant for another audience";

#[tokio::test]
async fn claims_that_do_not_hold_are_refused() {
    for signer in Signer::all() {
        let world = world_of(&signer).await;
        let check = async |changes, reason: Option<&str>| {
            let token = signer.token(&claims(changes));
            match reason {
                None => is_let_in(&world, &token).await,
                Some(reason) => is_refused(&world, &token, reason).await,
            }
        };
        check(json!({}), None).await;
        // The leeway is a minute; what is at its very edge is tested where the clock can be set.
        check(json!({"exp": seconds(-30)}), None).await;
        check(json!({"exp": seconds(-60)}), Some(EXPIRED)).await;
        check(json!({"exp": 0}), Some(EXPIRED)).await;
        check(
            json!({"exp": null}),
            Some("the token does not say when it expires"),
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
async fn the_leeway_is_as_configured() {
    let signer = Signer::Secret(SECRET.to_owned());
    let check = async |leeway: &str, exp: i64, is_in: bool| {
        let secret = ("AUTH_HS256_SECRET", SECRET);
        let world = world(&[secret, ("AUTH_LEEWAY_SECONDS", leeway)]).await;
        let token = signer.token(&claims(json!({"exp": seconds(exp), "iat": null})));
        let answer = get(&world, &[&bearer(&token)]).await;
        assert_eq!(answer.status == 200, is_in, "{leeway} {exp}");
    };
    check("0", 30, true).await;
    check("0", 0, false).await;
    check("10", -5, true).await;
    check("10", -10, false).await;
    check("600", -590, true).await;
    check("600", -600, false).await;
}

#[tokio::test]
async fn a_token_that_was_changed_is_refused() {
    for (signer, other) in Signer::all().into_iter().zip(Signer::others()) {
        let world = world_of(&signer).await;
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
            is_refused(&world, &forged, BAD_SIGNATURE).await;
        }
        let of_other = other.token(&claims(json!({})));
        is_refused(&world, &of_other, BAD_SIGNATURE).await;
        let (_, of_other) = of_other.rsplit_once('.').unwrap();
        for signature in [of_other, "", "AAAA", &encoded([0; 32]), &encoded([0; 64])] {
            is_refused(&world, &format!("{message}.{signature}"), BAD_SIGNATURE).await;
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
            let answer = get(&world, &[&bearer(broken)]).await;
            assert_eq!(answer.status, 401, "{broken}");
        }
        is_let_in(&world, &token).await;
    }
}

#[tokio::test]
async fn the_header_of_a_token_chooses_no_algorithm() {
    for signer in Signer::all() {
        let world = world_of(&signer).await;
        let claims = claims(json!({}));
        for none in ["none", "None", "NONE", "nOnE", ""] {
            let token = signer.token_with(json!({"alg": none}), &claims);
            is_refused(&world, &token, MALFORMED).await;
            let (message, _) = token.rsplit_once('.').unwrap();
            is_refused(&world, &format!("{message}."), MALFORMED).await;
        }
        for other in [
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
            "ES256", "ES384", "EdDSA",
        ] {
            if other != signer.algorithm() {
                let token = signer.token_with(json!({"alg": other}), &claims);
                is_refused(&world, &token, UNKNOWN_ALGORITHM).await;
            }
        }
        for missing in [
            json!({"alg": null}),
            json!({"alg": 1}),
            json!({"alg": ["HS256"]}),
        ] {
            let token = signer.token_with(missing, &claims);
            is_refused(&world, &token, MALFORMED).await;
        }
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let claims = claims(json!({}));
    for public in [RSA_PUBLIC, EC_PUBLIC] {
        let alone = world(&[("AUTH_PUBLIC_KEY", public)]).await;
        let secret = ("AUTH_HS256_SECRET", SECRET);
        let beside = world(&[("AUTH_PUBLIC_KEY", public), secret]).await;
        for secret in [public, public.trim_end(), &public.replace('\n', "")] {
            let forged = Signer::Secret(secret.to_owned()).token(&claims);
            is_refused(&alone, &forged, UNKNOWN_ALGORITHM).await;
            is_refused(&beside, &forged, BAD_SIGNATURE).await;
        }
    }
    // Nor is the key that a token brings along.
    let stranger = Signer::new_ec();
    let [_, _, known] = Signer::all();
    let world = world_of(&known).await;
    let forged = stranger.token_with(json!({"jwk": stranger.jwk(json!({}))}), &claims);
    is_refused(&world, &forged, BAD_SIGNATURE).await;
    let forged = stranger.token_with(json!({"jku": "https://evil.example.com/"}), &claims);
    is_refused(&world, &forged, BAD_SIGNATURE).await;
}

#[tokio::test]
async fn a_token_made_for_something_else_is_refused() {
    for signer in Signer::all() {
        let world = world_of(&signer).await;
        let claims = claims(json!({}));
        for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            let token = signer.token_with(json!({"typ": typ}), &claims);
            is_let_in(&world, &token).await;
        }
        is_let_in(&world, &signer.token_with(json!({"typ": null}), &claims)).await;
        for header in [
            json!({"typ": "logout+jwt"}),
            json!({"typ": "dpop+jwt"}),
            json!({"typ": 1}),
            json!({"crit": ["exp"]}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"crit": []}),
        ] {
            let token = signer.token_with(header, &claims);
            is_refused(&world, &token, MALFORMED).await;
        }
    }
}

#[tokio::test]
async fn json_that_can_be_read_in_two_ways_is_refused() {
    for signer in Signer::all() {
        let world = world_of(&signer).await;
        let good = claims(json!({})).to_string();
        let header = format!(r#"{{"alg":"{}"}}"#, signer.algorithm());
        let good_token = signer.token_of(&header, &good);
        is_let_in(&world, &good_token).await;
        let twice = good.replacen('{', r#"{"exp":1,"#, 1);
        is_refused(&world, &signer.token_of(&header, &twice), MALFORMED).await;
        let twice = header.replacen('{', r#"{"alg":"none","#, 1);
        is_refused(&world, &signer.token_of(&twice, &good), MALFORMED).await;
        for payload in [
            "",
            "null",
            "[]",
            "1",
            "{",
            &format!("{good}x"),
            &"[".repeat(3000),
        ] {
            is_refused(&world, &signer.token_of(&header, payload), MALFORMED).await;
        }
    }
}

#[tokio::test]
async fn a_token_may_not_be_too_long() {
    for signer in Signer::all() {
        let world = world_of(&signer).await;
        let token = |length: usize| signer.token(&claims(json!({"pad": "x".repeat(length)})));
        is_let_in(&world, &token(4000)).await;
        let longest = token(8000);
        assert!(longest.len() > 8192);
        is_refused(
            &world,
            &longest,
            "the token must not be longer than 8192 bytes",
        )
        .await;
        let huge = "x".repeat(1_000_000);
        is_refused(
            &world,
            &huge,
            "the token must not be longer than 8192 bytes",
        )
        .await;
    }
}

#[tokio::test]
async fn who_shows_no_token_is_told_that_one_is_needed() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    let token = signer.token(&claims(json!({})));
    let strangers = [
        None,
        Some(""),
        Some("Basic dXNlcjpwYXNzd29yZA=="),
        Some("Bearer"),
        Some(token.as_str()),
        Some("Digest realm=\"x\""),
    ];
    for value in strangers {
        let values: Vec<_> = value.into_iter().collect();
        let answer = get(&world, &values).await;
        assert_eq!(answer.status, 401, "{value:?}");
        assert_eq!(answer.problem(), "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), CHALLENGE, "{value:?}");
    }
    let latin1 = HeaderValue::from_bytes(b"Bearer \xe9").unwrap();
    let mut request = axum::http::Request::new(axum::body::Body::empty());
    *request.uri_mut() = "/api/tasks".parse().unwrap();
    request.headers_mut().insert("authorization", latin1);
    assert_eq!(world.send(request).await.status, 401);
}

#[tokio::test]
async fn a_token_is_shown_once_and_in_the_header() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    let token = signer.token(&claims(json!({})));
    let value = bearer(&token);
    for scheme in ["bearer", "BEARER"] {
        let answer = get(&world, &[&format!("{scheme} {token}")]).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    for values in [
        [&*value, &*value],
        [&*value, "Basic x"],
        ["Basic x", &*value],
    ] {
        let answer = get(&world, &values).await;
        assert_eq!(answer.problem(), "unauthenticated");
        let challenge = answer.header("www-authenticate").to_owned();
        assert!(challenge.contains("must be sent once"), "{challenge}");
    }
    for query in ["access_token", "authorization", "token"] {
        let path = format!("/api/tasks?{query}={token}");
        let answer = ask(&world, Method::GET, &path, &[]).await;
        assert_eq!(answer.status, 401, "{query}");
    }
    let request = axum::http::Request::get("/api/tasks/a").header("cookie", &value);
    let request = request.header("x-authorization", &value);
    let answer = world
        .send(request.body(axum::body::Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_refused_head_has_no_body() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    let answer = ask(&world, Method::HEAD, "/api/tasks", &[]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), CHALLENGE);
    assert!(answer.body.is_empty());
    let token = signer.token(&claims(json!({"scope": ""})));
    let answer = ask(&world, Method::HEAD, "/api/tasks", &[&bearer(&token)]).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.is_empty());
    let token = signer.token(&claims(json!({})));
    let answer = ask(&world, Method::HEAD, "/api/tasks", &[&bearer(&token)]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_is_not_configured_is_not_checked() {
    for signer in Signer::all() {
        let (name, value) = signer.setting();
        let world = world(&[(name, &value)]).await;
        let token = signer.token(&json!({"exp": seconds(60), "scope": "progress:read"}));
        is_let_in(&world, &token).await;
        let other = json!({"iss": "x", "aud": "y"});
        is_let_in(&world, &signer.token(&claims(other))).await;
    }
}

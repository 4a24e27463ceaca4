//! Several keys at a time: how keys are rotated without an interruption.

use std::slice::from_ref;

use serde_json::{Value, json};

use crate::auth::signer::{EC_PUBLIC, RSA_PUBLIC, SECRET, Signer};
use crate::auth::{assert_accepted, assert_refused, claims, harness};

const BAD_SIGNATURE: &str = "the signature of the token is not valid";
const UNKNOWN_KEY: &str = "the token names an unknown key";

fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

fn of(signer: &Signer, kid: Option<&str>) -> String {
    signer.token_with(json!({"kid": kid}), &claims(json!({})))
}

#[tokio::test]
async fn a_key_is_chosen_by_its_name() {
    let pairs = [
        (Signer::rsa(), Signer::other_rsa()),
        (Signer::new_ec(), Signer::new_ec()),
    ];
    for (old, new) in pairs {
        let old_key = old.jwk(json!({"kid": "2026-10", "use": "sig"}));
        let new_key = new.jwk(json!({"kid": "2026-11", "alg": new.algorithm()}));
        let (before, after) = (jwks(from_ref(&old_key)), jwks(from_ref(&new_key)));
        let both = jwks(&[old_key, new_key]);

        let before_rotation = harness(&[("AUTH_JWKS", &before)]).await;
        assert_accepted(&before_rotation, &of(&old, Some("2026-10"))).await;
        assert_refused(&before_rotation, &of(&new, Some("2026-11")), UNKNOWN_KEY).await;

        let during_rotation = harness(&[("AUTH_JWKS", &both)]).await;
        for (signer, kid) in [(&old, "2026-10"), (&new, "2026-11")] {
            assert_accepted(&during_rotation, &of(signer, Some(kid))).await;
            assert_accepted(&during_rotation, &of(signer, None)).await;
        }
        assert_refused(&during_rotation, &of(&old, Some("2026-11")), BAD_SIGNATURE).await;
        for unknown in ["", "2026-1", "2026-10 ", "../../dev/null", "' or 1=1 --"] {
            assert_refused(&during_rotation, &of(&old, Some(unknown)), UNKNOWN_KEY).await;
        }
        assert_refused(
            &during_rotation,
            &of(&Signer::new_ec(), None),
            match old {
                Signer::Ec(_) => BAD_SIGNATURE,
                _ => "the token is signed with an algorithm that is not accepted",
            },
        )
        .await;

        let after_rotation = harness(&[("AUTH_JWKS", &after)]).await;
        assert_accepted(&after_rotation, &of(&new, Some("2026-11"))).await;
        assert_refused(&after_rotation, &of(&old, Some("2026-10")), UNKNOWN_KEY).await;
        assert_refused(&after_rotation, &of(&old, None), BAD_SIGNATURE).await;
    }
}

#[tokio::test]
async fn a_key_without_a_name_checks_any_token() {
    let both = format!("{RSA_PUBLIC}{EC_PUBLIC}");
    let harness = harness(&[("AUTH_PUBLIC_KEY", &both), ("AUTH_HS256_SECRET", SECRET)]).await;
    for (signer, other) in Signer::all().into_iter().zip(Signer::others()) {
        for kid in [None, Some("whatever")] {
            assert_accepted(&harness, &of(&signer, kid)).await;
            assert_refused(&harness, &of(&other, kid), BAD_SIGNATURE).await;
        }
    }
}

#[tokio::test]
async fn keys_of_all_settings_are_used() {
    let [_, _, ec] = Signer::all();
    let other = Signer::other_rsa();
    let keys = jwks(&[other.jwk(json!({"kid": "1"})), ec.jwk(json!({"kid": "1"}))]);
    let harness = harness(&[
        ("AUTH_HS256_SECRET", SECRET),
        ("AUTH_PUBLIC_KEY", RSA_PUBLIC),
        ("AUTH_JWKS", &keys),
    ])
    .await;
    for signer in Signer::all().iter().chain([&other]) {
        assert_accepted(&harness, &of(signer, None)).await;
    }
    assert_accepted(&harness, &of(&other, Some("1"))).await;
    assert_accepted(&harness, &of(&ec, Some("1"))).await;
    // The key of `AUTH_PUBLIC_KEY` has no name, so it can be the key of any token.
    assert_accepted(&harness, &of(&Signer::rsa(), Some("2"))).await;
    assert_refused(&harness, &of(&ec, Some("2")), UNKNOWN_KEY).await;
}

#[tokio::test]
async fn keys_in_files_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/test_data/keys");
    let harness = harness(&[("AUTH_PUBLIC_KEY", &format!("{folder}/rsa-a.public.pem"))]).await;
    assert_accepted(&harness, &of(&Signer::rsa(), None)).await;
    assert_refused(&harness, &of(&Signer::other_rsa(), None), BAD_SIGNATURE).await;
}

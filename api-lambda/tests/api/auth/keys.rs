//! Several keys at a time, and their names: how keys are changed without locking anyone out.

use std::slice::from_ref;

use serde_json::{Value, json};

use crate::auth::signer::{EC_PUBLIC, RSA_PUBLIC, SECRET, Signer};
use crate::auth::{claims, is_let_in, is_refused, world};

const BAD_SIGNATURE: &str = "the signature of the token is not valid";
const UNKNOWN_KEY: &str = "the token names a key that is not known here";

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

        let world_before = world(&[("AUTH_JWKS", &before)]).await;
        is_let_in(&world_before, &of(&old, Some("2026-10"))).await;
        is_refused(&world_before, &of(&new, Some("2026-11")), UNKNOWN_KEY).await;

        let world_between = world(&[("AUTH_JWKS", &both)]).await;
        for (signer, kid) in [(&old, "2026-10"), (&new, "2026-11")] {
            is_let_in(&world_between, &of(signer, Some(kid))).await;
            is_let_in(&world_between, &of(signer, None)).await;
        }
        is_refused(&world_between, &of(&old, Some("2026-11")), BAD_SIGNATURE).await;
        for unknown in ["", "2026-1", "2026-10 ", "../../dev/null", "' or 1=1 --"] {
            is_refused(&world_between, &of(&old, Some(unknown)), UNKNOWN_KEY).await;
        }
        is_refused(
            &world_between,
            &of(&Signer::new_ec(), None),
            match old {
                Signer::Ec(_) => BAD_SIGNATURE,
                _ => "the token is not signed with an algorithm that is taken here",
            },
        )
        .await;

        let world_after = world(&[("AUTH_JWKS", &after)]).await;
        is_let_in(&world_after, &of(&new, Some("2026-11"))).await;
        is_refused(&world_after, &of(&old, Some("2026-10")), UNKNOWN_KEY).await;
        is_refused(&world_after, &of(&old, None), BAD_SIGNATURE).await;
    }
}

#[tokio::test]
async fn a_key_without_a_name_is_good_for_any() {
    let both = format!("{RSA_PUBLIC}{EC_PUBLIC}");
    let world = world(&[("AUTH_PUBLIC_KEY", &both), ("AUTH_HS256_SECRET", SECRET)]).await;
    for (signer, other) in Signer::all().into_iter().zip(Signer::others()) {
        for kid in [None, Some("whatever")] {
            is_let_in(&world, &of(&signer, kid)).await;
            is_refused(&world, &of(&other, kid), BAD_SIGNATURE).await;
        }
    }
}

#[tokio::test]
async fn all_sources_are_used_at_a_time() {
    let [_, _, ec] = Signer::all();
    let other = Signer::other_rsa();
    let keys = jwks(&[other.jwk(json!({"kid": "1"})), ec.jwk(json!({"kid": "1"}))]);
    let world = world(&[
        ("AUTH_HS256_SECRET", SECRET),
        ("AUTH_PUBLIC_KEY", RSA_PUBLIC),
        ("AUTH_JWKS", &keys),
    ])
    .await;
    for signer in Signer::all().iter().chain([&other]) {
        is_let_in(&world, &of(signer, None)).await;
    }
    is_let_in(&world, &of(&other, Some("1"))).await;
    is_let_in(&world, &of(&ec, Some("1"))).await;
    // The key of `AUTH_PUBLIC_KEY` has no name: it may be the one that is meant.
    is_let_in(&world, &of(&Signer::rsa(), Some("2"))).await;
    is_refused(&world, &of(&ec, Some("2")), UNKNOWN_KEY).await;
}

#[tokio::test]
async fn keys_in_files_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/test_data/keys");
    let world = world(&[("AUTH_PUBLIC_KEY", &format!("{folder}/rsa-a.public.pem"))]).await;
    is_let_in(&world, &of(&Signer::rsa(), None)).await;
    is_refused(&world, &of(&Signer::other_rsa(), None), BAD_SIGNATURE).await;
}

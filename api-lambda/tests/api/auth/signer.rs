//! Signs tokens, as an issuer does.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{hmac, signature};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::auth::with;

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../../test_data/keys/", $name, ".pem"))
    };
}

pub(super) const SECRET: &str = "only tests use this secret of 48 bytes, and more";
pub(super) const RSA_PUBLIC: &str = key!("rsa-a.public");
pub(super) const EC_PUBLIC: &str = key!("ec-p256.public");

/// A key that signs tokens.
pub(super) enum Signer {
    Secret(String),
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

fn pkcs8(pem: &str) -> Vec<u8> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    key.secret_pkcs8_der().to_vec()
}

fn rsa(pem: &str) -> Signer {
    Signer::Rsa(Box::new(RsaKeyPair::from_pkcs8(&pkcs8(pem)).unwrap()))
}

fn ec(pkcs8: &[u8]) -> Signer {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random);
    Signer::Ec(Box::new(key.unwrap()))
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// One signer for each algorithm.
    pub(super) fn all() -> [Self; 3] {
        let secret = Self::Secret(SECRET.to_owned());
        [secret, Self::rsa(), ec(&pkcs8(key!("ec-p256.private")))]
    }

    /// One signer for each algorithm, with keys that the API does not have.
    pub(super) fn others() -> [Self; 3] {
        let secret = Self::Secret(SECRET.to_uppercase());
        [secret, Self::other_rsa(), Self::new_ec()]
    }

    pub(super) fn rsa() -> Self {
        rsa(key!("rsa-a.private"))
    }

    pub(super) fn other_rsa() -> Self {
        rsa(key!("rsa-b.private"))
    }

    /// A new key.
    pub(super) fn new_ec() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        ec(pkcs8.unwrap().as_ref())
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    /// The setting with which the API accepts the tokens.
    pub(super) fn setting(&self) -> (&'static str, String) {
        match self {
            Self::Secret(secret) => ("AUTH_HS256_SECRET", secret.clone()),
            Self::Rsa(_) => ("AUTH_PUBLIC_KEY", RSA_PUBLIC.to_owned()),
            Self::Ec(_) => (
                "AUTH_JWKS",
                json!({"keys": [self.jwk(json!({}))]}).to_string(),
            ),
        }
    }

    /// The public key for a JWKS document, with these additional members.
    pub(super) fn jwk(&self, members: Value) -> Value {
        let key = match self {
            Self::Secret(secret) => json!({"kty": "oct", "k": encoded(secret)}),
            Self::Rsa(key) => {
                let key = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": encoded(key.n), "e": encoded(key.e)})
            }
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)})
            }
        };
        with(key, members)
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding = &RSA_PKCS1_SHA256;
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    /// A token with these texts as header and claims.
    pub(super) fn token_of(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", encoded(signature))
    }

    /// A token with these claims and these changes to the header.
    pub(super) fn token_with(&self, header: Value, claims: &Value) -> String {
        let header_defaults = json!({"typ": "JWT", "alg": self.algorithm()});
        self.token_of(
            &with(header_defaults, header).to_string(),
            &claims.to_string(),
        )
    }

    /// A token with these claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.token_with(json!({}), claims)
    }
}

//! The keys that check the signatures of tokens.

use std::collections::HashSet;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use ring::agreement::{self, ECDH_P256, EphemeralPrivateKey};
use ring::rand::SystemRandom;

use crate::auth::auth_error::AuthError;
use crate::auth::claims::Claims;
use crate::auth::ring_provider;

/// The most keys. A token that names no key is checked with each key of its algorithm.
pub(super) const MAX_KEYS: usize = 16;

/// Why a key is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("the RSA key has less than 2048 bits, or more than 8192")]
    RsaSize,
    #[error("the RSA key is invalid")]
    Rsa,
    #[error("the EC key is not a point of the curve P-256")]
    EcPoint,
}

/// A key for one algorithm.
#[derive(Debug, Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    /// The `kid` in the headers of tokens. A key without a name can check any token of its
    /// algorithm.
    name: Option<String>,
    decoding: DecodingKey,
}

impl Key {
    /// A secret for HS256.
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            name: None,
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// An RSA public key for RS256. Modulus and exponent have the most significant byte first.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
        let top_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros());
        let bits = modulus.len() * 8 - top_zeros as usize;
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize);
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        // ring accepts exponents from 3 to 2^33 - 1. Exponents in use have at most four bytes.
        let is_small = exponent.len() <= 4 && exponent != [1];
        if !is_odd(modulus) || !is_odd(exponent) || !is_small {
            return Err(KeyError::Rsa);
        }
        Ok(Self {
            algorithm: Algorithm::RS256,
            name: None,
            decoding: DecodingKey::from_rsa_raw_components(modulus, exponent),
        })
    }

    /// A public key on the curve P-256 for ES256, as an uncompressed point.
    pub(super) fn ec(point: &[u8]) -> Result<Self, KeyError> {
        // ring validates a point only when it is used. A key agreement is such a use.
        let random = SystemRandom::new();
        let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random);
        let ours = ours.map_err(|_| KeyError::EcPoint)?;
        let theirs = agreement::UnparsedPublicKey::new(&ECDH_P256, point);
        let agreement = agreement::agree_ephemeral(ours, &theirs, |_| ());
        agreement.map_err(|_| KeyError::EcPoint)?;
        Ok(Self {
            algorithm: Algorithm::ES256,
            name: None,
            decoding: DecodingKey::from_ec_der(point),
        })
    }

    /// Sets the name.
    pub(super) fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    /// The algorithm and the name, for logs.
    fn label(&self) -> String {
        let name = self.name.as_deref().unwrap_or("");
        format!("{:?} {name}", self.algorithm).trim_end().to_owned()
    }
}

/// Removes the leading zeros that some encoders add.
fn trimmed(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

/// All keys, at most [`MAX_KEYS`].
#[derive(Debug)]
pub(super) struct KeyRing(Vec<Key>);

impl KeyRing {
    pub(super) fn new(keys: Vec<Key>) -> Self {
        ring_provider::install();
        Self(keys)
    }

    /// The algorithm and the name of each key, for logs.
    pub(super) fn labels(&self) -> Vec<String> {
        self.0.iter().map(Key::label).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the signature of a token with the keys that can have signed it, and returns the
    /// claims.
    pub(super) fn verify(&self, access_token: &str) -> Result<Claims, AuthError> {
        let header = decode_header(access_token).map_err(|_| AuthError::Malformed)?;
        // RFC 7515, section 4.1.11: `crit` names extensions that must be understood. We understand
        // none.
        if header.crit.is_some() {
            return Err(AuthError::Malformed);
        }
        // RFC 8725, section 3.11: `typ` marks tokens for other purposes, such as logout tokens.
        if let Some(kind) = &header.typ
            && !is_access_token(kind)
        {
            return Err(AuthError::Malformed);
        }
        let is_of_algorithm = |key: &&Key| key.algorithm == header.alg;
        let candidates: Vec<_> = self.0.iter().filter(is_of_algorithm).collect();
        if candidates.is_empty() {
            return Err(AuthError::UnknownAlgorithm);
        }
        let mut auth_error = AuthError::UnknownKey;
        let is_named = |key: &&Key| match (&header.kid, &key.name) {
            (Some(kid), Some(name)) => kid == name,
            _ => true,
        };
        for key in candidates.into_iter().filter(is_named) {
            match key.verify(access_token) {
                Err(AuthError::BadSignature) => auth_error = AuthError::BadSignature,
                other => return other,
            }
        }
        Err(auth_error)
    }
}

impl Key {
    /// Checks the signature of a token with this key, and returns the claims.
    fn verify(&self, access_token: &str) -> Result<Claims, AuthError> {
        let mut validation = Validation::new(self.algorithm);
        // `ClaimRules` checks the claims. It takes the time as an argument, checks `iat`, and
        // refuses claims of a wrong type, which `jsonwebtoken` treats as absent.
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoded = decode::<Claims>(access_token, &self.decoding, &validation).map_err(
            |error| match error.kind() {
                ErrorKind::InvalidSignature => AuthError::BadSignature,
                _ => AuthError::Malformed,
            },
        );
        Ok(decoded?.claims)
    }
}

fn is_access_token(kind: &str) -> bool {
    ["JWT", "at+jwt", "application/at+jwt", "application/jwt"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jsonwebtoken::jwk::AlgorithmParameters;
    use serde::Deserialize;

    use super::*;

    /// An example of RFC 7515, appendix A.
    #[derive(Deserialize)]
    struct Example {
        jwk: jsonwebtoken::jwk::Jwk,
        token: String,
    }

    fn examples() -> Vec<Example> {
        serde_json::from_str(include_str!("../../test_data/rfc7515.json")).unwrap()
    }

    fn bytes(text: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn key(example: &Example) -> Key {
        match &example.jwk.algorithm {
            AlgorithmParameters::OctetKey(key) => Key::secret(&bytes(&key.value)),
            AlgorithmParameters::RSA(key) => Key::rsa(&bytes(&key.n), &bytes(&key.e)).unwrap(),
            AlgorithmParameters::EllipticCurve(key) => {
                Key::ec(&[vec![4], bytes(&key.x), bytes(&key.y)].concat()).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_example_of_the_rfc_is_verified_by_its_key() {
        let examples = examples();
        let keys: Vec<_> = examples.iter().map(key).collect();
        let labels = KeyRing::new(keys.clone()).labels();
        assert_eq!(labels, ["HS256", "RS256", "ES256"]);
        for (index, Example { token, .. }) in examples.iter().enumerate() {
            assert!(KeyRing::new(keys.clone()).verify(token).is_ok());
            let mut others = keys.clone();
            others.remove(index);
            let refused = KeyRing::new(others).verify(token).err();
            assert_eq!(refused, Some(AuthError::UnknownAlgorithm));
            let named = keys[index].clone().named(Some("a".to_owned()));
            assert!(KeyRing::new(vec![named]).verify(token).is_ok());
        }
    }

    #[test]
    fn a_key_is_used_only_for_its_algorithm() {
        ring_provider::install();
        let algorithms = [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256];
        let others = [
            Algorithm::HS512,
            Algorithm::PS256,
            Algorithm::ES384,
            Algorithm::EdDSA,
        ];
        for key in examples().iter().map(key) {
            for algorithm in algorithms.into_iter().chain(others) {
                let checked =
                    jsonwebtoken::crypto::verify("AAAA", b"text", &key.decoding, algorithm);
                let fits = algorithm == key.algorithm;
                assert_eq!(checked.is_ok(), fits, "{algorithm:?} {:?}", key.algorithm);
            }
        }
    }

    #[test]
    fn an_rsa_key_has_2048_to_8192_bits() {
        let check = |modulus: &[u8], exponent: &[u8], expected: Option<KeyError>| {
            assert_eq!(Key::rsa(modulus, exponent).err(), expected);
        };
        let mut modulus = vec![0xff; 256];
        let exponent = [1, 0, 1];
        check(&modulus, &exponent, None);
        check(&[vec![0, 0], modulus.clone()].concat(), &exponent, None);
        check(&modulus, &[3], None);
        check(
            &[vec![0x7f], vec![0xff; 255]].concat(),
            &exponent,
            Some(KeyError::RsaSize),
        );
        check(&modulus[1..], &exponent, Some(KeyError::RsaSize));
        check(&[0xff; 1024], &exponent, None);
        check(&[0xff; 1025], &exponent, Some(KeyError::RsaSize));
        check(&[], &exponent, Some(KeyError::RsaSize));
        for bad in [&[][..], &[0], &[1], &[2], &[1, 0, 0, 0, 1]] {
            check(&modulus, bad, Some(KeyError::Rsa));
        }
        modulus[255] = 0xfe;
        check(&modulus, &exponent, Some(KeyError::Rsa));
    }

    #[test]
    fn an_ec_key_must_be_a_point_of_the_curve() {
        let examples = examples();
        let AlgorithmParameters::EllipticCurve(key) = &examples[2].jwk.algorithm else {
            panic!("the third example is of ES256");
        };
        let mut point = [vec![4], bytes(&key.x), bytes(&key.y)].concat();
        assert!(Key::ec(&point).is_ok());
        assert_eq!(Key::ec(&point[..64]).err(), Some(KeyError::EcPoint));
        assert_eq!(Key::ec(&[0]).err(), Some(KeyError::EcPoint));
        point[64] ^= 1;
        assert_eq!(Key::ec(&point).err(), Some(KeyError::EcPoint));
    }

    #[test]
    fn debug_output_contains_no_key() {
        let ring = KeyRing::new(vec![Key::secret(b"0123456789abcdef0123456789abcdef")]);
        let shown = format!("{ring:?}");
        assert!(
            !shown.contains("0123") && !shown.contains("48, 49"),
            "{shown}"
        );
    }
}

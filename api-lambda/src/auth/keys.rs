//! The keys that tokens may be signed with.

use std::collections::HashSet;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use ring::agreement::{self, ECDH_P256, EphemeralPrivateKey};
use ring::rand::SystemRandom;

use crate::auth::claims::Claims;
use crate::auth::{Refusal, ring_provider};

/// How many keys there may be: a token that names none is tried with each of its algorithm.
pub(super) const MAX_KEYS: usize = 16;

/// A key that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("it is an RSA key of less than 2048 bits, or more than 8192")]
    RsaSize,
    #[error("it is no RSA key that can be used")]
    Rsa,
    #[error("it is no point of the curve P-256")]
    EcPoint,
}

/// A key, for one algorithm: that of its type.
#[derive(Debug, Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    /// Its name in the header of tokens (`kid`). One without a name may be the key of any token.
    name: Option<String>,
    decoding: DecodingKey,
}

impl Key {
    /// A secret, for HS256.
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            name: None,
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// An RSA public key, for RS256: modulus and exponent, most significant byte first.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
        let top_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros());
        let bits = modulus.len() * 8 - top_zeros as usize;
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize);
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        // ring takes exponents from 3 to 2^33 - 1; whatever is in use has up to four bytes.
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

    /// A public key on the curve P-256, for ES256, as an uncompressed point.
    pub(super) fn ec(point: &[u8]) -> Result<Self, KeyError> {
        // ring looks at a point only when it is used; agreeing on a secret with it is such a use.
        let random = SystemRandom::new();
        let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random);
        let ours = ours.map_err(|_| KeyError::EcPoint)?;
        let theirs = agreement::UnparsedPublicKey::new(&ECDH_P256, point);
        let agreed = agreement::agree_ephemeral(ours, &theirs, |_| ());
        agreed.map_err(|_| KeyError::EcPoint)?;
        Ok(Self {
            algorithm: Algorithm::ES256,
            name: None,
            decoding: DecodingKey::from_ec_der(point),
        })
    }

    /// The same key under this name.
    pub(super) fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    /// What may be said of it in the log: its algorithm and its name.
    fn label(&self) -> String {
        let name = self.name.as_deref().unwrap_or("");
        format!("{:?} {name}", self.algorithm).trim_end().to_owned()
    }
}

/// Without the zeros that some encoders put first.
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

    /// What may be said of each in the log.
    pub(super) fn labels(&self) -> Vec<String> {
        self.0.iter().map(Key::label).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claims of a token that one of the keys has signed.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        // RFC 7515, section 4.1.11: what must be understood, and is not.
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        // RFC 8725, section 3.11: what an issuer signs for another purpose (a logout token, say) says so here.
        if let Some(kind) = &header.typ
            && !is_access_token(kind)
        {
            return Err(Refusal::Malformed);
        }
        let of_algorithm = self.0.iter().filter(|key| key.algorithm == header.alg);
        let of_algorithm: Vec<_> = of_algorithm.collect();
        if of_algorithm.is_empty() {
            return Err(Refusal::UnknownAlgorithm);
        }
        let mut refusal = Refusal::UnknownKey;
        let may_be = |key: &&Key| match (&header.kid, &key.name) {
            (Some(asked), Some(name)) => asked == name,
            _ => true,
        };
        for key in of_algorithm.into_iter().filter(may_be) {
            match key.verify(token) {
                Err(Refusal::BadSignature) => refusal = Refusal::BadSignature,
                other => return other,
            }
        }
        Err(refusal)
    }
}

impl Key {
    /// The claims of a token that this key has signed.
    fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        let mut validation = Validation::new(self.algorithm);
        // What is claimed is checked by `ClaimRules`: with a moment that is passed in, `iat`, and without
        // taking a claim of a wrong type for one that is absent.
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoded = decode::<Claims>(token, &self.decoding, &validation);
        let decoded = decoded.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Refusal::BadSignature,
            _ => Refusal::Malformed,
        });
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
    fn the_examples_of_the_rfc_are_verified_each_with_its_own_key() {
        let examples = examples();
        let keys: Vec<_> = examples.iter().map(key).collect();
        let labels = KeyRing::new(keys.clone()).labels();
        assert_eq!(labels, ["HS256", "RS256", "ES256"]);
        for (index, Example { token, .. }) in examples.iter().enumerate() {
            assert!(KeyRing::new(keys.clone()).verify(token).is_ok());
            let mut others = keys.clone();
            others.remove(index);
            let refused = KeyRing::new(others).verify(token).err();
            assert_eq!(refused, Some(Refusal::UnknownAlgorithm));
            let named = keys[index].clone().named(Some("a".to_owned()));
            assert!(KeyRing::new(vec![named]).verify(token).is_ok());
        }
    }

    #[test]
    fn a_key_fits_its_own_algorithm_alone() {
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
    fn an_rsa_key_has_a_fair_size() {
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
    fn an_ec_key_is_a_point_of_the_curve() {
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
    fn a_key_is_not_printed() {
        let ring = KeyRing::new(vec![Key::secret(b"0123456789abcdef0123456789abcdef")]);
        let shown = format!("{ring:?}");
        assert!(
            !shown.contains("0123") && !shown.contains("48, 49"),
            "{shown}"
        );
    }
}

//! Public keys in PEM, as `openssl` writes them. A text can have several keys.

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use spki::der::Decode as _;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::auth::keys::{Key, KeyError};

/// RFC 5480: a key on a named curve, and the name of P-256.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// Why a text has no usable keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemError {
    #[error("the text is not valid PEM")]
    Malformed,
    #[error("the PEM has no PUBLIC KEY")]
    Empty,
    #[error(
        "the PEM has a private key, which only the issuer must have; \
         set the public key (openssl pkey -pubout)"
    )]
    PrivateKey,
    #[error("the PEM has a certificate; set its public key (openssl x509 -pubkey -noout)")]
    Certificate,
    #[error("the PEM has a public key that is neither RSA nor EC on P-256")]
    Unsupported,
    #[error("the PEM has a key that is not usable")]
    Key(#[from] KeyError),
}

/// Parses the keys in `text`.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, PemError> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) = section.map_err(|_| PemError::Malformed)?;
        match kind {
            SectionKind::PublicKey => keys.push(public_key(&der)?),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(PemError::PrivateKey);
            }
            SectionKind::Certificate => return Err(PemError::Certificate),
            _ => return Err(PemError::Unsupported),
        }
    }
    if keys.is_empty() {
        return Err(PemError::Empty);
    }
    Ok(keys)
}

fn public_key(der: &[u8]) -> Result<Key, PemError> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| PemError::Malformed)?;
    let key = info.subject_public_key.as_bytes();
    let key = key.ok_or(PemError::Malformed)?;
    if info.algorithm.oid == pkcs1::ALGORITHM_OID {
        let key = pkcs1::RsaPublicKeyRef::from_der(key).map_err(|_| PemError::Malformed)?;
        return Ok(Key::rsa(
            key.modulus.as_bytes(),
            key.public_exponent.as_bytes(),
        )?);
    }
    let curve = info.algorithm.parameters_oid().ok();
    if info.algorithm.oid == EC_PUBLIC_KEY && curve == Some(P256) {
        return Ok(Key::ec(key)?);
    }
    Err(PemError::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::KeyRing;

    macro_rules! pem {
        ($name:literal) => {
            include_str!(concat!("../../test_data/keys/", $name, ".pem"))
        };
    }

    fn check(text: &str, expected: Result<&[&str], PemError>) {
        let parsed = parse(text).map(|keys| KeyRing::new(keys).labels());
        let expected = expected.map(|labels| labels.iter().map(|label| (*label).to_owned()));
        assert_eq!(parsed, expected.map(Iterator::collect));
    }

    #[test]
    fn all_public_keys_of_a_text_are_read() {
        check(pem!("rsa-a.public"), Ok(&["RS256"]));
        check(pem!("ec-p256.public"), Ok(&["ES256"]));
        let both = concat!(
            pem!("rsa-a.public"),
            "text between\n",
            pem!("ec-p256.public")
        );
        check(both, Ok(&["RS256", "ES256"]));
        check(&both.replace('\n', "\r\n"), Ok(&["RS256", "ES256"]));
    }

    #[test]
    fn other_keys_are_refused() {
        check("", Err(PemError::Empty));
        check(
            "-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n",
            Err(PemError::Empty),
        );
        check(
            "-----BEGIN PUBLIC KEY-----\nAAAA\n",
            Err(PemError::Malformed),
        );
        check(
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            Err(PemError::Malformed),
        );
        check(pem!("rsa-a.private"), Err(PemError::PrivateKey));
        check(pem!("ec-p256.private"), Err(PemError::PrivateKey));
        check(
            concat!(pem!("rsa-a.public"), pem!("rsa-b.private")),
            Err(PemError::PrivateKey),
        );
        check(pem!("certificate"), Err(PemError::Certificate));
        check(pem!("ec-p384.public"), Err(PemError::Unsupported));
        check(pem!("ed25519.public"), Err(PemError::Unsupported));
        check(
            pem!("rsa-1024.public"),
            Err(PemError::Key(KeyError::RsaSize)),
        );
    }
}

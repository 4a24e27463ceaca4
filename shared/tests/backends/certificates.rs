//! Certificate authorities of our own, and what they sign.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that nobody knows unless they are told.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        // Another name than what it signs has: OpenSSL would take that for signed by itself.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate of a server that has these names or addresses.
    pub(crate) fn sign(&self, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let signed = Certificate { directory };
        fs::write(signed.path("cert.pem"), certificate.pem()).unwrap();
        fs::write(signed.path("key.pem"), key.serialize_pem()).unwrap();
        fs::write(signed.path("ca.pem"), self.pem()).unwrap();
        signed
    }
}

/// A certificate with its key, in files, as servers want them.
pub(crate) struct Certificate {
    directory: TempDir,
}

impl Certificate {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The arguments by which `redis-server` speaks TLS with it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let files = [
            ("--tls-cert-file", "cert.pem"),
            ("--tls-key-file", "key.pem"),
            ("--tls-ca-cert-file", "ca.pem"),
        ];
        let files = files.map(|(name, file)| [name.into(), self.path(file).display().to_string()]);
        let mut arguments = files.concat();
        // The client need not have one, too.
        arguments.extend(["--tls-auth-clients".to_owned(), "no".to_owned()]);
        arguments
    }
}

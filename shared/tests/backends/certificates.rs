//! Private certificate authorities, and certificates that they sign.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A certificate authority that clients trust only if they are configured to.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        // The name must differ from the names of its certificates. Otherwise OpenSSL takes them for
        // self-signed.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The certificate of the authority, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a server certificate for these names or addresses.
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

/// A certificate and its key, in files.
pub(crate) struct Certificate {
    directory: TempDir,
}

impl Certificate {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The arguments of `redis-server` for TLS with this certificate.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let files = [
            ("--tls-cert-file", "cert.pem"),
            ("--tls-key-file", "key.pem"),
            ("--tls-ca-cert-file", "ca.pem"),
        ];
        let files = files.map(|(name, file)| [name.into(), self.path(file).display().to_string()]);
        let mut arguments = files.concat();
        // Clients need no certificate.
        arguments.extend(["--tls-auth-clients".to_owned(), "no".to_owned()]);
        arguments
    }
}

//! `progress run` and `progress watch` by HTTPS, with a certificate authority of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::program::{Running, wait_for};

/// The name of the proxy's certificate.
const NAME: &str = "localhost";

/// Signs a certificate for [`NAME`]. Returns the authority's certificate and the settings of a server.
fn certificates() -> (String, ServerConfig) {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "an authority of our own");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key);
    (authority.pem(), config.unwrap())
}

/// A proxy that speaks TLS, in front of `service`. Returns its port.
fn proxy(runtime: &Runtime, config: ServerConfig, service: String) -> u16 {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    runtime.spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let (acceptor, service) = (acceptor.clone(), service.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate ends the connection.
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                let mut server = TcpStream::connect(service).await.unwrap();
                drop(copy_bidirectional(&mut client, &mut server).await);
            });
        }
    });
    port
}

/// Runs `progress` with the certificate authorities of this file.
fn progress(url: &str, authorities: &Path, arguments: &[&str]) -> Output {
    let path = Path::new(env!("CARGO_BIN_EXE_local")).with_file_name("progress");
    assert!(path.exists(), "cargo build -p cli makes the program");
    let mut command = Command::new(path);
    command.args(arguments).env("PROGRESS_URL", url);
    command.env("SSL_CERT_FILE", authorities);
    command.env_remove("SSL_CERT_DIR");
    command.env_remove("PROGRESS_TOKEN").output().unwrap()
}

fn error_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn progress_trusts_the_authorities_that_the_user_names_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    let logs = directory.path().to_str().unwrap();
    let program = Running::serve(&["--no-redis", "--agents", logs]);
    let (authority, config) = certificates();
    let (other, _) = certificates();
    fs::write(path("ours.pem"), authority).unwrap();
    fs::write(path("other.pem"), other).unwrap();
    let runtime = Runtime::new().unwrap();
    let port = proxy(&runtime, config, program.address("Miyabi Progress"));
    let url = format!("https://{NAME}:{port}");
    let script = "echo '[2/2] painting'; exit 3";
    let run = ["run", "--name", "paint", "--", "sh", "-c", script];

    for file in ["other.pem", "missing.pem"] {
        let output = progress(&url, &path(file), &run);
        let error = error_of(&output);
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert_eq!(output.stdout, b"[2/2] painting\n");
        assert_eq!(
            error.matches("invalid peer certificate").count(),
            1,
            "{error}"
        );
        assert!(error.contains("SSL_CERT_FILE"), "{error}");
        assert!(error.contains("1 of 1 lines were not delivered"), "{error}");
        let output = progress(&url, &path(file), &["list"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(error_of(&output).contains("SSL_CERT_FILE"), "{output:?}");
    }
    assert!(program.task("paint").is_none());

    let output = progress(&url, &path("ours.pem"), &run);
    let error = error_of(&output);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert_eq!(error, format!("progress: {url}/?task=run:paint\n"));
    wait_for("the end of the run", || {
        (program.task("paint")?["status"] == "failed").then_some(())
    });
    let output = progress(&url, &path("ours.pem"), &["watch", "run:paint"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("failed"));
}

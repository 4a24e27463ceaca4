//! The services of the functions: DynamoDB in this process, and a real redis-server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use shared::error::Source;
use tempfile::TempDir;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::redis_process::RedisProcess;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The services of one run of the bench.
pub struct Services {
    /// DynamoDB, with the tables.
    pub dynamodb: EmbeddedDynamoDb,
    /// The cache.
    pub redis: RedisProcess,
    /// The same DynamoDB over TLS.
    pub tls_endpoint_url: String,
    /// The file with the certificate authority of that endpoint.
    pub authority_file: PathBuf,
    _directory: TempDir,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Services").finish_non_exhaustive()
    }
}

impl Services {
    /// Starts them.
    ///
    /// # Errors
    ///
    /// If one can't be started.
    pub async fn start() -> Result<Self, Source> {
        let dynamodb = EmbeddedDynamoDb::start().await?;
        let redis = RedisProcess::start(0).await?;
        let directory = tempfile::tempdir()?;
        let authority_file = directory.path().join("authority.pem");
        let plain = dynamodb.endpoint_url.trim_start_matches("http://");
        let tls = serve_tls(plain.parse()?, &authority_file).await?;
        Ok(Self {
            dynamodb,
            redis,
            tls_endpoint_url: format!("https://localhost:{}", tls.port()),
            authority_file,
            _directory: directory,
        })
    }

    /// The environment of a function that uses them.
    pub fn environment(&self) -> Vec<(String, String)> {
        let config = &self.dynamodb.config;
        let redis = self.redis.address.to_string();
        let shards = config.index_shards.to_string();
        let own: [(&str, &str); 7] = [
            ("REDIS_ENDPOINT", &redis),
            ("TASKS_TABLE_NAME", &config.tasks_table),
            ("PROJECTS_TABLE_NAME", &config.projects_table),
            ("CHECKPOINTS_TABLE_NAME", "checkpoints"),
            ("LOG_GROUPS", "/miyabi/cdk=cdk,/miyabi/agents=agent"),
            ("INDEX_SHARDS", &shards),
            ("AUTH_MODE", "none"),
        ];
        let own = own.map(|(name, value): (&str, &str)| (name.to_owned(), value.to_owned()));
        let dynamodb = self.dynamodb.environment();
        let dynamodb = dynamodb.map(|(name, value)| (name.to_owned(), value));
        dynamodb.into_iter().chain(own).collect()
    }
}

/// Serves `target` over TLS, with a certificate for `localhost`. Writes its authority to a file.
async fn serve_tls(target: SocketAddr, authority_file: &Path) -> Result<SocketAddr, Source> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(authority_file, certified.cert.pem())?;
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], PrivateKeyDer::from(key))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()]; // as AWS has it
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            // The bench notices a failed connection elsewhere.
            tokio::spawn(serve_connection(acceptor.clone(), client, target));
        }
    });
    Ok(address)
}

async fn serve_connection(
    acceptor: TlsAcceptor,
    client: TcpStream,
    target: SocketAddr,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

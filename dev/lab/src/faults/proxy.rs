//! A TCP proxy that disturbs connections as networks and failing servers do. The disturbance can be
//! changed at any time.
//!
//! No maintained crate can do all of this while connections are open. The proxy of
//! `redis-server-wrapper` neither refuses connections nor garbles answers, and that crate ends
//! process groups, which is a risk on a shared machine. `noxious` garbles nothing and dates from
//! 2021.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// How often to try again to open a port that was closed on purpose.
const REBIND_ATTEMPTS: u32 = 500;
const REBIND_PAUSE: Duration = Duration::from_millis(10);
/// The pause between two bytes of a dripping answer.
const DRIP: Duration = Duration::from_millis(20);

/// A disturbance of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Nothing.
    Whole,
    /// New connections are refused, and open ones are closed.
    Refused,
    /// Requests are accepted, but no answer comes.
    Silent,
    /// Each answer is late by this time.
    Delayed(Duration),
    /// The connection is closed in the middle of an answer.
    Cut,
    /// Answers are changed to other bytes.
    Garbled,
    /// Answers come byte by byte.
    Dripping,
}

/// The proxy. It lives as long as the runtime.
#[derive(Debug)]
pub struct FaultProxy {
    /// Its address.
    pub address: SocketAddr,
    wire: watch::Sender<Wire>,
}

impl FaultProxy {
    /// Starts a proxy that passes everything on to `target`.
    ///
    /// # Errors
    ///
    /// If there is no address to listen on.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (wire, watched) = watch::channel(Wire::Whole);
        tokio::spawn(accept(listener, address, target, watched));
        Ok(Self { address, wire })
    }

    /// Disturbs all connections like this from now on.
    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    target: SocketAddr,
    mut wire: watch::Receiver<Wire>,
) -> io::Result<()> {
    let mut listener = Some(listener);
    loop {
        let present = *wire.borrow_and_update();
        if present == Wire::Refused {
            listener = None;
            if wire.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => bind_again(address).await?,
        };
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((client, _)) = accepted {
                    tokio::spawn(serve(client, target, wire.clone()));
                }
            }
            changed = wire.changed() => if changed.is_err() {
                return Ok(());
            }
        }
        listener = Some(open);
    }
}

/// Opens a port again. Another process may have it for a moment.
async fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    let mut attempt = 0;
    loop {
        match TcpListener::bind(address).await {
            Err(_) if attempt < REBIND_ATTEMPTS => sleep(REBIND_PAUSE).await,
            bound => return bound,
        }
        attempt += 1;
    }
}

/// Serves a connection. When one direction ends, so does the other.
async fn serve(
    client: TcpStream,
    target: SocketAddr,
    wire: watch::Receiver<Wire>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pass_requests(from_client, to_server, wire.clone()) => ended,
        ended = pass_answers(from_server, to_client, wire) => ended,
    }
}

/// Waits while nothing may pass. An error means that the connection must end.
async fn passable(wire: &mut watch::Receiver<Wire>) -> io::Result<Wire> {
    let allowed = wire.wait_for(|wire| *wire != Wire::Silent).await;
    match allowed.map(|wire| *wire) {
        Ok(Wire::Refused) | Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
        Ok(wire) => Ok(wire),
    }
}

/// Returns when connections are refused.
async fn refused(wire: &mut watch::Receiver<Wire>) -> io::Result<usize> {
    drop(wire.wait_for(|wire| *wire == Wire::Refused).await);
    Err(io::ErrorKind::ConnectionReset.into())
}

async fn pass_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut ending = wire.clone();
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read?,
            ended = refused(&mut ending) => ended?,
        };
        if read == 0 {
            return Ok(());
        }
        passable(&mut wire).await?;
        to.write_all(&buffer[..read]).await?;
    }
}

/// Passes answers on. Delays don't add up: each answer is late by the same time.
async fn pass_answers(
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let (due, later) = mpsc::unbounded_channel();
    let written = write(to, later, wire.clone());
    let reading = async {
        loop {
            let read = from.read(&mut buffer).await?;
            let delay = match *wire.borrow_and_update() {
                Wire::Delayed(delay) => delay,
                _ => Duration::ZERO,
            };
            let bytes = buffer[..read].to_vec();
            if due.send((Instant::now() + delay, bytes)).is_err() || read == 0 {
                return io::Result::Ok(());
            }
        }
    };
    tokio::try_join!(reading, written).map(drop)
}

/// Writes each answer when it is due.
async fn write(
    mut to: OwnedWriteHalf,
    mut answers: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    mut wire: watch::Receiver<Wire>,
) -> io::Result<()> {
    while let Some((due, mut bytes)) = answers.recv().await {
        if bytes.is_empty() {
            break;
        }
        sleep_until(due).await;
        match passable(&mut wire).await? {
            Wire::Cut => {
                to.write_all(&bytes[..bytes.len() / 2]).await?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Wire::Garbled => bytes
                .iter_mut()
                .enumerate()
                .for_each(|(at, byte)| *byte = byte.wrapping_mul(31).wrapping_add(at as u8)),
            Wire::Dripping => {
                for byte in bytes.chunks(1) {
                    to.write_all(byte).await?;
                    // When the fault ends, the rest comes at once.
                    if *wire.borrow() == Wire::Dripping {
                        sleep(DRIP).await;
                    }
                }
                continue;
            }
            _ => {}
        }
        to.write_all(&bytes).await?;
    }
    Ok(())
}

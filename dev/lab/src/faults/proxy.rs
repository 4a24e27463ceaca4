//! A TCP proxy that does to connections what networks and failing servers do, and can be told at any moment what.
//!
//! It is our own, as none of the kept ones can do all that is asked here while connections are open: that of
//! `redis-server-wrapper` neither refuses connections nor garbles answers (and that crate ends process groups, which a
//! measurement on a shared machine must not risk), `noxious` garbles nothing and is of 2021.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// For how long a port is tried again that was closed on purpose.
const REBIND_ATTEMPTS: u32 = 500;
const REBIND_PAUSE: Duration = Duration::from_millis(10);
/// The pause between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_millis(20);

/// What is done to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Nothing.
    Whole,
    /// Nobody listens, and those that are there are closed.
    Refused,
    /// All is taken and nothing comes.
    Silent,
    /// Each answer comes so much later.
    Delayed(Duration),
    /// The connection ends in the middle of an answer.
    Cut,
    /// Answers are other bytes.
    Garbled,
    /// Answers come byte by byte.
    Dripping,
}

/// The proxy; it lives as long as the runtime.
#[derive(Debug)]
pub struct FaultProxy {
    /// Where it listens.
    pub address: SocketAddr,
    wire: watch::Sender<Wire>,
}

impl FaultProxy {
    /// Begins to listen for connections to `target`, and leaves them whole.
    ///
    /// # Errors
    ///
    /// That there is no address to listen on.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (wire, watched) = watch::channel(Wire::Whole);
        tokio::spawn(accept(listener, address, target, watched));
        Ok(Self { address, wire })
    }

    /// Does this to all connections from now on.
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

/// Listens on a port once more. Another may have been given it meanwhile, for a moment.
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

/// Both directions end together, by whichever ends first.
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
        ended = ask(from_client, to_server, wire.clone()) => ended,
        ended = answer(from_server, to_client, wire) => ended,
    }
}

/// Waits while nothing comes through; an error if the connection is to end.
async fn passable(wire: &mut watch::Receiver<Wire>) -> io::Result<Wire> {
    let allowed = wire.wait_for(|wire| *wire != Wire::Silent).await;
    match allowed.map(|wire| *wire) {
        Ok(Wire::Refused) | Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
        Ok(wire) => Ok(wire),
    }
}

/// Ends when connections are no longer allowed.
async fn refused(wire: &mut watch::Receiver<Wire>) -> io::Result<usize> {
    drop(wire.wait_for(|wire| *wire == Wire::Refused).await);
    Err(io::ErrorKind::ConnectionReset.into())
}

async fn ask(
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

/// Passes answers on. Those that are late are so by the same time each, however many are under way.
async fn answer(
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

/// Writes what is due, until there is an end.
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
                    // What has not dripped when the fault ends comes at once.
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

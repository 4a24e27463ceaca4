//! The HTTP server of the API. Its clients are programs on a laptop that may hang, so it does not wait for the rest of a
//! request for long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep};
use tower_http::map_request_body::MapRequestBodyLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tracing::{debug, error};

/// How long the head of a request may take, and how long the next part of its body. A connection without a request ends
/// after that time, too.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long all of the body may take.
const MOST_PATIENCE: Duration = Duration::from_secs(15);
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);
/// The time between two log lines about that.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A body that must have arrived until a deadline.
struct TimedBody {
    body: Body,
    deadline: Pin<Box<Sleep>>,
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => {
                let late = io::Error::from(io::ErrorKind::TimedOut);
                Poll::Ready(Some(Err(axum::Error::new(late))))
            }
            Poll::Pending => Pin::new(&mut self.body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves `router` on `listener`. Never returns.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let deadline = MapRequestBodyLayer::new(|body| {
        Body::new(TimedBody {
            body,
            deadline: Box::pin(sleep(MOST_PATIENCE)),
        })
    });
    let router = router
        .layer(RequestBodyTimeoutLayer::new(PATIENCE))
        .layer(deadline);
    let mut logged_at = None;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(failure) => {
                note_error(&failure, &mut logged_at);
                sleep(PAUSE).await;
                continue;
            }
        };
        drop(stream.set_nodelay(true)); // answers are sent at once
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(router.clone()),
            )
            .with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended");
            }
        });
    }
}

/// Logs an error, at most one in [`LOG_INTERVAL`]: while descriptors are scarce, some connections are still accepted.
fn note_error(failure: &io::Error, logged_at: &mut Option<Instant>) {
    let is_of_client = matches!(
        failure.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if is_of_client || logged_at.is_some_and(|at| at.elapsed() < LOG_INTERVAL) {
        return;
    }
    *logged_at = Some(Instant::now());
    let advice = match cli::log_files::has_too_many_open(failure) {
        true => ": close some, or raise the limit of open files (`ulimit -n 4096`)",
        false => "",
    };
    error!(error = %failure, "can't accept more connections{advice}");
}

//! An emulator of `FilterLogEvents` of CloudWatch Logs, as far as a sweep uses it. Its answers are
//! prepared beforehand, so that only the collector is measured. Two log groups have the same
//! events.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;

/// The largest number of events in a page of AWS
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>).
const PAGE: usize = 10_000;

type Pages = Arc<Mutex<Vec<String>>>;

/// A server of logs. It lives as long as the runtime.
#[derive(Debug)]
pub struct Logs {
    /// Its URL.
    pub endpoint_url: String,
    pages: Pages,
}

impl Logs {
    /// Starts a server without events.
    ///
    /// # Errors
    ///
    /// If there is no address to listen on.
    pub async fn start() -> io::Result<Self> {
        let pages = Pages::default();
        let router = Router::new()
            .route("/", post(page))
            .with_state(pages.clone());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint_url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            endpoint_url,
            pages,
        })
    }

    /// Replaces all events with these lines, spread over `streams` streams, from `start_ms` on.
    pub fn set(&self, lines: &[String], streams: usize, start_ms: u64) {
        let total = lines.len();
        let event = |number: usize, line: &String| {
            let time = start_ms + number as u64 / 1000;
            json!({
                "eventId": format!("{start_ms}-{number}"),
                "logStreamName": format!("deploy-{start_ms}-{}", number % streams.max(1)),
                "message": line,
                "timestamp": time,
                "ingestionTime": time,
            })
        };
        let pages = lines.chunks(PAGE).enumerate().map(|(page, lines)| {
            let numbered = (page * PAGE..).zip(lines);
            let events: Vec<_> = numbered.map(|(number, line)| event(number, line)).collect();
            let is_last = (page + 1) * PAGE >= total;
            let next = (!is_last).then(|| (page + 1).to_string());
            json!({"events": events, "nextToken": next}).to_string()
        });
        *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = pages.collect();
    }
}

async fn page(
    State(pages): State<Pages>,
    body: String,
) -> ([(axum::http::HeaderName, &'static str); 1], String) {
    let request: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let number = request["nextToken"]
        .as_str()
        .and_then(|token| token.parse().ok());
    let number: usize = number.unwrap_or_default();
    let pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
    let page = pages.get(number).cloned();
    let page = page.unwrap_or_else(|| r#"{"events":[]}"#.to_owned());
    ([(CONTENT_TYPE, "application/x-amz-json-1.1")], page)
}

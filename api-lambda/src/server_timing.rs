//! `Server-Timing`: how long a request waited for the cache and for the store, in milliseconds.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use shared::server_timing::WaitTimes;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds the header, if there was any wait.
pub(crate) fn set_header(response: &mut Response, waits: WaitTimes) {
    let parts = [("cache", waits.cache), ("store", waits.store)];
    let entries: Vec<String> = parts
        .into_iter()
        .filter_map(|(part, wait)| {
            let milliseconds = wait?.as_secs_f64() * 1000.0;
            Some(format!("{part};dur={milliseconds:.2}"))
        })
        .collect();
    if !entries.is_empty()
        && let Ok(value) = HeaderValue::try_from(entries.join(", "))
    {
        response.headers_mut().insert(SERVER_TIMING, value);
    }
}

//! The API as a Lambda function.

use std::env;

use api_lambda::{Auth, Cors, router, run, wiring};
use shared::config::Settings;
use shared::error::error_chain;
use shared::telemetry;

// Lambda sends one request at a time to a process, so more threads would only slow down the start.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let lookup = |name: &str| env::var(name).ok();
    let json = lookup("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format == "JSON");
    telemetry::init(json, lookup("RUST_LOG").as_deref());
    let settings = Settings::new(&lookup);
    let auth = Auth::from_settings(&settings).map_err(|error| error_chain(&error))?;
    let cors = Cors::from_settings(&settings)?;
    let state = wiring::connect(&settings, &auth)
        .await
        .map_err(|error| error_chain(&error))?;
    run(router(state, auth.clone(), cors), auth).await
}

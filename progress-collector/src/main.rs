//! The collector or the publisher as a Lambda function.

use std::{env, io};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use progress_collector::{FunctionResponse, MetricsLevel, invoke, wiring};
use serde_json::Value;
use shared::config::Settings;
use shared::telemetry;

// One thread: the function only waits for the network, and further threads would slow its start.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let lookup = |name: &str| env::var(name).ok();
    let json = lookup("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format == "JSON");
    telemetry::init(json, lookup("RUST_LOG").as_deref());
    #[cfg(feature = "fault-points")]
    shared::fault_point::arm(&lookup("FAULT_POINTS").unwrap_or_default())?;
    let settings = Settings::new(&lookup);
    let level = &MetricsLevel::from_settings(&settings)?;
    let handler = wiring::connect(&settings).await?;
    let handler = handler.as_ref();
    run(service_fn(async move |event: LambdaEvent<Value>| {
        let (event, context) = event.into_parts();
        let deadline = context.deadline;
        let summary = invoke(handler, &event, deadline, *level, &mut io::stdout()).await;
        summary.map(FunctionResponse::from)
    }))
    .await
}

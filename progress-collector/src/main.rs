//! The collector as a Lambda function: settings, clients, and the runtime's loop.

use std::env;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use progress_collector::{Collector, Summary, invoke, wiring};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setting = |name: &str| env::var(name).ok();
    let json = setting("AWS_LAMBDA_LOG_FORMAT").as_deref() == Some("JSON");
    shared::telemetry::init(json, setting("RUST_LOG").as_deref());
    let collector: Collector = wiring::collector(&setting).await?;
    let handler = |event: LambdaEvent<Value>| {
        let LambdaEvent { payload, context } = event;
        let collector = &collector;
        async move { Ok::<Summary, Error>(invoke(collector, &payload, context.deadline).await?) }
    };
    run(service_fn(handler)).await
}

//! The Lambda side of one function, for scripts in other languages.
//!
//! Prints the address of a Runtime API, and then `ready` when a function has asked for its first
//! event. After that, each line of the standard input is an event, and each line of the standard
//! output is the response to one: `{"response": …, "is_error": false, "took_ms": 1.5}`. Ends with
//! its input.

use std::io::{self, BufRead as _, Write as _};

use serde_json::{Value, json};
use testkit::runtime_api::RuntimeApi;
use tokio::runtime::Builder;

fn main() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut api = runtime.block_on(RuntimeApi::start())?;
    let mut output = io::stdout().lock();
    writeln!(output, "{}", api.address)?;
    runtime.block_on(api.ready())?;
    writeln!(output, "ready")?;
    for event in io::stdin().lock().lines() {
        let invocation = runtime.block_on(api.invoke(event?.as_bytes()))?;
        let text = || Value::from(String::from_utf8_lossy(&invocation.answer));
        let line = json!({
            "response": serde_json::from_slice(&invocation.answer).unwrap_or_else(|_| text()),
            "is_error": invocation.is_error,
            "took_ms": invocation.took.as_secs_f64() * 1000.0,
        });
        writeln!(output, "{line}")?;
    }
    Ok(())
}

//! The Lambda side of one function, for scripts in other languages.
//!
//! Prints the address of a Runtime API, then `ready` when a function has asked it for its first event. After that, each
//! line of the standard input is an event, and each line of the standard output is the response to one:
//! `{"response": …, "is_error": false, "took_ms": 1.5}`. Ends with its input.

use std::io::{self, BufRead as _, Write as _};

use lab::runtime_api::RuntimeApi;
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut runtime = RuntimeApi::start()?;
    let mut output = io::stdout().lock();
    writeln!(output, "{}", runtime.address()?)?;
    runtime.wait_until_ready()?;
    writeln!(output, "ready")?;
    for event in io::stdin().lock().lines() {
        let invocation = runtime.attempt(event?.as_bytes())?;
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

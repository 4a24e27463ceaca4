//! How soon a line that was written to a log is seen by who asks for its task, with `local serve`.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::statistics::{Times, millis};
use lab::table::Table;
use shared::error::Source;

use crate::Bench;

const LINES: usize = 60;
/// How often the task is asked for.
const PAUSE: Duration = Duration::from_millis(2);
/// How long it is from when a line was seen to the next one, at least.
const BETWEEN: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

/// The process, which is ended with it.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let heading = "\n### Freshness\n\n";
    let Some(program) = &bench.arguments.local else {
        return Ok(format!("{heading}Not measured: it takes `--local`.\n"));
    };
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("fresh.log");
    std::fs::write(&log, "Shop: deploying... [1/1]\n")?;
    let (_serving, address) = serve(program, &log)?;
    let mut written = OpenOptions::new().append(true).open(&log)?;
    let mut took = Vec::new();
    for number in 1..=LINES {
        writeln!(
            written,
            "Shop | {number}/{LINES} | 10:00:03 AM | CREATE_COMPLETE | AWS::SQS::Queue | Queue{number} (Queue1A2B)"
        )?;
        let started = Instant::now();
        let wanted = format!("\"current\":{number},");
        while !ask(address)?.contains(&wanted) {
            if started.elapsed() > PATIENCE {
                return Err(format!("line {number} is not seen").into());
            }
            sleep(PAUSE);
        }
        took.push(started.elapsed());
        sleep(BETWEEN + spread(number));
    }
    let took = Times::new(took);
    let mut table = Table::new(&["ms from a line to the answer that shows it", "p50", "p99"]);
    table.row(&[
        "`local serve`, file followed",
        &millis(took.median()),
        &millis(took.percentile(99)),
    ]);
    Ok(format!("{heading}{}", table.render()))
}

/// A line is seen at a look of `local`: what comes after the same pause each time would always be as far from the next one.
fn spread(number: usize) -> Duration {
    Duration::from_millis(number as u64 * 7 % 50)
}

/// Starts `local serve` and reads where it listens.
fn serve(program: &Path, log: &Path) -> Result<(Serving, SocketAddr), Source> {
    let mut child = Command::new(program)
        .args(["serve", "--port", "0", "--cdk"])
        .arg(log)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let serving = Serving(child);
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some((_, rest)) = line.split_once("http://") {
            let address: String = rest
                .chars()
                .take_while(|character| "0123456789.:".contains(*character))
                .collect();
            return Ok((serving, address.parse()?));
        }
    }
    Err("`local serve` does not say where it listens".into())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(
        b"GET /api/tasks/cdk:fresh HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

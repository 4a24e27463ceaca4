//! The time from a written log line until the API of `local serve` shows it.

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

use super::bench::Bench;

const LINES: usize = 60;
/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(2);
/// The shortest pause between two lines.
const BETWEEN: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

/// The process of `local serve`. Dropping it kills the process.
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
        while !get_task(address)?.contains(&wanted) {
            if started.elapsed() > PATIENCE {
                return Err(format!("line {number} is not shown").into());
            }
            sleep(PAUSE);
        }
        took.push(started.elapsed());
        sleep(BETWEEN + spread(number));
    }
    let took = Times::new(took);
    let mut table = Table::new(&["ms from a line to the response that shows it", "p50", "p99"]);
    table.row(&[
        "`local serve`, file followed",
        &millis(took.median()),
        &millis(took.percentile(99)),
    ]);
    Ok(format!("{heading}{}", table.render()))
}

/// `local` polls the file. Varying pauses spread the lines over its polling interval.
fn spread(number: usize) -> Duration {
    Duration::from_millis(number as u64 * 7 % 50)
}

/// Starts `local serve` and reads its address.
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
    Err("`local serve` does not print its address".into())
}

fn get_task(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(
        b"GET /api/tasks/cdk:fresh HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

//! Measures a function: its cold start, and its warm invocations.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::events::status;
use crate::function::Function;
use crate::statistics::Times;

/// A function to measure.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its program.
    pub program: PathBuf,
    /// Its environment, without the variables that Lambda sets.
    pub environment: Vec<(String, String)>,
}

impl Subject {
    /// The same function with one variable changed. An empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.environment.retain(|(present, _)| present != name);
        if !value.is_empty() {
            changed
                .environment
                .push((name.to_owned(), value.to_owned()));
        }
        changed
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// Those of [`Function::start`].
    pub fn start(&self) -> io::Result<Function> {
        Function::start(&self.program, &self.environment, &[])
    }
}

/// Makes the event of the invocation with a number.
pub type MakeEvent<'a> = &'a dyn Fn(usize) -> Vec<u8>;

/// The costs of many cold starts.
#[derive(Debug)]
pub struct Cold {
    /// The time from the start of the process until it asked for an event.
    pub ready: Times,
    /// The time from the start of the process until its first answer.
    pub answered: Times,
    /// The median of its peak memory until then, in bytes.
    pub peak_memory: u64,
}

/// Starts each subject `rounds` times, in turns, and sends each process one event.
///
/// # Errors
///
/// If a function does not start, or its answer is no success.
pub fn cold(
    subjects: &[(&Subject, MakeEvent<'_>)],
    limit: Option<&CpuLimit>,
    rounds: usize,
) -> io::Result<Vec<Cold>> {
    let mut ready = vec![Vec::new(); subjects.len()];
    let mut answered = vec![Vec::new(); subjects.len()];
    let mut memory = vec![Vec::new(); subjects.len()];
    for round in 0..rounds {
        for (number, (subject, event)) in subjects.iter().enumerate() {
            let event = event(round);
            let wrapper = limit.map(CpuLimit::command).unwrap_or_default();
            let mut function = Function::start(&subject.program, &subject.environment, &wrapper)?;
            let answer = function.invoke(&event)?.answer;
            answered[number].push(function.age());
            ready[number].push(function.ready_after);
            memory[number].push(function.peak_memory()?);
            expect_success(&answer)?;
        }
    }
    let all = ready.into_iter().zip(answered).zip(memory);
    Ok(all
        .map(|((ready, answered), mut memory)| {
            memory.sort_unstable();
            Cold {
                ready: Times::new(ready),
                answered: Times::new(answered),
                peak_memory: memory.get(memory.len() / 2).copied().unwrap_or_default(),
            }
        })
        .collect())
}

/// The costs of many invocations of a warm function.
#[derive(Debug)]
pub struct Warm {
    /// The time of each.
    pub took: Times,
    /// The mean processor time of one.
    pub cpu: Duration,
}

/// The invocations of one function before the next function's turn. Short turns spread a
/// disturbance of the machine over all functions.
const BLOCK: usize = 50;

/// Invokes each subject `invocations` times, in turns, after a warm-up.
///
/// # Errors
///
/// If a function does not answer, or its answer is no success.
pub fn warm(subjects: &[(&Subject, MakeEvent<'_>)], invocations: usize) -> io::Result<Vec<Warm>> {
    let mut functions = Vec::new();
    for (subject, event) in subjects {
        let mut function = subject.start()?;
        for number in 0..BLOCK {
            expect_success(&function.invoke(&event(number))?.answer)?;
        }
        functions.push((function, Vec::new(), Duration::ZERO));
    }
    let mut done = BLOCK;
    while done < invocations + BLOCK {
        for ((function, times, cpu), (_, event)) in functions.iter_mut().zip(subjects) {
            let before = function.cpu_time()?;
            for number in done..done + BLOCK {
                let invocation = function.invoke(&event(number))?;
                expect_success(&invocation.answer)?;
                times.push(invocation.took);
            }
            *cpu += function.cpu_time()? - before;
        }
        done += BLOCK;
    }
    Ok(functions
        .into_iter()
        .map(|(_, times, cpu)| Warm {
            cpu: cpu / u32::try_from(times.len()).unwrap_or(u32::MAX),
            took: Times::new(times),
        })
        .collect())
}

fn expect_success(answer: &[u8]) -> io::Result<()> {
    match status(answer) {
        200..300 => Ok(()),
        // The collector's answer has no HTTP status.
        0 => Ok(()),
        status => {
            let answer = String::from_utf8_lossy(answer);
            Err(io::Error::other(format!(
                "the function answers {status}: {answer}"
            )))
        }
    }
}

/// Limits a function to its share of a processor. Lambda gives one whole processor to 1,769 MB of
/// memory, and proportionally less to smaller functions
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
#[derive(Debug)]
pub struct CpuLimit {
    folder: PathBuf,
}

/// The processor time of a function with 256 MB in each period, in microseconds.
const QUOTA_US: u32 = 2_900;
/// The period, in microseconds.
const PERIOD_US: u32 = 20_000;

impl CpuLimit {
    /// The limit of a function with 256 MB of memory.
    ///
    /// # Errors
    ///
    /// If this process may not limit others. That takes root and Linux control groups.
    pub fn of_256_mb() -> io::Result<Self> {
        let name = format!("bench-{}", std::process::id());
        let old = PathBuf::from("/sys/fs/cgroup/cpu").join(&name);
        if std::fs::create_dir(&old).is_ok() {
            let limit = Self { folder: old };
            std::fs::write(
                limit.folder.join("cpu.cfs_period_us"),
                PERIOD_US.to_string(),
            )?;
            std::fs::write(limit.folder.join("cpu.cfs_quota_us"), QUOTA_US.to_string())?;
            return Ok(limit);
        }
        let new = PathBuf::from("/sys/fs/cgroup").join(&name);
        std::fs::create_dir(&new)?;
        let limit = Self { folder: new };
        let share = format!("{QUOTA_US} {PERIOD_US}");
        std::fs::write(limit.folder.join("cpu.max"), share)?;
        Ok(limit)
    }

    /// The command that starts the program after it with this limit.
    fn command(&self) -> Vec<String> {
        let members = self.folder.join("cgroup.procs");
        let script = format!(r#"echo $$ > {} && exec "$0" "$@""#, members.display());
        vec!["/bin/sh".to_owned(), "-c".to_owned(), script]
    }
}

impl Drop for CpuLimit {
    fn drop(&mut self) {
        // Killed processes leave the group a moment later.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

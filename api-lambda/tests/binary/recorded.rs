//! A process whose output is recorded.

use std::fs::{self, File};
use std::process::{Child, Command};

use tempfile::TempDir;

/// A process and its output. Dropping it kills the process.
pub(crate) struct Recorded {
    child: Child,
    output: TempDir,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Recorded {
    /// Starts a program with exactly these environment variables.
    pub(crate) fn start(program: &str, settings: &[(&str, &str)]) -> Self {
        let output = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(output.path().join(name)).unwrap();
        let child = Command::new(program)
            .env_clear()
            .envs(settings.iter().copied())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn();
        let child = child.unwrap();
        Self { child, output }
    }

    /// Waits until the process ends. Returns whether it succeeded.
    pub(crate) fn ended_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// The output so far, stdout first.
    pub(crate) fn output(&self) -> String {
        let names = ["stdout", "stderr"];
        let texts = names.map(|name| fs::read(self.output.path().join(name)).unwrap());
        String::from_utf8_lossy(&texts.concat()).into_owned()
    }
}

//! A process of which all that it writes is kept.

use std::fs::{self, File};
use std::process::{Child, Command};

use tempfile::TempDir;

/// A process; it is killed when this is dropped.
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
    /// Starts a program with these settings and no others.
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

    /// Waits until it has ended by itself, and says whether that was well.
    pub(crate) fn ended_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// All that it has written.
    pub(crate) fn output(&self) -> String {
        let names = ["stdout", "stderr"];
        let texts = names.map(|name| fs::read(self.output.path().join(name)).unwrap());
        String::from_utf8_lossy(&texts.concat()).into_owned()
    }
}

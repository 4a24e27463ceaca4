//! Passes signals on to the command.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Origin;

use super::queue::Queue;
use super::stdio::copy_window_size;

/// The command, as long as it has not ended.
#[derive(Clone)]
pub(crate) struct Target {
    pid: Arc<Mutex<Option<Pid>>>,
    /// Whether the command leads a process group of its own.
    leads_group: bool,
}

impl Target {
    pub(crate) fn new(pid: Pid, leads_group: bool) -> Self {
        let pid = Arc::new(Mutex::new(Some(pid)));
        Self { pid, leads_group }
    }

    /// The command has ended: its number may soon be that of another process.
    pub(crate) fn ended(&self) {
        *self.pid.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_running(&self) -> bool {
        let pid = self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        pid.is_some()
    }

    /// Sends the signal to the command, or to its whole process group. Returns whether the command
    /// has not ended.
    fn send(&self, signal: Signal, is_for_group: bool) -> bool {
        let pid = self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pid) = *pid else {
            return false;
        };
        let sent = if self.leads_group && is_for_group {
            kill_process_group(pid, signal)
        } else {
            kill_process(pid, signal)
        };
        // One that has changed its user can't be signalled: the user's signal has no effect.
        sent.ok();
        true
    }
}

/// Passes signals on, and changes of the window's size. A second `SIGINT` kills the command. After
/// the command's end, a signal ends the delivery.
///
/// # Errors
///
/// Returns the system's error.
pub(crate) fn forward(target: Target, pty: Option<File>, queue: Arc<Queue>) -> io::Result<()> {
    let forwarded = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
    let mut signals = SignalsInfo::<WithOrigin>::new(forwarded)?;
    if pty.is_some() {
        signals.add_signal(SIGWINCH)?;
    }
    thread::spawn(move || {
        let mut has_interrupted = false;
        for Origin {
            signal: number,
            process,
            ..
        } in signals.forever()
        {
            if number == SIGWINCH {
                if let Some(pty) = &pty {
                    copy_window_size(pty.as_fd());
                }
                continue;
            }
            let Some(signal) = Signal::from_named_raw(number) else {
                continue;
            };
            // A terminal sends signals to a process group. No process sends those.
            let is_of_terminal = process.is_none_or(|process| process.pid == 0);
            let is_repeated = number == SIGINT && std::mem::replace(&mut has_interrupted, true);
            let is_sent = if is_repeated {
                target.send(Signal::KILL, true)
            } else if is_of_terminal && !target.leads_group {
                // The command is in the same group: it has the signal already.
                target.is_running()
            } else {
                target.send(signal, is_of_terminal)
            };
            if !is_sent {
                queue.close();
            }
        }
    });
    Ok(())
}

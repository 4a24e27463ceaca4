//! What a command has printed and the service does not have yet: bounded, and never waited for by
//! the command.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr_iter;

/// The greatest size of what is kept, in bytes. The oldest output goes first.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// What a piece of output costs besides its bytes.
const PIECE_BYTES: usize = 64;
/// With so many bytes, a batch waits no longer.
const FULL_BATCH_BYTES: usize = 64 * 1024;
/// The greatest size of a batch, in bytes. Escaped as JSON and compressed it is below 1 MB.
const MOST_BATCH_BYTES: usize = 4 * FULL_BATCH_BYTES;
/// The shortest time between the beginnings of two batches.
const BATCH_INTERVAL: Duration = Duration::from_millis(200);
/// How long a backlog is sent after the end of the command. Then all but its last output is dropped.
const MOST_BACKLOG_TIME: Duration = Duration::from_secs(2);
/// How long the first output after a silence waits for more.
const GATHERING: Duration = Duration::from_millis(10);

/// The two outputs of a command. One that is a terminal, or the same file, counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a command has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With this exit code.
    ExitCode(i32),
    /// By the signal of this name.
    Signal(String),
}

/// A piece of output, as it was read.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) output: Output,
    /// When it was read, in milliseconds since 1970.
    pub(crate) timestamp: i64,
    /// Whether output is missing before it.
    pub(crate) has_gap: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Consecutive output.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) pieces: Vec<Piece>,
    /// How the command has ended, if this is all.
    pub(crate) end: Option<End>,
}

/// How many lines have not been delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Lines that were given up, or that have not been accepted.
    pub(crate) lost: u64,
    /// Lines that the service has accepted.
    pub(crate) delivered: u64,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// The outputs of which something was dropped since their last piece was taken.
    gaps: Vec<Output>,
    lost: u64,
    delivered: u64,
    in_flight: u64,
    last_batch: Option<Instant>,
    end: Option<End>,
    ended_at: Option<Instant>,
    /// Nothing is sent any more.
    is_closed: bool,
    /// The sender has nothing left to do.
    is_done: bool,
}

/// The queue between the threads that read output and the one that sends it.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        let Some(timeout) = timeout else {
            let waited = self.changed.wait(state);
            return waited.unwrap_or_else(PoisonError::into_inner);
        };
        let waited = self.changed.wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Adds output. It never waits for the network.
    pub(crate) fn push(&self, output: Output, timestamp: i64, bytes: &[u8]) {
        let mut state = self.lock();
        if state.is_closed {
            state.lost += lines_in(bytes);
            return;
        }
        state.bytes += bytes.len() + PIECE_BYTES;
        state.pieces.push_back(Piece {
            output,
            timestamp,
            has_gap: false,
            bytes: bytes.to_vec(),
        });
        while state.bytes > MOST_BYTES
            && let Some(oldest) = state.pop()
        {
            state.lose(&oldest);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The command has ended, and all its output was added.
    pub(crate) fn finish(&self, end: End) {
        let mut state = self.lock();
        state.end = Some(end);
        state.ended_at = Some(Instant::now());
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for a batch. None if there will be no more.
    pub(crate) fn next_batch(&self) -> Option<Batch> {
        let mut state = self.lock();
        let mut first_seen = None;
        loop {
            if state.is_closed || state.is_done {
                return None;
            }
            if state.end.is_some() || state.bytes >= FULL_BATCH_BYTES {
                break;
            }
            let mut timeout = None;
            if !state.pieces.is_empty() {
                let now = Instant::now();
                let gathered = *first_seen.get_or_insert(now) + GATHERING;
                let due = state.last_batch.map(|last| last + BATCH_INTERVAL);
                let left = due.map_or(gathered, |due| due.max(gathered)) - now;
                if left.is_zero() {
                    break;
                }
                timeout = Some(left);
            }
            state = self.wait(state, timeout);
        }
        state.last_batch = Some(Instant::now());
        // The end matters more than a backlog.
        let is_late = |ended: Instant| ended.elapsed() >= MOST_BACKLOG_TIME;
        if state.ended_at.is_some_and(is_late) {
            while state.bytes > FULL_BATCH_BYTES
                && let Some(oldest) = state.pop()
            {
                state.lose(&oldest);
            }
        }
        Some(state.take_batch())
    }

    /// A batch with so many lines is being sent.
    pub(crate) fn sending(&self, lines: u64) {
        self.lock().in_flight = lines;
    }

    /// The service has accepted the batch.
    pub(crate) fn accepted(&self) {
        let mut state = self.lock();
        state.delivered += std::mem::take(&mut state.in_flight);
    }

    /// Lines of a gap that were read but are incomplete.
    pub(crate) fn lose(&self, lines: u64) {
        self.lock().lost += lines;
    }

    /// Nothing will be sent any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.is_done = true;
        state.lost += std::mem::take(&mut state.in_flight);
        while let Some(piece) = state.pop() {
            state.lost += lines_in(&piece.bytes);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits before the next attempt: no longer than for the end of the command, unless that has
    /// come before.
    pub(crate) fn wait_to_retry(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let mut state = self.lock();
        let had_ended = state.end.is_some();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_done || state.end.is_some() != had_ended {
                return;
            }
            state = self.wait(state, Some(left));
        }
    }

    /// Whether the command has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Whether nothing is sent any more.
    pub(crate) fn is_done(&self) -> bool {
        self.lock().is_done
    }

    /// Everything was delivered.
    pub(crate) fn done(&self) {
        self.lock().is_done = true;
        self.changed.notify_all();
    }

    /// Waits until everything was delivered or nothing will be. Then nothing is sent any more.
    pub(crate) fn wait_for_delivery(&self, timeout: Duration) -> Delivery {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        while !state.is_done {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, Some(left));
        }
        drop(state);
        self.close();
        let state = self.lock();
        Delivery {
            lost: state.lost,
            delivered: state.delivered,
        }
    }
}

impl State {
    /// Counts the lines of a piece that will not be sent.
    fn lose(&mut self, piece: &Piece) {
        self.lost += lines_in(&piece.bytes);
        self.gaps.push(piece.output);
        self.gaps.dedup();
    }

    fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.bytes.len() + PIECE_BYTES;
        Some(piece)
    }

    fn take_batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while let Some(next) = self.pieces.front() {
            bytes += next.bytes.len();
            if bytes > MOST_BATCH_BYTES && !batch.pieces.is_empty() {
                return batch;
            }
            if let Some(mut piece) = self.pop() {
                piece.has_gap = self.gaps.contains(&piece.output);
                self.gaps.retain(|output| *output != piece.output);
                batch.pieces.push(piece);
            }
        }
        batch.end.clone_from(&self.end);
        batch
    }
}

/// How many lines end in these bytes.
fn lines_in(bytes: &[u8]) -> u64 {
    u64::try_from(memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_output_is_dropped_and_counted() {
        let queue = Queue::default();
        queue.push(Output::Stderr, 0, b"first\n");
        for _ in 0..100 {
            queue.push(Output::Stdout, 1, &b"x\n".repeat(32 * 1024));
        }
        assert!(queue.lock().bytes <= MOST_BYTES);
        queue.push(Output::Stderr, 2, b"last\n");
        queue.finish(End::ExitCode(0));
        let (mut taken, mut gaps) = (0, Vec::new());
        let end = loop {
            let batch = queue.next_batch().unwrap();
            for piece in &batch.pieces {
                taken += lines_in(&piece.bytes);
                gaps.extend(piece.has_gap.then_some(piece.output));
            }
            if batch.end.is_some() {
                break batch.end;
            }
        };
        assert_eq!(end, Some(End::ExitCode(0)));
        assert_eq!(gaps, [Output::Stdout, Output::Stderr]);
        let delivery = queue.wait_for_delivery(Duration::ZERO);
        assert_eq!(delivery.lost + taken, 2 + 100 * 32 * 1024);
    }

    #[test]
    fn the_first_output_goes_at_once_and_the_next_one_after_a_pause() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.push(Output::Stdout, 0, b"1\n");
        assert_eq!(queue.next_batch().unwrap().pieces.len(), 1);
        queue.push(Output::Stdout, 0, b"2\n");
        queue.push(Output::Stdout, 0, b"3\n");
        assert_eq!(queue.next_batch().unwrap().pieces.len(), 2);
        assert!(start.elapsed() >= BATCH_INTERVAL);
    }

    #[test]
    fn a_closed_queue_keeps_nothing_and_waits_for_nothing() {
        let queue = Queue::default();
        queue.push(Output::Stdout, 0, b"1\n");
        queue.sending(3);
        queue.close();
        queue.push(Output::Stdout, 0, b"2\n");
        assert!(queue.next_batch().is_none());
        let delivery = queue.wait_for_delivery(Duration::from_secs(60));
        let expected = Delivery {
            lost: 5,
            delivered: 0,
        };
        assert_eq!(delivery, expected);
    }
}

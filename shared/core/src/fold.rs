//! Folds the observations of a task into its state. Pure.
//!
//! A [`Ledger`] keeps everything from the lines of a task that can still affect its state. It is a
//! function of the *set* of lines: adding a line twice or in another order, or merging ledgers in
//! any order, gives the same ledger. Replays, overlapping reads, and several collectors at once are
//! therefore harmless.
//!
//! A [`Report`] is the state of a task: status, progress and parts. It is derived from the ledger
//! alone, after each change. This step answers the questions that need several lines: which names
//! are the same stack, which stacks are nested, and where the current run starts.

mod agent;
mod caller_edit;
mod counter;
mod last_lines;
mod last_write_wins;
mod ledger;
mod line_key;
mod marks;
mod progress;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
mod report;
mod stacks;
mod task;
mod track;
mod verdict;

pub use caller_edit::{CallerEdit, InvalidTransition};
pub use counter::percentage_of;
pub use last_lines::LastLines;
pub use ledger::Ledger;
pub use line_key::{InvalidLineKey, LineKey};
pub use progress::shown_progress;
pub use report::Report;
pub use task::{FoldedTask, TaskOrigin, fold_into_task};
pub use verdict::{LineClass, Verdict, classify, verdict};

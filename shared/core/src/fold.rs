//! Folds the facts about a task into its runs. Pure. [`record`](crate::record) stores them.
//!
//! A [`Fact`] is what a line says, or what a caller of the API or the platform says. Each has a
//! [`LineKey`], which identifies it: the same line read twice is one fact. The key also gives the
//! order.
//!
//! A [`FactLog`] keeps the facts of a task: a state up to a watermark, and the facts after it. One
//! **pass** goes over the facts in order and yields the [`Run`]s. It is ordinary code with ordinary
//! state, so a rule that needs context is a few lines in `fold/run`. A [`Run`] gives its state as a
//! [`Report`].
//!
//! # What the pass is resilient against
//!
//! * **Repetition.** A fact counts once, however often it is read.
//! * **Order and portions.** Lines that are late by up to [`LATEST_FACTS`] facts may arrive in any
//!   order and in any portions.
//! * **Late lines.** Later ones change nothing, so they never lead back to an earlier state. Two of
//!   them still count: an exit code, and a line before the first one of the first run.
//! * **Several writers.** Two that add the same or other facts end where one would have.
//! * **Missing lines.** Rows without a start make a stack. An end without a start ends it. A start
//!   of a stack that has ended begins a run, even if other stacks have not ended. After an hour of
//!   silence, so does a start or a new counter.
//! * **Late ticks.** A row that ends the last stack ends the run, but the tick may follow after the
//!   start of another stack. Then both are of one run, and so are stacks that `[i/k]` has announced.
//! * **Contradictions.** Only stronger evidence replaces an end: an exit code is stronger than a
//!   line of the tool that owns the run, and that is stronger than a line about a part. Evidence of
//!   the same strength begins a later run. Work that goes on after an end does, too.
//! * **Failures before any stack.** The last word of a command ends its run, also if it has no stack.
//!   After a completed command, it is of a later one.
//! * **Roll backs.** The progress of a run stays where it was, and its message is the first cause.
//! * **Functions.** Each invocation of a Lambda function is a run, also if the one before was killed.
//!   An invocation that says nothing about progress is none.
//! * **Sessions.** If all output of a command is in the log, from its start on, its exit alone ends
//!   the run: what tools in it say are steps. Its lines carry its key, so several sessions at once
//!   in one log are several runs.
//! * **Inner tools.** A tool or a part that completes does not end a run that counts steps or items
//!   and has some left, unless the counter may be the tool's own. The end that a tool told is taken
//!   back if the counter goes on, or if a deploy begins.
//! * **Deploys in a step.** If a run counts its own steps, stacks are its parts and do not end it.
//!   Otherwise tools around stacks neither count nor end the run.
//! * **Names.** A stack may be printed with its display name, its CloudFormation name, or both, in
//!   any order; twins in two regions may share one. Nested stacks count for their root stack.
//! * **Size.** A run has any number of lines. It has at most 1,000 stacks with 64 KB of names, 100
//!   of them with messages. Of further stacks, only starts and ends count, so that it ends rightly. A log begins at most 500 runs a
//!   day. Texts are cut to 512 bytes.
//! * **Silence.** Any line makes a run. If nothing follows the last lines of a log, or a later run
//!   begins, they tell how the run has ended ([`verdict`]). A later line takes such an end back.
//! * **Callers.** An edit holds until the log has a later line. A status that a caller ended holds
//!   until a later run. A deleted run stays deleted, and its further lines change nothing until an
//!   operation or an agent starts, or after an hour of silence.
//!
//! # What it is not resilient against
//!
//! * Lines that are later than [`LATEST_FACTS`] facts: their content is lost.
//! * Two runs of the same stack at once in one log: their lines are one run.
//! * Clocks that lie: the order of facts is that of their times. A line that is more than a minute
//!   ahead of its ingestion counts as of its ingestion.

mod caller_edit;
mod end;
mod fact;
mod fact_log;
mod last_lines;
mod line_key;
mod pass;
mod progress;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
mod report;
mod run;
mod templates;
mod verdict;

pub use caller_edit::{CallerEdit, InvalidTransition};
pub use fact::{Creation, Fact, KeyedFact, MOST_CONTEXT, Session};
pub use fact_log::{Added, FactLog, LATEST_FACTS, MOST_FACTS};
pub use last_lines::LastLines;
pub(crate) use last_lines::text_of;
pub use line_key::{LineKey, SessionKey};
pub use progress::{percentage_of, shown_progress};
pub use report::Report;
pub use run::Run;
pub use verdict::{LineClass, Verdict, are_neutral, classify, verdict};

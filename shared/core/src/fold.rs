//! Observations in, one state a task out. Pure.
//!
//! A [`Ledger`] keeps, of all lines that were ever read of a task, what can still matter. It is a function of
//! the *set* of lines: adding lines twice, in another order, or in other portions gives the same ledger, and
//! so does joining two ledgers. That is what makes replays, overlaps, pushes that race with sweeps, and
//! two collectors at once harmless. Nothing in it is decided by the order of arrival.
//!
//! A [`Ledger`] shows as a [`Report`]: status, progress and parts, worked out from the ledger alone
//! whenever it has changed. Whatever needs several lines is settled there: which names are one stack, which
//! stacks are nested, whose the rows without a stack name are, where the present run begins.

mod agent;
mod caller_edit;
mod counter;
mod latest;
mod ledger;
mod line_key;
mod marks;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
mod report;
mod stacks;
mod task;
mod track;

pub use caller_edit::{CallerEdit, InvalidTransition, shown_progress};
pub use counter::percentage_of;
pub use ledger::Ledger;
pub use line_key::{InvalidLineKey, LineKey};
pub use report::Report;
pub use task::{FoldedTask, TaskOrigin, fold_into_task};

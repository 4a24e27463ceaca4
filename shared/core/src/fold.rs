//! Folds the facts about a task into its runs. Pure.

mod caller_edit;
mod end;
mod fact;
mod fact_log;
mod ledger;
mod line_key;
mod pass;
mod progress;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
mod report;
mod run;
mod task;

pub use caller_edit::{CallerEdit, InvalidTransition};
pub use fact::Fact;
pub use fact_log::{FactLog, KeyedFact, LATEST_FACTS, MOST_FACTS};
pub use ledger::Ledger;
pub use line_key::{InvalidLineKey, LineKey};
pub use progress::{percentage_of, shown_progress};
pub use report::Report;
pub use run::Run;
pub use task::{FoldedTask, TaskOrigin, fold_into_task};

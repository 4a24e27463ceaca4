//! Named points of a run at which a test can stop the process, to kill it exactly there.
//!
//! Only the collector's own tests enable the feature `fault-points`. Without it, deployed code
//! contains neither the points nor their names.

/// A point between two steps of a run.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "fault-points", derive(Debug, PartialEq, Eq))]
pub enum FaultPoint {
    /// The checkpoint of a log group was loaded.
    CheckpointLoaded,
    /// A page is about to be read.
    BeforePage,
    /// A page was read, and nothing of it is saved yet.
    AfterPage,
    /// Part of a page was saved because the batch was full. More of the page follows.
    AmidPage,
    /// The stored records of some tasks were read.
    TasksRead,
    /// A task is about to be written.
    BeforeTask,
    /// A task was written, and its cache entry is not updated yet.
    AfterTask,
    /// Another writer was faster to write a task.
    RaceLost,
    /// Some tasks were written, and their cache entries are about to be updated.
    BeforeCache,
    /// The cache entries were updated.
    AfterCache,
    /// The position in an unfinished window is about to be saved.
    BeforePlace,
    /// The position was saved.
    AfterPlace,
    /// A window was read and saved, and its checkpoint is about to be saved.
    BeforeCheckpoint,
    /// The checkpoint was saved.
    AfterCheckpoint,
    /// Logs can't be read. Open tasks were read to refresh the cache.
    BeforeRefresh,
    /// The cache was refreshed.
    AfterRefresh,
}

impl FaultPoint {
    /// Marks that the run has reached this point.
    #[inline]
    pub fn reach(self) {
        #[cfg(feature = "fault-points")]
        armed::reach(self);
    }
}

#[cfg(feature = "fault-points")]
pub use armed::arm;

#[cfg(feature = "fault-points")]
mod armed {
    use std::io;

    use super::FaultPoint;

    impl FaultPoint {
        /// All points.
        pub const ALL: [Self; 16] = [
            Self::CheckpointLoaded,
            Self::BeforePage,
            Self::AfterPage,
            Self::AmidPage,
            Self::TasksRead,
            Self::BeforeTask,
            Self::AfterTask,
            Self::RaceLost,
            Self::BeforeCache,
            Self::AfterCache,
            Self::BeforePlace,
            Self::AfterPlace,
            Self::BeforeCheckpoint,
            Self::AfterCheckpoint,
            Self::BeforeRefresh,
            Self::AfterRefresh,
        ];

        /// The name of the point in plans and in output.
        pub fn name(self) -> String {
            format!("fault-point-{self:?}")
        }
    }

    /// Arms the points of `plan`. `fault-point-AfterTask=2*off->return` stops the process when it
    /// reaches the point for the third time (see the crate `fail`).
    ///
    /// # Errors
    ///
    /// The fault in the plan.
    pub fn arm(plan: &str) -> Result<(), String> {
        for point in plan.split(';').filter(|point| !point.is_empty()) {
            let (name, actions) = point.split_once('=').ok_or("a point without actions")?;
            fail::cfg(name, actions)?;
        }
        Ok(())
    }

    pub(super) fn reach(point: FaultPoint) {
        fail::fail_point!(&point.name(), |_| stop_at(point));
    }

    /// Prints that the point was reached, and waits for another line of standard input, or its end.
    fn stop_at(point: FaultPoint) {
        eprintln!("stopped at {}", point.name());
        drop(io::stdin().read_line(&mut String::new()));
    }
}

//! Named points of a run at which a test can stop the process, to kill it exactly there.
//!
//! Without the feature `fault-points`, which only the collector's own tests turn on, a point is nothing: no name and no
//! code is in what is deployed.

/// A point between two steps of a run.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "fault-points", derive(Debug, PartialEq, Eq))]
pub enum FaultPoint {
    /// It is known how far a log group was read.
    CheckpointLoaded,
    /// A page is about to be read.
    BeforePage,
    /// A page was read, and nothing of it is kept yet.
    AfterPage,
    /// A part of a page was saved because the batch was full; more of the page is to come.
    AmidPage,
    /// What is stored of some tasks was read.
    TasksRead,
    /// A task is about to be written.
    BeforeTask,
    /// A task was written, its cache is not told.
    AfterTask,
    /// Someone else was faster to write a task.
    RaceLost,
    /// Some tasks were written, their cache is about to be told.
    BeforeCache,
    /// The cache was told of them.
    AfterCache,
    /// The place in an unfinished window is about to be kept.
    BeforePlace,
    /// The place was kept.
    AfterPlace,
    /// A window was read and saved, its checkpoint is about to be.
    BeforeCheckpoint,
    /// The checkpoint was saved.
    AfterCheckpoint,
    /// Logs can't be read: open tasks were read to refresh the cache.
    BeforeRefresh,
    /// The cache was refreshed.
    AfterRefresh,
}

impl FaultPoint {
    /// The run has come to this point.
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

        /// Its name, as it is asked for and told.
        pub fn name(self) -> String {
            format!("fault-point-{self:?}")
        }
    }

    /// Makes the process stop where `plan` says, as in `fault-point-AfterTask=2*off->return`: the third time that it
    /// comes there (see the crate `fail`).
    ///
    /// # Errors
    ///
    /// What is wrong with the plan.
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

    /// Says that the point was reached, and does no more until the standard input has another line or ends.
    fn stop_at(point: FaultPoint) {
        eprintln!("stopped at {}", point.name());
        drop(io::stdin().read_line(&mut String::new()));
    }
}

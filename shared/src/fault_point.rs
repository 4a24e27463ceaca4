//! Fault points: named places in the code where a test can stop the process, to kill it exactly
//! there.
//!
//! Only the collector's tests turn on the feature `fault-points`. Without it a fault point compiles
//! to nothing, so the deployed binary has neither code nor names of them.

/// A place between two steps of an invocation.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "fault-points", derive(Debug, PartialEq, Eq))]
pub enum FaultPoint {
    /// The checkpoint of a log group was loaded.
    CheckpointLoaded,
    /// Before a page is fetched.
    BeforePage,
    /// A page was fetched, and nothing of it is saved.
    AfterPage,
    /// The batch was full and was saved; the rest of the page follows.
    MidPage,
    /// The stored records of the tasks were read.
    TasksRead,
    /// Before a task is written to the store.
    BeforeTask,
    /// A task was written to the store, and not yet to the cache.
    AfterTask,
    /// Another writer changed the task first.
    RaceLost,
    /// Before written tasks are written to the cache.
    BeforeCache,
    /// Written tasks were written to the cache.
    AfterCache,
    /// Before the resume point of an unfinished window is saved.
    BeforeResumePoint,
    /// The resume point was saved.
    AfterResumePoint,
    /// A window was read and its tasks were saved; before its checkpoint is saved.
    BeforeCheckpoint,
    /// The checkpoint was saved.
    AfterCheckpoint,
}

impl FaultPoint {
    /// Marks that the code reached this point.
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
        /// All fault points.
        pub const ALL: [Self; 14] = [
            Self::CheckpointLoaded,
            Self::BeforePage,
            Self::AfterPage,
            Self::MidPage,
            Self::TasksRead,
            Self::BeforeTask,
            Self::AfterTask,
            Self::RaceLost,
            Self::BeforeCache,
            Self::AfterCache,
            Self::BeforeResumePoint,
            Self::AfterResumePoint,
            Self::BeforeCheckpoint,
            Self::AfterCheckpoint,
        ];

        /// Its name, in plans and in messages.
        pub fn name(self) -> String {
            format!("fault-point-{self:?}")
        }
    }

    /// Sets where the process stops. `fault-point-AfterTask=2*off->return` stops it at the third
    /// time that it reaches that point (the syntax is that of the crate `fail`).
    ///
    /// # Errors
    ///
    /// A message, if the plan can't be parsed.
    pub fn arm(plan: &str) -> Result<(), String> {
        for point in plan.split(';').filter(|point| !point.is_empty()) {
            let (name, actions) = point
                .split_once('=')
                .ok_or("a fault point has no actions")?;
            fail::cfg(name, actions)?;
        }
        Ok(())
    }

    pub(super) fn reach(point: FaultPoint) {
        fail::fail_point!(&point.name(), |_| stop_at(point));
    }

    /// Prints that the point was reached, and waits until standard input has another line or ends.
    fn stop_at(point: FaultPoint) {
        eprintln!("stopped at {}", point.name());
        drop(io::stdin().read_line(&mut String::new()));
    }
}

//! The command line `progress`. It needs no service, no AWS SDK and no Redis.

pub mod args;
pub mod log_files;
pub mod report;
mod table;

//! The command line `progress`. It needs neither the AWS SDK nor Redis.

pub mod args;
pub mod client;
pub mod live;
pub mod log_files;
pub mod plain_text;
pub mod report;
#[cfg(unix)]
pub mod run;
pub mod settings;
mod table;
pub mod watch;

//! The command line `progress`. It works without a service, the AWS SDK or Redis.

pub mod args;
pub mod log_files;
pub mod plain_text;
pub mod report;
mod table;

//! Experiments: faults of Redis and DynamoDB happen while the functions' binaries run under load.
//! Do their responses stay correct, and how long do clients wait?

pub mod client;
pub mod dynamodb;
pub mod end_state;
pub mod fault;
pub mod harness;
pub mod load;
pub mod outcome;
pub mod proxy;
pub mod report;
pub mod run;
pub mod samples;
pub mod tasks;

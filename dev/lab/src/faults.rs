//! What the functions' real binaries do while Redis or DynamoDB have trouble: whether their answers stay right, and how
//! long anybody waits.

pub mod check;
pub mod client;
pub mod dynamodb;
pub mod fault;
pub mod load;
pub mod proxy;
pub mod report;
pub mod run;
pub mod samples;
pub mod truth;
pub mod verdict;
pub mod world;

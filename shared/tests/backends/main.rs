//! Every store and every cache keeps the promises of its trait: in memory, in an embedded DynamoDB behind
//! the real SDK client, and in a real Redis.

mod embedded;
mod stores;

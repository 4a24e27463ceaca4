//! The collector as a Lambda function.
fn main() {}

//! One retry policy for everything the collector asks of others.

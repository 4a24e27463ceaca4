//! The read path: cache first, store behind it.

//! Clients, made once at cold start.

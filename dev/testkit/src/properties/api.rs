//! Checks that hold for the response to any request.

mod request;
mod response;
mod token;

pub use request::check as check_request;
pub use token::check as check_token;

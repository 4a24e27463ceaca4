//! Why a request is not authenticated.

/// Why a request is not authenticated.
///
/// The messages go to the client. They do not contain the token. They are copied into a header, so
/// they are ASCII and have no quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("a bearer token is needed")]
    NoToken,
    #[error("the Authorization header must be: Bearer <token>")]
    NotBearer,
    #[error("the Authorization header must occur only once")]
    SeveralTokens,
    #[error("the token must not be longer than {limit_bytes} bytes")]
    TooLong { limit_bytes: usize },
    #[error("the token is not a valid JWT")]
    Malformed,
    #[error("the token is signed with an algorithm that is not accepted")]
    UnknownAlgorithm,
    #[error("the token names an unknown key")]
    UnknownKey,
    #[error("the signature of the token is not valid")]
    BadSignature,
    #[error("the token has no expiration time")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token has another issuer")]
    WrongIssuer,
    #[error("the token is for another audience")]
    WrongAudience,
}

impl AuthError {
    /// Whether the request had a token. Without one, the response does not mention an error (RFC
    /// 6750, section 3.1).
    pub(crate) fn has_token(self) -> bool {
        !matches!(self, Self::NoToken | Self::NotBearer)
    }
}

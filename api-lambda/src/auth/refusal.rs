//! Why nobody was recognised.

use crate::auth::bearer::MAX_TOKEN_BYTES;

/// Why the sender of a request was not recognised. The messages help the honest client, and show nothing of the
/// token. They are put into a header as they are: ASCII, no quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a bearer token is needed")]
    NoToken,
    #[error("the Authorization header must be Bearer and a token")]
    NotBearer,
    #[error("the Authorization header must be sent once")]
    SeveralTokens,
    #[error("the token must not be longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    #[error("the token is not a JWT that can be read here")]
    Malformed,
    #[error("the token is not signed with an algorithm that is taken here")]
    UnknownAlgorithm,
    #[error("the token names a key that is not known here")]
    UnknownKey,
    #[error("the signature of the token is not valid")]
    BadSignature,
    #[error("the token does not say when it expires")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is of another issuer")]
    WrongIssuer,
    #[error("the token is meant for another audience")]
    WrongAudience,
}

impl Refusal {
    /// Whether a token was there at all. RFC 6750, section 3.1: who did not know that one is needed is not told
    /// of an error.
    pub(crate) fn is_of_a_token(self) -> bool {
        !matches!(self, Self::NoToken | Self::NotBearer)
    }
}

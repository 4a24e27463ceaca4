//! Where the next page of a window begins.

use std::fmt;
use std::str::FromStr;

/// The segment that the next page begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) epoch_ms: u64,
    pub(super) offset: u64,
    pub(super) log_stream: String,
}

/// A text that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a token that this source has given")]
pub(super) struct InvalidToken;

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch_ms,
            offset,
            log_stream,
        } = self;
        write!(formatter, "{epoch_ms}:{offset}:{log_stream}")
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (epoch_ms, rest) = text.split_once(':').ok_or(InvalidToken)?;
        let (offset, log_stream) = rest.split_once(':').ok_or(InvalidToken)?;
        Ok(Self {
            epoch_ms: epoch_ms.parse().map_err(|_| InvalidToken)?,
            offset: offset.parse().map_err(|_| InvalidToken)?,
            log_stream: log_stream.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_written() {
        let token = Token {
            epoch_ms: 7,
            offset: 8,
            log_stream: "a:b".to_owned(),
        };
        assert_eq!(token.to_string().parse(), Ok(token));
        assert_eq!("7:x:a".parse::<Token>(), Err(InvalidToken));
    }
}

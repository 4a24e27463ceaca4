//! Where the next page of a window begins.

use std::fmt;
use std::str::FromStr;

/// The segment that the next page begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageToken {
    pub(super) epoch_ms: u64,
    pub(super) offset: u64,
    pub(super) log_stream: String,
}

/// A text is not a page token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a page token of this source")]
pub(super) struct InvalidPageToken;

impl fmt::Display for PageToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch_ms,
            offset,
            log_stream,
        } = self;
        write!(formatter, "{epoch_ms}:{offset}:{log_stream}")
    }
}

impl FromStr for PageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        let (epoch_ms, rest) = text.split_once(':').ok_or(InvalidPageToken)?;
        let (offset, log_stream) = rest.split_once(':').ok_or(InvalidPageToken)?;
        Ok(Self {
            epoch_ms: epoch_ms.parse().map_err(|_| InvalidPageToken)?,
            offset: offset.parse().map_err(|_| InvalidPageToken)?,
            log_stream: log_stream.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_parses_from_its_text() {
        let page_token = PageToken {
            epoch_ms: 7,
            offset: 8,
            log_stream: "a:b".to_owned(),
        };
        assert_eq!(page_token.to_string().parse(), Ok(page_token));
        assert_eq!("7:x:a".parse::<PageToken>(), Err(InvalidPageToken));
    }
}

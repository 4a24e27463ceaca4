//! The text encoding of a file. PowerShell writes UTF-16 when output is redirected to a file.

use std::borrow::Cow;

/// A text encoding, detected from the byte order mark, or from the first character if that is ASCII.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, the default. Invalid bytes are replaced.
    #[default]
    Utf8,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-16, big-endian.
    Utf16Be,
}

impl Encoding {
    /// Detects the encoding of a file that starts with `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xFF, 0xFE, ..] => Self::Utf16Le,
            [0xFE, 0xFF, ..] => Self::Utf16Be,
            // No text in UTF-8 has a NUL.
            [1..=0x7F, 0, ..] => Self::Utf16Le,
            [0, 1..=0x7F, ..] => Self::Utf16Be,
            _ => Self::Utf8,
        }
    }

    /// Decodes `bytes`, which start at a character. Invalid characters are replaced.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        if self == Self::Utf8 {
            return String::from_utf8_lossy(bytes);
        }
        let units = (0..bytes.len()).step_by(2);
        let units = units.map_while(|at| self.unit(bytes, at));
        let chars = char::decode_utf16(units);
        chars
            .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect::<String>()
            .into()
    }

    /// The UTF-16 code unit at byte `at`.
    pub fn unit(self, bytes: &[u8], at: usize) -> Option<u16> {
        let unit: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self {
            Self::Utf16Be => u16::from_be_bytes(unit),
            Self::Utf8 | Self::Utf16Le => u16::from_le_bytes(unit),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_determine_the_encoding() {
        for (bytes, expected) in [
            (&b""[..], Encoding::Utf8),
            (b"\xFF", Encoding::Utf8),
            (b"a", Encoding::Utf8),
            (b"\xEF\xBB\xBFa", Encoding::Utf8),
            (b"\xFF\xFEa\0", Encoding::Utf16Le),
            (b"\xFE\xFF\0a", Encoding::Utf16Be),
            (b"[\0a\0", Encoding::Utf16Le),
            (b"\0[\0a", Encoding::Utf16Be),
            (b"\0\0", Encoding::Utf8),
        ] {
            assert_eq!(Encoding::of(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn invalid_characters_are_replaced() {
        assert_eq!(Encoding::Utf8.decode(b"a\xFFb"), "a\u{fffd}b");
        assert_eq!(Encoding::Utf16Le.decode(b"a\0\0\xD8b\0c"), "a\u{fffd}b");
        assert_eq!(Encoding::Utf16Be.decode(b"\xD8\x3D\xDE\x80"), "🚀");
    }
}

//! Cleans text to show: limits its length and removes control characters.

use crate::model::MAX_MESSAGE_BYTES;

/// Removes control characters and outer white space, and cuts the text to [`MAX_MESSAGE_BYTES`].
/// The time does not depend on the length of `text` beyond a small multiple of that limit.
pub(crate) fn clip(text: &str) -> String {
    let text = text.trim();
    if text.len() <= MAX_MESSAGE_BYTES && is_plain(text) {
        return text.to_owned(); // the common case
    }
    let mut clipped = String::with_capacity(text.len().min(MAX_MESSAGE_BYTES));
    for character in printable_chars(text.chars().take(4 * MAX_MESSAGE_BYTES)) {
        if clipped.len() + character.len_utf8() > MAX_MESSAGE_BYTES {
            break;
        }
        clipped.push(character);
    }
    clipped.truncate(clipped.trim_end().len());
    clipped
}

/// Removes control characters, and keeps white space at both ends.
pub(super) fn printable(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned(); // the common case
    }
    printable_chars(text.chars()).collect()
}

/// Whether `text` is ASCII without control characters.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn printable_chars(characters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    characters.filter_map(|character| match character {
        '\t' | '\n' | '\r' => Some(' '),
        control if control.is_control() => None,
        other => Some(other),
    })
}

/// [`clip`]; `None` if the result is empty.
pub(super) fn clip_some(text: &str) -> Option<String> {
    Some(clip(text)).filter(|text| !text.is_empty())
}

/// The last `bytes` bytes of `text`, or up to 3 less, so that no character is split.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(bytes))..)
        .unwrap_or_default()
}

/// The first `bytes` bytes of `text`, or up to 3 less, so that no character is split.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters_and_has_no_control_characters() {
        assert_eq!(clip(" a\u{0}b\tc\u{7}\n"), "ab c");
        let long = "é".repeat(MAX_MESSAGE_BYTES);
        assert_eq!(clip(&long).len(), MAX_MESSAGE_BYTES);
        assert_eq!(clip(&format!("x{long}")).len(), MAX_MESSAGE_BYTES - 1);
        assert_eq!(clip_some("\u{0} \u{1}"), None);
    }

    #[test]
    fn head_and_tail_never_split_a_character() {
        assert_eq!(tail("aéb", 2), "b");
        assert_eq!(tail("aéb", 3), "éb");
        assert_eq!(head("aéb", 2), "a");
        assert_eq!(head("ab", 9), "ab");
    }
}

//! Text from logs, files and systems, made safe to print in a terminal.

/// Puts `text` on one line, without control characters and characters that change the text
/// direction.
pub fn plain(text: &str) -> String {
    let is_direction =
        |char: char| matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let words: String = text
        .chars()
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .filter(|char| !char.is_control() && !is_direction(*char))
        .collect();
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn text_can_not_control_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\u{7}\r\nc\u{202E}d"), "a[31mb  cd");
    }
}

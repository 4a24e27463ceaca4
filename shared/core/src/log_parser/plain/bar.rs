//! Progress bars beside a number.

/// Blocks without an opening bracket are a bar if there are as many.
const WIDE: usize = 24;

/// Whether `text` ends with a progress bar: `[#####....`, `|████  |`, `━━━━╸`.
pub(super) fn ends_with_bar(text: &str) -> bool {
    let text = text.trim_end();
    if let Some(inner) = text.strip_suffix([']', '|', '>']) {
        let opening = if text.ends_with(']') {
            '['
        } else if text.ends_with('>') {
            '<'
        } else {
            '|'
        };
        let trim = |text: &'_ str| text.trim_end_matches(|c: char| is_bar(c) || c == ' ').len();
        let mut start = trim(inner);
        // The tip of a bar may turn: `[====\   ]`.
        if opening == '['
            && inner
                .get(..start)
                .is_some_and(|text| text.ends_with(['/', '\\', '|']))
        {
            start = inner.get(..start - 1).map_or(start, trim);
        }
        let inner_bar = inner.get(..start).unwrap_or_default();
        let length = inner.len().saturating_sub(inner_bar.len());
        let filled = inner.get(inner_bar.len()..).unwrap_or_default();
        // The start of a wide bar may be too far away to be examined.
        let is_wide =
            inner_bar.is_empty() && filled.chars().filter(|&c| is_block(c)).count() >= WIDE;
        return is_wide
            || length >= 4 && inner_bar.ends_with(opening) && filled.contains(|c: char| c != ' ');
    }
    text.chars().rev().take(3).filter(|&c| is_block(c)).count() == 3
}

/// Whether `text` starts with a progress bar.
pub(super) fn starts_with_bar(text: &str) -> bool {
    let text = text.trim_start();
    let (inner, is_enclosed) = match text.strip_prefix(['[', '|']) {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let glyphs = inner
        .chars()
        .take(4)
        .filter(|&c| is_block(c) || is_enclosed && (is_bar(c) || c == ' '))
        .count();
    let is_blank = inner.chars().take(4).all(|c| c == ' ');
    if is_enclosed {
        glyphs == 4 && !is_blank
    } else {
        glyphs >= 3
    }
}

/// Whether progress bars are drawn with `c`.
fn is_bar(c: char) -> bool {
    matches!(c, '=' | '>' | '#' | '-' | '.' | '·' | '*' | '+' | '~' | '_') || is_block(c)
}

/// Whether only progress bars are drawn with `c`.
fn is_block(c: char) -> bool {
    matches!(c, '\u{2580}'..='\u{25ff}' | '━' | '╸' | '╺' | '─' | '∙')
        || matches!(c, '\u{2800}'..='\u{28ff}')
}

//! Parses CDK's progress bar: `[████▌·······] (4/7)`.

use crate::log_parser::observation::Counter;

/// The shortest bar that is recognized. CDK's bars are about fifty glyphs wide.
const MIN_GLYPHS: usize = 4;

/// Parses the counter of the last frame on the line.
pub(super) fn parse(line: &str) -> Option<Counter> {
    let mut rest = line;
    // The search goes backwards to find the last frame first. Each step leaves a shorter text.
    while let Some((before, after)) = rest.rsplit_once("] (") {
        if ends_with_bar(before)
            && let Some((counter, _)) = after.split_once(')')
            && let Some((current, total)) = counter.split_once('/')
            && let (Ok(current), Ok(total)) = (current.trim().parse(), total.trim().parse())
        {
            return Some(Counter {
                current: Some(current),
                total: Some(total),
                percentage: None,
            });
        }
        rest = before;
    }
    None
}

fn ends_with_bar(before: &str) -> bool {
    let bar = before.trim_end_matches(is_glyph);
    bar.ends_with('[')
        && before
            .chars()
            .rev()
            .take(MIN_GLYPHS)
            .take_while(|&glyph| is_glyph(glyph))
            .count()
            == MIN_GLYPHS
}

fn is_glyph(character: char) -> bool {
    // Block elements from the full block to the one-eighth block, and the middle dot.
    matches!(character, '\u{2588}'..='\u{258f}' | '·')
}

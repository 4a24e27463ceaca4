//! Parses a line of a to-do list in text: `☒ Read the code`, `- [ ] Write a test`.

use crate::log_parser::observation::{AgentObservation, MAX_ITEM_BYTES, Todo, TodoEdit, TodoState};
use crate::log_parser::text::{clip_some, head};

/// Every line that this module reads matches this pattern.
pub(super) const HINT: &str = r"[☐☑☒◻◼□]|\[[ xX~>✓✔-]\]|⎿";

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<AgentObservation> {
    let (state, is_sure, text) = parse_item(line)?;
    let text = clip_some(text).filter(|text| text.contains(char::is_alphabetic))?;
    let text = head(&text, MAX_ITEM_BYTES).trim_end().to_owned();
    let todo = Todo { text, state };
    let edit = match is_sure {
        true => TodoEdit::Line(todo),
        false => TodoEdit::Tick(todo),
    };
    Some(AgentObservation {
        todo_edits: vec![edit],
        ..AgentObservation::default()
    })
}

/// The state of an item, whether the line is one of a list for certain, and the words.
fn parse_item(line: &str) -> Option<(TodoState, bool, &str)> {
    let (is_branch, line) = match line.trim_start().strip_prefix(['⎿', '└', '├']) {
        Some(line) => (true, line.trim_start_matches(['─', ' ', '\u{a0}'])),
        None => (false, line.trim_start()),
    };
    let (sign, text) = line.split_once([' ', '\u{a0}'])?;
    match sign {
        "☐" | "◻" | "□" => return Some((TodoState::Pending, true, text)),
        "☒" | "☑" => return Some((TodoState::Done, true, text)),
        "◼" => return Some((TodoState::InProgress, false, text)),
        // A list begins with it. A tick alone may be the end of anything.
        "✔" | "✓" if is_branch => return Some((TodoState::Done, false, text)),
        _ => {}
    }
    let number = sign.strip_suffix(['.', ')']).filter(|_| sign.len() <= 4);
    let is_numbered = number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let is_bullet = is_numbered || matches!(sign, "-" | "*" | "+");
    // A bullet behind a time is part of the prefix.
    let boxed = if is_bullet { text } else { line };
    let (sign, text) = boxed.trim_start().strip_prefix('[')?.split_once("] ")?;
    match sign {
        " " => Some((TodoState::Pending, true, text)),
        "x" | "X" | "✓" | "✔" => Some((TodoState::Done, false, text)),
        // The branch of a tree may have a sign of its own: `├─ [~] Table`.
        "~" | ">" | "-" if is_bullet => Some((TodoState::InProgress, false, text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_make_items() {
        use TodoState::{Done, InProgress, Pending};
        for (line, state) in [
            ("☐ Sail", Pending),
            ("⎿  ☒ Sail", Done),
            ("⎿ \u{a0}☒ Sail", Done),
            ("☑ Sail", Done),
            ("◼ Sail", InProgress),
            ("⎿  ✔ Sail", Done),
            ("└ □ Sail", Pending),
            ("- [ ] Sail", Pending),
            ("* [x] Sail", Done),
            ("[x] Sail", Done),
            ("2. [X] Sail", Done),
            ("- [~] Sail", InProgress),
        ] {
            let edits = parse(line).unwrap().todo_edits;
            let [TodoEdit::Line(todo) | TodoEdit::Tick(todo)] = &edits[..] else {
                panic!("{line}: {edits:?}");
            };
            assert_eq!((todo.text.as_str(), todo.state), ("Sail", state), "{line}");
        }
        for line in [
            "✔ Sail",
            "[-] Sail",
            "[+] Sail",
            "- [a] Sail",
            "- [x](https://a.example)",
            "☐☐☐ 3",
            "☐ 3/9",
            "□□□ Sail",
            "├─ [~] Sail",
            "- Sail [x] on",
            "⎿ Sail",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}

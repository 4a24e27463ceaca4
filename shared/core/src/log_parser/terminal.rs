//! Reads a line that was written for a terminal.
//!
//! A frame that ends with a carriage return is a line of its own: see
//! [`split_lines`](super::line::split_lines). Inside of a line, backspaces and cursor sequences move
//! and erase as on a terminal. Colors and titles go.

use unicode_width::UnicodeWidthChar;
use vte::{Params, Parser, Perform};

/// Sequences move the cursor at most to this column. No terminal is wider, and the time for one
/// sequence stays bounded.
const MOST_COLUMNS: usize = 512;

/// The second half of a character that is two columns wide.
const SECOND_HALF: char = '\0';

/// What a terminal shows after `text`. If the cursor leaves a row, the last row with text counts.
pub(super) fn shown(text: &str) -> String {
    let mut screen = Screen::default();
    Parser::new().advance(&mut screen, text.as_bytes());
    screen.finish_row();
    screen.finished
}

#[derive(Default)]
struct Screen {
    /// The rows above, with line ends between them.
    finished: String,
    row: Vec<char>,
    column: usize,
    /// The last row with text that the cursor has left.
    left: Vec<char>,
}

impl Screen {
    fn put(&mut self, character: char) {
        let width = match character.is_ascii() {
            true => 1,
            // A mark without a width needs a place, too.
            false => character.width().unwrap_or(1).max(1),
        };
        let end = self.column + width;
        if self.row.len() < end {
            self.row.resize(end, ' ');
        }
        let split = self.row.get(self.column) == Some(&SECOND_HALF);
        if split && let Some(first_half) = self.row.get_mut(self.column.saturating_sub(1)) {
            *first_half = ' ';
        }
        let halves = [character]
            .into_iter()
            .chain(std::iter::repeat(SECOND_HALF));
        for (cell, half) in self
            .row
            .iter_mut()
            .skip(self.column)
            .take(width)
            .zip(halves)
        {
            *cell = half;
        }
        if let Some(next) = self.row.get_mut(end).filter(|next| **next == SECOND_HALF) {
            *next = ' ';
        }
        self.column = end;
    }

    fn move_to(&mut self, column: usize) {
        self.column = column.min(MOST_COLUMNS.max(self.column));
    }

    /// Takes the row. The next text pads the row up to the cursor, so that has a limit.
    fn take_row(&mut self) -> Vec<char> {
        self.column = self.column.min(MOST_COLUMNS);
        std::mem::take(&mut self.row)
    }

    fn leave_row(&mut self) {
        let row = self.take_row();
        if row.iter().any(|character| !character.is_whitespace()) {
            self.left = row;
        }
    }

    fn finish_row(&mut self) {
        self.leave_row();
        let shown = self
            .left
            .drain(..)
            .filter(|character| *character != SECOND_HALF);
        self.finished.extend(shown);
        self.column = 0;
    }
}

impl Perform for Screen {
    fn print(&mut self, character: char) {
        self.put(character);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\x08' => self.column = self.column.saturating_sub(1),
            b'\r' => self.column = 0,
            b'\t' => self.put('\t'),
            b'\n' => {
                self.finish_row();
                self.finished.push('\n');
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _: bool, action: char) {
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().flatten().next().copied();
        let first = usize::from(first.unwrap_or_default());
        match (action, first) {
            ('G', column) => self.move_to(column.saturating_sub(1)),
            ('C', count) => self.move_to(self.column + count.max(1)),
            ('D', count) => self.column = self.column.saturating_sub(count.max(1)),
            ('J' | 'K', 0) => self.row.truncate(self.column),
            ('J' | 'K', 1) => {
                let erased = self.row.iter_mut().take(self.column + 1);
                erased.take(MOST_COLUMNS).for_each(|cell| *cell = ' ');
            }
            // What a cleared row or screen has shown counts, unless something follows.
            ('A' | 'B' | 'J' | 'K', _) => self.leave_row(),
            ('E' | 'F' | 'H' | 'f', _) => {
                self.leave_row();
                self.column = 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_last_frame_is_shown() {
        for (text, expected) in [
            (
                "\u{1b}[1G 10% | 4/40\u{1b}[0K\u{1b}[1G 20% | 8/40\u{1b}[0K",
                " 20% | 8/40",
            ),
            ("  0%\u{8}\u{8}\u{8}\u{8} 32%", " 32%"),
            (
                "mixing red\u{1b}[2K\u{1b}[G3 colors mixed",
                "3 colors mixed",
            ),
            ("mixing: 10%\u{1b}[9G20%", "mixing: 20%"),
            ("混色: 10%\u{1b}[7G20%", "混色: 20%"),
            ("混色\u{1b}[2G-", " -色"),
            ("混色\u{1b}[3G-", "混- "),
            ("red\u{1b}[3Cblue", "red   blue"),
            ("a very long frame\rshort\u{1b}[K", "short"),
            ("red 10%\u{1b}[1A\u{1b}[Gblue 20%", "blue 20%"),
            ("red 10%\u{1b}[1A\u{1b}[G", "red 10%"),
            ("red\nmixing\u{1b}[2K\u{1b}[Gblue", "red\nblue"),
            ("erased\u{1b}[1K", "      "),
            ("[1/2] red\u{1b}[2J", "[1/2] red"),
            ("[1/2] red\u{1b}[H\u{1b}[2J[2/2] blue", "[2/2] blue"),
            ("\u{1b}[?25l\u{1b}]0;title\u{7}a\tb\u{1b}[2m\u{7}", "a\tb"),
            ("cut off \u{1b}[3", "cut off "),
        ] {
            assert_eq!(
                shown(text).trim_end_matches(' '),
                expected.trim_end_matches(' '),
                "{text:?}"
            );
        }
    }

    #[test]
    fn hostile_sequences_take_linear_time() {
        let time_of = |text: &str| {
            let start = Instant::now();
            assert!(shown(text).len() <= text.len() + MOST_COLUMNS);
            start.elapsed()
        };
        for sequence in [
            "\u{1b}[65535Gx\u{1b}[1K",
            "x\u{1b}[1K",
            "\u{1b}[999Cx",
            "x\u{1b}[A",
            "x\u{1b}[2K",
            "混\u{8}",
        ] {
            let short = time_of(&sequence.repeat(2_000));
            let long = time_of(&sequence.repeat(40_000));
            let limit = short * 200 + std::time::Duration::from_millis(200);
            assert!(long < limit, "{sequence:?}: {short:?}, {long:?}");
        }
    }
}

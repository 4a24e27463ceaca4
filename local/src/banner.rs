//! Text for people, in lines of 80 columns.

use unicode_width::UnicodeWidthStr;

use crate::args::WIDTH;

/// Lines that each have a name at the left.
#[derive(Debug)]
pub(crate) struct Banner {
    text: String,
    /// The width of the names, with the spaces around them.
    names: usize,
}

impl Banner {
    /// An empty text whose names have up to `longest` columns.
    pub(crate) fn with_names_of(longest: usize) -> Self {
        Self {
            text: String::new(),
            names: longest + 4,
        }
    }

    /// Adds a line of text alone.
    pub(crate) fn line(&mut self, text: &str) {
        self.add("", text, 0);
    }

    /// Adds `text` with its name. Line breaks come between words; a long word has a line of its own.
    pub(crate) fn row(&mut self, name: &str, text: &str) {
        self.add(name, text, self.names);
    }

    fn add(&mut self, name: &str, text: &str, indent: usize) {
        let mut line = match indent {
            0 => String::new(),
            _ => format!("  {name:<width$}", width = indent - 2),
        };
        let mut has_word = false;
        for word in text.split(' ') {
            if has_word && line.width() + 1 + word.width() > WIDTH {
                self.text.push_str(line.trim_end());
                self.text.push('\n');
                line = " ".repeat(indent);
                has_word = false;
            }
            if std::mem::replace(&mut has_word, true) {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        let mut banner = Banner::with_names_of(6);
        banner.line("Here");
        banner.row("Logs", &["deploy"; 13].join(" "));
        let long = "x".repeat(90);
        banner.row("Data", &format!("in {long} of"));
        let deploys = |count| vec!["deploy"; count].join(" ");
        let expected = format!(
            "Here\n  Logs    {}\n          {}\n  Data    in\n          {long}\n          of\n",
            deploys(10),
            deploys(3)
        );
        assert_eq!(banner.text(), expected);
    }
}

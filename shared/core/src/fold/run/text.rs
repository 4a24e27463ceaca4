//! Texts that a run keeps.

use serde::{Deserialize, Serialize};

use crate::fold::LineKey;
use crate::log_parser::text::head;
use crate::model::MAX_CAUSE_BYTES as MAX_TEXT_BYTES;

/// A text and the line that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fold) struct Said {
    pub(in crate::fold) at: LineKey,
    pub(in crate::fold) text: String,
}

impl Said {
    /// Replaces the text. It takes no new memory if the text is not longer than the one before.
    pub(in crate::fold) fn put(held: &mut Option<Self>, at: LineKey, text: &str) {
        let said = held.get_or_insert_with(|| Self {
            at,
            text: String::new(),
        });
        said.at = at;
        said.text.clear();
        said.text.push_str(head(text, MAX_TEXT_BYTES));
    }

    /// Adds a cause to a text that ends with a colon.
    pub(in crate::fold) fn specify(&mut self, cause: &str) {
        if self.text.ends_with(':') {
            self.text.push(' ');
            self.text.push_str(cause);
            self.text.truncate(head(&self.text, MAX_TEXT_BYTES).len());
        }
    }

    /// The first `most` bytes.
    pub(in crate::fold) fn head(&self, most: usize) -> &str {
        head(&self.text, most)
    }
}

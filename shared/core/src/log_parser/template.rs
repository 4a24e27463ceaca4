//! Templates: lines without their numbers and names, as 64 bits. Lines that print the next value of
//! one counter have the same template.

/// How much of a line makes its template, in bytes.
const MOST_BYTES: usize = 512;

/// A hash of the parts of a line (FNV-1a). It is stored, so it must stay as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Template(u64);

impl Template {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// The 64 bits.
    pub(super) fn finish(self) -> u64 {
        self.0
    }

    /// Adds bytes as they are.
    pub(super) fn add(&mut self, text: &str) {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a number, such as the total of a counter.
    pub(super) fn add_number(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }

    /// Adds the words of a text. URLs, paths and names of files are one sign each, and so are
    /// numbers and words with digits. Bars and signs that turn are left out.
    pub(super) fn add_masked(&mut self, text: &str) {
        let text = super::text::head(text, MOST_BYTES);
        let is_drawing = |token: &str| token.chars().all(is_drawn) || is_ruler(token);
        for token in text.split_whitespace().filter(|token| !is_drawing(token)) {
            let name = token.trim_end_matches(['.', ',', ':', ';', ')', ']', '"', '\'']);
            let is_name = name.len() > 1
                && (name.contains(['/', '\\', '@']) || is_file(name) || name.contains("://"));
            match is_name {
                true => self.add("@"),
                false => self.add_word(token),
            }
            // Aligned numbers follow an opening bracket with and without a space.
            if !token.ends_with(['(', '[']) {
                self.add(" ");
            }
        }
    }

    /// Adds a word with its signs. A part in Latin letters with a digit is masked whole, because it
    /// is an id or a version; in other scripts nothing stands between words.
    fn add_word(&mut self, word: &str) {
        let is_sign = |character: char| !character.is_alphanumeric() && character != '_';
        let mut is_in_number = false;
        for part in word.split_inclusive(is_sign) {
            let bare = part.trim_end_matches(is_sign);
            let has_digit = bare.contains(|character: char| character.is_numeric());
            match (has_digit, bare.is_ascii()) {
                (false, _) => self.add(bare),
                (true, true) if is_in_number => {}
                (true, true) => self.add("#"),
                (true, false) => bare
                    .split(|character: char| character.is_numeric())
                    .filter(|text| !text.is_empty())
                    .for_each(|text| self.add(text)),
            }
            // A number may have separators.
            let sign = part.get(bare.len()..).unwrap_or_default();
            is_in_number = has_digit && matches!(sign, "." | "," | ":" | "-" | "'");
            if !is_in_number {
                self.add(sign);
            }
        }
    }
}

/// Whether a word is a row of signs: `:::::`, `=====>`, `-----|`.
fn is_ruler(word: &str) -> bool {
    let mut signs = word.chars().zip(word.chars().skip(1));
    word.len() > 3 && !word.contains(char::is_alphanumeric) && signs.any(|(one, next)| one == next)
}

/// Whether bars and signs that turn are drawn with `character`: `⠙`, `◐`, `█`.
fn is_drawn(character: char) -> bool {
    matches!(character, '\u{2800}'..='\u{28ff}' | '\u{2580}'..='\u{25ff}' | '━' | '╸' | '╺')
}

/// Whether a word is the name of a file, a host or a module: `map.svg`.
fn is_file(word: &str) -> bool {
    let dot = word.char_indices().any(|(at, character)| {
        let after = word.get(at + 1..).unwrap_or_default();
        character == '.' && at > 0 && after.starts_with(char::is_alphanumeric)
    });
    dot && word.contains(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> u64 {
        let mut template = Template::new();
        template.add_masked(text);
        template.finish()
    }

    #[test]
    fn lines_that_differ_in_numbers_and_names_have_one_template() {
        for (one, other) in [
            ("took 3 ms", "took 1,204 ms"),
            ("took 0.5 s", "took 12.75 s"),
            ("got /a/b.svg", "got /c.svg"),
            ("got https://a.example/1", "got https://b.example/2?x=1"),
            ("map.svg is drawn", "tide-7.svg is drawn"),
            ("job 4f2a done", "job 99b1 done"),
            ("第3章を描画", "第12章を描画"),
            ("[worker-3] ok", "[worker-12] ok"),
            ("n=3 rest", "n=4 rest"),
            ("⠙ Paint 3", "⠹ Paint 4"),
            ("██░░ 3", "███░ 4"),
            ("(  0.5%)", "(100.0%)"),
            ("::::: | 3", ":::::::: | 4"),
        ] {
            assert_eq!(template(one), template(other), "{one:?} {other:?}");
        }
        for (one, other) in [
            ("busy 3", "idle 3"),
            ("a=3", "b=3"),
            ("第3章", "第3節"),
            ("3 left", "3 right"),
        ] {
            assert_ne!(template(one), template(other), "{one:?} {other:?}");
        }
    }
}

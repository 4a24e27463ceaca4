//! Numbers, pairs of numbers and percentages in the forms that people write.

use std::borrow::Cow;

/// Replaces wide forms of digits and signs by their ASCII forms: `３／９（３３％）` by `3/9(33%)`. A
/// space that does not break, between two digits, separates groups.
pub(super) fn narrow(line: &str) -> Cow<'_, str> {
    if line.is_ascii() || !line.contains(is_wide) {
        return Cow::Borrowed(line);
    }
    let mut narrow = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let is_between_digits = narrow.ends_with(|before: char| before.is_ascii_digit())
            && characters.peek().is_some_and(char::is_ascii_digit);
        narrow.push(match character {
            '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' | '’' if is_between_digits => '\'',
            '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' | '\u{3000}' => ' ',
            '【' => '[',
            '】' => ']',
            '⁄' | '∕' => '/',
            // The wide forms are in the order of ASCII.
            '\u{ff01}'..='\u{ff5e}' => {
                char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
            }
            other => other,
        });
    }
    Cow::Owned(narrow)
}

fn is_wide(character: char) -> bool {
    matches!(
        character,
        '\u{ff01}'
            ..='\u{ff5e}'
                | '\u{a0}'
                | '\u{2007}'
                | '\u{2009}'
                | '\u{202f}'
                | '\u{3000}'
                | '’'
                | '【'
                | '】'
                | '⁄'
                | '∕'
    )
}

/// A number and the position after it.
#[derive(Debug, Clone, Copy)]
struct Number {
    value: u64,
    end: usize,
    /// The sign between its groups of three digits.
    separator: Option<u8>,
}

/// The most characters of a number with separators.
const LONGEST: usize = 26;

/// Parses the number at `start`. Groups of three digits may be separated by one of `separators`.
fn number(bytes: &[u8], start: usize, separators: &[u8]) -> Option<Number> {
    let digit = |at: usize| bytes.get(at).filter(|byte| byte.is_ascii_digit());
    let first = digit(start)?;
    let (mut value, mut end, mut separator): (u64, _, _) = (0, start, None);
    loop {
        while let Some(byte) = digit(end) {
            value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
            end += 1;
        }
        let next = bytes.get(end).copied();
        let is_separator = next.is_some_and(|next| {
            separators.contains(&next) && separator.is_none_or(|known| known == next)
        });
        let is_group = is_separator
            && end - start <= if separator.is_none() { 3 } else { LONGEST }
            && *first != b'0'
            && (1..=3).all(|offset| digit(end + offset).is_some())
            && digit(end + 4).is_none();
        if !is_group {
            return Some(Number {
                value,
                end,
                separator,
            });
        }
        separator = next;
        end += 1;
    }
}

/// A pair of numbers: `current` of `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) current: u64,
    pub(super) total: u64,
    /// The position after the pair.
    pub(super) end: usize,
}

/// Parses the pair at `start`: `3/10`, `3 of 10`, `1,204 / 3,310`, `9.800/80.000`.
pub(super) fn pair(bytes: &[u8], start: usize) -> Option<Pair> {
    // A dot may also begin a fraction, and a space may separate two numbers. Both are read as
    // separators only if both numbers are written in the same way.
    let grouped = || {
        let current = number(bytes, start, b",'. ")?;
        let total = number(bytes, total_start(bytes, current.end)?, b",'. ")?;
        let is_alike = match current.separator {
            Some(separator) => total.separator == Some(separator),
            None => current.value < 1_000 && total.separator == Some(b'.'),
        };
        is_alike.then_some((current, total))
    };
    let plain = || {
        let current = number(bytes, start, b",'")?;
        let total = number(bytes, total_start(bytes, current.end)?, b",'")?;
        Some((current, total))
    };
    let (current, total) = grouped().or_else(plain)?;
    Some(Pair {
        current: current.value,
        total: total.value,
        end: total.end,
    })
}

/// Words between the two numbers of a pair, in English, German, Dutch, the Romance languages and
/// Russian.
const BETWEEN: [&[u8]; 8] = [
    b"of",
    b"out of",
    b"von",
    b"van",
    b"de",
    b"sur",
    b"di",
    "из".as_bytes(),
];

/// The start of the second number of a pair whose first number ends at `end`.
fn total_start(bytes: &[u8], end: usize) -> Option<usize> {
    /// Programs align numbers: `       25 /       80`, `25      /       80`.
    const MOST_SPACES: usize = 12;
    /// The same after words.
    const MOST_SPACES_AT_WORD: usize = 6;
    let start = skip_spaces(bytes, end, MOST_SPACES);
    let rest = bytes.get(start..)?;
    if rest.first() == Some(&b'/') {
        return Some(skip_spaces(bytes, start + 1, MOST_SPACES));
    }
    if start - end > MOST_SPACES_AT_WORD {
        return None;
    }
    let mut words = BETWEEN.iter().filter(|word| rest.starts_with(word));
    let word = words.find(|word| rest.get(word.len()) == Some(&b' '))?;
    (start > end).then(|| skip_spaces(bytes, start + word.len(), MOST_SPACES_AT_WORD))
}

/// Parses the pair at `start` whose total comes first: `50件中12件`, `50개 중 12개`.
pub(super) fn pair_after_total(line: &str, start: usize) -> Option<Pair> {
    /// The longest word for what is counted, in characters.
    const MOST_UNIT: usize = 5;
    let bytes = line.as_bytes();
    let total = number(bytes, start, b",'")?;
    let rest = line.get(total.end..)?;
    let (at, among) = rest
        .char_indices()
        .take(MOST_UNIT + 2)
        .find(|(_, character)| {
            matches!(character, '中' | '중') || character.is_ascii() && *character != ' '
        })?;
    if among.is_ascii() {
        return None;
    }
    let after = total.end + at + among.len_utf8();
    let current = number(bytes, skip_spaces(bytes, after, 1), b",'")?;
    Some(Pair {
        current: current.value,
        total: total.value,
        end: current.end,
    })
}

/// Parses the rest of Spark's `(17 + 11) / 108]` from the end of the first number: the last number
/// and the position after it.
pub(super) fn spark_total(bytes: &[u8], end: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(end..)?;
    rest.strip_prefix(b" + ")?;
    let running = number(bytes, end + 3, b"")?;
    bytes.get(running.end..)?.strip_prefix(b") / ")?;
    let total = number(bytes, running.end + 4, b"")?;
    (bytes.get(total.end) == Some(&b']')).then_some((total.value, total.end))
}

/// Words for the percent sign.
const PERCENT: [&[u8]; 7] = [
    b"percent",
    b"per cent",
    b"Prozent",
    b"pour cent",
    b"por ciento",
    b"por cento",
    "パーセント".as_bytes(),
];

/// The value of the digits at `start` and the position after them; `None` if it is out of range.
pub(super) fn digits(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    number(bytes, start, b"").map(|number| (number.value, number.end))
}

/// The position after a percentage with its fraction and its percent sign, from the end of its
/// digits.
pub(super) fn percent_end(bytes: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    if let Some([b'.' | b',', fraction @ ..]) = bytes.get(end..) {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
        at += 1 + digits.take(18).count();
    }
    // `30.21/100%`
    if bytes.get(at..)?.starts_with(b"/100%") {
        return Some(at + 5);
    }
    at = skip_spaces(bytes, at, 1);
    let rest = bytes.get(at..)?;
    if rest.first() == Some(&b'%') {
        return Some(at + 1);
    }
    let word = PERCENT.iter().find(|word| rest.starts_with(word))?;
    let is_whole = !rest.get(word.len()).is_some_and(u8::is_ascii_alphanumeric);
    (is_whole && bytes.get(at - 1) == Some(&b' ')).then_some(at + word.len())
}

fn skip_spaces(bytes: &[u8], at: usize, most: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest
        .iter()
        .take(most)
        .take_while(|byte| **byte == b' ')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair_in(line: &str) -> Option<(u64, u64)> {
        let line = narrow(line);
        let mut starts = (0..line.len()).filter(|at| {
            let bytes = line.as_bytes();
            bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit())
        });
        let found = starts.find_map(|at| {
            pair(line.as_bytes(), at)
                .or_else(|| pair_after_total(&line, at))
                .filter(|pair| pair.current <= pair.total)
        });
        found.map(|pair| (pair.current, pair.total))
    }

    #[test]
    fn a_pair_has_many_forms() {
        for (line, expected) in [
            ("3/10", (3, 10)),
            ("3 / 10", (3, 10)),
            ("3 of 10", (3, 10)),
            ("3 out of  10", (3, 10)),
            ("3 von 10", (3, 10)),
            ("3 de 10", (3, 10)),
            ("3 sur 10", (3, 10)),
            ("3 из 10", (3, 10)),
            ("1,204/3,310", (1_204, 3_310)),
            ("9.800/80.000", (9_800, 80_000)),
            ("950/80.000", (950, 80_000)),
            ("12'500/1'000'000", (12_500, 1_000_000)),
            ("12’500 von 80’000", (12_500, 80_000)),
            ("12 500 / 80 000", (12_500, 80_000)),
            ("12\u{202f}500 sur 80\u{202f}000", (12_500, 80_000)),
            ("950 sur 80\u{a0}000", (950, 80_000)),
            ("３／１０", (3, 10)),
            ("１，２０４／３，３１０", (1_204, 3_310)),
            ("50件中12件", (12, 50)),
            ("1,200ファイル中 300", (300, 1_200)),
            ("50개 중 12개", (12, 50)),
            // Two numbers beside each other are not one.
            ("epoch 3 100/250", (100, 250)),
            ("epoch 3 100/5000", (100, 5_000)),
            ("3/10 500 ms", (3, 10)),
            ("3/10,5", (3, 10)),
        ] {
            assert_eq!(pair_in(line), Some(expected), "{line:?}");
        }
        for line in [
            "3 offices 10",
            "3 d 10",
            "3 /  \t10",
            "12 中",
            "50 items 中 12",
            "3of 10",
        ] {
            assert_eq!(pair_in(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_percentage_has_many_forms() {
        for (text, is_percentage) in [
            ("45%", true),
            ("45 %", true),
            ("45.25%", true),
            ("45,2 %", true),
            ("45 percent", true),
            ("45 Prozent", true),
            ("45 percentile", false),
            ("45 per", false),
            ("45percent", false),
        ] {
            assert_eq!(
                percent_end(text.as_bytes(), 2).is_some(),
                is_percentage,
                "{text:?}"
            );
        }
    }
}

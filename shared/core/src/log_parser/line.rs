//! Restores a line as its program wrote it: removes line ends, colours, and the timestamps and
//! names that other programs put in front.

use std::borrow::Cow;
use std::iter;
use std::sync::LazyLock;

use regex::Regex;

use super::terminal;

/// The most prefixes that are removed from one line.
const MAX_PREFIXES: usize = 8;

/// Splits `text` into lines. A line ends with `\n`, `\r\n` or a lone `\r`. An empty last line is
/// left out.
pub(crate) fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    iter::from_fn(move || {
        let text = rest?;
        let Some(end) = memchr::memchr2(b'\n', b'\r', text.as_bytes()) else {
            rest = None;
            return Some(text);
        };
        // Both bytes are ASCII, so the text is split between characters.
        let (line, tail) = text.split_at_checked(end)?;
        let tail = tail
            .strip_prefix("\r\n")
            .or_else(|| tail.get(1..))
            .unwrap_or_default();
        rest = Some(tail).filter(|tail| !tail.is_empty());
        Some(line)
    })
}

/// Terminal control sequences without an ESC character.
///
/// ESC may be written as an escape of a programming language, or may be missing. If it is missing,
/// only sequences that set a color or weight are recognized.
static WRITTEN_SEQUENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?:\\u001[bB]\[|\\x1[bB]\[|\\0?33\[|\\e\[)[0-?]*[ -/]*[@-~]",
        r"|\[(?:[0-9]{1,2};)*(?:[0-5]|7|9|2[1-9]|3[0-79]|4[0-79]|9[0-7])m",
    ))
    .expect("the pattern is a constant")
});

/// Whether `line` has characters that move the cursor of a terminal or start a control sequence.
pub(super) fn has_controls(line: &str) -> bool {
    memchr::memchr2(b'\x1b', b'\x08', line.as_bytes()).is_some()
        || !line.is_ascii() && line.contains(CSI)
}

/// The control character that means the same as ESC with `[`.
const CSI: char = '\u{9b}';

/// Returns what a terminal shows of `line`, without colors, and without white space and control
/// characters at both ends.
pub(crate) fn clean(line: &str) -> Cow<'_, str> {
    let line = match has_controls(line) {
        true => Cow::Owned(terminal::shown(&line.replace(CSI, "\x1b["))),
        false => Cow::Borrowed(line),
    };
    // Most lines have none of the characters that can start a sequence.
    let may_have = memchr::memchr2(b'\\', b'[', line.as_bytes()).is_some();
    let line = match line {
        Cow::Borrowed(line) if may_have => WRITTEN_SEQUENCE.replace_all(line, ""),
        Cow::Owned(line) if may_have => {
            Cow::Owned(WRITTEN_SEQUENCE.replace_all(&line, "").into_owned())
        }
        line => line,
    };
    match line {
        Cow::Borrowed(line) => Cow::Borrowed(trim(line)),
        Cow::Owned(line) => Cow::Owned(trim(&line).to_owned()),
    }
}

fn trim(text: &str) -> &str {
    let ends = (text.as_bytes().first(), text.as_bytes().last());
    if let (Some(first), Some(last)) = ends
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}')
}

/// A prefix that another program puts in front of a line. A match is one prefix.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    const DATE_TIME: &str = concat!(
        r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}(?:T|,? +)[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]+)?",
        r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?",
    );
    const LEVEL: &str = "(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|SUCCESS)";
    let alternatives = [
        // `build<TAB>Run cdk deploy<TAB>2025-11-15T10:00:00.1234567Z `: job and step of GitHub
        // Actions
        format!(r"[^\t]{{1,100}}\t[^\t]{{1,150}}\t\x{{feff}}?{DATE_TIME}\s"),
        // `2025-11-15T10:00:00.123Z `, `[2025/11/15 10:00:00] `, with GitLab's stream marker `01O `
        format!(
            r"[\[(]?{DATE_TIME}[\])]?(?:\s+[0-9]{{2}}[OE](?:\+|\s|$)|\s*[-:|]\s+|\s+|$|[\]):,])"
        ),
        // `17/01/21 23:41:50 `
        r"[0-9]{2}/[0-9]{2}/[0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?\s+".to_owned(),
        // `[14:15:02] `, `[2:15:02 PM] `
        r"\[[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?:\s?[AaPp][Mm])?\]\s*".to_owned(),
        // `Nov 15 10:00:00 host process[123]: `
        r"[A-Z][a-z]{2} +[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)? [\w.-]+ [\w./@-]+(?:\[[0-9]+\])?:\s"
            .to_owned(),
        // `stdout F `, written by Kubernetes container runtimes after the timestamp
        r"(?:stdout|stderr) [FP] ".to_owned(),
        // `I1115 10:00:00.123456       1 main.go:12] `
        r"[IWEF][0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+\s+[0-9]+ [\w./-]+:[0-9]+\] ".to_owned(),
        // a Lambda request id
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\s+".to_owned(),
        // `INFO - `, `INFO:root:`, `my.module - INFO - `, `| INFO     | `
        format!(r"(?:-\s+)?[\w.$]+ - {LEVEL}(?: -|:)\s+"),
        format!(r"(?:[-|]\s+)?{LEVEL}(?::[\w.]+:|\s*[-:|]\s*|\s+)"),
        // `[INFO] `, `[Container] `, `[deployer] `
        r"\[[A-Za-z][\w.:@-]*\]\s*".to_owned(),
        // `##[error]`, `::error::`
        r"##\[[a-z]+\]|::[a-z]+::".to_owned(),
        // `✘  `, `> `, `| `
        r"(?:[✘>»│|]|remote:)\s+".to_owned(),
    ];
    Regex::new(&format!("^(?:{})", alternatives.join("|"))).expect("the pattern is a constant")
});

/// `14:15:02 ` at the start of a line.
static BARE_TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?\s+(?:[-|]\s+)?")
        .expect("the pattern is a constant")
});

/// `deployer-1  | `, written by Docker Compose. Event rows look similar, so it is handled
/// separately. A number alone is that of a line: `2 | ERROR | …`.
static COMPOSE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:[0-9][0-9._-]*)?[A-Za-z][\w.-]*\s+\|\s").expect("the pattern is a constant")
});

/// Removes timestamps, levels and names of other programs from the start of `line`. Text that looks
/// like a column of an event row stays.
pub(super) fn strip_prefixes(line: &str) -> &str {
    let mut rest = trim(line);
    for _ in 0..MAX_PREFIXES {
        let Some(stripped) = strip_one(rest) else {
            break;
        };
        rest = stripped;
    }
    rest
}

/// [`strip_prefixes`] for a column of an event row. A time of day stays.
pub(super) fn strip_column_prefixes(column: &str) -> &str {
    let mut rest = trim(column);
    // No prefix starts like this.
    if let [b'0'..=b'9', b':', ..] | [b'0'..=b'9', b'0'..=b'9', b':', ..] = rest.as_bytes()
        && !rest.contains('\t')
    {
        return rest;
    }
    for _ in 0..MAX_PREFIXES {
        let Some(stripped) = strip_dated(rest) else {
            break;
        };
        rest = stripped;
    }
    rest
}

/// [`strip_prefixes`] for lines that are not event rows: also removes the prefix of Docker Compose.
pub(crate) fn strip_all_prefixes(line: &str) -> &str {
    let mut rest = strip_prefixes(line);
    for _ in 0..2 {
        let Some(found) = COMPOSE.find(rest) else {
            break;
        };
        rest = strip_prefixes(rest.get(found.end()..).unwrap_or_default());
    }
    rest
}

/// Removes a word in front of a JSON object: `data: {…}`, `PROGRESS {…}`. `None` if there is none.
pub(super) fn strip_word(line: &str) -> Option<&str> {
    const LONGEST: usize = 48;
    let (word, object) = line.split_once(" {")?;
    let is_word = !word.is_empty()
        && word.len() <= LONGEST
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:=>/[]".contains(&byte));
    let start = line.len() - object.len() - 1;
    line.get(start..).filter(|_| is_word)
}

fn strip_one(line: &str) -> Option<&str> {
    if let Some(rest) = strip_dated(line) {
        return Some(rest);
    }
    let found = BARE_TIME.find(line)?;
    let rest = line.get(found.end()..).map(trim)?;
    // `9:15:02 AM | CREATE_FAILED | …`: the time is a column of a row.
    let is_column = found.as_str().contains('|')
        || ["AM ", "PM ", "am ", "pm ", "a.m", "p.m", "|"]
            .iter()
            .any(|start| rest.starts_with(start));
    (!is_column && !rest.is_empty()).then_some(rest)
}

fn strip_dated(line: &str) -> Option<&str> {
    let found = PREFIX.find(line)?;
    line.get(found.end()..).map(trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_lf_crlf_or_cr() {
        let split = |text| split_lines(text).collect::<Vec<_>>();
        assert_eq!(split("a\nb\r\nc\rd"), ["a", "b", "c", "d"]);
        assert_eq!(split("a\n\nb\n"), ["a", "", "b"]);
        assert_eq!(split("\r"), [""]);
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("é\r日"), ["é", "日"]);
    }

    #[test]
    fn colors_are_removed() {
        for (line, expected) in [
            ("\u{1b}[32m ✅  X\u{1b}[39m", "✅  X"),
            ("\u{1b}[1;32mX\u{1b}[K", "X"),
            (r"\u001b[32mX\u001b[39m \x1b[1mY\033[0m", "X Y"),
            ("[1mX[22m: deploying...", "X: deploying..."),
            ("\u{1b}]0;title\u{7}X", "X"),
            ("\u{9b}31mX", "X"),
            ("[main] [3/7] (1m", "[main] [3/7] (1m"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(clean(line), expected, "{line:?}");
        }
        assert!(matches!(clean(" plain "), Cow::Borrowed("plain")));
    }

    #[test]
    fn prefixes_are_removed() {
        for prefix in [
            "2025-11-15T10:00:00.123Z ",
            "2025-11-15T10:00:00.1234567Z ",
            "2025-11-15 10:00:00,123 ",
            "2025-11-15 10:00:00+0900 ",
            "[2025-11-15T10:00:00+11:00] ",
            "2025-11-15T10:00:00Z 01O ",
            "2025-11-15T10:00:00.123456789Z stdout F ",
            "I1115 10:00:00.123456       1 main.go:12] ",
            "2025/11/15 10:00:00.123456 ",
            "[Container] 2025/11/15 10:00:00.123456 ",
            "17/01/21 23:41:50 INFO ",
            "[14:15:02] ",
            "14:15:02  ",
            "Nov 15 10:00:00 ip-10-0-0-1 deploy[1234]: ",
            "2024-01-20 05:00:30 - INFO - ",
            "2025-11-11 23:00:54 - src.models.trainer - INFO - ",
            "2025-11-11 23:00:54.123 | INFO     | ",
            "INFO:root:",
            "[INFO] ",
            "[INFO]\t2025-11-15T10:00:00.000Z\t0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f\t",
            "deploy\tRun cdk deploy\t2025-11-15T10:00:00.1234567Z ",
            "2021-12-07T10:49:15+11:00 ✘  ",
            "##[group]",
            "remote: ",
        ] {
            let line = format!("{prefix}Prod: deploying...");
            assert_eq!(strip_prefixes(&line), "Prod: deploying...", "{prefix:?}");
        }
        for compose in [
            "deployer-1  | ",
            "web_1 | ",
            "2025-11-15T10:00:00Z web_1 | ",
        ] {
            let line = format!("{compose}Prod: deploying...");
            assert_eq!(
                strip_all_prefixes(&line),
                "Prod: deploying...",
                "{compose:?}"
            );
        }
    }

    #[test]
    fn a_word_in_front_of_an_object_is_removed() {
        for (line, expected) in [
            ("data: {}", Some("{}")),
            ("SHOP.PROGRESS {\"a\": {}}", Some("{\"a\": {}}")),
            ("two words {}", None),
            (" {}", None),
            ("word{}", None),
        ] {
            assert_eq!(strip_word(line), expected, "{line}");
        }
    }

    #[test]
    fn columns_and_counters_are_not_removed_as_prefixes() {
        for line in [
            "9:15:02 AM | CREATE_FAILED | AWS::SQS::Queue | Jobs",
            "14:15:02 | CREATE_FAILED | AWS::SQS::Queue | Jobs",
            "Prod-Api | 3/7 | 9:15:02 AM",
            "[3/7] Linking",
            "[builder 2/6] RUN make",
            "[ 25%] Building",
            "3/7 Currently in progress: A",
        ] {
            assert_eq!(strip_prefixes(line), line);
        }
    }
}

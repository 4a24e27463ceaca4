//! The verdict on a log whose end is known: what its last lines say about its run.

use std::sync::LazyLock;

use regex::{Match, Regex, RegexSet};

use super::last_lines::LastLines;
use crate::log_parser::EndOf;
use crate::log_parser::line::strip_all_prefixes;
use crate::log_parser::plain::{outer_percentage, reported_end};
use crate::model::TaskStatus;

/// What a line says about the run that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineClass {
    /// A program died or gave up.
    Crash,
    /// Something failed, which need not end the run.
    Error,
    /// Somebody stopped the run.
    Cancel,
    /// Work is complete.
    Success,
    /// Work goes on: a counter or a percentage.
    Sample,
    /// Nothing: a blank line, a stack frame, any other text.
    Neutral,
}

/// What became of a run whose log has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The run waits for a person. The end of its log does not change that.
    Blocked,
    /// The run failed.
    Failed {
        /// The line that says so.
        message: String,
    },
    /// Somebody stopped the run.
    Cancelled,
    /// The run is complete.
    Completed,
    /// The log ended, and its last lines do not say how the run went.
    Ended,
}

/// Returns what the last lines of a log say about its run, given that nothing follows them.
/// `is_counter_full` is about the outer counter of the run.
pub fn verdict(lines: &LastLines, is_blocked: bool, is_counter_full: bool) -> Verdict {
    if is_blocked {
        return Verdict::Blocked;
    }
    let of_counter = if is_counter_full {
        Verdict::Completed
    } else {
        Verdict::Ended
    };
    let texts = lines.iter().rev().map(|(_, text)| text);
    let texts = texts.filter(|text| !text.is_empty());
    let classes = texts.map(|text| (classify(&text), text)).enumerate();
    let mut words = classes.filter(|(_, (class, _))| *class != LineClass::Neutral);
    let Some((lines_after, (class, text))) = words.next() else {
        return of_counter;
    };
    let mut words = words.map(|(_, word)| word);
    match (class, text) {
        (LineClass::Neutral | LineClass::Sample, _) => of_counter,
        (LineClass::Error, _) if lines_after > MAX_LINES_AFTER_ERROR => of_counter,
        (LineClass::Cancel, _) => Verdict::Cancelled,
        (LineClass::Success, text) => {
            // Programs still print their sums after they were interrupted.
            let is_open = |text: &str| {
                !is_counter_full && percentage_of(text).is_some_and(|done| done < NEARLY_FULL)
            };
            match words.find(|(class, _)| matches!(class, LineClass::Cancel | LineClass::Sample)) {
                Some((LineClass::Cancel, _)) => Verdict::Cancelled,
                Some((_, sample)) if is_open(&sample) && !is_about_run(&text) => Verdict::Ended,
                _ => Verdict::Completed,
            }
        }
        (LineClass::Crash | LineClass::Error, text) => {
            // A line about an exit code tells less than the error before it.
            let is_failure = |class| matches!(class, LineClass::Crash | LineClass::Error);
            let mut failures = words.map_while(|(class, text)| is_failure(class).then_some(text));
            let cause = EXIT_CODE
                .is_match(&text)
                .then(|| failures.find(|text| !EXIT_CODE.is_match(text)));
            let message = cause.flatten().unwrap_or(text).into_owned();
            Verdict::Failed { message }
        }
    }
}

/// How many lines may follow an error that ended its run. A program that prints more goes on.
const MAX_LINES_AFTER_ERROR: usize = 4;

/// From this percentage on, an open counter does not contradict a word of success: some programs
/// never print their last step.
const NEARLY_FULL: u64 = 80;

fn percentage_of(text: &str) -> Option<u64> {
    outer_percentage(strip_all_prefixes(text))
}

/// Whether `text` reports the end of a whole run, not of a tool in it.
fn is_about_run(text: &str) -> bool {
    reported_end(strip_all_prefixes(text)).is_some_and(|(_, of)| of == EndOf::Run)
}

/// Returns what `text`, a line without colours, says about the run that wrote it.
pub fn classify(text: &str) -> LineClass {
    let text = text.trim();
    let rest = strip_all_prefixes(text);
    let prefix = text
        .get(..text.len().saturating_sub(rest.len()))
        .unwrap_or_default();
    // The words of data are about anything.
    let rest = rest.split("{\"").next().unwrap_or_default();
    // Loggers name events like this: `import_finished`.
    let is_event = rest
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rest = &if is_event {
        rest.replace('_', " ")
    } else {
        rest.to_owned()
    };
    let is_blank = !rest.contains(char::is_alphanumeric) && prefix.is_empty();
    if is_blank || NEUTRAL.is_match(rest) {
        return LineClass::Neutral;
    }
    match reported_end(rest) {
        Some((TaskStatus::Failed, _)) => return LineClass::Crash,
        Some((TaskStatus::Cancelled, _)) => return LineClass::Cancel,
        Some((TaskStatus::Completed, _)) => return LineClass::Success,
        _ => {}
    }
    if CANCEL.is_match(rest) {
        return LineClass::Cancel;
    }
    let level = Level::of(prefix, rest);
    if level == Level::Fatal || CRASH.is_match(rest) || EXIT_CODE.is_match(rest) {
        return LineClass::Crash;
    }
    let is_handled = level == Level::Low || HANDLED.is_match(rest);
    if !is_handled && (level == Level::Error || is_error(rest)) {
        return LineClass::Error;
    }
    if outer_percentage(rest).is_some() {
        return LineClass::Sample;
    }
    if level != Level::Low && SUCCESS.find_iter(rest).any(|word| succeeds(rest, word)) {
        return LineClass::Success;
    }
    if SAMPLE.is_match(rest) {
        return LineClass::Sample;
    }
    LineClass::Neutral
}

/// The level in the prefix of a line, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Fatal,
    Error,
    /// No level or a neutral one.
    Normal,
    /// Warnings and below: what they report did not end the run.
    Low,
}

impl Level {
    /// The level of a line: in its `prefix`, or the first word of the `rest`.
    fn of(prefix: &str, rest: &str) -> Self {
        let mut words = prefix.split(|c: char| !c.is_ascii_alphanumeric() && c != '✘');
        let first = rest.trim_start_matches('[').split([' ', ':', ']']).next();
        let level = words.find_map(|word| match word {
            "FATAL" | "CRITICAL" => Some(Self::Fatal),
            "ERROR" | "error" | "✘" => Some(Self::Error),
            "WARN" | "WARNING" | "warning" | "DEBUG" | "debug" | "TRACE" => Some(Self::Low),
            _ => None,
        });
        let level = level.or_else(|| match first? {
            "FATAL" | "CRITICAL" => Some(Self::Fatal),
            "WARN" | "WARNING" | "Warning" | "warning" | "DEBUG" => Some(Self::Low),
            _ => None,
        });
        let is_klog = |letter| {
            let digits = prefix.strip_prefix(letter).unwrap_or_default().bytes();
            digits.take_while(u8::is_ascii_digit).count() == 4
        };
        match level {
            Some(level) => level,
            None if is_klog('F') => Self::Fatal,
            None if is_klog('E') => Self::Error,
            None if is_klog('W') => Self::Low,
            None => Self::Normal,
        }
    }
}

/// Whether `text` says that something failed. Numbers of failures outweigh all other words.
fn is_error(text: &str) -> bool {
    let counts = FAILURE.find_iter(text).filter_map(|word| {
        let (before, after) = around(text, word);
        count_beside(before, after)
    });
    match counts.max() {
        Some(count) => count == Count::Some,
        None => ERROR.is_match(text) || FAILURE.find_iter(text).any(|word| fails(text, word)),
    }
}

/// Whether `word`, a match of [`FAILURE`] in `text` without a number, says that something failed.
fn fails(text: &str, word: Match<'_>) -> bool {
    let (before, after) = around(text, word);
    if is_negated(before) {
        return false;
    }
    let is_upper = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase());
    match word.as_str() {
        word if !word.is_ascii() || is_upper(word) => true,
        word if word.eq_ignore_ascii_case("failed") => !FAILED_ONES.is_match(before),
        word if word.eq_ignore_ascii_case("failure") => after.trim_matches(['.', '!']).is_empty(),
        word => word.eq_ignore_ascii_case("fehlgeschlagen"),
    }
}

/// Whether `word`, a match of [`SUCCESS`] in `text`, says that the work is complete.
fn succeeds(text: &str, word: Match<'_>) -> bool {
    let (before, after) = around(text, word);
    let is_part = PART_BEFORE.is_match(before) || before.contains('%') && !before.contains("100%");
    let is_other = NO_SUCCESS_AFTER.is_match(after) || count_after(after).is_some();
    !is_part
        && !is_other
        && !is_negated(before)
        && !matches!(count_before(before), Some(Count::Zero))
}

fn around<'a>(text: &'a str, word: Match<'_>) -> (&'a str, &'a str) {
    let before = text.get(..word.start()).unwrap_or_default();
    (before, text.get(word.end()..).unwrap_or_default())
}

/// Whether one of the last three words of `before` turns the meaning of the next one.
fn is_negated(before: &str) -> bool {
    let words = before.rsplit(' ').filter(|word| !word.is_empty());
    words.take(3).any(|word| NEGATION.is_match(word))
}

/// A number beside a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Count {
    /// A measurement: `Mean error: 0.18`.
    Fraction,
    Zero,
    Some,
}

/// The number that counts a word between `before` and `after`: `failed=3`, `3 failed`, `fail 3`.
fn count_beside(before: &str, after: &str) -> Option<Count> {
    let is_assigned = after.trim_start().starts_with([':', '=', '：']);
    is_assigned
        .then(|| count_after(after))
        .flatten()
        .or_else(|| count_before(before))
        .or_else(|| count_after(after))
}

/// The number at the end of `before`: `3 failed`.
fn count_before(before: &str) -> Option<Count> {
    count(before.trim_end().rsplit([' ', '(', '[', ',', '|']).next()?)
}

/// The number at the start of `after`: `failed=3`, `errors: 3`, `fail 1`.
fn count_after(after: &str) -> Option<Count> {
    let after = after.trim_start_matches([' ', '\t', ':', '=', '：']);
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','));
    count(
        after
            .get(..end.unwrap_or(after.len()))?
            .trim_end_matches(['.', ',']),
    )
}

fn count(number: &str) -> Option<Count> {
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',');
    is_number.then(|| {
        if number.contains('.') {
            Count::Fraction
        } else if number.bytes().all(|byte| byte == b'0') {
            Count::Zero
        } else {
            Count::Some
        }
    })
}

fn set(patterns: &[&str]) -> RegexSet {
    RegexSet::new(patterns).expect("the patterns are constants")
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant")
}

/// Lines that only belong to others: stack frames, source lines, and where to read more.
static NEUTRAL: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"^at \S.*[:(]|^at \S+$",
        r#"^File ".*", line [0-9]+|^[0-9]+ +\| |^\.\.\. [0-9]+ more$"#,
        r#"^[\w.]+\(["']|^\S+ \S+ \S+ \[[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}[: ]"#,
        r"^(?:raise|throw|return|except|catch|assert|if|for|with)\b.*[(:;]",
        r"(?i)\b(?:complete |full )?logs? (?:of this run |file )?(?:can be found|is at|at|in|to|saved)\b|^complete log:",
        r"(?i)^(?:for (?:more|further) |see |note: |hint: |help: |re-run |\[help )",
    ])
});

static CANCEL: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"\bKeyboardInterrupt\b",
        r"(?i)\b(?:received|got|caught|by|signal|with)\W+(?:signal )?SIG(?:INT|TERM|HUP)\b|^SIG(?:INT|TERM)\b",
        r"^\^C|^Terminated$|\bcontext cancell?ed\b",
        r"(?i)\b(?:aborted|cancell?ed|interrupted|stopped|terminated) by (?:the )?(?:user|operator|signal|[a-z]+$)",
        r"(?i)^(?:\W*|.*\b(?:run|job|task|build|deployment|operation|workflow|pipeline|execution)(?: was| has been| is)? )(?:aborted|cancell?ed|interrupted)\W*$",
        r"(?i)\buser (?:aborted|cancell?ed|interrupted)\b",
    ])
});

static CRASH: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"^Traceback \(most recent call last\)",
        r"^(?:Uncaught |Unhandled )?(?:[\w$]+\.)*[\w$]*(?:Error|Exception)(?:: |:?$| \[)",
        r"^(?:Unhandled |Uncaught |Exception in thread |Caused by: |Fatal error)",
        r"\bpanicked at\b|^panic: |^fatal(?: error)?: |^goroutine [0-9]+ \[",
        r"^Killed(?:: 9)?$|: line [0-9]+: +[0-9]+ (?:Killed|Aborted|Terminated|Segmentation)\b",
        r"(?i)\bsegmentation fault\b|\bcore dumped\b|\bout of memory: |\bOOMKilled\b|signal: (?:killed|aborted)",
        r"^npm (?:ERR!|error)|\bERR_PNPM_|\bELIFECYCLE\b",
        r"^g?make(?:\[[0-9]+\])?: \*\*\* ",
        r"(?i)\bexited before completing\b|\bnot recoverable\b",
    ])
});

/// Lines about the exit code of a process.
static EXIT_CODE: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?i)\bexit(?:ed)?(?: with)?(?: [a-z-]+){0,2} ?(?:code|status)[ :=]*[('\x22]*-?[1-9][0-9]{0,9}\b",
        r"|\bexit(?:ed)? \(?[1-9][0-9]{0,2}\b|\bnon-?zero (?:exit|return|status)",
    ))
});

/// Words of failures that the program went on after.
static HANDLED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:retry|retrying|retries|try(?:ing)? again|attempt|ignoring|ignored|skipping|continuing|recovered|falling back|as expected)\b|^warning\b",
    )
});

static ERROR: LazyLock<RegexSet> = LazyLock::new(|| {
    const CODE: &str = r"(?:\[\w+\]| [A-Z]*[0-9]+)?";
    let level =
        format!(r"(?:^|: |^\w+ |^\W+)(?i:(?:fatal |internal )?error){CODE}:(?: *$| +[^ 0-9])");
    set(&[
        &level,
        r"^(?:ERROR|FAIL|FAILED|FAILURE)\b[^:=]*$|^\[?ERROR\]? ",
        r"(?i): (?:no such file or directory|permission denied|connection refused|no space left on device|is a directory|cannot allocate memory|broken pipe|command not found)\b",
        r"(?i)\btimed out\b|\bdeadline exceeded\b|\bstatus: (?:timeout|error|failed)\b|\bnot found\W*$|\b40[13] (?:forbidden|unauthorized)\b",
        r"^[✖✗✘❌]\x{fe0f}? *\w",
    ])
});

/// Words of failure. [`fails`] looks at the words around them.
static FAILURE: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?i)\b(?:errors?|failures?|fail|failing|fehlgeschlagen|échoué|échec|falló|failed)\b",
        r"|エラー|失敗|失败|错误|오류|실패",
    ))
});

/// The end of the text before `failed`, if that only describes a noun: `logs of failed tests`.
static FAILED_ONES: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(?:for|of|the|any|all|only|previously|last|rerun|with) $"));

/// Words of success. [`succeeds`] looks at the words around them.
static SUCCESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?i)\b(?:done|finished|completed?|success(?:ful|fully)?|succeeded|passed|deployed)\b",
        r"|^(?:everything is )?ok\b|\bbuild ok\b|^# pass [1-9]",
        r"|完了しました|正常終了|已完成|完成了|完了$|완료|\b(?:erfolgreich|abgeschlossen|terminé|finalizado|completado)\b",
    ))
});

/// The end of the text before a word of success that is about a part of the work.
static PART_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^#[0-9]+ |(?i:\b(?:batch|chunk|epoch|step|stage|phase|iteration|round|item|file|page|part|layer)s?",
        r"(?: #?[0-9]+)?(?: (?:is|was|has been))? ?)$|(?i:\b[a-z]+ #?[0-9]+(?: is| was)? )$",
    ))
});

static NO_SUCCESS_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W*(?:false|no|none|null|rate|with errors|only|when|once|if|next|now|then|going on|moving on)\b",
    )
});

static NEGATION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^(?:no|not|never|without|zero|non|until|unless|if|when|once|before|almost|nearly|partially|partly|be|being|\w+n't)$",
    )
});

/// Counters in any language, and work that has begun.
static SAMPLE: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"[0-9] ?%|(?:^|[\s(\[:])[0-9][0-9.,]* ?(?:/| (?:of|von|de|sur|out of) )\s?[0-9][0-9.,]*(?:[\s)\],.:;]|$)",
        r"|\w(?:\.\.\.|…)$",
    ))
});

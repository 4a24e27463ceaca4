//! The verdict on a log whose end is known: what its last lines say about its run.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Match, Regex};

use super::last_lines::{LastLines, MAX_TEXT_BYTES};
use crate::log_parser::EndOf;
use crate::log_parser::line::strip_all_prefixes;
use crate::log_parser::plain::{outer_percentage, reported_end};
use crate::log_parser::text::head;
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
        /// The line that says so, without prefixes.
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
    let last = lines.backward().next();
    if last.is_some_and(|(_, text)| WAITING.is_match(&text)) {
        return Verdict::Ended;
    }
    // Output that was buffered may follow.
    let mut aborted = lines.backward().map(|(_, text)| text);
    if let Some(text) = aborted.find(|text| ABORTED.is_match(strip_all_prefixes(text))) {
        return Verdict::Failed {
            message: strip_all_prefixes(&text).to_owned(),
        };
    }
    let (mut lines_after, mut details_after) = (0, 0);
    let mut texts = lines.backward();
    let last_word = texts.find_map(|(is_detail, text)| {
        let class = classify(&text);
        let is_step = class == LineClass::Success
            && lines_after + details_after > 0
            && STEP_DONE.is_match(&text);
        if class == LineClass::Neutral || is_step {
            lines_after += usize::from(!is_detail);
            details_after += usize::from(is_detail);
            return None;
        }
        // What is indented after a line may be about that line, unless both are.
        lines_after += if is_detail { details_after } else { 0 };
        Some((class, text))
    });
    let Some(last_word) = last_word else {
        return of_counter;
    };
    // A percentage that is not known to be progress shows at least that the program went on.
    let words = texts.map(|(_, text)| match classify(&text) {
        LineClass::Neutral if PERCENT.is_match(&text) => (LineClass::Sample, text),
        class => (class, text),
    });
    let words = words.filter(|(class, _)| *class != LineClass::Neutral);
    match last_word {
        (LineClass::Neutral | LineClass::Sample, _) => of_counter,
        (LineClass::Error, text)
            if lines_after > MAX_LINES_AFTER_ERROR && !TALLY.is_match(&text) =>
        {
            of_counter
        }
        (LineClass::Cancel, _) => Verdict::Cancelled,
        (LineClass::Success, text) => {
            // Programs still print their sums after they were interrupted.
            let is_open = |text: &str| {
                // One that has not moved may count something else.
                let done = percentage_of(text).filter(|_| !is_counter_full);
                done.is_some_and(|done| done > 0 && done < NEARLY_FULL)
            };
            let words: Vec<_> = words.collect();
            let before = words.first().filter(|_| TIME_TAKEN.is_match(&text));
            if let Some((LineClass::Crash | LineClass::Error, failed)) = before {
                return Verdict::Failed {
                    message: strip_all_prefixes(failed).to_owned(),
                };
            }
            let sibling = words.iter().find(|(class, other)| {
                matches!(class, LineClass::Crash | LineClass::Error) && are_siblings(&text, other)
            });
            if let Some((_, failed)) = sibling {
                return Verdict::Failed {
                    message: strip_all_prefixes(failed).to_owned(),
                };
            }
            match words
                .into_iter()
                .find(|(class, _)| matches!(class, LineClass::Cancel | LineClass::Sample))
            {
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
            let text = cause.flatten().unwrap_or(text);
            Verdict::Failed {
                message: strip_all_prefixes(&text).to_owned(),
            }
        }
    }
}

/// The error in the lines `before` a line `text` about an exit code, without prefixes: it tells more.
/// `None` if `text` is another line, or if there is none.
pub(super) fn error_before<'a>(text: &str, before: &'a [String]) -> Option<&'a str> {
    if !EXIT_CODE.is_match(text) {
        return None;
    }
    let classes = before.iter().rev().map(|line| (classify(line), line));
    let words = classes.filter(|(class, _)| *class != LineClass::Neutral);
    let mut failures =
        words.take_while(|(class, _)| matches!(class, LineClass::Crash | LineClass::Error));
    let (_, error) = failures.find(|(_, line)| !EXIT_CODE.is_match(line))?;
    Some(strip_all_prefixes(error))
}

/// The last error among the last lines of a command that has failed, whatever follows it.
pub(super) fn last_error(lines: &LastLines) -> Option<String> {
    let texts = lines.iter().rev().map(|(_, text)| text);
    let mut errors = texts.filter(|text| {
        let class = classify(text);
        matches!(class, LineClass::Crash | LineClass::Error) && !EXIT_CODE.is_match(text)
    });
    Some(strip_all_prefixes(&errors.next()?).to_owned())
}

/// Whether none of the lines tells how a run might have ended.
pub fn are_neutral(lines: &LastLines) -> bool {
    let mut texts = lines.iter().map(|(_, text)| text);
    texts.all(|text| classify(&text) == LineClass::Neutral)
}

/// How many lines may follow an error that ended its run. A program that prints more goes on.
const MAX_LINES_AFTER_ERROR: usize = 4;

/// From this percentage on, an open counter does not contradict a word of success: some programs
/// never print their last step.
const NEARLY_FULL: u64 = 80;

fn percentage_of(text: &str) -> Option<u64> {
    outer_percentage(strip_all_prefixes(text))
}

/// Whether two lines tell the state of two parts of the same work: `web test: Failed`,
/// `api test: Done`. Parts that run at once end in any order.
fn are_siblings(text: &str, other: &str) -> bool {
    const MOST_WORDS: usize = 3;
    let subject = |text| {
        let (subject, state) = strip_all_prefixes(text).rsplit_once(": ")?;
        let words: Vec<&str> = subject.split(' ').collect();
        let is_short = words.len() <= MOST_WORDS && !state.trim().contains(' ');
        is_short.then_some(words)
    };
    match (subject(text), subject(other)) {
        (Some(one), Some(other)) => {
            let is_same_work = one.len() == 1 || one.last() == other.last();
            one != other && one.len() == other.len() && is_same_work
        }
        _ => false,
    }
}

/// Whether `text` reports the end of a whole run, not of a tool in it.
fn is_about_run(text: &str) -> bool {
    reported_end(strip_all_prefixes(text)).is_some_and(|(_, of)| of == EndOf::Run)
}

/// Returns what `text`, a line of [`LastLines`], says about the run that wrote it. Reads the start
/// of longer lines.
pub fn classify(text: &str) -> LineClass {
    let text = head(text.trim(), MAX_TEXT_BYTES);
    let rest = strip_all_prefixes(text);
    let prefix = text.get(..text.len() - rest.len()).unwrap_or_default();
    // The words of data are about anything.
    let rest = rest.split("{\"").next().unwrap_or_default();
    // Loggers name events like this: `import_finished`.
    let is_event = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let rest = &if rest.bytes().all(is_event) {
        Cow::Owned(rest.replace('_', " "))
    } else {
        Cow::Borrowed(rest)
    };
    let is_blank = !text.contains(char::is_alphanumeric);
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
    if FATAL_LEVEL.is_match(prefix) || CRASH.is_match(rest) || EXIT_CODE.is_match(rest) {
        return LineClass::Crash;
    }
    let is_low = LOW_LEVEL.is_match(prefix);
    let is_handled = is_low || HANDLED.is_match(rest);
    if !is_handled && (ERROR_LEVEL.is_match(prefix) || is_error(rest)) {
        LineClass::Error
    } else if outer_percentage(rest).is_some() {
        LineClass::Sample
    } else if TICKED.is_match(rest) {
        LineClass::Neutral
    } else if !is_low && SUCCESS.find_iter(rest).any(|word| succeeds(rest, word)) {
        LineClass::Success
    } else if SAMPLE.is_match(rest) {
        LineClass::Sample
    } else {
        LineClass::Neutral
    }
}

/// Whether `text` says that something failed. Numbers of failures outweigh all other words.
fn is_error(text: &str) -> bool {
    let counts = FAILURE.find_iter(text).filter_map(|word| {
        let (before, after) = around(text, word);
        let is_assigned = after.trim_start().starts_with([':', '=', '：']);
        let assigned = is_assigned.then(|| count_after(after)).flatten();
        let counted = assigned.or_else(|| count_before(before));
        counted.or_else(|| count_after(after))
    });
    match counts.max() {
        Some(failures) => failures > 0,
        None => ERROR.is_match(text) || FAILURE.find_iter(text).any(|word| fails(text, word)),
    }
}

/// Whether `word`, a match of [`FAILURE`] in `text` without a number, says that something failed.
fn fails(text: &str, word: Match<'_>) -> bool {
    let (before, after) = around(text, word);
    let is_shouted = word.as_str().bytes().all(|byte| byte.is_ascii_uppercase());
    !is_negated(before)
        && match word.as_str().to_ascii_lowercase().as_str() {
            _ if is_shouted => true,
            "failed" => !FAILED_ONES.is_match(before),
            "failure" => after.trim_matches(['.', '!']).is_empty(),
            // `fail` and `errors` without a number are nouns; those of other languages are rarer.
            word => !matches!(word, "error" | "errors" | "failures" | "fail" | "failing"),
        }
}

/// Whether `word`, a match of [`SUCCESS`] in `text`, says that the work is complete.
fn succeeds(text: &str, word: Match<'_>) -> bool {
    let (before, after) = around(text, word);
    let is_part = PART_BEFORE.is_match(before) || before.contains('%') && !before.contains("100%");
    let is_other = NO_SUCCESS_AFTER.is_match(after) || count_after(after).is_some();
    !is_part && !is_other && !is_negated(before) && count_before(before) != Some(0)
}

fn around<'a>(text: &'a str, word: Match<'_>) -> (&'a str, &'a str) {
    let before = text.get(..word.start()).unwrap_or_default();
    (before, text.get(word.end()..).unwrap_or_default())
}

/// Whether one of the last words of the clause `before` turns the meaning of the next word.
fn is_negated(before: &str) -> bool {
    let words = before.rsplit(' ').filter(|word| !word.is_empty());
    let clause = words.take_while(|word| !word.ends_with([',', ';', ':', '.', '!']));
    clause.take(4).any(|word| NEGATION.is_match(word))
}

/// The number at the end of `before`: `3 failed`.
fn count_before(before: &str) -> Option<u64> {
    count(before.trim_end().rsplit([' ', '(', '[', '|']).next()?)
}

/// The number at the start of `after`: `failed=3`, `errors: 3`, `fail 1`.
fn count_after(after: &str) -> Option<u64> {
    let after = after.trim_start_matches([' ', '\t', ':', '=', '：']);
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','));
    count(after.get(..end.unwrap_or(after.len()))?)
}

/// Parses a count. A number with a fraction counts nothing: `Mean error: 0.18`.
fn count(number: &str) -> Option<u64> {
    let number = number.trim_end_matches(['.', ',']).replace(',', "");
    let whole = number.parse().ok();
    whole.or_else(|| number.parse::<f64>().ok().map(|_| 0))
}

/// Defines regular expressions, each the union of its lines.
macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident = $($pattern:literal),+;)+) => {$(
        $(#[$doc])*
        static $name: LazyLock<Regex> = LazyLock::new(|| {
            let union = format!("(?:{})", [$($pattern),+].join(")|(?:"));
            Regex::new(&union).expect("the patterns are constants")
        });
    )+};
}

patterns! {
    FATAL_LEVEL = r"\b(?:FATAL|CRITICAL)\b|^F[0-9]{4} ";
    ERROR_LEVEL = r"\bERROR\b|\[\w*(?:Error|Exception)\]|[\[:]error[\]:]|✘|^E[0-9]{4} ";
    /// Warnings and below: what they report did not end the run.
    LOW_LEVEL = r"\b(?:WARN|WARNING|DEBUG|TRACE)\b|[\[:](?:warning|debug)[\]:]|^W[0-9]{4} ";

    /// Lines that are about others: stack frames, source lines, requests, where to read more.
    NEUTRAL =
        r"^at \S.*[:(]|^at \S+$",
        r#"^File ".*", line [0-9]+|^[0-9]+ +\| |^\.\.\. [0-9]+ more$"#,
        r"^(?:raise|throw|return|except|catch|assert|if|for|with)\b.*[(:;]",
        r#"^[\w.]+\(["']|^\S+ \S+ \S+ \[[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}[: ]"#,
        r"(?i)\b(?:logs?|log file) (?:of this run )?(?:can be found|is at|at|in|to|saved)\b|^complete log:",
        r"(?i)^(?:for (?:more|further) |see |note: |hint: |help: |re-run |\[help )";

    CANCEL =
        r"\bKeyboardInterrupt\b|^\^C|^Terminated$|\bcontext cancell?ed\b|^SIG(?:INT|TERM)\b|\bsignal: (?:interrupt|terminated)\b",
        r"(?i)\b(?:received|got|caught|by|signal|with)\W+(?:signal )?SIG(?:INT|TERM|HUP)\b",
        r"(?i)\b(?:aborted|cancell?ed|interrupted|stopped|terminated) by (?:the )?(?:user|operator|signal|[a-z]+$)",
        r"(?i)^(?:\W*|.*\b(?:run|job|task|build|deployment|operation|workflow|pipeline|execution)(?: was| has been| is)? )(?:aborted|cancell?ed|interrupted)\W*$",
        r"(?i)\buser (?:aborted|cancell?ed|interrupted)\b";

    CRASH =
        r"^Traceback \(most recent call last\)|^\[?(?:FATAL|CRITICAL)\b",
        r"^(?:\[!\] |[✖✗✘×❌] ?)?(?:Uncaught |Unhandled )?(?:[\w$]+\.)*[\w$]*(?:Error|Exception)(?:: |:?$| \[)",
        r"^(?:Unhandled |Uncaught |Exception in thread |Caused by: |(?:PHP )?Fatal error)|\(\w*(?:Error|Exception)\)$|^\*\* \(\w+\) ",
        r"\bpanicked at\b|^panic: |^(?i:fatal)(?: error)?: |^goroutine [0-9]+ \[",
        r"^Killed(?:: 9)?$|: line [0-9]+: +[0-9]+ (?:Killed|Aborted|Terminated|Segmentation)\b",
        r"(?i)\bsegmentation fault\b|\bcore dumped\b|\bout of memory: |\bOOMKilled\b|signal: (?:killed|aborted)",
        r"^npm error|^[\w@/.-]+ ERR! |\bERR_PNPM_|\bELIFECYCLE\b|^g?make(?:\[[0-9]+\])?: \*\*\* ",
        r"(?i)\bexited before completing\b|\bnot recoverable\b|\blevel=(?:fatal|critical|panic)\b",
        r"(?i)\b(?:giving|gave) up\b|\bretries (?:exhausted|exceeded)\b";

    /// Lines about the exit code of a process.
    EXIT_CODE =
        r"(?i)\bexit(?:ed)?(?: with)?(?: [a-z-]+){0,2} ?(?:code|status)[ :=]*[('\x22]*-?[1-9][0-9]{0,9}\b",
        r"\bexited with (?:code|signal) SIG[A-Z]+\b",
        r"(?i)\bexit(?:ed)? \(?[1-9][0-9]{0,2}\b|\bnon-?zero (?:exit|return|status)",
        r"^\s*g?make(?:\[[0-9]{1,3}\])?: \*\*\* .*\bError [0-9]{1,3}\b";

    /// Words of failures after which the program went on.
    HANDLED =
        r"(?i)\b(?:retry|retrying|retries|try(?:ing)? again|attempt|ignoring|ignored|skipping|continuing|recovered|falling back|as expected)\b",
        r"^\[?(?i:warn|warning|debug)\b|\blevel=(?:warn|warning|debug)\b";

    ERROR =
        r"(?:^|: |^\W*\w+ |^\W+)(?i:(?:fatal |internal )?error)(?:\[\w+\]| [A-Z]*[0-9]+)?:(?: *$| +[^ 0-9])",
        r"^(?:ERROR|FAIL|FAILED|FAILURE)\b[^:=]*$|^\[?ERROR\]? |^[✖✗✘❌]\x{fe0f}? *\w",
        r"(?i)(?:: |\()(?:no such file or directory|permission denied|connection refused|no space left on device|is a directory|cannot allocate memory|broken pipe|command not found)\b",
        r"^[0-9]+\. +\w+(?:Error|Exception)\b",
        r"(?i)\berrors? (?:has |have |were )?occurr?ed\b|\b(?:quota|limit|size|budget) exceeded\b|\bdoes not exist\W*$|^\w+ aborted\W*$",
        r"(?i)^(?:unable to|cannot|can't|could not|couldn't|failed to|abort(?:ed|ing)\b)|^E: \w",
        r"(?i)^(?:\w+ )?error (?:response|while|during|when|in|at|on|occurred|opening|reading|loading|creating|connecting|executing|running)\b",
        r"(?i)\btimed out\b|\bdeadline exceeded\b|\bstatus: (?:timeout|error|failed)\b|\bnot found\W*$|\blevel=error\b|\b40[13] (?:forbidden|unauthorized)\b";

    /// Words of failure. [`fails`] looks at the words around them.
    FAILURE =
        r"(?i)\b(?:errors?|failures?|fail|failing|failed|fehlgeschlagen|échoué|échec|falló)\b",
        r"エラー|失敗|失败|错误|오류|실패";

    /// The end of the text before `failed`, if that only describes a noun: `logs of failed tests`.
    FAILED_ONES = r"(?i)\b(?:for|of|the|any|all|only|previously|last|rerun|with) $";

    /// Words of success. [`succeeds`] looks at the words around them.
    SUCCESS =
        r"(?i)\b(?:done|finished|completed?|success(?:ful|fully)?|succeeded|passed|deployed)\b",
        r"(?i)^(?:everything is )?ok\b|\bbuild ok\b|^# pass [1-9]|^[✔✓✅☑]\x{fe0f}? *\w",
        r"(?i)\bno (?:issues?|errors?|problems?|warnings?|violations?|vulnerabilities|offenses)(?: were)?(?: found| detected)?(?:[^,\w]|$)",
        r"(?i)\bbuilt in [0-9.]+ ?(?:m?s|seconds|minutes)\b|\bexit(?:ed)?(?: with)?(?: [a-z-]+){0,2} ?(?:code|status)[ :=]*['(]?0\b",
        r"(?i)\b[1-9][0-9]* (?:example|test|spec|check|scenario|assertion)s?\b.*\b0 (?:failures|failed|errors)\b|^tests run: [1-9][0-9]*, failures: 0, errors: 0\b",
        r"(?i)\b(?:erfolgreich|abgeschlossen|terminé|finalizado|completado)\b",
        r"完了しました|正常終了|已完成|完成了|完了$|완료";

    /// Success of one step of a program that goes on.
    STEP_DONE = r"(?i)(?:\.\.|…) ?(?:done|ok|yes|completed?|success)\.?$";

    /// How long it took, whatever came out.
    TIME_TAKEN = r"(?i)^\W*(?:finished|done|completed|ran)(?: in| after)? [0-9.]+ ?(?:m?s|sec|seconds|min|minutes)\b";

    /// One test or one file of many: `✓  2 draws a map`, `✓ draws a map (12ms)`.
    TICKED = r"^[✓✔√]\x{fe0f}? +[0-9]+ +\S|^[✓✔√]\x{fe0f}? .*\([0-9.]+ ?m?s\)$";

    /// How many tests passed and how many failed. What explains the failures may follow.
    TALLY = r"(?i)\b[0-9]+ (?:success(?:es)?|passed|passes)\b.*\b[0-9]+ fail(?:ed|ures?|s)?\b";

    /// The last word of a program that gives up: `rake aborted!`.
    ABORTED = r"^\w+ aborted!$";

    /// A program that waits for something.
    WAITING = r"(?i)^(?:\S+: )?(?:.*, )?waiting (?:for|until)\b[^.…]*(?:\.\.\.|…)?$";

    /// The end of the text before a word of success that is about a part of the work.
    PART_BEFORE =
        r"^#[0-9]+ |(?i)\b(?:batch|chunk|epoch|step|stage|phase|iteration|round|item|file|page|part|layer)s?(?: #?[0-9]+)?(?: (?:is|was|has been))? ?$",
        r"(?i)\b[a-z]+ #?[0-9]+(?: is| was)? $";

    NO_SUCCESS_AFTER =
        r"(?i)^\W*(?:batch|chunk|epoch|step|stage|phase|iteration|round|item|file|page|part|layer|task|job|trial)s? #?[0-9]",
        r"(?i)^\W*(?:no|none)\W*$|^ in:",
        r"(?i)^\W*(?:false|null|rate|with errors|only|when|once|if|next|now|then|going on|moving on|.*\bin progress)\b";

    NEGATION =
        r"(?i)^(?:no|not|never|without|zero|non|until|unless|if|when|once|before|almost|nearly|partially|partly|be|being|\w+n't)$";

    PERCENT = r"[0-9] ?%";

    /// Counters in any language, and work that has begun.
    SAMPLE =
        r"(?:^|[\s(\[:])[0-9][0-9.,]* ?(?:/| (?:of|von|de|sur|out of) )\s?[0-9][0-9.,]*(?:[\s)\],.:;]|$)",
        r"\w(?:\.\.\.|…)$|(?i:\bis starting\W*$)";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::line_key::LineKey;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn check(class: LineClass, lines: &[&str]) {
        for line in lines {
            assert_eq!(classify(line), class, "{line:?}");
        }
    }

    #[test]
    fn a_program_that_dies_is_a_crash() {
        check(
            LineClass::Crash,
            &[
                "Traceback (most recent call last):",
                "ValueError: no such colour",
                "paint.mixer.MixError: too dry",
                "Exception in thread \"main\" java.lang.IllegalStateException: no brush",
                "Uncaught TypeError: brush is not a function",
                "thread 'main' panicked at src/paint.rs:7:5:",
                "paint.rb:3:in `mix': undefined method `red' (NoMethodError)",
                "** (RuntimeError) too dry",
                "panic: runtime error: index out of range [3] with length 2",
                "Killed",
                "run.sh: line 4:  4120 Killed                  ./paint --all",
                "Segmentation fault (core dumped)",
                "npm ERR! code ELIFECYCLE",
                "easel ERR! ENOBRUSH no brush",
                "[!] BrushError: Could not find the brush",
                "[paint] npm run paint exited with code SIGTERM",
                "npm error missing script: paint",
                "exit status 2",
                "the painter exited with code 137",
                "make: *** [Makefile:12: paint] Error 1",
                "fatal: not a git repository",
                "2026-03-01 07:00:00 CRITICAL the studio is on fire",
                "FATAL: no canvas",
                "Fatal: wrong password or no key found",
                "2026-03-01T07:00:00Z [FATAL] no canvas",
                "ERROR giving up after 5 retries",
                "ts=2026-03-01T07:00:00Z level=fatal msg=\"no canvas\"",
            ],
        );
    }

    #[test]
    fn a_reported_failure_is_an_error() {
        check(
            LineClass::Error,
            &[
                "--> easel error: no brush is left",
                "[BrushError]: no brush is left",
                " 1.  AssertionError  is blue",
                "2026-03-01 07:00:00 - studio - ERROR - the brush is lost",
                "[ERROR] the brush is lost",
                "ERROR the brush is lost",
                "error: unknown colour",
                "paint.c:7:5: error: unknown colour",
                "error[E0425]: cannot find value `red`",
                "FAILED tests/test_paint.py::test_red - assert 0",
                "hang the picture: FAILED",
                "4 passed, 2 failed",
                "painted=9 failed=1",
                "Errors: 3",
                "✖ no credentials",
                "✘ Studio failed",
                "copy_failed",
                "cat: red.txt: No such file or directory",
                "Could not open the studio",
                "-- Mixing incomplete, errors occurred!",
                "Studio error while opening the door",
                "upload: wall.png: quota exceeded",
                "The repository does not exist.",
                "rake aborted!",
                "wall.md: openBinaryFile: does not exist (No such file or directory)",
                "An error occurred (AccessDenied) when calling the Paint operation: no key",
                "E: Unable to locate the brush",
                "Timed out waiting for the paint to dry",
                "エラーが発生しました: 筆がありません",
                "Fehlgeschlagen: kein Pinsel",
                "level=error msg=\"no brush\"",
                "##[error]no brush",
            ],
        );
    }

    #[test]
    fn a_person_or_a_signal_cancels() {
        check(
            LineClass::Cancel,
            &[
                "KeyboardInterrupt",
                "^C",
                "Received SIGTERM, shutting down",
                "rsync error: received SIGINT, SIGTERM, or SIGHUP (code 20)",
                "Aborted by user",
                "The deployment was cancelled by the operator",
                "Interrupted",
                "Run cancelled.",
                "Error: context canceled",
                "signal: interrupt",
            ],
        );
    }

    #[test]
    fn words_of_success_are_a_success() {
        check(
            LineClass::Success,
            &[
                "done",
                "All done!",
                "Finished in 3.2s",
                "2026-03-01 07:00:00 INFO Painting finished",
                "The studio was built successfully",
                "all 14 checks passed",
                "no changes, upload completed",
                "BUILD SUCCESSFUL in 7s",
                "status is SUCCEEDED",
                "Compiled with 0 errors. Done.",
                "painting_finished",
                "Everything is Ok",
                "the painter exited with code 0",
                "14 examples, 0 failures",
                "Tests run: 14, Failures: 0, Errors: 0, Skipped: 1",
                "built in 2.35s",
                "OK (skipped=1)",
                "Success: no issues found in 7 source files",
                "no errors were found",
                "Documentation built in 0.24 seconds",
                "✔ Painting",
                "処理が完了しました",
            ],
        );
    }

    #[test]
    fn counters_and_ellipses_are_samples() {
        check(
            LineClass::Sample,
            &[
                "Painting picture 3/7",
                "Step 7 of 7 done",
                "[4/9] drying",
                "進捗: 40%",
                "Bild 2 von 5",
                "絵 (2/5)",
                "Resolving colours...",
                "45% complete",
            ],
        );
    }

    #[test]
    fn other_lines_say_nothing() {
        check(
            LineClass::Neutral,
            &[
                "",
                "----------------",
                "  ^^^^^^^^",
                "at paint (/studio/paint.js:12:11)",
                "at Error.captureStackTrace (node:internal/errors:5:1)",
                "File \"errors.py\", line 3, in fail",
                "raise ValueError(\"no such colour\")",
                "see the log at /tmp/paint.log for errors",
                "A complete log of this run can be found in: /tmp/failed.log",
                "Mixing the colours",
                "added 49 colours in 5s",
                "10.0.0.7 - - [01/Mar/2026:07:00:00 +0000] \"GET /failed HTTP/1.1\" 404 -",
            ],
        );
    }

    #[test]
    fn near_misses_are_no_errors() {
        for line in [
            "0 errors, 2 warnings",
            "painted=9 failed=0",
            "Errors: 0",
            "Failed: 0",
            "# fail 0",
            "Mean error: 0.18",
            "no failed tests",
            "collecting the logs of failed pictures",
            "connection failed, retrying in 3s",
            "ERROR picture 7 is torn, skipping it",
            "warning: 2 files failed the style check",
            "[WARN ] the disk watermark is passed, writes have failed",
            "tests/test_failed_login.py collected",
            "src/error/kinds.rs",
            "process exited with code 0",
            "exit status 0",
            "Killed 3 idle workers",
            "[error-handler] INFO installed",
            r#"wrote {"failed":["red"]}"#,
        ] {
            let class = classify(line);
            assert!(
                !matches!(class, LineClass::Error | LineClass::Crash),
                "{line:?}: {class:?}"
            );
        }
    }

    #[test]
    fn near_misses_are_no_success() {
        for line in [
            "✓  2 tests/wall.js:7 › paints (180ms)",
            "✓ paints a wall (12ms)",
            "Passed in:",
            "not done",
            "unsuccessful",
            "The picture is not yet finished",
            "0 passed",
            "success: false",
            "Success rate: 40",
            "waiting until the paint is done",
            "incomplete",
            "Batch 3 completed in 2s",
            "batch_done",
            "epoch 4 finished",
            "Finished step 4 with writes to the wall",
            "successful: none",
            "#7 exporting layers 0.1s done",
            "99% complete within 140ms",
            "The sky is complete, next: the sea",
            "picture partially completed",
            "DELETE_COMPLETE",
            "completed: 7",
            "Image download completed. Painting in progress.",
        ] {
            assert_ne!(classify(line), LineClass::Success, "{line:?}");
        }
    }

    #[test]
    fn near_misses_are_no_cancellation() {
        for line in [
            "0 cancelled",
            "cancelled=0",
            "40 complete and 0 interrupted iterations",
            "except KeyboardInterrupt:",
            "installed a handler for SIGTERM",
        ] {
            assert_ne!(classify(line), LineClass::Cancel, "{line:?}");
        }
    }

    fn judge(lines: &[&str], is_counter_full: bool) -> Verdict {
        let mut last = LastLines::default();
        let key = LineKey::outside_logs(Timestamp::default());
        for (number, line) in (0..).zip(lines) {
            last.insert(key.with_line(number), line);
        }
        verdict(&last, false, is_counter_full)
    }

    fn failed(message: &str) -> Verdict {
        let message = message.to_owned();
        Verdict::Failed { message }
    }

    #[test]
    fn the_last_word_decides() {
        let traceback = [
            "Painting 3/7",
            "Traceback (most recent call last):",
            "  File \"paint.py\", line 3, in paint",
            "    mix(red)",
            "    ^^^^^^^^",
            "ValueError: too dry",
        ];
        assert_eq!(judge(&traceback, false), failed("ValueError: too dry"));
        let caught = [&traceback[..], &["Painting 4/7"]].concat();
        assert_eq!(judge(&caught, false), Verdict::Ended);
        let finished = [&caught[..], &["Painting 7/7", "Gallery opened", "All done"]].concat();
        assert_eq!(judge(&finished, true), Verdict::Completed);
        assert_eq!(
            judge(&["done", "KeyboardInterrupt"], false),
            Verdict::Cancelled
        );
    }

    #[test]
    fn a_status_at_the_end_of_a_long_line_counts() {
        let report = "REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 3000.00 ms\t\
            Billed Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB";
        let timeout = format!("{report}\tStatus: timeout");
        assert!(matches!(judge(&[&timeout], false), Verdict::Failed { .. }));
        assert_eq!(judge(&[report], false), Verdict::Ended);
    }

    #[test]
    fn a_log_without_such_words_ends_as_its_counter_does() {
        assert_eq!(judge(&[], false), Verdict::Ended);
        assert_eq!(judge(&["Mixing the colours"], false), Verdict::Ended);
        assert_eq!(judge(&["Mixing the colours"], true), Verdict::Completed);
        assert_eq!(judge(&["done", "Painting 3/7"], false), Verdict::Ended);
        assert_eq!(judge(&["Painting 7/7"], true), Verdict::Completed);
    }

    #[test]
    fn a_blocked_run_stays_blocked() {
        let mut last = LastLines::default();
        last.insert(LineKey::outside_logs(Timestamp::default()), "Killed");
        assert_eq!(verdict(&last, true, true), Verdict::Blocked);
    }

    #[test]
    fn a_part_that_completes_later_does_not_undo_the_failure_of_another() {
        let parts = ["sky paint: Failed", "exit status 1", "sea paint: Done"];
        assert_eq!(judge(&parts, false), failed("sky paint: Failed"));
        let again = ["sky paint: Failed", "sky paint: Done"];
        assert_eq!(judge(&again, false), Verdict::Completed);
        let other = ["old studio clean: Failed", "sea paint: Done"];
        assert_eq!(judge(&other, false), Verdict::Completed);
        let handled = ["sky paint: Failed", "All done"];
        assert_eq!(judge(&handled, false), Verdict::Completed);
    }

    #[test]
    fn a_sum_after_an_interruption_is_no_success() {
        let lines = ["Painting 3/7", "KeyboardInterrupt", "2 passed in 1.36s"];
        assert_eq!(judge(&lines, false), Verdict::Cancelled);
    }

    #[test]
    fn a_tool_does_not_complete_a_run_with_an_open_counter() {
        let tool = ["[3/9] suite sea", "31 passed in 3.20s"];
        assert_eq!(judge(&tool, false), Verdict::Ended);
        assert_eq!(
            judge(&["[8/9] suite sky", "31 passed in 3.20s"], false),
            Verdict::Completed
        );
        assert_eq!(
            judge(&["Epoch 3/9", "Training completed"], false),
            Verdict::Completed
        );
    }

    #[test]
    fn the_success_of_a_step_is_not_that_of_the_run() {
        let step = ["checking brushes... done", "mixing red from blue"];
        assert_eq!(judge(&step, false), Verdict::Ended);
        assert_eq!(judge(&step[..1], false), Verdict::Completed);
    }

    #[test]
    fn the_time_taken_is_no_success_after_a_failure() {
        let sum = ["9 walls, 1 failure", "Finished in 0.03 seconds", "Seed 7"];
        assert_eq!(judge(&sum, false), failed("9 walls, 1 failure"));
        let sum = ["9 walls, 0 failures", "Finished in 0.03 seconds"];
        assert_eq!(judge(&sum, false), Verdict::Completed);
        let sum = ["9 walls, 1 failure", "All walls finished"];
        assert_eq!(judge(&sum, false), Verdict::Completed);
    }

    #[test]
    fn a_percentage_of_anything_is_not_the_last_word() {
        let lines = ["Done in 36 ms!", "0.08 KiB - 21.8% = 0.06 KiB"];
        assert_eq!(judge(&lines, false), Verdict::Completed);
    }

    #[test]
    fn a_part_that_starts_at_last_is_no_end() {
        let lines = [
            "[sky/4] Task finished successfully.",
            "[sea/5] Task is starting.",
        ];
        assert_eq!(judge(&lines, false), Verdict::Ended);
    }

    #[test]
    fn a_percentage_that_never_moved_does_not_contradict_a_word_of_success() {
        assert_eq!(
            judge(&["In: 0.0% done", "Done."], false),
            Verdict::Completed
        );
        assert_eq!(judge(&["In: 40.0% done", "Done."], false), Verdict::Ended);
    }

    #[test]
    fn a_wide_ruler_hides_no_word() {
        let ruler = "─".repeat(60);
        let line = format!("{ruler} SUCCESS in 0.04 seconds {ruler}");
        assert_eq!(judge(&[&line], false), Verdict::Completed);
    }

    #[test]
    fn a_tally_with_failures_decides_whatever_explains_them() {
        let after = [
            "a brush",
            "a canvas",
            "a frame",
            "a nail",
            "Passed in:",
            "7",
        ];
        let lines = [&["1 success / 1 failure / 0 errors"][..], &after].concat();
        assert_eq!(judge(&lines, false), failed(lines[0]));
        let lines = [&["2 successes / 0 failures / 0 errors"][..], &after].concat();
        assert_ne!(judge(&lines, false), failed(lines[0]));
    }

    #[test]
    fn a_program_that_aborts_has_failed_although_buffered_lines_follow() {
        let lines = ["rake aborted!", "no brush", "wall 1 painted", "wall 2 done"];
        assert_eq!(judge(&lines, false), failed("rake aborted!"));
    }

    #[test]
    fn a_program_that_waits_has_not_completed() {
        let lines = [
            "7 of 7 walls (100%) done",
            "starting, waiting for the paint to dry",
        ];
        assert_eq!(judge(&lines, true), Verdict::Ended);
        let lines = ["waiting for the paint to dry.... done", "easel stopped"];
        assert_eq!(judge(&lines, true), Verdict::Completed);
        let lines = ["Timed out waiting for the paint"];
        assert_eq!(judge(&lines, false), failed(lines[0]));
    }

    #[test]
    fn an_error_that_the_program_outlives_decides_nothing() {
        let after = ["a brush", "a canvas", "a frame", "a nail", "a wall"];
        let lines = [&["done", "ERROR no ink"][..], &after].concat();
        assert_eq!(judge(&lines, false), Verdict::Ended);
        assert_eq!(judge(&lines[..6], false), failed("no ink"));
        let details = [
            "  a brush",
            "  a canvas",
            "  a frame",
            "  a nail",
            "  a wall",
        ];
        let lines = [&["done", "ERROR no ink"][..], &details].concat();
        assert_eq!(judge(&lines, false), failed("no ink"));
        let lines = [&["done", "  ERROR no ink"][..], &details].concat();
        assert_eq!(judge(&lines, false), Verdict::Ended);
    }

    #[test]
    fn the_message_of_a_failure_is_its_cause_rather_than_its_exit_code() {
        let lines = ["Painting 3/7", "error: no ink", "", "exit status 1"];
        assert_eq!(judge(&lines, false), failed("error: no ink"));
        let alone = ["error: no ink", "Painting 3/7", "exit status 1"];
        assert_eq!(judge(&alone, false), failed("exit status 1"));
    }

    proptest! {
        #[test]
        fn any_line_has_a_class(line in r"\PC{0,40}", word in "failed|done|[0-9]/[0-9]|error:|%") {
            classify(&line);
            classify(&format!("{line}{word}{line}"));
            classify(&format!("{word} ").repeat(60));
        }
    }
}

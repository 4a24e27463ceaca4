//! Classifies a percentage by its context.

use super::bar::{ends_with_bar, starts_with_bar};
use super::candidate::Candidate;
use super::languages;
use super::words::{
    has_measure, has_remaining_time, has_work, is_bundling, is_done, is_progress_word, is_unit,
};

/// What a percentage is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// The text around it does not say so.
    Unknown,
    /// Of the work.
    OfWork,
    /// Of the work, and other numbers of the line are not.
    OfLine,
}

/// Returns what a percentage is of.
pub(super) fn classify(candidate: Candidate<'_>) -> Share {
    if candidate.after.starts_with('|') {
        return Share::OfWork;
    }
    if is_tool_status(candidate) || is_of_sizes(candidate) {
        return Share::OfLine;
    }
    match has_count(candidate) || is_bracketed(candidate) || is_progress(candidate) {
        true => Share::OfWork,
        false => Share::Unknown,
    }
}

/// Whether the percentage is of the sizes before it, and a rate follows: `12.0 MiB / 96.0 MiB, 12%, 4 MiB/s`.
/// The files on such a line are a part of the work.
fn is_of_sizes(candidate: Candidate<'_>) -> bool {
    let sizes = candidate.before.strip_suffix(", ").unwrap_or_default();
    let unit = sizes.rsplit(' ').next().unwrap_or_default();
    let is_size = is_unit(unit) && unit.ends_with('B');
    is_size
        && sizes.contains(" / ")
        && candidate.after.starts_with(", ")
        && candidate.after.contains("/s")
}

/// Whether a count follows the percentage of a phase of work.
///
/// git: `Receiving objects: 100% (5208/5208)`. Nextflow: `[ 42%] 3 of 7`.
fn has_count(candidate: Candidate<'_>) -> bool {
    let Candidate { before, after, .. } = candidate;
    let is_digit = |text: &str| text.starts_with(|character: char| character.is_ascii_digit());
    if let Some(text) = after.strip_prefix(" (") {
        return is_digit(text)
            && match before.trim_end().strip_suffix(':') {
                Some(label) => has_gerund(label) && !has_measure(label),
                None => ends_with_bar(before),
            };
    }
    let text = after.strip_prefix("] ").filter(|_| is_opened(before));
    text.is_some_and(|text| is_digit(text) && text.contains(" of "))
}

/// Whether one of the first two words of a label is a verb form in `-ing`.
fn has_gerund(label: &str) -> bool {
    label
        .split_whitespace()
        .take(2)
        .any(|word| word.len() > 4 && word.ends_with("ing"))
}

fn is_opened(before: &str) -> bool {
    before.trim_end_matches(' ').ends_with('[')
}

/// Whether the line is the status line of a bundler (`41% building …`) or of Gradle (`<====> 96%
/// EXECUTING`). Other counters on such a line count smaller things.
fn is_tool_status(candidate: Candidate<'_>) -> bool {
    let Candidate {
        before,
        after,
        is_near_start,
    } = candidate;
    let mut words = after.split_whitespace();
    let first = words.next().unwrap_or_default();
    let lead = before.trim();
    let is_gradle = lead.starts_with('<')
        && ends_with_bar(lead)
        && matches!(
            first,
            "EXECUTING" | "CONFIGURING" | "INITIALIZING" | "WAITING"
        );
    if is_gradle {
        return true;
    }
    let is_leading =
        is_near_start && (lead.is_empty() || lead.ends_with("[webpack.Progress]") || lead == "<s>");
    if !is_leading || !after.starts_with(' ') {
        return false;
    }
    // `90% complete in under 58ms` is prose.
    let is_share = is_done(first) && words.next().is_some();
    is_bundling(first) && !is_share
}

/// Whether a percentage in brackets is progress: `PASSED  [ 75%]` of pytest, `[ 25%] Building …` of
/// CMake.
fn is_bracketed(candidate: Candidate<'_>) -> bool {
    let Candidate {
        before,
        after,
        is_near_start,
    } = candidate;
    if !is_opened(before) {
        return false;
    }
    let Some(after) = after.trim_start().strip_prefix(']') else {
        return false;
    };
    let lead = before.trim_end_matches([' ', '[']).trim();
    let is_worker = lead
        .strip_prefix("[gw")
        .is_some_and(|rest| rest.ends_with(']'));
    let is_leading = is_near_start && (lead.is_empty() || is_worker);
    // k6: `default   [  45% ] 10 VUs`
    let is_trailing = after.trim().is_empty()
        && (is_of_test_or_work(lead) && !has_measure(lead) || is_column_of_marks(before))
        || after.contains(" VUs");
    // Sphinx: `reading sources... [ 14%] index`
    is_leading || is_trailing || lead.ends_with("...")
}

/// Whether the percentage stands in the last column of a row of marks, one for each test: `✓✓✓    [ 45%]`.
fn is_column_of_marks(before: &str) -> bool {
    const FEWEST_SPACES: usize = 8;
    let row = before.trim_end_matches(['[', ' ']);
    let is_mark = |character: char| !character.is_alphanumeric() && !character.is_control();
    before.len() - row.len() > FEWEST_SPACES && row.chars().rev().take(FEWEST_SPACES).all(is_mark)
}

/// Whether `lead` names a test, its state or work. A sensor has a percentage, too.
fn is_of_test_or_work(lead: &str) -> bool {
    let is_state =
        |word: &str| word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_of_test = lead.contains("::") || lead.contains('/') || lead.contains(".py");
    is_of_test || lead.split_whitespace().next_back().is_some_and(is_state) || has_work(lead)
}

/// Whether any other context makes the percentage progress.
fn is_progress(candidate: Candidate<'_>) -> bool {
    let Candidate {
        before,
        after,
        is_near_start,
    } = candidate;
    // `rate: 0.1-kpps, 30% done`: a clause of its own.
    let is_apart = before.trim_end().ends_with(',') && is_done_after(after);
    if has_measure(before) && !has_progress_word(before) && !is_apart {
        return false;
    }
    let lead = before.trim();
    let is_leading = is_near_start && lead.is_empty();
    has_progress_word(before)
        || languages::kind_after(before).is_some()
        || has_remaining_time(after) && !has_measure(candidate.label())
        // restic: `[1:12] 43.10%  812 files`
        || is_near_start && is_elapsed_time(lead) && after.starts_with("  ")
        // wget: ` 5350K .......... .......... 92%`
        || is_near_start && is_row_of_dots(lead)
        // curl: `########       12.5%`
        || is_row_of_hashes(lead) && is_end(after)
        || has_two_times(after)
        || is_done_after(after)
        || ends_with_bar(before)
        || starts_with_bar(after)
        || has_rate(after)
        // youtube-dl: `45% of 12.3MiB at 1.2MiB/s`
        || is_leading && after.starts_with(" of ") && after.contains("B at ")
        // zpaq: `45.1% 0:00:07 + map.svg`
        || is_leading && after.split_whitespace().next().is_some_and(is_clock)
        || is_of_test_row(lead, before) && is_end(after)
        // apt: `45% [Working]`
        || is_leading && after.starts_with(" [")
        // `Reading package lists... 45%`, `(Reading database ... 45%`
        || before.trim_end().ends_with("...") && is_end(after)
        // `Uploading: 45%`
        || has_work(first_words(before)) && is_end(after)
}

/// `Progress: 45%`, `progress=[####  ] 45%`, `Completion: 45%`
fn has_progress_word(before: &str) -> bool {
    let label = before.trim_end_matches(|c: char| !c.is_alphabetic());
    let has_long_gap = before.len() - label.len() > 64;
    let start = label.trim_end_matches(char::is_alphabetic).len();
    let word = label.get(start..).unwrap_or_default();
    !has_long_gap && is_progress_word(word)
        // A digit in the gap means another number; a comma or semicolon, another clause.
        && before.get(label.len()..).is_some_and(|gap| !gap.contains(|c: char| c.is_ascii_digit() || c == ',' || c == ';'))
}

/// Whether `word` is a time of a clock with seconds: `0:00:07`.
fn is_clock(word: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split(':').count() == 3 && word.split(':').all(is_number)
}

/// Whether the percentage is in the last column of the row of a test, as in ward: `PASS draws a map       45%`.
fn is_of_test_row(lead: &str, before: &str) -> bool {
    const STATES: [&str; 7] = ["PASS", "FAIL", "OK", "SKIP", "ERROR", "XFAIL", "PASSED"];
    let gap = before.len() - before.trim_end().len();
    gap > 2
        && lead
            .split(' ')
            .next()
            .is_some_and(|word| STATES.contains(&word))
}

/// Whether `lead` is a time in brackets: `[1:12]`.
fn is_elapsed_time(lead: &str) -> bool {
    let time = lead
        .strip_prefix('[')
        .and_then(|lead| lead.strip_suffix(']'));
    time.is_some_and(|time| {
        time.contains(':')
            && time
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b':')
    })
}

/// Whether `lead` is a size and groups of dots.
fn is_row_of_dots(lead: &str) -> bool {
    let dots = lead.trim_start_matches(|character: char| character.is_ascii_digit());
    let dots = dots.strip_prefix('K').unwrap_or_default();
    dots.len() < lead.len()
        && dots.contains("....")
        && dots.bytes().all(|byte| b". ".contains(&byte))
}

fn is_row_of_hashes(lead: &str) -> bool {
    !lead.is_empty() && lead.bytes().all(|byte| byte == b'#')
}

/// Whether a time and the remaining time follow. sox: `45.2% 00:00:18.1 [00:00:21.9]`
fn has_two_times(after: &str) -> bool {
    let is_time = |word: &str| {
        let word = word.trim_matches(['[', ']', '(', ')']);
        let is_part = |byte: u8| byte.is_ascii_digit() || b":.".contains(&byte);
        word.matches(':').count() >= 1 && word.len() >= 4 && word.bytes().all(is_part)
    };
    let mut words = after.split_whitespace();
    words.next().is_some_and(is_time) && words.next().is_some_and(is_time)
}

/// `45% complete`, `45% done (3 min left)`; not `90% complete in under 58ms`.
fn is_done_after(after: &str) -> bool {
    let Some(text) = after
        .strip_prefix(" - ")
        .or_else(|| after.strip_prefix(' '))
    else {
        return false;
    };
    let end = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or_default();
    let rest = rest.trim_start();
    is_done(word) && !rest.starts_with(|c: char| c.is_alphanumeric())
}

/// rsync and wget: `45%  12.34MB/s`. scp: `45% 12MB 1.2MB/s`.
fn has_rate(after: &str) -> bool {
    let is_rate = |word: &str| {
        ["B/s", "MB/s", "KB/s", "kB/s", "GB/s", "MiB/s", "KiB/s"]
            .iter()
            .filter_map(|unit| word.strip_suffix(unit))
            .any(|number| {
                number
                    .trim_end_matches(['K', 'M', 'k', 'G'])
                    .parse::<f32>()
                    .is_ok()
            })
    };
    // A space may stand before the unit: `45% 37.2 MiB/s`.
    let mut words = after.split_whitespace();
    let is_apart = words.next().is_some_and(|word| word.parse::<f32>().is_ok())
        && words
            .next()
            .is_some_and(|unit| unit.len() > 2 && unit.ends_with("B/s"));
    after.starts_with(' ') && (is_apart || after.split_whitespace().take(3).any(is_rate))
}

/// Whether nothing follows, or only a text in brackets or the next column.
fn is_end(after: &str) -> bool {
    let after = after.trim_start_matches([' ', '.']);
    after.is_empty() || after.starts_with(['(', '[', '|'])
}

/// The first words of a label.
fn first_words(before: &str) -> &str {
    let before = before.trim_start();
    let end = before
        .match_indices(' ')
        .nth(2)
        .map_or(before.len(), |(at, _)| at);
    before.get(..end).unwrap_or_default()
}

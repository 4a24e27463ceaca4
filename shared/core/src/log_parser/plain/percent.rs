//! Classifies a percentage by its context.

use super::candidate::{Candidate, Found};
use super::words::{ends_with_bar, has_measure, has_work, is_bundling, is_done, starts_with_bar};
use crate::log_parser::observation::{Counter, CounterKind};

/// The part of the line that a percentage accounts for.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// The number of bytes after the percent sign that belong to the percentage.
    pub(super) bytes: usize,
    /// Whether the rest of the line is to be ignored.
    pub(super) is_whole_line: bool,
}

/// Adds a counter with `percentage` to `found`, if it is progress.
pub(super) fn classify(candidate: Candidate<'_>, percentage: u64, found: &mut Found) -> Used {
    let Ok(percentage) = u8::try_from(percentage) else {
        return Used::default();
    };
    let mut put = |current: Option<u64>, total: Option<u64>| {
        let kind = if total.is_none() {
            CounterKind::Percent
        } else {
            CounterKind::Bar
        };
        let counter = Counter {
            current,
            total,
            percentage: Some(percentage),
        };
        found.put(kind, counter);
    };
    if let Some((current, total, bytes)) = count_after(candidate) {
        put(Some(current), Some(total));
        return Used {
            bytes,
            is_whole_line: false,
        };
    }
    if candidate.after.starts_with('|') {
        // A count after the bar is more precise, and includes this percentage.
        put(None, None);
        return Used::default();
    }
    if is_tool_status(candidate) {
        put(None, None);
        return Used {
            bytes: 0,
            is_whole_line: true,
        };
    }
    if is_bracketed(candidate) || is_progress(candidate) {
        put(None, None);
    }
    Used::default()
}

/// Parses the count after a percentage, and returns its length in bytes.
///
/// git: `Receiving objects: 100% (10851/10851)`. Nextflow: `[ 45%] 3 of 7`.
fn count_after(candidate: Candidate<'_>) -> Option<(u64, u64, usize)> {
    let Candidate { before, after, .. } = candidate;
    let (text, separator, close) = if let Some(text) = after.strip_prefix(" (") {
        let is_phase = match before.trim_end().strip_suffix(':') {
            Some(label) => has_gerund(label) && !has_measure(label),
            None => ends_with_bar(before),
        };
        (is_phase.then_some(text)?, "/", ")")
    } else {
        let text = after.strip_prefix("] ").filter(|_| is_opened(before))?;
        (text, " of ", "")
    };
    let (current, rest) = text.split_once(separator)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (total, rest) = rest.split_at_checked(digits)?;
    let (current, total) = (current.parse().ok()?, total.parse().ok()?);
    (rest.starts_with(close) && current <= total && total > 0)
        .then(|| (current, total, after.len() - rest.len()))
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
    let is_trailing = !has_measure(lead) && (after.trim().is_empty() || after.contains(" VUs"));
    is_leading || is_trailing
}

/// Whether any other context makes the percentage progress.
fn is_progress(candidate: Candidate<'_>) -> bool {
    let Candidate {
        before,
        after,
        is_near_start,
    } = candidate;
    if has_measure(before) && !has_progress_word(before) {
        return false;
    }
    let is_leading = is_near_start && before.trim().is_empty();
    has_progress_word(before)
        || is_done_after(after)
        || ends_with_bar(before)
        || starts_with_bar(after)
        || has_rate(after)
        // youtube-dl: `45% of 12.3MiB at 1.2MiB/s`
        || is_leading && after.starts_with(" of ") && after.contains("B at ")
        // apt: `45% [Working]`
        || is_leading && after.starts_with(" [")
        // `Reading package lists... 45%`, `(Reading database ... 45%`
        || before.trim_end().ends_with("...") && is_end(after)
        // `Uploading: 45%`
        || has_work(first_words(before)) && is_end(after)
}

/// `Progress: 45%`, `progress=[####  ] 45%`, `Completion: 45%`
fn has_progress_word(before: &str) -> bool {
    const WORDS: [&str; 5] = ["progress", "complete", "completed", "completion", "percent"];
    let label = before.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let has_long_gap = before.len() - label.len() > 64;
    let start = label
        .trim_end_matches(|c: char| c.is_ascii_alphabetic())
        .len();
    let word = label.get(start..).unwrap_or_default();
    !has_long_gap && WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
        // A digit in the gap means another number; a comma or semicolon, another clause.
        && before.get(label.len()..).is_some_and(|gap| !gap.contains(|c: char| c.is_ascii_digit() || c == ',' || c == ';'))
}

/// `45% complete`, `45% done (3 min left)`; not `90% complete in under 58ms`.
fn is_done_after(after: &str) -> bool {
    let Some(text) = after.strip_prefix(' ') else {
        return false;
    };
    let end = text
        .find(|c: char| !c.is_ascii_alphabetic())
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
    after.starts_with(' ') && after.split_whitespace().take(3).any(is_rate)
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

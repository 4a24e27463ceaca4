//! Classifies a number pair by its context.

use super::bar::{ends_with_bar, starts_with_bar};
use super::candidate::Candidate;
use super::languages;
use super::words::{
    counted, has_attempt, has_measure, has_remaining_time, has_work, is_done, is_page,
    is_preposition, is_unit, is_work,
};
use crate::log_parser::observation::CounterKind;

/// Whether a pair is never progress: a size, or a count of attempts.
pub(super) fn is_excluded(candidate: Candidate<'_>) -> bool {
    let next = candidate.after.trim_start_matches(' ');
    let mut next = next.split(|c: char| !c.is_ascii_alphabetic());
    is_unit(next.next().unwrap_or_default())
        || is_day(candidate.after)
        || is_of_bytes(candidate.after)
        || has_attempt(candidate.label())
}

/// Whether a time of day follows, so that the pair is a day: `11/30 09:30`.
fn is_day(after: &str) -> bool {
    matches!(
        after.as_bytes(),
        [
            b' ',
            b'0'..=b'2',
            b'0'..=b'9',
            b':',
            b'0'..=b'5',
            b'0'..=b'9',
            ..
        ]
    )
}

type Kind = Option<CounterKind>;

/// The kind of the counter `current` of `total`; `None` if the text around it does not say that it
/// is progress.
pub(super) fn kind(candidate: Candidate<'_>, current: u64, total: u64) -> Kind {
    let Candidate { before, after, .. } = candidate;
    let kind = word_before(before).filter(|kind| {
        let is_measure = *kind == CounterKind::Item && has_measure(candidate.label());
        !is_measure && !is_place(candidate)
    });
    kind.map(|kind| match is_instruction(after) {
        true => CounterKind::Item,
        false => kind,
    })
    .or_else(|| rate_after(after))
    .or_else(|| bar_beside(before, after))
    .or_else(|| dots_before(before, after))
    .or_else(|| model_of_dbt(candidate))
    .or_else(|| bracketed(candidate, total))
    .or_else(|| in_parentheses(candidate))
    .or_else(|| work_before(before))
    .or_else(|| languages::kind_after(before))
    .or_else(|| work_at_start(candidate, current, total))
    .or_else(|| done_after(before, after))
    .or_else(|| time_beside(candidate))
    .or_else(|| at_start(candidate))
    .or_else(|| at_end(candidate))
}

/// The last word of `text`, if only separators follow it.
fn last_word(text: &str) -> &str {
    let text = text.trim_end_matches(SEPARATORS);
    let start = text.trim_end_matches(char::is_alphabetic).len();
    text.get(start..).unwrap_or_default()
}

/// Signs between a word and its counter.
const SEPARATORS: [char; 7] = [' ', '\t', ':', '#', '=', '[', '('];

/// `Epoch 3/250`, `Step #3 of 10`, `STEP 6/10:`, `batch [1/3]`
fn word_before(before: &str) -> Option<CounterKind> {
    let word = last_word(before);
    let kind = counted(word)?;
    // A path or an identifier may end with any word.
    let text = before.trim_end_matches(SEPARATORS);
    let head = text.get(..text.len().checked_sub(word.len())?)?;
    let is_whole = !head.ends_with(|c: char| c.is_ascii_digit() || "_/\\.@".contains(c));
    is_whole.then_some(kind)
}

/// Whether a pair names a place in something: `see step 3/7 of the book`, `page 3/7`. A counter
/// stands at the start of the text, or beside a verb of work.
fn is_place(candidate: Candidate<'_>) -> bool {
    let Candidate { before, after, .. } = candidate;
    let is_inside = after.starts_with(" of ") && before.split_whitespace().nth(1).is_some();
    (is_inside || is_page(last_word(before))) && !has_work(before)
}

/// Whether a Docker instruction follows: ` : COPY …`. It is a step of an image build, not of the
/// agent.
fn is_instruction(after: &str) -> bool {
    let Some(instruction) = after.strip_prefix(" : ") else {
        return false;
    };
    let word = instruction.split(' ').next().unwrap_or_default();
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// tqdm: `67%|██████▋   | 39/58 [00:03<00:00, 31.54it/s]`
fn rate_after(after: &str) -> Kind {
    let rate = after.trim_start().strip_prefix('[')?;
    let (elapsed, _) = rate.split_once('<')?;
    let is_time = elapsed.len() <= 12
        && elapsed.contains(':')
        && elapsed
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b':');
    is_time.then_some(CounterKind::Bar)
}

/// Whether a byte rate of tqdm follows: `1234567/2700000 [00:10<00:12, 120kB/s]`.
fn is_of_bytes(after: &str) -> bool {
    let rate = after.trim_start().strip_prefix('[');
    rate.and_then(|rate| rate.split_once(']'))
        .is_some_and(|(rate, _)| rate.contains('<') && rate.trim_end().ends_with("B/s"))
}

/// `178/178 [=====]` of Keras, the bar of one epoch; and `[####    ] 45/120`.
fn bar_beside(before: &str, after: &str) -> Kind {
    if starts_with_bar(after) {
        return Some(CounterKind::InnerBar);
    }
    let before = before.trim_end().trim_end_matches('(');
    (ends_with_bar(before) && !has_measure(before)).then_some(CounterKind::Bar)
}

/// PHPUnit: `.......... 63 / 189 ( 33%)`
fn dots_before(before: &str, after: &str) -> Kind {
    let share = after.trim_start().strip_prefix('(')?;
    let (percentage, rest) = share.split_once("%)")?;
    percentage.trim().parse::<u8>().ok()?;
    let marks = before
        .trim_end()
        .bytes()
        .rev()
        .take_while(|byte| b".FEWRSIDN".contains(byte));
    let is_row = marks.take(5).count() == 5 || marks_only(before);
    let is_ours = rest.trim().is_empty() && is_row;
    is_ours.then_some(CounterKind::Item)
}

/// Whether `text` has nothing but marks of tests.
fn marks_only(text: &str) -> bool {
    text.bytes().all(|byte| b" .FEWRSIDN".contains(&byte))
}

/// dbt: `3 of 10 START sql table model …` and `3 of 10 OK created …`
fn model_of_dbt(candidate: Candidate<'_>) -> Kind {
    let first = candidate.after.split_whitespace().next()?;
    let is_state = matches!(
        first,
        "START" | "OK" | "ERROR" | "PASS" | "FAIL" | "WARN" | "SKIP"
    );
    let is_first = candidate.is_near_start && candidate.before.trim().is_empty();
    (is_first && is_state).then_some(CounterKind::Item)
}

/// `[3/10] …`, `#9 [builder 2/6] …`, `Building module [2/5]`, `[6400/60000 (11%)]`
fn bracketed(candidate: Candidate<'_>, total: u64) -> Kind {
    let Candidate {
        before,
        after,
        is_near_start,
    } = candidate;
    let (lead, inner) = before.rsplit_once('[')?;
    if inner.contains(']') {
        return None;
    }
    if after.strip_prefix(" (").is_some_and(is_closing_percentage) {
        return inner.trim().is_empty().then_some(CounterKind::Bar);
    }
    // Unity also prints the seconds: `[ 12/345  3s] …`.
    let elapsed = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let elapsed = elapsed
        .strip_prefix("s]")
        .filter(|_| after.starts_with(' '));
    let after = match elapsed {
        Some(rest) => rest,
        None => after.trim_start().strip_prefix(']')?,
    };
    if !inner.trim().is_empty() {
        // BuildKit and others print the stage inside the brackets.
        let is_stage = inner.ends_with(' ')
            && inner
                .chars()
                .all(|c| c.is_alphanumeric() || " ./_-".contains(c))
            && !has_measure(inner);
        return (is_stage && is_near_start && is_line_start(lead)).then_some(CounterKind::Bracket);
    }
    if lead.ends_with(']') {
        // The inner of two counters: `Epoch [1][50/7330]`.
        return Some(CounterKind::InnerBar);
    }
    if is_near_start && is_line_start(lead) {
        let rest = after.trim_start();
        // Nextflow prints hashes that look like pairs.
        let is_hash = total >= 100_000
            && (rest.starts_with("process >") || rest.starts_with("Submitted process"));
        return (!is_hash && !is_retry(rest)).then_some(CounterKind::Bracket);
    }
    (is_blank(after) && has_work(lead)).then_some(CounterKind::Bracket)
}

/// `11%)]`
fn is_closing_percentage(text: &str) -> bool {
    let percentage = text
        .split_once("%)]")
        .map(|(percentage, _)| percentage.trim());
    percentage.is_some_and(|percentage| percentage.parse::<f32>().is_ok())
}

/// `(3/10) installing …`, `Rebasing (3/10)`
fn in_parentheses(candidate: Candidate<'_>) -> Kind {
    let lead = candidate.before.trim_end().strip_suffix('(')?;
    let rest = candidate.after.trim_start().strip_prefix(')')?;
    let is_first = candidate.is_near_start && is_line_start(lead) && !is_blank(rest);
    // nextest: `PASS [   0.005s] (3/10) …`
    let is_timed = lead.trim_end().ends_with("s]");
    // A pair after a percentage counts the same work, and is as far as the percentage.
    let is_counted = has_work(lead) && !has_measure(lead) && !lead.trim_end().ends_with('%');
    let is_progress = is_first
        || is_timed
        || is_blank(rest) && (is_counted || candidate.is_near_start && is_row_of_marks(lead));
    (is_progress && !is_retry(rest) && !is_retry(lead)).then_some(CounterKind::Bracket)
}

/// Whether `lead` has nothing but signs, one for each test: `• • ✘ •   (3 / 4)`.
fn is_row_of_marks(lead: &str) -> bool {
    const FEWEST: usize = 4;
    let signs = lead.chars().filter(|sign| *sign != ' ').take(FEWEST);
    signs.count() == FEWEST && is_blank(lead)
}

/// `Processed 3/10`, `Downloading 3 of 10`, `rollout to finish: 2 of 3 updated replicas`
fn work_before(before: &str) -> Kind {
    let is_ours = is_work(last_word(before)) || before.ends_with("rollout to finish: ");
    is_ours.then_some(CounterKind::Item)
}

/// `Loading partition 6/30`, `Processing the last shard 2 of 5`: a verb of work at the start of the
/// clause, and nouns.
fn work_at_start(candidate: Candidate<'_>, current: u64, total: u64) -> Kind {
    const MOST_NOUNS: usize = 3;
    let clause = candidate.before.rsplit([':', '|', ';', ',', ']']).next()?;
    let mut words = clause.trim_end_matches(SEPARATORS).split_whitespace();
    let is_verb = words.next().is_some_and(is_work);
    let is_month = current <= 12 && (1_900..2_100).contains(&total);
    let mut nouns = words.by_ref().take(MOST_NOUNS);
    let are_nouns =
        nouns.all(|word| word.chars().all(char::is_alphabetic) && !is_preposition(word));
    let is_ours = is_verb && are_nouns && words.next().is_none() && !has_measure(clause);
    (is_ours && !is_month && candidate.is_near_start).then_some(CounterKind::Item)
}

/// `Copy: 81000/310250; ETA: 1m56s`, `0% | ETA: 0s | 0/40`
fn time_beside(candidate: Candidate<'_>) -> Kind {
    let is_timed = has_remaining_time(candidate.after) || has_remaining_time(candidate.before);
    (is_timed && !has_measure(candidate.label())).then_some(CounterKind::Bar)
}

/// `3 of 10 steps (30%) done`, `45/100 files processed`
fn done_after(before: &str, after: &str) -> Kind {
    let mut words = after.split_whitespace();
    let noun = words.next()?;
    if noun.starts_with(['(', '[']) || after.starts_with(|c: char| c != ' ') || has_measure(before)
    {
        return None;
    }
    let singular = noun.strip_suffix('s').unwrap_or(noun);
    let kind = counted(singular).or_else(|| counted(noun));
    let next = words.next().unwrap_or_default();
    let is_percentage = next.starts_with('(') && next.ends_with("%)");
    let done = if is_percentage {
        words.next().unwrap_or_default()
    } else {
        next
    };
    let done = done.trim_end_matches(['.', ',', '!']);
    let is_past = |word: &str| is_done(word) || word.ends_with("ed") && is_work(word);
    let is_ours = is_done(noun) || kind.is_some() && is_past(done);
    is_ours.then_some(kind.unwrap_or(CounterKind::Item))
}

/// `3/10 Test  #3: …`, `3/10 Processing …`, a trainer's `3/100  1.2G …`
fn at_start(candidate: Candidate<'_>) -> Kind {
    if !candidate.is_near_start || !candidate.before.trim().is_empty() {
        return None;
    }
    let after = candidate.after;
    let mut words = after.split_whitespace();
    let first = words.next()?;
    if !after.starts_with([' ', '\t', ':']) {
        return None;
    }
    let is_memory = first
        .strip_suffix(['G', 'M'])
        .is_some_and(|number| number.contains('.') && number.parse::<f32>().is_ok());
    if is_memory && words.next().is_some_and(|word| word.parse::<f32>().is_ok()) {
        return Some(CounterKind::Phase);
    }
    if ends_with_state(after) || ends_with_duration(after) {
        return Some(CounterKind::Item);
    }
    let is_test = first == "Test" && words.next().is_some_and(|word| word.starts_with('#'));
    let first = first.trim_start_matches(':');
    let is_ours = is_test
        || is_work(if first.is_empty() {
            words.next()?
        } else {
            first
        });
    is_ours.then_some(CounterKind::Item)
}

/// meson: `1/2 mix red OK  0.01s`
fn ends_with_state(after: &str) -> bool {
    const STATES: [&str; 6] = ["OK", "FAIL", "ERROR", "SKIP", "TIMEOUT", "PASS"];
    let is_time = |word: &str| {
        let number = word.strip_suffix('s').unwrap_or_default();
        number.parse::<f32>().is_ok()
    };
    let mut words = after
        .split_whitespace()
        .skip_while(|word| !STATES.contains(word));
    words.next().is_some() && words.next().is_some_and(is_time)
}

/// `3/10 docs/map.md 12.31ms`: what was done, and how long it took.
fn ends_with_duration(after: &str) -> bool {
    let is_duration = |word: &str| {
        let number = word.strip_suffix("ms").or_else(|| word.strip_suffix('s'));
        number.is_some_and(|number| number.parse::<f32>().is_ok())
    };
    let mut words = after.split_whitespace().rev();
    let last = words.next().unwrap_or_default();
    // A mark may follow.
    let last = match last.len() {
        1 => words.next().unwrap_or_default(),
        _ => last,
    };
    let name = words.next().unwrap_or_default();
    is_duration(last) && name.contains(['/', '.']) && words.next().is_none()
}

/// `  Installing : package    3/10`
fn at_end(candidate: Candidate<'_>) -> Kind {
    let (verb, rest) = candidate.before.trim_start().split_once(':')?;
    let is_transaction = matches!(
        verb.trim_end(),
        "Installing"
            | "Upgrading"
            | "Updating"
            | "Cleanup"
            | "Verifying"
            | "Erasing"
            | "Preparing"
            | "Removing"
            | "Reinstalling"
            | "Obsoleting"
            | "Downgrading"
            | "Running scriptlet"
    ) && rest.ends_with(' ');
    (candidate.is_near_start && is_transaction && is_blank(candidate.after))
        .then_some(CounterKind::Item)
}

/// Whether a bracket after `lead` is at the start of the line. Symbols and BuildKit's prefixes may
/// precede it.
fn is_line_start(lead: &str) -> bool {
    let lead = lead.trim();
    let is_buildkit = lead.strip_prefix('#').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    let is_symbol =
        lead.chars().count() <= 3 && !lead.contains(|c: char| c.is_alphanumeric() || c == ']');
    lead.is_empty() || is_buildkit || is_symbol || matches!(lead, "=> CACHED" | "=> ERROR" | "=>")
}

/// Whether `text` is about retries. Attempts are not steps.
fn is_retry(text: &str) -> bool {
    ["retry", "Retry", "retries", "attempt", "Attempt"]
        .iter()
        .any(|word| text.contains(word))
}

/// Whether `text` has neither letters nor digits.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| !c.is_alphanumeric())
}

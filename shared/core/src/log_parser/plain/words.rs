//! Words around a number that tell whether it is progress.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::languages;
use crate::log_parser::observation::CounterKind;

/// The longest known word, in bytes.
const MAX_WORD: usize = 20;

/// The kind of a counter after `word`: `Epoch 3/250`, `Step 3/10`, `batch 1/3`.
pub(in crate::log_parser) fn counted(word: &str) -> Option<CounterKind> {
    let mut buffer = [0; MAX_WORD];
    let word = lower(word, &mut buffer)?;
    let word = word.as_ref();
    Some(match word {
        "epoch" | "task" | "phase" | "stage" | "milestone" | "wave" | "fold" => CounterKind::Phase,
        "step" | "steps" | "stp" | "iteration" | "iter" | "round" | "turn" | "cycle" | "pass"
        | "run" | "action" | "todo" | "chapter" | "section" | "part" | "loop" | "trial"
        | "generation" | "episode" | "progress" | "sprint" | "story" | "subtask" | "lesson" => {
            CounterKind::Step
        }
        "item" | "items" | "batch" | "batches" | "file" | "files" | "image" | "images" | "page"
        | "pages" | "chunk" | "chunks" | "record" | "records" | "row" | "rows" | "test"
        | "query" | "question" | "sample" | "samples" | "document" | "documents" | "doc"
        | "docs" | "module" | "package" | "packages" | "model" | "target" | "case" | "example"
        | "issue" | "object" | "segment" | "video" | "frame" | "frames" | "url" | "urls"
        | "endpoint" | "account" | "table" | "tables" | "migration" | "block" | "blocks"
        | "function" | "component" | "feature" | "ticket" | "suite" | "scenario" | "spec"
        | "mutant" | "experiment" | "game" | "dataset" | "scene" | "prompt" | "article"
        | "product" | "repo" | "repository" | "project" | "resource" | "asset" | "commit"
        | "patch" | "agent" | "tasks" | "user" | "users" | "entry" | "entries" | "symbol"
        | "ticker" | "track" | "song" | "book" | "photo" | "message" | "messages" | "email"
        | "contact" | "lead" | "job" | "jobs" | "request" | "crate" | "layer" | "slide"
        | "tile" | "variant" | "benchmark" | "config" | "group" | "pair" | "seed" | "command"
        | "keyword" | "topic" | "category" | "channel" | "domain" | "company" | "pipeline" => {
            CounterKind::Item
        }
        _ => return languages::counted(word),
    })
}

/// Whether `word` means progress: `Progress: 45%`.
pub(super) fn is_progress_word(word: &str) -> bool {
    const WORDS: [&str; 5] = ["progress", "complete", "completed", "completion", "percent"];
    lower(word, &mut [0; MAX_WORD])
        .is_some_and(|word| WORDS.contains(&word.as_ref()) || languages::is_progress(&word))
}

/// Whether `word` is a verb of work: `Processing`, `Downloaded`.
pub(in crate::log_parser) fn is_work(word: &str) -> bool {
    const WORK: [&str; 48] = [
        "process",
        "download",
        "upload",
        "complet",
        "finish",
        "runn",
        "build",
        "built",
        "compil",
        "install",
        "migrat",
        "import",
        "export",
        "load",
        "copy",
        "copi",
        "index",
        "analyz",
        "analys",
        "fetch",
        "scann",
        "render",
        "train",
        "evaluat",
        "generat",
        "convert",
        "sync",
        "execut",
        "crawl",
        "scrap",
        "translat",
        "pars",
        "extract",
        "compress",
        "transcod",
        "encod",
        "verify",
        "verifi",
        "check",
        "rebas",
        "apply",
        "link",
        "clon",
        "mov",
        "push",
        "pull",
        "optimiz",
        "transferr",
    ];
    let mut buffer = [0; MAX_WORD];
    let Some(word) = lower(word, &mut buffer) else {
        return false;
    };
    if word == "built" || word == "done" || word == "tested" || word == "testing" {
        return true;
    }
    let stem = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed"));
    languages::is_work(&word)
        || stem.is_some_and(|stem| {
            WORK.iter()
                .any(|work| stem == *work || stem.strip_suffix('e') == Some(work))
        })
}

/// Whether `text` contains a verb of work.
pub(super) fn has_work(text: &str) -> bool {
    words(text).any(is_work)
}

/// Whether `text` contains a word that makes a percentage a measurement: `CPU usage: 45%`.
pub(in crate::log_parser) fn has_measure(text: &str) -> bool {
    const MEASURES: [&str; 55] = [
        "cpu",
        "gpu",
        "mem",
        "memory",
        "ram",
        "disk",
        "swap",
        "usage",
        "used",
        "util",
        "utilization",
        "load",
        "coverage",
        "statements",
        "branches",
        "functions",
        "lines",
        "accuracy",
        "confidence",
        "capacity",
        "battery",
        "rate",
        "threshold",
        "quota",
        "loss",
        "score",
        "similarity",
        "volume",
        "space",
        "health",
        "precision",
        "recall",
        "saving",
        "savings",
        "saved",
        "match",
        "matches",
        "discount",
        "humidity",
        "hit",
        "hits",
        "pool",
        "queue",
        "backlog",
        "workers",
        "connections",
        "sessions",
        "replicas",
        "slots",
        "limit",
        "heap",
        "watermark",
        "grade",
        "readability",
        "open",
    ];
    // The name of a file or of a test may contain any word.
    let is_name =
        |token: &&str| token.contains('/') || token.contains("::") || token.ends_with(".py");
    let tokens = text.split_whitespace().filter(|token| !is_name(token));
    tokens.flat_map(words).any(|word| {
        let mut buffer = [0; MAX_WORD];
        lower(word, &mut buffer).is_some_and(|word| MEASURES.contains(&word.as_ref()))
    })
}

/// Whether `word` means done: `45% complete`.
pub(in crate::log_parser) fn is_done(word: &str) -> bool {
    const DONE: [&str; 14] = [
        "complete",
        "completed",
        "done",
        "finished",
        "processed",
        "downloaded",
        "uploaded",
        "loaded",
        "built",
        "copied",
        "migrated",
        "converted",
        "indexed",
        "imported",
    ];
    DONE.iter().any(|done| word.eq_ignore_ascii_case(done))
        || !word.is_ascii() && languages::is_working(word)
        || lower(word, &mut [0; MAX_WORD]).is_some_and(|word| languages::is_work(&word))
}

/// Whether `word` makes the pair before it a size or a health status: `12/45 MB`, `3/3 replicas`.
pub(super) fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 24] = [
        "b",
        "kb",
        "mb",
        "gb",
        "tb",
        "kib",
        "mib",
        "gib",
        "bytes",
        "pods",
        "pod",
        "replicas",
        "nodes",
        "containers",
        "instances",
        "workers",
        "vus",
        "threads",
        "healthy",
        "ready",
        "up",
        "stars",
        "points",
        "running",
    ];
    let mut buffer = [0; MAX_WORD];
    lower(word, &mut buffer).is_some_and(|word| UNITS.contains(&word.as_ref()))
}

/// Whether `word` follows the percentage of a bundler or loader at the start of a line: `41%
/// building`.
pub(super) fn is_bundling(word: &str) -> bool {
    const BUNDLING: [&str; 38] = [
        "additional",
        "advanced",
        "after",
        "afterCompile",
        "afterEmit",
        "asset",
        "basic",
        "before",
        "building",
        "cache",
        "chunk",
        "compiling",
        "complete",
        "copying",
        "done",
        "emit",
        "emitting",
        "entry",
        "executing",
        "finish",
        "hashing",
        "idle",
        "initialize",
        "loading",
        "make",
        "module",
        "normal",
        "optimizing",
        "processing",
        "reading",
        "record",
        "recording",
        "reviving",
        "sealing",
        "setup",
        "tokenizing",
        "transforming",
        "watch",
    ];
    BUNDLING.contains(&word)
}

/// The words in Latin letters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}');
    text.split(move |c| !is_letter(c))
        .filter(|word| !word.is_empty())
}

/// Converts `word` to lower case; `None` if it is longer than [`MAX_WORD`].
fn lower<'a>(word: &str, buffer: &'a mut [u8; MAX_WORD]) -> Option<Cow<'a, str>> {
    let buffer = buffer.get_mut(..word.len())?;
    if !word.is_ascii() {
        return Some(Cow::Owned(word.to_lowercase()));
    }
    buffer.copy_from_slice(word.as_bytes());
    buffer.make_ascii_lowercase();
    std::str::from_utf8(buffer).ok().map(Cow::Borrowed)
}

/// Whether `text` names attempts, which are not steps.
pub(super) fn has_attempt(text: &str) -> bool {
    const ATTEMPTS: [&str; 12] = [
        "attempt",
        "attempts",
        "retry",
        "retries",
        "retrying",
        "try",
        "tries",
        "versuch",
        "tentative",
        "tentativa",
        "intento",
        "reintento",
    ];
    const IN_TEXT: [&str; 5] = ["再試行", "リトライ", "試行", "重试", "시도"];
    words(text).any(|word| {
        lower(word, &mut [0; MAX_WORD]).is_some_and(|word| ATTEMPTS.contains(&word.as_ref()))
    }) || IN_TEXT.iter().any(|word| text.contains(word))
}

/// Whether `word` is what people leaf through.
pub(super) fn is_page(word: &str) -> bool {
    const PAGES: [&str; 4] = ["page", "row", "seite", "página"];
    lower(word, &mut [0; MAX_WORD]).is_some_and(|word| PAGES.contains(&word.as_ref()))
}

/// Whether `word` shows that the word after it is not what is counted.
pub(super) fn is_preposition(word: &str) -> bool {
    const PREPOSITIONS: [&str; 14] = [
        "on", "at", "for", "by", "from", "in", "with", "to", "into", "via", "using", "as", "than",
        "since",
    ];
    PREPOSITIONS.contains(&word)
}

/// A remaining time.
static REMAINING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(?:ETA|eta|Eta)\b",
        r"|(?:(?i:remaining|time left|restant|verbleibend)[a-z]*|残り(?:時間)?|剩余(?:时间)?|남은 시간)",
        r"[ :=]{0,3}(?:[0-9]+:[0-9]{2}|[0-9.]+ ?(?:h|m|s|ms|min|sec|秒|分|초|분))",
    ))
    .expect("the pattern is a constant")
});

/// Whether `text` has a remaining time: `ETA 1m56s`, `remaining: 46.4s`.
pub(super) fn has_remaining_time(text: &str) -> bool {
    REMAINING.is_match(text)
}

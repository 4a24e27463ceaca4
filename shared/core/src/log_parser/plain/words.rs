//! Words around a number that tell whether it is progress.

use crate::log_parser::observation::CounterKind;

/// The longest known word, in bytes.
const MAX_WORD: usize = 16;

/// The kind of a counter after `word`: `Epoch 3/250`, `Step 3/10`, `batch 1/3`.
pub(super) fn counted(word: &str) -> Option<CounterKind> {
    let mut buffer = [0; MAX_WORD];
    let word = lower(word, &mut buffer)?;
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
        _ => return None,
    })
}

/// Whether `word` is a verb of work: `Processing`, `Downloaded`.
pub(super) fn is_work(word: &str) -> bool {
    const WORK: [&str; 47] = [
        "process", "download", "upload", "complet", "finish", "runn", "build", "built", "compil",
        "install", "migrat", "import", "export", "load", "copy", "copi", "index", "analyz",
        "analys", "fetch", "scann", "render", "train", "evaluat", "generat", "convert", "sync",
        "execut", "crawl", "scrap", "translat", "pars", "extract", "compress", "transcod", "encod",
        "verify", "verifi", "check", "rebas", "apply", "link", "clon", "mov", "push", "pull",
        "optimiz",
    ];
    let mut buffer = [0; MAX_WORD];
    let Some(word) = lower(word, &mut buffer) else {
        return false;
    };
    if word == "built" || word == "done" || word == "tested" || word == "testing" {
        return true;
    }
    let stem = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed"));
    stem.is_some_and(|stem| {
        WORK.iter()
            .any(|work| stem == *work || stem.strip_suffix('e') == Some(work))
    })
}

/// Whether `text` contains a verb of work.
pub(super) fn has_work(text: &str) -> bool {
    words(text).any(is_work)
}

/// Whether `text` contains a word that makes a percentage a measurement: `CPU usage: 45%`.
pub(super) fn has_measure(text: &str) -> bool {
    const MEASURES: [&str; 32] = [
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
    ];
    // The name of a file or of a test may contain any word.
    let is_name =
        |token: &&str| token.contains('/') || token.contains("::") || token.ends_with(".py");
    let tokens = text.split_whitespace().filter(|token| !is_name(token));
    tokens.flat_map(words).any(|word| {
        let mut buffer = [0; MAX_WORD];
        lower(word, &mut buffer).is_some_and(|word| MEASURES.contains(&word))
    })
}

/// Whether `word` means done: `45% complete`.
pub(super) fn is_done(word: &str) -> bool {
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
    lower(word, &mut buffer).is_some_and(|word| UNITS.contains(&word))
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

/// Whether `text` ends with a progress bar: `[#####....`, `|████  |`, `━━━━╸`.
pub(super) fn ends_with_bar(text: &str) -> bool {
    let text = text.trim_end();
    if let Some(inner) = text.strip_suffix([']', '|', '>']) {
        let opening = if text.ends_with(']') {
            '['
        } else if text.ends_with('>') {
            '<'
        } else {
            '|'
        };
        let inner_bar = inner.trim_end_matches(|c: char| is_bar(c) || c == ' ');
        let length = inner.len().saturating_sub(inner_bar.len());
        let filled = inner.get(inner_bar.len()..).unwrap_or_default();
        return length >= 4 && inner_bar.ends_with(opening) && filled.contains(|c: char| c != ' ');
    }
    text.chars().rev().take(3).filter(|&c| is_block(c)).count() == 3
}

/// Whether `text` starts with a progress bar.
pub(super) fn starts_with_bar(text: &str) -> bool {
    let text = text.trim_start();
    let (inner, is_enclosed) = match text.strip_prefix(['[', '|']) {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let glyphs = inner
        .chars()
        .take(4)
        .filter(|&c| is_block(c) || is_enclosed && (is_bar(c) || c == ' '))
        .count();
    let is_blank = inner.chars().take(4).all(|c| c == ' ');
    if is_enclosed {
        glyphs == 4 && !is_blank
    } else {
        glyphs >= 3
    }
}

/// Whether progress bars are drawn with `c`.
fn is_bar(c: char) -> bool {
    matches!(c, '=' | '>' | '#' | '-' | '.' | '·' | '*' | '+' | '~' | '_') || is_block(c)
}

/// Whether only progress bars are drawn with `c`.
fn is_block(c: char) -> bool {
    matches!(
        c,
        '\u{2580}'..='\u{259f}' | '━' | '╸' | '╺' | '─' | '■' | '□' | '▰' | '▱' | '●' | '○'
    ) || matches!(c, '\u{2800}'..='\u{28ff}')
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
}

/// Converts `word` to lower case; `None` if it is longer than [`MAX_WORD`].
fn lower<'a>(word: &str, buffer: &'a mut [u8; MAX_WORD]) -> Option<&'a str> {
    let buffer = buffer.get_mut(..word.len())?;
    buffer.copy_from_slice(word.as_bytes());
    buffer.make_ascii_lowercase();
    std::str::from_utf8(buffer).ok()
}

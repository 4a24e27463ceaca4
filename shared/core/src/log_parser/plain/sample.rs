//! Number pairs and percentages of which the words do not say that they are progress. Such a pair counts once it has
//! moved, so what may move without being progress is left out here.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::candidate::Candidate;
use super::words::{has_attempt, has_measure, is_page};
use crate::log_parser::observation::Sample;
use crate::log_parser::template::Template;
use crate::log_parser::text::head;

/// How much of a text is examined, in bytes.
const MOST_BYTES: usize = 512;

/// English words for what rises and falls, or runs out, and some Romance ones that are part of
/// other words. Beside a word of work they may be progress; alone they are not.
static GAUGES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words_of(concat!(
        "active idle free busy available left remaining online offline members member nodes ",
        "peers lag depth level signal battery quorum healthy permits tokens token budget ",
        "credits uptime elapsed buffer buffers clients seats occupied players votes below ",
        "lost connected desired allocated reserved waiting ttl age port version ratio rank ",
        "timeout inflight concurrency cola fila coda disco activo activos activa activas ",
        "ativo ativos ativa ativas attivi attive stars rating points lease weight failed ",
        "errors arena inode inodes socket sockets endpoints goroutines fds descriptors ",
        "locks fuel hp speed temp temperature fan stock tickets sold lives rooms spaces ",
        "brightness pressure subscribers listeners viewers handles rps qps use day week ",
        "joined balance spent cost price window cores cpus gpus vcpus"
    ))
});

/// Stems in other languages for gauges, measures and attempts: German and Dutch; French; Spanish,
/// Portuguese and Italian; Turkish and Polish; Russian; Japanese; Chinese; Korean.
static STEMS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let stems = words_of(concat!(
        "speicher auslast belegt verbindung warteschlange genutzt verfügbar kontingent ",
        "gleichzeitig aktiv sitzung punkte bewertung geheugen gebruik verbinding frei ",
        "wiederhol verbraucht mémoire connexion utilis occup libre actif d'attente ",
        "essai disponible restant memoria memória conexi conex conness usad usat ocupad ",
        "occupat livre liber intent tentativ sesion sesión sessão sessõ session bellek ",
        "bağlant kullan dolu aktif kuyruk deneme pamięć połącze użyci памят соединен занят ",
        "использ свобод актив очеред нагруз попыт подключ остал 使用 メモリ 接続 待機 空き 残り 稼働 待ち 容量 ",
        "負荷 同時 試行 リトライ バッテリ 電池 評価 内存 连接 連接 空闲 等待 剩余 占用 在线 队列 重试 负载 电量 사용 메모리 연결 대기 남은 용량 점유 ",
        "접속 시도"
    ));
    AhoCorasick::new(stems).expect("the stems are constants")
});

/// Units of time and of weather: `after 4 of 90 minutes`.
static UNITS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words_of(concat!(
        "ms s sec secs second seconds min mins minute minutes h hr hrs hour hours day days ",
        "week weeks month months year years sekunden minuten stunden tage segundos minutos ",
        "horas secondes heures dias c"
    ))
});

/// Units at the start of a text without spaces.
const UNITS_IN_TEXT: [&str; 12] = [
    "秒", "分", "時間", "ヶ月", "小时", "초", "분", "시간", "°", "%", "円", "元",
];

fn words_of(text: &'static str) -> HashSet<&'static str> {
    text.split(' ').collect()
}

/// The pair at `place` in `line` as a sample, unless its words say that it is something else
/// than progress.
pub(super) fn sample(
    line: &str,
    place: Range<usize>,
    (current, total): (u64, u64),
    candidate: Candidate<'_>,
) -> Option<Sample> {
    let is_other = total < 2
        || is_time_or_unit(candidate.after)
        || is_page(last_word(candidate.before))
        || is_up(candidate.before)
        || is_request(line)
        || is_gauge(candidate.before)
        || is_gauge(after_clause(candidate.after));
    if is_other {
        return None;
    }
    let mut template = Template::new();
    template.add_masked(line.get(..place.start)?);
    template.add("|");
    template.add_number(total);
    template.add_masked(line.get(place.end..)?);
    Some(Sample {
        template: template.finish(),
        current,
        total,
        is_share: false,
    })
}

/// The percentage `share` at `place` in `line` as a sample, unless its words say that it is something
/// else than progress. What follows it, such as a size, differs from line to line, so only the words
/// beside it make the template.
pub(super) fn share(
    line: &str,
    place: Range<usize>,
    share: u64,
    candidate: Candidate<'_>,
) -> Option<Sample> {
    const MOST_WORDS: usize = 2;
    let Candidate { before, after, .. } = candidate;
    let lead = line.get(..place.start)?;
    // The rows of a table have other numbers, and a bound is no progress: `62% <= 1.2 ms`.
    let is_other = lead.contains(|character: char| character.is_ascii_digit())
        || after
            .trim_start()
            .starts_with(['<', '>', '=', '±', '+', '-'])
        || is_page(last_word(before))
        || is_request(line)
        || is_gauge(before)
        || is_gauge(first_words(after));
    if is_other {
        return None;
    }
    let is_word = |word: &&str| word.chars().all(char::is_alphabetic);
    let words = after
        .split_whitespace()
        .take(MOST_WORDS)
        .take_while(is_word);
    let mut template = Template::new();
    template.add_masked(lead);
    template.add("%");
    words.for_each(|word| template.add_masked(word));
    Some(Sample {
        template: template.finish(),
        current: share,
        total: 100,
        is_share: true,
    })
}

/// Whether `text` is about a gauge, a measure or attempts, in any language that is known here.
pub(in crate::log_parser) fn is_gauge(text: &str) -> bool {
    let text = head(text, MOST_BYTES);
    if has_measure(text) || has_attempt(text) {
        return true;
    }
    let lower = text.to_lowercase();
    STEMS.is_match(&lower)
        || lower
            .split(|character: char| !character.is_alphabetic())
            .any(|word| GAUGES.contains(word))
}

/// The words that belong to a pair and follow it.
fn after_clause(after: &str) -> &str {
    let end = after.find([';', '|', '。']).unwrap_or(after.len());
    after.get(..end).unwrap_or_default()
}

/// The words beside a percentage.
fn first_words(after: &str) -> &str {
    const MOST_WORDS: usize = 3;
    let after = after_clause(after.trim_start());
    let after = after.split(',').next().unwrap_or_default();
    let mut ends = after.match_indices(' ');
    let end = ends.nth(MOST_WORDS - 1).map(|(end, _)| end);
    after.get(..end.unwrap_or(after.len())).unwrap_or_default()
}

/// Whether the pair after `before` counts what is up: `hosts up 3/5`, but not `backing up 3/5`.
fn is_up(before: &str) -> bool {
    let Some((verb, "up")) = before.trim_end_matches([' ', ':', '=']).rsplit_once(' ') else {
        return false;
    };
    !(verb.ends_with("ing") || verb.ends_with("ed"))
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end_matches(|character: char| !character.is_alphanumeric());
    let start = text.trim_end_matches(char::is_alphabetic).len();
    text.get(start..).unwrap_or_default()
}

fn is_time_or_unit(after: &str) -> bool {
    let after = after.trim_start();
    let word = after.split(|character: char| !character.is_alphabetic());
    let word = word.into_iter().next().unwrap_or_default();
    UNITS.contains(word.to_lowercase().as_str())
        || UNITS_IN_TEXT.iter().any(|unit| after.starts_with(unit))
}

/// Whether the line is of a server that logs its requests.
fn is_request(line: &str) -> bool {
    const SIGNS: [&str; 8] = [
        "GET /", "POST /", "PUT /", "DELETE /", "PATCH /", "HEAD /", "HTTP/1", "HTTP/2",
    ];
    let line = head(line, MOST_BYTES);
    SIGNS.iter().any(|sign| line.contains(sign))
}

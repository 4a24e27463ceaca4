//! Counters that count because they move, in any language, and numbers that never do.

use progress_core::fold::{Fact, FactLog, KeyedFact, LineKey, Run};
use progress_core::log_event::LogEvent;
use progress_core::log_parser::{LogFormat, parse_message};
use progress_core::model::{Progress, Timestamp};

fn facts_of(lines: &[String]) -> Vec<KeyedFact> {
    let mut facts = Vec::new();
    for (number, line) in (0..).zip(lines) {
        let time = Timestamp::from_millis(1_763_200_000_000 + number * 1_000);
        let event = LogEvent {
            log_stream: "main".to_owned(),
            timestamp: time,
            ingested_at: time,
            event_id: format!("{number:056}"),
            message: line.clone(),
        };
        parse_message(LogFormat::AGENT, line, &mut |inner, observation| {
            facts.push((LineKey::of(&event, inner), Fact::line(observation)));
        });
    }
    facts
}

fn newest(runs: &[Run]) -> Option<Progress> {
    runs.last().map(|run| run.report().progress)
}

/// What a live log shows after its lines, and what it shows if it ends there.
fn progress_of(lines: &[String]) -> (Option<Progress>, Option<Progress>) {
    let log: FactLog = facts_of(lines).into_iter().collect();
    let mut whole = log.clone();
    whole.end_of_log(false);
    (newest(&log.runs()), newest(&whole.runs()))
}

fn is_at(progress: Option<Progress>, current: u64, total: u64) -> bool {
    progress
        .is_some_and(|progress| (progress.current, progress.total) == (Some(current), Some(total)))
}

/// Lines of one template, with `{n}` and `{of}` for the numbers and `{x}` for one that changes.
fn lines_of(template: &str, values: &[u64], total: u64) -> Vec<String> {
    let lines = values.iter().enumerate().map(|(number, value)| {
        let line = template.replace("{n}", &value.to_string());
        let line = line.replace("{of}", &total.to_string());
        line.replace("{x}", &(number * 37 % 91).to_string())
    });
    lines.collect()
}

/// Lines in which the first number counts, although no known word says so.
const COUNTERS: [&str; 47] = [
    // English
    "charted {n} out of {of} basins",
    "basins charted ({n}/{of})",
    "{n}/{of} harbor-{x}.svg",
    "buoy {n} of {of}: tide-{x}.csv",
    "anchored {n}/{of} in 0.{x}s",
    "sounding {n} of {of} took {x}",
    // Japanese
    "海図を仕上げました {n}/{of}",
    "{of}件中{n}件を照合しました",
    "{of} 隻中 {n} 隻が到着",
    "{n}／{of} 港を点検",
    "灯台を点検 {n} / {of}（{x} 番）",
    // Chinese
    "已校对 {n}/{of} 张海图",
    "第 {n}/{of} 个港口",
    "共 {of} 艘 中 {n} 艘",
    // Korean
    "해도 {n}/{of}장을 그렸습니다",
    "{of}개 중 {n}개를 확인함",
    // German, Dutch
    "Karte {n} von {of} gezeichnet",
    "Bojen vermessen: {n}/{of}",
    "{n} von {of} Häfen fertig",
    "kaart {n} van {of} getekend",
    // French
    "carte {n} sur {of} dessinée",
    "bouée n° {x} relevée ({n} sur {of})",
    "{n} de {of} ports vus",
    // Spanish, Portuguese, Italian
    "carta {n} de {of} dibujada",
    "boya marcada {n}/{of}",
    "mapa {n} de {of} desenhado",
    "porto {n}/{of} visto",
    "carta {n} di {of} disegnata",
    "faro {n}/{of} acceso",
    // Russian, Turkish, Polish, Greek, Arabic, Hindi, Thai, Vietnamese
    "нарисовано карт: {n} из {of}",
    "порт {n}/{of} готов",
    "harita {n}/{of} çizildi",
    "mapa {n}/{of} gotowa",
    "χάρτης {n}/{of} έτοιμος",
    "خريطة {n}/{of}",
    "मानचित्र {n}/{of} तैयार",
    "แผนที่ {n}/{of}",
    "bản đồ {n}/{of} xong",
    // Fields
    "level=info msg=\"charted\" basin={n} basins={of}",
    "charted done={n} total={of}",
    "karte fertig={n} gesamt={of} dauer_ms={x}",
    "{\"fertig\":{n},\"gesamt\":{of}}",
    "{\"level\":30,\"time\":1763200000{x},\"pid\":4,\"msg\":\"karte\",\"fertig\":{n},\"gesamt\":{of}}",
    "{\"fehler\":0,\"hecho\":{n},\"meta\":{of},\"ms\":{x}}",
    "{\"msg\":\"carte dessinée\",\"data\":{\"faites\":{n},\"prévues\":{of}}}",
    "{\"総数\":{of},\"済\":{n}}",
    "{\"level\":\"info\",\"msg\":\"karte {n} von {of} gezeichnet\"}",
];

#[test]
fn what_moves_counts_in_any_language() {
    let mut wrong = Vec::new();
    for template in COUNTERS {
        let mut check = |values: &[u64], total, is_live: bool| {
            let (live, whole) = progress_of(&lines_of(template, values, total));
            let found = if is_live { live } else { whole };
            if !is_at(found, values[values.len() - 1], total) {
                wrong.push(format!("{template} {values:?}, live {is_live}: {found:?}"));
            }
        };
        check(&[1, 2, 3, 4], 9, true);
        check(&[1, 2, 3, 4], 9, false);
        // A whole log needs less.
        check(&[1, 2], 9, false);
        // It may have begun before the log, and not each value is printed.
        check(&[400, 700, 900, 1_300], 9_000, true);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_number_pair_alone_shows_nothing() {
    for template in COUNTERS
        .iter()
        .filter(|template| !template.contains("basins={of}"))
    {
        let (live, whole) = progress_of(&lines_of(template, &[3], 9));
        assert_eq!((live, whole), (None, None), "{template}");
        let (live, whole) = progress_of(&lines_of(template, &[3, 3, 3, 3, 3], 9));
        assert_eq!((live, whole), (None, None), "{template}");
    }
}

/// Lines in which numbers move without being progress.
const OTHERS: [&str; 61] = [
    "heap {n}/{of} MB",
    "heap use {n} of {of}",
    "disk /data {n}/{of} used",
    "connections {n}/{of}",
    "{n} of {of} connections open",
    "queue {n}/{of}",
    "workers busy {n} of {of}",
    "replicas {n}/{of}",
    "{n}/{of} pods ready",
    "{n} of {of} members answer",
    "attempt {n} of {of}",
    "next try {n}/{of} in {x} ms",
    "rating {n}/{of}",
    "{n}/{of} stars",
    "score {n}/{of}",
    "tokens {n}/{of}",
    "context budget {n} of {of}",
    "token budget: {n}/{of}",
    "credits {n}/{of}",
    "uptime {n}/{of}",
    "after {n} of {of} minutes",
    "elapsed {n}/{of} s",
    "{n}/{of} seconds",
    "rate limit {n}/{of}",
    "{n} of {of} remaining",
    "{n}/{of} left",
    "battery {n}/{of}",
    "cache hits {n}/{of}",
    "127.0.0.1 - - \"GET /items?page={n}/{of} HTTP/1.1\" 200 {x}",
    "\"GET /a\" 200 {n}/{of}",
    "showing page {n} of {of}",
    "https://tides.example.org/{n}/{of}",
    "wrote /charts/{n}/{of}.svg",
    "v{n}/{of} is out",
    "covered lines {n}/{of}",
    "GC pause, buffers {n}/{of}",
    "clients online {n} of {of}",
    "votes {n} of {of}",
    "lag {n} of {of}",
    "timeout {n}/{of}",
    // Other languages
    "使用中 {n}/{of}",
    "メモリ {n}/{of}",
    "接続数 {n}/{of}",
    "再試行 {n}/{of}",
    "残り {n}/{of}",
    "内存 {n}/{of}",
    "连接数 {n}/{of}",
    "메모리 {n}/{of}",
    "연결 {n}/{of}",
    "Speicher {n} von {of}",
    "Verbindungen {n}/{of}",
    "{n} von {of} Plätzen belegt",
    "mémoire {n} sur {of}",
    "connexions {n}/{of}",
    "memoria {n} de {of}",
    "conexiones {n}/{of}",
    "память {n} из {of}",
    "соединений {n} из {of}",
    "попытка {n} из {of}",
    "bellek {n}/{of}",
    "bağlantı {n}/{of}",
];

/// Fields in which numbers move without being progress.
const OTHER_FIELDS: [&str; 12] = [
    "{\"heap_used\":{n},\"heap_total\":{of}}",
    "{\"connections\":{n},\"max\":{of}}",
    "{\"speicher\":{n},\"gesamt\":{of}}",
    "{\"tokens\":{n},\"grenze\":{of}}",
    "{\"msg\":\"GC\",\"vorher\":{n},\"nachher\":{of},\"pool\":3}",
    "{\"msg\":\"rate limit\",\"n\":{n},\"m\":{of}}",
    "{\"method\":\"GET\",\"path\":\"/a\",\"a\":{n},\"b\":{of}}",
    "{\"uptime\":{n},\"port\":{of}}",
    "level=info msg=\"pool\" a={n} b={of}",
    "level=info msg=call took={n} timeout={of}",
    "level=info active={n} max={of}",
    "method=GET path=/a n={n} m={of}",
];

#[test]
fn gauges_do_not_count() {
    let ways: [&[u64]; 4] = [
        // Up to a limit
        &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12, 12, 12, 12, 12,
        ],
        // Up and down
        &[3, 5, 8, 6, 9, 4, 5, 7, 2, 6, 8, 9, 10, 4, 3, 5, 7, 8, 2, 1],
        // Up, and back to nothing
        &[0, 4, 9, 0, 3, 7, 0, 5, 6, 8, 0, 1, 4, 0, 2, 9, 11, 0, 4, 5],
        // Slowly up
        &[2, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7, 8, 8],
    ];
    for template in OTHERS.iter().chain(&OTHER_FIELDS) {
        for values in ways {
            let lines = lines_of(template, values, 12);
            for count in 1..=lines.len() {
                let (live, whole) = progress_of(&lines[..count]);
                assert_eq!((live, whole), (None, None), "{template} {values:?} {count}");
            }
        }
    }
}

#[test]
fn what_falls_does_not_count_whatever_its_words() {
    for values in [
        &[3, 5, 8, 6, 9, 4, 5, 7, 2, 6, 8, 9, 10, 4, 3, 5, 7, 8, 2, 1][..],
        &[7, 7, 8, 7, 7, 7, 9, 9, 9, 8, 7, 8, 9, 7, 7, 6, 5, 6, 7, 8],
        &[
            12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 3, 5, 7, 9, 10, 11, 12,
        ],
        &[5, 6, 4, 7, 3, 8, 2, 9, 1, 10, 0, 11, 0, 5, 0, 6, 0, 7, 0, 8],
        &[2, 2, 3, 2, 3, 3, 2, 2, 3, 2, 3, 3, 2, 3, 2, 3, 2, 3, 2, 3],
    ] {
        let lines = lines_of("Kutter {n}/{of} Hafen", values, 12);
        let (live, whole) = progress_of(&lines);
        let nothing = Some(Progress::default());
        assert_eq!((live, whole), (nothing, nothing), "{values:?}");
    }
    // One that rose at first is taken back.
    let lines = lines_of("Kutter {n}/{of}", &[2, 4, 7, 9, 10, 3, 5, 2], 12);
    let (live, _) = progress_of(&lines);
    assert_eq!(live, Some(Progress::default()));
}

#[test]
fn a_counter_may_begin_again_and_print_out_of_order() {
    for (values, current) in [
        (&[1, 2, 3, 4, 6, 5, 8, 7, 9][..], 9),
        (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9], 9),
        (&[0, 3, 3, 3, 6, 6, 6, 7, 7, 8], 8),
    ] {
        let (live, whole) = progress_of(&lines_of("Karte {n} von {of}", values, 9));
        assert!(is_at(live, current, 9), "{values:?} {live:?}");
        assert!(is_at(whole, current, 9), "{values:?} {whole:?}");
    }
}

#[test]
fn the_outer_counter_does_not_begin_again() {
    let mut lines = Vec::new();
    for chart in 1..=4 {
        lines.push(format!("Karte {chart} von 9"));
        lines.extend(lines_of("  Kachel {n}/{of}", &[1, 2, 3, 4, 5], 5));
    }
    let (live, _) = progress_of(&lines);
    assert!(is_at(live, 4, 9), "{live:?}");
    // The inner one has another name each time.
    let mut lines = Vec::new();
    for (chart, name) in (1..).zip(["Nord", "Ost", "West"]) {
        lines.extend(lines_of(
            &format!("{name} {{n}}/{{of}}"),
            &[1, 2, 3, 4, 5],
            5,
        ));
        lines.push(format!("Karte {chart} von 9"));
    }
    let (live, _) = progress_of(&lines);
    assert!(is_at(live, 3, 9), "{live:?}");
}

#[test]
fn a_word_that_says_so_tells_more() {
    let mut lines = vec!["Step 1/4: charts".to_owned()];
    lines.extend(lines_of("Kachel {n}/{of}", &[1, 2, 3, 4, 5], 9));
    lines.push("Step 2/4: tides".to_owned());
    let (live, _) = progress_of(&lines);
    assert!(is_at(live, 2, 4), "{live:?}");
}

#[test]
fn a_percentage_without_a_word_counts_once_it_rose_from_a_low_start() {
    let percentage = |values: &[u64]| {
        let lines = lines_of("tide {n}% of the basin, {x} boats", values, 0);
        let (live, whole) = progress_of(&lines);
        let percentage = |shown: Option<Progress>| shown.and_then(|shown| shown.percentage);
        (percentage(live), percentage(whole))
    };
    assert_eq!(percentage(&[2, 9, 17, 30, 44]), (Some(44), Some(44)));
    assert_eq!(percentage(&[2, 9, 17]), (None, Some(17)));
    assert_eq!(percentage(&[2, 9]), (None, None));
    // Percentiles, and a measure.
    assert_eq!(percentage(&[50, 66, 75, 90, 99, 100]), (None, None));
    assert_eq!(percentage(&[2, 9, 17, 30, 22, 44, 60]), (None, None));
}

#[test]
fn a_terminal_shows_each_step_of_a_counter_several_times() {
    let lines = lines_of("{n}/{of} Karten", &[1, 1, 2, 2, 3, 3, 4, 4], 5);
    let (live, _) = progress_of(&lines);
    assert!(is_at(live, 4, 5), "{live:?}");
}

#[test]
fn a_further_run_begins_with_its_counter() {
    let once = [
        lines_of("Karte {n} von {of}", &[1, 2, 3, 4], 4),
        vec!["Deployment completed successfully".to_owned()],
    ]
    .concat();
    let twice = [once.clone(), once].concat();
    let log: FactLog = facts_of(&twice).into_iter().collect();
    assert_eq!(log.runs().len(), 2, "{:?}", log.runs());
}

#[test]
fn a_long_log_of_pairs_stays_small() {
    let mut log = FactLog::default();
    let mut most = 0;
    for chunk in 0..60_u64 {
        let lines: Vec<String> = (0..200_u64)
            .map(|line| {
                let value = chunk * 200 + line;
                format!("sonde {} sieht {}/{}", line % 7, value, 100_000 + line % 90)
            })
            .collect();
        let mut facts = facts_of(&lines);
        for (number, (key, _)) in (0..).zip(&mut facts) {
            let time = Timestamp::from_millis(
                1_763_200_000_000 + i64::try_from(chunk).unwrap() * 300_000 + number,
            );
            *key = LineKey::outside_logs(time);
        }
        log.add(facts);
        log.make_storable();
        most = most.max(serde_json::to_vec(&log).unwrap().len());
    }
    assert!(
        log.facts().len() <= 512 && most < 200_000,
        "{} {most}",
        log.facts().len()
    );
}

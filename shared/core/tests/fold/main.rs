//! Property tests of the fold on generated logs. The state of a task depends only on the lines, not
//! on their order, batches or repetition.
//!
//! `PROPTEST_CASES=100000 cargo test -p progress-core --test fold` runs many more cases.

mod edits;
mod runs;

use progress_core::fold::{Ledger, LineKey, Report};
use progress_core::model::TaskStatus;
use proptest::prelude::*;
use runs::{Line, any_log, sensible_log};

/// The number of cases of each property, unless `PROPTEST_CASES` is set.
const CASES: u32 = 1_000;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(CASES),
        ..ProptestConfig::default()
    }
}

fn fold<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Ledger {
    let mut ledger = Ledger::default();
    for line in lines {
        ledger.observe(line.key, &line.observation);
    }
    ledger
}

/// A log, the same lines in another order and some of them twice, and where to split them.
fn log_and_deliveries() -> impl Strategy<Value = (Vec<Line>, Vec<Line>, Vec<usize>)> {
    any_log().prop_flat_map(|log| {
        let repeated = proptest::collection::vec(any::<bool>(), log.len());
        let again = log.clone();
        let delivered = repeated.prop_flat_map(move |repeated| {
            let twice = again.iter().zip(repeated).filter(|(_, twice)| *twice);
            let extra: Vec<_> = twice.map(|(line, _)| line.clone()).collect();
            Just([again.clone(), extra].concat()).prop_shuffle()
        });
        let cuts = proptest::collection::vec(0..log.len().max(1), 0..4);
        (Just(log), delivered, cuts)
    })
}

fn batches<'a>(lines: &'a [Line], cuts: &[usize]) -> Vec<&'a [Line]> {
    let mut cuts: Vec<_> = cuts
        .iter()
        .copied()
        .filter(|cut| *cut < lines.len())
        .collect();
    cuts.extend([0, lines.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| &lines[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #![proptest_config(config())]

    /// Folding is idempotent.
    #[test]
    fn folding_the_same_lines_again_changes_nothing((log, _, _) in log_and_deliveries()) {
        let once = fold(&log);
        prop_assert_eq!(&once, &fold(log.iter().chain(&log)));
        let mut joined = once.clone();
        joined.merge(&once);
        prop_assert_eq!(joined, once);
    }

    /// Ledgers may be split, overlap, and be merged in any order.
    #[test]
    fn the_order_and_the_batches_of_lines_do_not_matter((log, delivered, cuts) in log_and_deliveries()) {
        let whole = fold(&log);
        let ledgers: Vec<_> =
            batches(&delivered, &cuts).into_iter().map(fold).collect();
        let join = |ledgers: &mut dyn Iterator<Item = &Ledger>| {
            ledgers.fold(Ledger::default(), |mut all, ledger| {
                all.merge(ledger);
                all
            })
        };
        let (forward, backward) = (join(&mut ledgers.iter()), join(&mut ledgers.iter().rev()));
        prop_assert_eq!(&forward, &whole);
        prop_assert_eq!(&backward, &whole);
        prop_assert_eq!(Report::of(&forward), Report::of(&whole));
    }

    /// A run does not go backwards while lines arrive in order.
    #[test]
    fn a_run_never_goes_backwards(log in sensible_log()) {
        let mut ledger = Ledger::default();
        let mut before: Option<Report> = None;
        for line in &log {
            ledger.observe(line.key, &line.observation);
            let Some(report) = Report::of(&ledger) else { continue };
            if let Some(before) = &before {
                check_step(before, &report)?;
            }
            before = Some(report);
        }
    }

    /// A part has a start, an end once it is terminal, and both are within the log.
    #[test]
    fn a_part_has_a_start_and_an_end((log, _, _) in log_and_deliveries()) {
        let Some(report) = Report::of(&fold(&log)) else { return Ok(()) };
        for (name, part) in &report.parts {
            let start = part.started_at.unwrap();
            prop_assert_eq!(part.completed_at.is_some(), part.status.is_terminal(), "{}", name);
            let end = part.completed_at.unwrap_or(report.last.time());
            prop_assert!(report.first.time() <= start && start <= end, "{name}: {start} {end}");
            prop_assert!(end <= report.last.time(), "{name} ended after the last line");
        }
    }

    #[test]
    fn a_ledger_survives_serialization((log, _, _) in log_and_deliveries()) {
        let ledger = fold(&log);
        let json = serde_json::to_string(&ledger).unwrap();
        prop_assert_eq!(serde_json::from_str::<Ledger>(&json).unwrap(), ledger);
    }
}

fn check_step(before: &Report, after: &Report) -> Result<(), TestCaseError> {
    let is_new_run = after.run > before.run;
    prop_assert!(
        after.run >= before.run,
        "an earlier run replaced a later one"
    );
    prop_assert!(
        !before.status.is_terminal() || after.status == before.status || is_new_run,
        "{:?} became {:?} within a run",
        before.status,
        after.status
    );
    let turned = |report: &Report| {
        let phases = report
            .parts
            .values()
            .filter_map(|part| part.phase.as_deref());
        report.status == TaskStatus::Failed
            || phases.into_iter().any(|phase| phase.contains("roll"))
    };
    if !is_new_run && !turned(after) && !turned(before) {
        let percentages = (before.progress.percentage, after.progress.percentage);
        prop_assert!(
            percentages.1.is_none() || percentages.0 <= percentages.1,
            "the percentage fell: {percentages:?}"
        );
    }
    for (name, part) in &before.parts {
        // The CloudFormation name replaces the display name once it is known.
        let now = after
            .parts
            .get(name)
            .or_else(|| after.parts.get(&name.replace('/', "-")));
        prop_assert!(now.is_some(), "the part {name} was lost");
        let stays = now.is_some_and(|now| now.status == part.status);
        prop_assert!(
            !part.status.is_terminal() || stays || is_new_run,
            "{name} left a terminal status"
        );
    }
    Ok(())
}

#[test]
fn a_line_has_the_same_key_each_time_it_is_read() {
    let event = progress_core::log_event::LogEvent {
        log_stream: "main".to_owned(),
        timestamp: progress_core::model::Timestamp::from_millis(5),
        event_id: "17".to_owned(),
        message: String::new(),
    };
    assert_eq!(
        LineKey::of(&event, 3),
        LineKey::of(&event.clone(), 0).with_line(3)
    );
}

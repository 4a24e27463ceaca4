//! Checks of the tails of logs.

use std::time::Duration;

use shared::log_tail::{TAIL_PARTS, TailPart};
use shared::model::RunId;

use super::moment;
use crate::embedded_dynamodb::Stores;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The parts of a tail are read as they were written; parts with the same place replace each other.
pub async fn a_tail_has_the_latest_parts(stores: Stores) {
    let tasks = &*stores.tasks;
    let run = |task_id: &str, second| RunId {
        task_id: task_id.parse().unwrap(),
        run: moment(second),
    };
    let (one, other, later) = (run("t", 5), run("other", 5), run("t", 6));
    assert_eq!(tasks.tail(&one).await.unwrap(), []);
    let part = |sequence: u32| {
        let mut part = TailPart::new(sequence);
        part.push(
            moment(i64::from(sequence)),
            sequence.is_multiple_of(2),
            &format!("\u{1b}[31mline {sequence}"),
        );
        part
    };
    for sequence in 0..TAIL_PARTS + 3 {
        tasks.save_tail(&one, &part(sequence), DAY).await.unwrap();
    }
    for run_id in [&other, &later] {
        tasks.save_tail(run_id, &part(7), DAY).await.unwrap();
    }
    let mut parts = tasks.tail(&one).await.unwrap();
    parts.sort_by_key(|part| part.sequence);
    let expected: Vec<_> = (3..TAIL_PARTS + 3).map(part).collect();
    assert_eq!(parts, expected);
    for run_id in [&other, &later] {
        assert_eq!(tasks.tail(run_id).await.unwrap(), [part(7)]);
    }
}

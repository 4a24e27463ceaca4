//! Checks of the tails of logs.

use std::time::Duration;

use shared::log_tail::{TAIL_PARTS, TailPart};

use super::moment;
use crate::embedded_dynamodb::Stores;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The parts of a tail are read as they were written; parts of a session with the same place replace
/// each other.
pub async fn a_tail_has_the_latest_parts(stores: Stores) {
    let tasks = &*stores.tasks;
    let (one, other) = ("t".parse().unwrap(), "other".parse().unwrap());
    assert_eq!(tasks.tail(&one, None).await.unwrap(), []);
    let part_of = |session: &str, sequence: u32| {
        let mut part = TailPart::new(session, sequence);
        part.push(
            moment(i64::from(sequence)),
            &format!("\u{1b}[31mline {sequence}"),
        );
        part
    };
    let part = |sequence: u32| part_of("", sequence);
    for sequence in 0..TAIL_PARTS + 3 {
        tasks.save_tail(&one, &part(sequence), DAY).await.unwrap();
    }
    tasks.save_tail(&other, &part(7), DAY).await.unwrap();
    let mut parts = tasks.tail(&one, None).await.unwrap();
    parts.sort_by_key(|part| part.sequence);
    let expected: Vec<_> = (3..TAIL_PARTS + 3).map(part).collect();
    assert_eq!(parts, expected);
    assert_eq!(tasks.tail(&other, None).await.unwrap(), [part(7)]);
    // The same sequences of two sessions.
    for session in ["one", "other"] {
        let part = part_of(session, 7);
        tasks.save_tail(&other, &part, DAY).await.unwrap();
    }
    for session in ["one", "other"] {
        let expected = part_of(session, 7);
        let parts = tasks.tail(&other, Some(expected.session)).await.unwrap();
        assert_eq!(parts, [expected]);
    }
    assert_eq!(tasks.tail(&other, None).await.unwrap().len(), 3);
}

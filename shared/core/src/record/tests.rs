use super::draft::{EARLIEST_RUN_MS, names_between};
use crate::fold::LineKey;
use crate::model::Timestamp;

/// Times are in milliseconds after this one.
const BASE_MS: i64 = 1_700_000_000_000;

fn names(starts: &[i64], last_final: Option<i64>, stored: &[i64]) -> Vec<i64> {
    let time = |ms: i64| Timestamp::from_millis(BASE_MS + ms);
    let starts = starts
        .iter()
        .map(|start| LineKey::outside_logs(time(*start)));
    let stored: Vec<_> = stored.iter().map(|stored| time(*stored)).collect();
    let names = names_between(&starts.collect::<Vec<_>>(), last_final.map(time), &stored);
    names
        .into_iter()
        .map(|name| name.as_millis() - BASE_MS)
        .collect()
}

#[test]
fn a_run_is_called_by_its_start_when_it_is_first_stored() {
    assert_eq!(names(&[10, 20], None, &[]), [10, 20]);
    assert_eq!(
        names(&[8, 20], None, &[10]),
        [10, 20],
        "an earlier line came late"
    );
    assert_eq!(names(&[10, 15, 20], None, &[10, 20]), [10, 15, 20]);
}

#[test]
fn the_better_one_of_two_names_of_a_run_stays() {
    assert_eq!(names(&[10], None, &[10, 20]), [10]);
    assert_eq!(names(&[10, 30], None, &[20, 10]), [20, 30]);
}

#[test]
fn runs_of_one_millisecond_have_different_names() {
    assert_eq!(names(&[10, 10, 10, 13], None, &[]), [10, 11, 12, 13]);
    assert_eq!(names(&[10, 10], Some(11), &[12]), [12, 13], "two are final");
    assert_eq!(names(&[10, 10, 10], None, &[10, 11]), [10, 11, 12]);
}

#[test]
fn no_run_is_called_by_a_time_whose_keys_are_taken() {
    let named = names(&[-BASE_MS, -BASE_MS + 1], None, &[]);
    let earliest = EARLIEST_RUN_MS - BASE_MS;
    assert_eq!(named, [earliest, earliest + 1]);
}

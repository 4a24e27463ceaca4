//! The sample events in `events/collector`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use progress_collector::triggers::TRIGGERS;

#[test]
fn every_sample_event_matches_one_trigger_and_every_trigger_has_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/collector");
    let mut with_sample = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let event = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let is_match = |index: &usize| match (TRIGGERS[*index].matches)(&event) {
            Ok(trigger) => trigger.is_some(),
            Err(error) => panic!("{}: {error}", path.display()),
        };
        let matching: Vec<_> = (0..TRIGGERS.len()).filter(is_match).collect();
        assert_eq!(matching.len(), 1, "{}", path.display());
        with_sample.extend(matching);
    }
    let all: BTreeSet<_> = (0..TRIGGERS.len()).collect();
    assert_eq!(with_sample, all, "a trigger has no sample event");
}

//! Every file of `events/collector` is a trigger.

use std::fs;
use std::path::Path;

use progress_collector::{Trigger, parse_trigger};

#[test]
fn every_event_file_is_a_trigger() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/collector");
    let mut kinds = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let event = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let trigger =
            parse_trigger(&event).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        kinds.push(match trigger {
            Trigger::Sweep => "sweep",
            Trigger::Backfill { .. } => "backfill",
            Trigger::Push(_) => "push",
            Trigger::Stream(_) => "stream",
        });
    }
    for kind in ["sweep", "backfill", "push", "stream"] {
        assert!(kinds.contains(&kind), "no file is a {kind}");
    }
}

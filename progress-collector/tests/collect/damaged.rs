//! Tasks that can never be read or saved. Other tasks are saved all the same.

use std::sync::Arc;

use progress_collector::{Collector, Parts, Sweep};
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};

use crate::harness::{CDK, Harness, RUNNING, config, events, now};

const REFUSED: &str = "cdk:refused";
const DAMAGED: &str = "cdk:damaged";

/// The store refuses to save one task, and holds another that can't be read.
fn damages() -> Faults {
    let faults = Faults::none();
    faults.disturb(|call| match call.operation {
        "fetch_records" if call.is_about(DAMAGED) => Some(Fault::Error(ErrorKind::Invalid)),
        "save" if call.is_about(REFUSED) => Some(Fault::Error(ErrorKind::Refused)),
        _ => None,
    });
    faults
}

#[tokio::test]
async fn a_damaged_task_does_not_stop_its_log_group() {
    let harness = Harness::new(100);
    for stream in ["a", "damaged", "refused", "z"] {
        harness.logs.put(CDK, events(stream, &RUNNING));
    }
    let parts = harness.parts();
    let damaged = Parts {
        tasks: Arc::new(Faulty::new(parts.tasks.clone(), damages())),
        ..parts
    };
    let collector = Collector::new(damaged, config());
    let summary = collector.handle(&Sweep, now(), None).await.unwrap();
    let group = &summary.groups[0];
    assert_eq!((group.tasks_changed, group.tasks_refused), (2, 2));
    assert_eq!((group.complete, group.checkpoint), (true, Some(now())));
    for saved in ["cdk:a", "cdk:z"] {
        assert!(harness.task(saved).await.is_some(), "{saved}");
    }
}

//! Checks of checkpoints.

use shared::checkpoint::{Checkpoint, Resume};

use super::moment;
use crate::embedded_dynamodb::Stores;

/// Of two collectors, the later checkpoint stays.
pub async fn a_checkpoint_never_goes_back(stores: Stores) {
    let checkpoints = &*stores.checkpoints;
    let at = |read_up_to, saved_at| Checkpoint {
        read_up_to: moment(read_up_to),
        saved_at: moment(saved_at),
        resume: None,
    };
    for (saved, held) in [
        (at(10, 11), at(10, 11)),
        (at(9, 12), at(10, 11)),
        (at(10, 13), at(10, 13)),
        (at(20, 14), at(20, 14)),
    ] {
        checkpoints.save("/log/group", saved).await.unwrap();
        let loaded = checkpoints.load("/log/group").await.unwrap();
        assert_eq!(loaded, Some(held));
    }
    assert_eq!(checkpoints.load("/log").await.unwrap(), None);
}

/// A resume point is saved with its checkpoint, and replaced by a checkpoint of the same time. A
/// checkpoint without one removes it, and a collector that lags does not bring it back.
pub async fn a_resume_point_is_kept_until_its_window_is_finished(stores: Stores) {
    let checkpoints = &*stores.checkpoints;
    let at = |read_up_to, saved_at, next_token: Option<&str>| Checkpoint {
        read_up_to: moment(read_up_to),
        saved_at: moment(saved_at),
        resume: next_token.map(|next_token| Resume {
            start: moment(5),
            end: moment(30),
            next_token: next_token.to_owned(),
        }),
    };
    let long = "Bxkq6kVGFtq2y_Moigeqscg0:".repeat(80);
    for (saved, held) in [
        (at(10, 11, Some("1")), at(10, 11, Some("1"))),
        (at(10, 12, Some(&long)), at(10, 12, Some(&long))),
        (at(9, 13, Some("3")), at(10, 12, Some(&long))),
        (at(30, 14, None), at(30, 14, None)),
        (at(10, 15, Some("4")), at(30, 14, None)),
        (at(30, 16, Some("5")), at(30, 16, Some("5"))),
        (at(30, 17, None), at(30, 17, None)),
    ] {
        checkpoints.save("/log/group", saved).await.unwrap();
        let loaded = checkpoints.load("/log/group").await.unwrap();
        assert_eq!(loaded, Some(held));
    }
}

//! What identifies the lines of a request.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The number of digits of the session in the id of a line.
const SESSION: u64 = 10_u64.pow(18);

/// The lines of a request. A line is known by its session, the sequence number of the request, and
/// its place in the body, so it is the same line however often it is sent.
pub(super) struct Lines {
    session: u64,
    sequence: u32,
    is_session: bool,
}

impl Lines {
    /// The lines of a body. Without a session, the same body has the same lines.
    pub(super) fn new(session: Option<Uuid>, sequence: Option<u32>, body: &[u8]) -> Self {
        let name = match &session {
            Some(session) => session.as_bytes().as_slice(),
            None => body,
        };
        let digest = Sha256::digest(name);
        let number = digest.iter().take(8);
        let number = number.fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        // Other bodies without a session are other requests.
        let of_body = u32::try_from(number >> 32).unwrap_or(0);
        Self {
            session: number % SESSION,
            sequence: sequence.unwrap_or(of_body),
            is_session: session.is_some(),
        }
    }

    /// The event id of the record `number`, from 1. It is a number, so that records with the same
    /// time keep their order. 0 is for the session.
    pub(super) fn event_id(&self, number: u32) -> String {
        format!("{:018}{:010}{number:010}", self.session, self.sequence)
    }

    /// The number of the request among those of its session.
    pub(super) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Whether they are of a session.
    pub(super) fn is_session(&self) -> bool {
        self.is_session
    }
}

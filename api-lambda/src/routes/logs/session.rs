//! What identifies the lines of a request.

use sha2::{Digest, Sha256};
use shared::fold::SessionKey;
use shared::log_event::LogEvent;
use shared::model::Timestamp;
use shared::record::TaskOrigin;
use uuid::Uuid;

/// The lines of a request. A line is known by its session, the sequence number of the request, and
/// its place in the body, so it is the same line however often it is sent.
pub(super) struct Lines {
    session: Option<SessionKey>,
    hash: u64,
    sequence: u32,
}

impl Lines {
    /// The lines of a body, or of the command `command` in it (from 0). Without a session, the same
    /// body has the same lines.
    pub(super) fn new(
        session: Option<Uuid>,
        sequence: Option<u32>,
        (body, command): (&[u8], usize),
    ) -> Self {
        let name = match &session {
            Some(session) => session.as_bytes().as_slice(),
            None => body,
        };
        let mut digest = Sha256::new_with_prefix(name);
        if command > 0 {
            digest.update(command.to_be_bytes());
        }
        let digest = digest.finalize();
        let number = digest.iter().take(8);
        let number = number.fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        // Other bodies without a session are other requests.
        let of_body = u32::try_from(number >> 32).unwrap_or(0);
        Self {
            session: session.map(|_| SessionKey::of_hash(number)),
            hash: number,
            sequence: sequence.unwrap_or(of_body),
        }
    }

    /// The event of the record `number`, from 1. 0 is for the session. Its id is a number, so that
    /// records with the same time keep their order. `times` are its own, if it has one, and that of
    /// the request.
    pub(super) fn event(
        &self,
        origin: &TaskOrigin,
        number: u32,
        (timestamp, now): (Option<Timestamp>, Timestamp),
        message: String,
    ) -> LogEvent {
        LogEvent {
            log_stream: origin.log_stream.clone(),
            timestamp: timestamp.unwrap_or(Timestamp::LATEST),
            ingested_at: now,
            event_id: match self.session {
                Some(session) => session.event_id(self.sequence, number),
                None => format!("{:020}{number:010}", self.hash),
            },
            message,
        }
    }

    /// The number of the request among those of its session.
    pub(super) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The session that they belong to.
    pub(super) fn session(&self) -> Option<SessionKey> {
        self.session
    }

    /// The same lines as all lines of a command: a session of one request.
    pub(super) fn as_session(&self) -> Self {
        Self {
            session: Some(SessionKey::of_hash(self.hash)),
            hash: self.hash,
            sequence: 0,
        }
    }
}

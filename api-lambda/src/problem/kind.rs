//! The kinds of problems, on which clients may rely.
//!
//! `docs/problems.md` has the same list for people. A test compares both.

use axum::http::StatusCode;

/// Declares [`Kind`], with the status, the stable name and the title of each.
macro_rules! kinds {
    ($($variant:ident: $status:ident, $name:literal, $title:literal;)+) => {
        /// The kind of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($variant,)+
        }

        impl Kind {
            /// All kinds, ordered by status.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The status, the stable name and the title.
            pub(crate) fn parts(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$variant => (StatusCode::$status, $name, $title),)+
                }
            }
        }
    };
}

kinds! {
    InvalidParameters: BAD_REQUEST, "invalid-parameters", "Invalid parameters";
    MalformedBody: BAD_REQUEST, "malformed-body", "Malformed body";
    Unauthenticated: UNAUTHORIZED, "unauthenticated", "Unauthenticated";
    InsufficientScope: FORBIDDEN, "insufficient-scope", "Insufficient scope";
    UnknownPath: NOT_FOUND, "unknown-path", "Unknown path";
    TaskNotFound: NOT_FOUND, "task-not-found", "Task not found";
    ProjectNotFound: NOT_FOUND, "project-not-found", "Project not found";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed";
    TaskExists: CONFLICT, "task-exists", "Task exists";
    ProjectExists: CONFLICT, "project-exists", "Project exists";
    EarlierRun: CONFLICT, "earlier-run", "Earlier run";
    InvalidTransition: CONFLICT, "illegal-move", "Invalid status change";
    PreconditionFailed: PRECONDITION_FAILED, "precondition-failed", "Precondition failed";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body-too-large", "Body too large";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type";
    InvalidFields: UNPROCESSABLE_ENTITY, "invalid-fields", "Invalid fields";
    IdempotencyKeyReused: UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency key reused";
    Internal: INTERNAL_SERVER_ERROR, "internal", "Internal error";
    NotReady: SERVICE_UNAVAILABLE, "not-ready", "Not ready";
    Unavailable: SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Type and status of each row of the table.
    fn documented() -> Vec<(String, u16)> {
        let page = include_str!("../../../docs/problems.md");
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `/problems/"));
        rows.map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let name = cells.next().unwrap().trim_end_matches('`').to_owned();
            (name, cells.next().unwrap().parse().unwrap())
        })
        .collect()
    }

    #[test]
    fn the_documented_problems_are_all_kinds() {
        let kinds = Kind::ALL.iter().map(|kind| kind.parts());
        let expected: Vec<_> = kinds
            .map(|(status, name, _)| (name.to_owned(), status.as_u16()))
            .collect();
        assert_eq!(documented(), expected, "docs/problems.md");
    }

    #[test]
    fn every_kind_has_its_own_name() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.parts().1).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}

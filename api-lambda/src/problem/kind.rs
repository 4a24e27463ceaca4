//! The kinds of problems: what clients may rely on. `docs/problems.md` is this list for people, and a test holds
//! the two together.

use axum::http::StatusCode;

/// Declares [`Kind`], with the status, the stable name and the title of each.
macro_rules! kinds {
    ($($variant:ident: $status:ident, $name:literal, $title:literal;)+) => {
        /// What went wrong, for clients to tell apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($variant,)+
        }

        impl Kind {
            /// All kinds, in the order of their statuses.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// Status, stable name and title.
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
    InvalidTransition: CONFLICT, "illegal-move", "Illegal move";
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

    /// The rows of the table: type and status.
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
    fn the_table_of_problems_has_each_kind_and_no_other() {
        let kinds = Kind::ALL.iter().map(|kind| kind.parts());
        let expected: Vec<_> = kinds
            .map(|(status, name, _)| (name.to_owned(), status.as_u16()))
            .collect();
        assert_eq!(documented(), expected, "docs/problems.md");
    }

    #[test]
    fn a_name_is_one_kind_alone() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.parts().1).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}

//! The caller of a request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::auth::access::Scope;

/// The caller of a request. Handlers take it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    issuer: Option<String>,
    subject: Option<String>,
    may_read: bool,
    may_write: bool,
    may_read_logs: bool,
}

impl Principal {
    /// The caller with `AUTH_MODE=none`, who may do everything.
    pub(crate) fn anonymous() -> Self {
        Self {
            issuer: None,
            subject: None,
            may_read: true,
            may_write: true,
            may_read_logs: true,
        }
    }

    /// The caller that a token identifies, with the scopes of the token.
    pub(super) fn new<'a>(
        issuer: Option<String>,
        subject: Option<String>,
        scopes: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut principal = Self {
            issuer,
            subject,
            may_read: false,
            may_write: false,
            may_read_logs: false,
        };
        for scope in scopes {
            principal.may_read |= scope == Scope::Read.name();
            principal.may_write |= scope == Scope::Write.name();
            principal.may_read_logs |= scope == Scope::Logs.name();
        }
        principal
    }

    /// The issuer of the token (`iss`); `None` without a token or without the claim.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The subject of the token (`sub`); `None` without a token or without the claim.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Whether the caller has `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.may_read,
            Scope::Write => self.may_write,
            Scope::Logs => self.may_read_logs,
        }
    }

    /// A text that identifies the principal. It includes the issuer, because a subject is unique
    /// only within its issuer. All callers without issuer and subject share one identity.
    pub fn identity(&self) -> String {
        let name = (self.issuer(), self.subject());
        serde_json::to_string(&name).unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Infallible;

    /// The authenticated caller. On an open route, a caller without a name and without scopes.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let principal = parts.extensions.get().cloned();
        Ok(principal.unwrap_or_else(|| Self::new(None, None, [])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(issuer: Option<&str>, subject: Option<&str>) -> Principal {
        Principal::new(issuer.map(str::to_owned), subject.map(str::to_owned), [])
    }

    #[test]
    fn different_principals_have_different_identities() {
        let all = [
            named(None, None),
            named(None, Some("a")),
            named(Some("a"), None),
            named(Some("a"), Some("a")),
            named(Some("a\",\"b"), Some("c")),
            named(Some("a"), Some("b\",\"c")),
            named(None, Some("null")),
            named(None, Some("")),
        ];
        for (index, one) in all.iter().enumerate() {
            for other in all.iter().skip(index + 1) {
                assert_ne!(one.identity(), other.identity());
            }
        }
    }

    #[test]
    fn a_scope_must_match_exactly() {
        let scopes = [
            "progress:read:own",
            "progress",
            "PROGRESS:READ",
            "progress:writer",
            "",
        ];
        let principal = Principal::new(None, None, scopes);
        assert!(!principal.may(Scope::Read) && !principal.may(Scope::Write));
        let principal = Principal::new(None, None, ["openid", "progress:write"]);
        assert!(!principal.may(Scope::Read) && principal.may(Scope::Write));
    }
}

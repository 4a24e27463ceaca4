//! Who asks.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::auth::Scope;

/// The sender of a request. Handlers take it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    issuer: Option<String>,
    subject: Option<String>,
    may_read: bool,
    may_write: bool,
}

impl Principal {
    /// Someone who was not asked, and may do everything: `AUTH_MODE=none`.
    pub(crate) fn anonymous() -> Self {
        Self {
            issuer: None,
            subject: None,
            may_read: true,
            may_write: true,
        }
    }

    /// Someone whom a token tells of, with the scopes in it.
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
        };
        for scope in scopes {
            principal.may_read |= scope == Scope::Read.name();
            principal.may_write |= scope == Scope::Write.name();
        }
        principal
    }

    /// Who issued the token (`iss`); `None` if it does not say, or nobody was asked.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whom the token is of (`sub`); `None` if it does not say, or nobody was asked.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Whether the token is good for `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.may_read,
            Scope::Write => self.may_write,
        }
    }

    /// A text that no other principal has, to keep what is one's own apart: a subject is unique only within its
    /// issuer. All those who have no name share one.
    pub fn identity(&self) -> String {
        let name = (self.issuer(), self.subject());
        serde_json::to_string(&name).unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Infallible;

    /// The one that was let in; on a route that is open to all, someone without a name or scope.
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
    fn an_identity_is_of_one_principal() {
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
    fn a_scope_is_a_whole_word() {
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

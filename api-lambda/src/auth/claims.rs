//! The claims of a token, and the rules for them. The signature is checked before.

use serde::Deserialize;
use shared::model::Timestamp;

use crate::auth::auth_error::AuthError;
use crate::auth::principal::Principal;
use crate::auth::scope_prefix::ScopePrefix;

/// The claims that the API uses. A repeated claim, or one of another type, makes the token invalid.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    client_id: Option<String>,
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    iat: Option<Seconds>,
    scope: Option<OneOrMany>,
    scp: Option<OneOrMany>,
}

/// A NumericDate (RFC 7519): seconds since 1970, possibly with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Seconds(f64);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        };
        texts.iter().map(String::as_str)
    }
}

impl Claims {
    /// The principal of the token. Only scopes that begin with `prefix` count.
    pub(super) fn into_principal(self, prefix: &ScopePrefix) -> Principal {
        let lists = [&self.scope, &self.scp].into_iter().flatten();
        let texts = lists.flat_map(OneOrMany::iter);
        let scopes = texts.flat_map(|text| text.split(' '));
        let scopes: Vec<_> = scopes.filter_map(|scope| prefix.strip(scope)).collect();
        Principal::new(self.iss.clone(), self.sub.clone(), scopes)
    }
}

/// The rules for the claims of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimRules {
    /// The only accepted issuer; `None`: any issuer.
    pub(super) issuer: Option<String>,
    /// The accepted audiences; empty: any audience.
    pub(super) audiences: Vec<String>,
    /// The allowed difference to the clock of the issuer, in seconds.
    pub(super) leeway_seconds: u32,
}

impl ClaimRules {
    /// Checks the claims at the time `now`. Returns when they expire.
    pub(super) fn check(&self, claims: &Claims, now: Timestamp) -> Result<Timestamp, AuthError> {
        // An f64 represents all milliseconds from 1970 to 9999 exactly.
        let now = now.as_millis() as f64 / 1000.0;
        let leeway = f64::from(self.leeway_seconds);
        let Seconds(exp) = claims.exp.ok_or(AuthError::NoExpiry)?;
        // RFC 7519, section 4.1.4: a token is not accepted at or after its expiration time.
        if now - leeway >= exp {
            return Err(AuthError::Expired);
        }
        // If a token starts in the future, a clock is wrong, and `exp` can't be trusted.
        for Seconds(begin) in [claims.nbf, claims.iat].into_iter().flatten() {
            if now + leeway < begin {
                return Err(AuthError::NotYetValid);
            }
        }
        if self.issuer.is_some() && claims.iss != self.issuer {
            return Err(AuthError::WrongIssuer);
        }
        if !self.audiences.is_empty() && !self.has_our_audience(claims) {
            return Err(AuthError::WrongAudience);
        }
        // The conversion of a float saturates.
        Ok(Timestamp::from_millis((exp * 1000.0) as i64))
    }

    /// Whether the token is for one of our audiences.
    ///
    /// Access tokens of Cognito have no `aud`. As the authorizer of API Gateway does, this uses
    /// `client_id` instead:
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>.
    fn has_our_audience(&self, claims: &Claims) -> bool {
        let is_ours = |audience: &str| self.audiences.iter().any(|ours| ours == audience);
        match &claims.aud {
            Some(audiences) => audiences.iter().any(is_ours),
            None => claims.client_id.as_deref().is_some_and(is_ours),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::access::Scope;

    /// 1,000,000 seconds after 1970.
    const NOW: i64 = 1_000_000;

    fn rules() -> ClaimRules {
        ClaimRules {
            issuer: Some("https://issuer".to_owned()),
            audiences: vec!["progress".to_owned(), "other".to_owned()],
            leeway_seconds: 60,
        }
    }

    /// Valid claims with these changes.
    fn claims(changes: Value) -> Claims {
        let mut claims = json!({"iss": "https://issuer", "aud": "progress", "exp": NOW + 100});
        let members = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            members.insert(name.clone(), value.clone());
        }
        serde_json::from_value(claims).unwrap()
    }

    fn check_at(ms: i64, changes: Value, expected: Result<(), AuthError>) {
        let checked = rules().check(&claims(changes.clone()), Timestamp::from_millis(ms));
        assert_eq!(checked.map(drop), expected, "{changes}");
    }

    fn check(changes: Value, expected: Result<(), AuthError>) {
        check_at(NOW * 1000, changes, expected);
    }

    #[test]
    fn a_token_expires_after_the_leeway() {
        check(json!({"exp": NOW}), Ok(()));
        check(json!({"exp": NOW - 59}), Ok(()));
        check(json!({"exp": NOW - 60}), Err(AuthError::Expired));
        check(json!({"exp": NOW - 61}), Err(AuthError::Expired));
        check_at(NOW * 1000 - 1, json!({"exp": NOW - 60}), Ok(()));
        check(json!({"exp": NOW as f64 - 59.5}), Ok(()));
        check(json!({"exp": NOW as f64 - 60.5}), Err(AuthError::Expired));
        check(json!({"exp": 0}), Err(AuthError::Expired));
        check(json!({"exp": -1e300}), Err(AuthError::Expired));
        check(json!({"exp": 1e300}), Ok(()));
        check(json!({"exp": null}), Err(AuthError::NoExpiry));
    }

    #[test]
    fn a_token_begins_a_leeway_early() {
        for begin in ["nbf", "iat"] {
            check(json!({begin: NOW - 1000}), Ok(()));
            check(json!({begin: NOW + 60}), Ok(()));
            check(json!({begin: NOW + 61}), Err(AuthError::NotYetValid));
            check_at(
                NOW * 1000 - 1,
                json!({begin: NOW + 60}),
                Err(AuthError::NotYetValid),
            );
            check(json!({begin: 1e300}), Err(AuthError::NotYetValid));
        }
    }

    #[test]
    fn without_leeway_the_second_counts() {
        let rules = ClaimRules {
            leeway_seconds: 0,
            ..rules()
        };
        let now = Timestamp::from_millis(NOW * 1000);
        assert_eq!(
            rules.check(&claims(json!({"exp": NOW})), now).map(drop),
            Err(AuthError::Expired)
        );
        assert_eq!(
            rules.check(&claims(json!({"exp": NOW + 1, "nbf": NOW})), now),
            Ok(Timestamp::from_millis((NOW + 1) * 1000))
        );
        let early = claims(json!({"nbf": NOW + 1}));
        assert_eq!(rules.check(&early, now), Err(AuthError::NotYetValid));
    }

    #[test]
    fn only_the_configured_issuer_is_accepted() {
        for other in [
            json!(null),
            json!(""),
            json!("https://issuer/"),
            json!("HTTPS://issuer"),
        ] {
            check(json!({"iss": other}), Err(AuthError::WrongIssuer));
        }
    }

    #[test]
    fn only_our_audiences_are_accepted() {
        for ours in [
            json!("other"),
            json!(["x", "progress"]),
            json!(["progress"]),
        ] {
            check(json!({"aud": ours}), Ok(()));
        }
        for other in [
            json!("x"),
            json!([]),
            json!(["x", "y"]),
            json!(""),
            json!("progress,other"),
        ] {
            check(
                json!({"aud": other, "client_id": "progress"}),
                Err(AuthError::WrongAudience),
            );
        }
        check(json!({"aud": null}), Err(AuthError::WrongAudience));
        check(
            json!({"aud": null, "client_id": "x"}),
            Err(AuthError::WrongAudience),
        );
        check(json!({"aud": null, "client_id": "progress"}), Ok(()));
    }

    #[test]
    fn without_rules_any_issuer_and_audience_is_accepted() {
        let rules = ClaimRules {
            issuer: None,
            audiences: Vec::new(),
            leeway_seconds: 60,
        };
        let now = Timestamp::from_millis(NOW * 1000);
        for claims in [claims(json!({})), claims(json!({"iss": null, "aud": null}))] {
            assert!(rules.check(&claims, now).is_ok());
        }
    }

    #[test]
    fn claims_of_another_type_are_refused() {
        for broken in [
            r#"{"exp":"2000000"}"#,
            r#"{"exp":true}"#,
            r#"{"exp":1e999}"#,
            r#"{"exp":[1]}"#,
            r#"{"exp":1,"exp":2000000}"#,
            r#"{"exp":1,"nbf":"0"}"#,
            r#"{"exp":1,"iat":{}}"#,
            r#"{"exp":1,"aud":1}"#,
            r#"{"exp":1,"aud":["a",1]}"#,
            r#"{"exp":1,"iss":["https://issuer"]}"#,
            r#"{"exp":1,"scope":{"progress:read":true}}"#,
            r#"[]"#,
            r#""text""#,
        ] {
            assert!(serde_json::from_str::<Claims>(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn scopes_can_be_a_text_or_a_list_in_either_claim() {
        let check = |changes: Value, read: bool, write: bool| {
            let principal = claims(changes.clone()).into_principal(&ScopePrefix::default());
            let may = (principal.may(Scope::Read), principal.may(Scope::Write));
            assert_eq!(may, (read, write), "{changes}");
        };
        check(json!({}), false, false);
        check(json!({"scope": "openid progress:read"}), true, false);
        check(json!({"scope": "progress:read progress:write"}), true, true);
        check(json!({"scope": ["progress:write"]}), false, true);
        check(json!({"scp": ["progress:read", "x"]}), true, false);
        check(json!({"scp": "progress:write"}), false, true);
        check(
            json!({"scope": "progress:read", "scp": ["progress:write"]}),
            true,
            true,
        );
        check(
            json!({"scope": "progress:read,progress:write"}),
            false,
            false,
        );
        check(json!({"scope": "", "scp": []}), false, false);
        check(json!({"roles": "progress:read"}), false, false);
    }

    #[test]
    fn the_principal_has_issuer_and_subject() {
        let principal = claims(json!({"sub": "ci"})).into_principal(&ScopePrefix::default());
        assert_eq!(principal.subject(), Some("ci"));
        assert_eq!(principal.issuer(), Some("https://issuer"));
    }
}

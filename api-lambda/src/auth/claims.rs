//! What a token claims, and whether that holds at a moment. Pure: the signature was checked before.

use serde::Deserialize;
use shared::model::Timestamp;

use crate::auth::{Principal, Refusal};

/// The claims that count here. One that is there twice, or has another type, makes the token unreadable.
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

/// A NumericDate of RFC 7519: seconds since 1970, maybe with a fraction.
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
    /// Whom the token tells of.
    pub(super) fn into_principal(self) -> Principal {
        let lists = [&self.scope, &self.scp].into_iter().flatten();
        let scopes = lists.flat_map(OneOrMany::iter);
        let scopes: Vec<_> = scopes.flat_map(|text| text.split(' ')).collect();
        Principal::new(self.iss.clone(), self.sub.clone(), scopes)
    }
}

/// What the claims of a token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimRules {
    /// The only issuer that is taken; `None`: any.
    pub(super) issuer: Option<String>,
    /// For one of whom a token must be meant; empty: for anyone.
    pub(super) audiences: Vec<String>,
    /// How far the clocks of issuers may be off, in seconds.
    pub(super) leeway_seconds: u32,
}

impl ClaimRules {
    /// Whether the claims hold at `now`.
    pub(super) fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), Refusal> {
        // Milliseconds from 1970 to 9999 are exact in a double.
        let now = now.as_millis() as f64 / 1000.0;
        let leeway = f64::from(self.leeway_seconds);
        let Seconds(exp) = claims.exp.ok_or(Refusal::NoExpiry)?;
        // RFC 7519, section 4.1.4: not to be taken on the expiration time, or after it.
        if now - leeway >= exp {
            return Err(Refusal::Expired);
        }
        // A token of the future: a clock is wrong, and its `exp` says nothing then.
        for Seconds(begin) in [claims.nbf, claims.iat].into_iter().flatten() {
            if now + leeway < begin {
                return Err(Refusal::NotYetValid);
            }
        }
        if self.issuer.is_some() && claims.iss != self.issuer {
            return Err(Refusal::WrongIssuer);
        }
        if !self.audiences.is_empty() && !self.is_meant_for_us(claims) {
            return Err(Refusal::WrongAudience);
        }
        Ok(())
    }

    /// Access tokens of Cognito have no `aud`; API Gateway's authorizer takes `client_id` in its place, and so
    /// do we. <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>
    fn is_meant_for_us(&self, claims: &Claims) -> bool {
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
    use crate::auth::Scope;

    /// 1,000,000 seconds after 1970.
    const NOW: i64 = 1_000_000;

    fn rules() -> ClaimRules {
        ClaimRules {
            issuer: Some("https://issuer".to_owned()),
            audiences: vec!["progress".to_owned(), "other".to_owned()],
            leeway_seconds: 60,
        }
    }

    /// Good claims, but for these.
    fn claims(changes: Value) -> Claims {
        let mut claims = json!({"iss": "https://issuer", "aud": "progress", "exp": NOW + 100});
        let members = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            members.insert(name.clone(), value.clone());
        }
        serde_json::from_value(claims).unwrap()
    }

    fn check_at(ms: i64, changes: Value, expected: Result<(), Refusal>) {
        let checked = rules().check(&claims(changes.clone()), Timestamp::from_millis(ms));
        assert_eq!(checked, expected, "{changes}");
    }

    fn check(changes: Value, expected: Result<(), Refusal>) {
        check_at(NOW * 1000, changes, expected);
    }

    #[test]
    fn a_token_ends_with_its_expiry_and_the_leeway() {
        check(json!({"exp": NOW}), Ok(()));
        check(json!({"exp": NOW - 59}), Ok(()));
        check(json!({"exp": NOW - 60}), Err(Refusal::Expired));
        check(json!({"exp": NOW - 61}), Err(Refusal::Expired));
        check_at(NOW * 1000 - 1, json!({"exp": NOW - 60}), Ok(()));
        check(json!({"exp": NOW as f64 - 59.5}), Ok(()));
        check(json!({"exp": NOW as f64 - 60.5}), Err(Refusal::Expired));
        check(json!({"exp": 0}), Err(Refusal::Expired));
        check(json!({"exp": -1e300}), Err(Refusal::Expired));
        check(json!({"exp": 1e300}), Ok(()));
        check(json!({"exp": null}), Err(Refusal::NoExpiry));
    }

    #[test]
    fn a_token_begins_a_leeway_early() {
        for begin in ["nbf", "iat"] {
            check(json!({begin: NOW - 1000}), Ok(()));
            check(json!({begin: NOW + 60}), Ok(()));
            check(json!({begin: NOW + 61}), Err(Refusal::NotYetValid));
            check_at(
                NOW * 1000 - 1,
                json!({begin: NOW + 60}),
                Err(Refusal::NotYetValid),
            );
            check(json!({begin: 1e300}), Err(Refusal::NotYetValid));
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
            rules.check(&claims(json!({"exp": NOW})), now),
            Err(Refusal::Expired)
        );
        assert_eq!(
            rules.check(&claims(json!({"exp": NOW + 1, "nbf": NOW})), now),
            Ok(())
        );
        let early = claims(json!({"nbf": NOW + 1}));
        assert_eq!(rules.check(&early, now), Err(Refusal::NotYetValid));
    }

    #[test]
    fn the_issuer_is_the_one() {
        for other in [
            json!(null),
            json!(""),
            json!("https://issuer/"),
            json!("HTTPS://issuer"),
        ] {
            check(json!({"iss": other}), Err(Refusal::WrongIssuer));
        }
    }

    #[test]
    fn the_audience_is_one_of_ours() {
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
                Err(Refusal::WrongAudience),
            );
        }
        check(json!({"aud": null}), Err(Refusal::WrongAudience));
        check(
            json!({"aud": null, "client_id": "x"}),
            Err(Refusal::WrongAudience),
        );
        check(json!({"aud": null, "client_id": "progress"}), Ok(()));
    }

    #[test]
    fn what_is_not_configured_is_not_checked() {
        let rules = ClaimRules {
            issuer: None,
            audiences: Vec::new(),
            leeway_seconds: 60,
        };
        let now = Timestamp::from_millis(NOW * 1000);
        for claims in [claims(json!({})), claims(json!({"iss": null, "aud": null}))] {
            assert_eq!(rules.check(&claims, now), Ok(()));
        }
    }

    #[test]
    fn claims_of_another_type_are_not_read() {
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
    fn scopes_are_a_text_or_a_list_in_either_claim() {
        let check = |changes: Value, read: bool, write: bool| {
            let principal = claims(changes.clone()).into_principal();
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
    fn the_principal_is_the_subject_of_the_issuer() {
        let principal = claims(json!({"sub": "ci"})).into_principal();
        assert_eq!(principal.subject(), Some("ci"));
        assert_eq!(principal.issuer(), Some("https://issuer"));
    }
}

//! What an authorizer of API Gateway has checked before the request came here.
//!
//! It is in the event's request context, where only API Gateway writes; a client's headers have no part in it.
//! (Who may invoke the function directly can write any event, but is let in by IAM.)

use lambda_http::request::RequestContext;
use serde_json::Value;

use crate::auth::Principal;

/// Whom the authorizer's claims tell of; `None` if there are none, because it was not asked, or was one that
/// checks something else than a JWT.
pub(super) fn principal(context: &RequestContext) -> Option<Principal> {
    match context {
        // The JWT authorizer of an HTTP API. Beside the claims are `scopes`, which are not used: the claims have
        // those of the token, whatever the route asks for.
        RequestContext::ApiGatewayV2(context) => {
            let jwt = context.authorizer.as_ref()?.jwt.as_ref()?;
            let claim = |name: &str| jwt.claims.get(name).map(String::as_str);
            (!jwt.claims.is_empty()).then(|| of_claims(claim))
        }
        // The Cognito authorizer of a REST API.
        RequestContext::ApiGatewayV1(context) => {
            let claims = context.authorizer.fields.get("claims")?.as_object()?;
            let claim = |name: &str| claims.get(name).and_then(Value::as_str);
            (!claims.is_empty()).then(|| of_claims(claim))
        }
        _ => None,
    }
}

/// Every claim is a text here; a list is `[a b]` to an HTTP API and `a,b` to a REST API.
fn of_claims<'a>(claim: impl Fn(&str) -> Option<&'a str>) -> Principal {
    let scopes = ["scope", "scp"].into_iter().filter_map(&claim);
    let scopes = scopes.flat_map(|text| text.split([' ', ',', '[', ']']));
    let named = |name| claim(name).map(str::to_owned);
    Principal::new(named("iss"), named("sub"), scopes)
}

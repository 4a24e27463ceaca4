//! The claims that an authorizer of API Gateway has checked.
//!
//! They are in the request context of the event. Only API Gateway writes there; headers of the
//! client are not part of it. (Callers that can invoke the function directly can write any event.
//! IAM decides who they are.)

use lambda_http::request::RequestContext;
use serde_json::Value;

use crate::auth::principal::Principal;
use crate::auth::scope_prefix::ScopePrefix;

/// The principal of the authorizer's claims; `None` without claims. The route may have no
/// authorizer, or one that does not check a JWT. Only scopes that begin with `prefix` count.
pub(super) fn principal(context: &RequestContext, prefix: &ScopePrefix) -> Option<Principal> {
    match context {
        // The JWT authorizer of an HTTP API. Its member `scopes` has the scopes that the route
        // requires. The scopes of the token are in the claims.
        RequestContext::ApiGatewayV2(context) => {
            let jwt = context.authorizer.as_ref()?.jwt.as_ref()?;
            let claim = |name: &str| jwt.claims.get(name).map(String::as_str);
            (!jwt.claims.is_empty()).then(|| of_claims(claim, prefix))
        }
        // The Cognito authorizer of a REST API.
        RequestContext::ApiGatewayV1(context) => {
            let claims = context.authorizer.fields.get("claims")?.as_object()?;
            let claim = |name: &str| claims.get(name).and_then(Value::as_str);
            (!claims.is_empty()).then(|| of_claims(claim, prefix))
        }
        _ => None,
    }
}

/// Reads claims that are all texts. An HTTP API writes a list as `[a b]`, a REST API as `a,b`.
fn of_claims<'a>(claim: impl Fn(&str) -> Option<&'a str>, prefix: &ScopePrefix) -> Principal {
    let texts = ["scope", "scp"].into_iter().filter_map(&claim);
    let scopes = texts.flat_map(|text| text.split([' ', ',', '[', ']']));
    let scopes = scopes.filter_map(|scope| prefix.strip(scope));
    let owned = |name| claim(name).map(str::to_owned);
    Principal::new(owned("iss"), owned("sub"), scopes)
}

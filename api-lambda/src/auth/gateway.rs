//! The claims that an authorizer of API Gateway has checked.
//!
//! They are in the request context of the event. Only API Gateway writes there; headers of the
//! client are not part of it. (Callers that can invoke the function directly can write any event.
//! IAM decides who they are.)

use lambda_http::request::RequestContext;
use serde_json::Value;

use crate::auth::principal::Principal;

/// The principal of the authorizer's claims; `None` without claims. The route may have no
/// authorizer, or one that does not check a JWT.
pub(super) fn principal(context: &RequestContext) -> Option<Principal> {
    match context {
        // The JWT authorizer of an HTTP API. Its member `scopes` has the scopes that the route
        // requires. The scopes of the token are in the claims.
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

/// Reads claims that are all texts. An HTTP API writes a list as `[a b]`, a REST API as `a,b`.
fn of_claims<'a>(claim: impl Fn(&str) -> Option<&'a str>) -> Principal {
    let texts = ["scope", "scp"].into_iter().filter_map(&claim);
    let scopes = texts.flat_map(|text| text.split([' ', ',', '[', ']']));
    let owned = |name| claim(name).map(str::to_owned);
    Principal::new(owned("iss"), owned("sub"), scopes)
}

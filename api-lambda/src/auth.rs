//! Who may come in: bearer tokens (JWT), checked here, and the claims of an authorizer that stands before us.
//!
//! All is decided by [`Auth`], made once at cold start: keys are parsed there, and a request costs one check of
//! a signature. What is open to everyone is a list in `access`; whatever is not on it needs a token, also a
//! path that leads nowhere, so that a stranger learns nothing.

mod access;
mod bearer;
mod claims;
mod config;
mod gateway;
mod jwks;
mod keys;
mod pem;
mod principal;
mod refusal;
mod ring_provider;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use shared::config::Settings;
use shared::model::Timestamp;
use tracing::{debug, info, warn};

use crate::auth::access::Access;
use crate::auth::claims::ClaimRules;
use crate::auth::config::AuthConfig;
use crate::auth::keys::KeyRing;
use crate::problem::ApiError;

pub use access::Scope;
pub use config::AuthConfigError;
pub use principal::Principal;
pub(crate) use refusal::Refusal;

/// How those who ask are told from strangers. Cheap to clone; printing it shows no key.
#[derive(Debug, Clone)]
pub struct Auth(Option<Arc<Checks>>);

#[derive(Debug)]
struct Checks {
    keys: KeyRing,
    rules: ClaimRules,
    /// Whether what API Gateway's authorizer has checked is believed.
    gateway_claims: bool,
}

impl Auth {
    /// Everyone may come in, and do everything.
    pub fn none() -> Self {
        Self(None)
    }

    /// What the settings named `AUTH_…` ask for, keys and all; says in the log what is not checked.
    ///
    /// # Errors
    ///
    /// A setting that is missing or makes no sense, and a key that can't be read.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, AuthConfigError> {
        let Some(config) = AuthConfig::from_settings(settings)? else {
            warn!("AUTH_MODE is none: anyone who can reach the API may read and change everything");
            return Ok(Self::none());
        };
        if !config.keys.is_empty() {
            if config.rules.issuer.is_none() {
                warn!("AUTH_ISSUER is not set: who issued a token is not checked");
            }
            if config.rules.audiences.is_empty() {
                warn!("AUTH_AUDIENCE is not set: for whom a token is meant is not checked");
            }
        }
        let gateway_claims = config.gateway_claims;
        info!(keys = ?config.keys.labels(), gateway_claims, "tokens are asked for");
        Ok(Self(Some(Arc::new(Checks {
            keys: config.keys,
            rules: config.rules,
            gateway_claims,
        }))))
    }

    /// Whether nobody is asked who they are.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Checks {
    /// Who asks.
    fn identify(
        &self,
        headers: &HeaderMap,
        context: Option<&RequestContext>,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        if self.gateway_claims
            && let Some(principal) = context.and_then(gateway::principal)
        {
            return Ok(principal);
        }
        let token = bearer::token(headers)?;
        let claims = self.keys.verify(token)?;
        self.rules.check(&claims, now)?;
        Ok(claims.into_principal())
    }
}

impl Auth {
    /// Lets a request pass that is open to all, or whose sender may make it; that one is then an extension of the
    /// request, a [`Principal`].
    pub(crate) fn admit(&self, request: &mut Request) -> Result<(), ApiError> {
        let Some(checks) = &self.0 else {
            request.extensions_mut().insert(Principal::anonymous());
            return Ok(());
        };
        let Access::Needs(scope) = Access::to(request) else {
            return Ok(());
        };
        let context = request.request_context_ref();
        let identified = checks.identify(request.headers(), context, Timestamp::now());
        let principal = identified.map_err(|refusal| {
            debug!(reason = %refusal, "a request was refused");
            ApiError::Unauthenticated(refusal)
        })?;
        if !principal.may(scope) {
            let subject = principal.subject();
            debug!(subject, scope = scope.name(), "a scope is missing");
            return Err(ApiError::InsufficientScope(scope));
        }
        debug!(subject = principal.subject(), "a request was let in");
        request.extensions_mut().insert(principal);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    /// What a handler is told of who asks, on a route that is open and on one that is not.
    async fn principal(auth: Auth, path: &str) -> String {
        let shown = async |principal: Principal| {
            let may = (principal.may(Scope::Read), principal.may(Scope::Write));
            format!("{:?} {may:?}", principal.subject())
        };
        let router = Router::new()
            .route("/health", get(shown))
            .route("/api/tasks", get(shown))
            .layer(from_fn_with_state(auth, crate::envelope::inside));
        // Signed with `openssl`, until 2286: {"sub":"ci","exp":9999999999,"scope":"progress:read"}.
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjaSIsImV4cCI6OTk5OTk5OTk5OSwic2NvcGUiOiJwcm9ncmVzczpyZWFkIn0._aXe-qNEdkrGiBmQoaO6Ul7FjN5gL3yAwRaFpsWqKUc";
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn with_secret() -> Auth {
        let secret = "0123456789abcdef0123456789abcdef";
        let lookup = |name: &str| (name == "AUTH_HS256_SECRET").then(|| secret.to_owned());
        Auth::from_settings(&Settings::new(&lookup)).unwrap()
    }

    #[tokio::test]
    async fn a_handler_knows_who_asks() {
        let known = principal(with_secret(), "/api/tasks").await;
        assert_eq!(known, r#"Some("ci") (true, false)"#);
        let anyone = principal(Auth::none(), "/api/tasks").await;
        assert_eq!(anyone, "None (true, true)");
        let not_asked = principal(with_secret(), "/health").await;
        assert_eq!(not_asked, "None (false, false)");
    }
}

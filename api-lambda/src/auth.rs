//! Authentication: bearer tokens (JWT), or the claims that an authorizer of API Gateway has
//! checked.
//!
//! [`Auth`] is created once at cold start, and parses the keys. Each request costs one check of a
//! signature. `access` lists the open paths. All other paths need a token. So do paths that do not
//! exist, so that nobody without a token can find out which paths exist.

mod access;
mod auth_error;
mod bearer;
mod claims;
mod config;
mod gateway;
mod jwks;
mod keys;
mod pem;
mod principal;
mod push;
mod ring_provider;
mod scope_prefix;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use shared::config::Settings;
use shared::model::Timestamp;
use tracing::{debug, info, warn};

use crate::auth::access::Access;
use crate::auth::auth_error::AuthError;
use crate::auth::claims::ClaimRules;
use crate::auth::config::AuthConfig;
use crate::auth::keys::KeyRing;
use crate::auth::scope_prefix::ScopePrefix;
use crate::problem::ApiError;

pub use access::Scope;
pub use config::AuthConfigError;
pub use principal::Principal;
pub(crate) use push::{AuthorizerDecision, AuthorizerEvent};
pub use push::{PushOperation, PushRefusal};

/// Authenticates requests. Cheap to clone. Its debug output contains no key.
#[derive(Debug, Clone)]
pub struct Auth(Option<Arc<Checks>>);

#[derive(Debug)]
struct Checks {
    keys: KeyRing,
    rules: ClaimRules,
    scope_prefix: ScopePrefix,
    /// Whether claims from an authorizer of API Gateway are accepted.
    gateway_claims: bool,
}

impl Auth {
    /// No authentication: everyone may read and change everything.
    pub fn none() -> Self {
        Self(None)
    }

    /// Reads the settings `AUTH_…` and the keys. Logs a warning for every check that is turned off.
    ///
    /// # Errors
    ///
    /// If a setting is missing or invalid, or a key can't be read.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, AuthConfigError> {
        let Some(config) = AuthConfig::from_settings(settings)? else {
            warn!("AUTH_MODE is none: anyone who can reach the API can read and change everything");
            return Ok(Self::none());
        };
        if !config.keys.is_empty() {
            if config.rules.issuer.is_none() {
                warn!("AUTH_ISSUER is not set: tokens of any issuer are accepted");
            }
            if config.rules.audiences.is_empty() {
                warn!("AUTH_AUDIENCE is not set: tokens for any audience are accepted");
            }
        }
        let gateway_claims = config.gateway_claims;
        info!(keys = ?config.keys.labels(), gateway_claims, "requests need a token");
        Ok(Self(Some(Arc::new(Checks {
            keys: config.keys,
            rules: config.rules,
            scope_prefix: config.scope_prefix,
            gateway_claims,
        }))))
    }

    /// Whether there is no authentication.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a token can be checked here. Otherwise only API Gateway checks tokens, and live push
    /// has no way to do so.
    pub fn checks_tokens(&self) -> bool {
        let checks = self.0.as_ref();
        checks.is_none_or(|checks| !checks.keys.is_empty())
    }
}

impl Checks {
    /// Finds the principal of a request.
    fn authenticate(
        &self,
        headers: &HeaderMap,
        context: Option<&RequestContext>,
        now: Timestamp,
    ) -> Result<Principal, AuthError> {
        if self.gateway_claims
            && let Some(context) = context
            && let Some(principal) = gateway::principal(context, &self.scope_prefix)
        {
            return Ok(principal);
        }
        let access_token = bearer::access_token(headers)?;
        let claims = self.keys.verify(access_token)?;
        self.rules.check(&claims, now)?;
        Ok(claims.into_principal(&self.scope_prefix))
    }
}

impl Auth {
    /// Checks that a request is open to everyone, or that its principal has the scope for it. Adds
    /// the [`Principal`] to the extensions of the request.
    pub(crate) fn authorize(&self, request: &mut Request) -> Result<(), ApiError> {
        let Some(checks) = &self.0 else {
            request.extensions_mut().insert(Principal::anonymous());
            return Ok(());
        };
        let Access::Needs(scope) = Access::to(request) else {
            return Ok(());
        };
        let context = request.request_context_ref();
        let principal = checks
            .authenticate(request.headers(), context, Timestamp::now())
            .inspect_err(|error| debug!(reason = %error, "a request was refused"))?;
        if !principal.may(scope) {
            let subject = principal.subject();
            let scope = checks.scope_prefix.with(scope.name());
            debug!(subject, scope, "a scope is missing");
            return Err(ApiError::InsufficientScope { scope });
        }
        debug!(subject = principal.subject(), "a request was authorized");
        request.extensions_mut().insert(principal);
        Ok(())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        Self::Unauthenticated {
            reason: error.to_string(),
            has_token: error.has_token(),
        }
    }
}

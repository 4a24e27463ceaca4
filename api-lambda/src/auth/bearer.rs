//! The access token of a request: `Authorization: Bearer <token>`. No other place is read.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::auth::auth_error::AuthError;

/// The longest accepted token. Common issuers make tokens of 1 to 2 KiB.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Reads the token, and checks its length and its characters.
pub(super) fn access_token(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::NoToken)?;
    // With two headers, a proxy may check one and this function the other.
    if values.next().is_some() {
        return Err(AuthError::SeveralTokens);
    }
    let value = value.to_str().map_err(|_| AuthError::NotBearer)?;
    after_scheme(value).and_then(checked)
}

/// Checks a token that may have `Bearer ` before it.
pub(super) fn without_scheme(value: &str) -> Result<&str, AuthError> {
    if value.is_empty() {
        return Err(AuthError::NoToken);
    }
    checked(after_scheme(value).unwrap_or(value))
}

/// What follows `Bearer `.
fn after_scheme(value: &str) -> Result<&str, AuthError> {
    let (scheme, token) = value.split_once(' ').ok_or(AuthError::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::NotBearer);
    }
    Ok(token.trim_start_matches(' '))
}

/// Checks the length and the characters of a token.
fn checked(token: &str) -> Result<&str, AuthError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AuthError::TooLong {
            limit_bytes: MAX_TOKEN_BYTES,
        });
    }
    let is_jwt_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.is_empty() || !token.bytes().all(is_jwt_byte) {
        return Err(AuthError::Malformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], expected: Result<&str, AuthError>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(access_token(&headers), expected, "{values:?}");
    }

    #[test]
    fn a_token_is_found_after_its_scheme() {
        check(&["Bearer a.b.c"], Ok("a.b.c"));
        check(&["bEARER   a.b.c"], Ok("a.b.c"));
    }

    #[test]
    fn anything_else_than_one_token_is_refused() {
        check(&[], Err(AuthError::NoToken));
        for other in [
            "",
            "Bearer",
            "Basic dTpw",
            "Bearera.b.c",
            " Bearer a",
            "a.b.c",
            "Bearer\ta",
        ] {
            check(&[other], Err(AuthError::NotBearer));
        }
        for broken in [
            "Bearer ",
            "Bearer a.b.c ",
            "Bearer a, Bearer b",
            "Bearer a=",
            "Bearer a/b",
        ] {
            check(&[broken], Err(AuthError::Malformed));
        }
        check(&["Bearer a", "Bearer a"], Err(AuthError::SeveralTokens));
        check(&["Bearer a", "Basic a"], Err(AuthError::SeveralTokens));
    }

    #[test]
    fn the_length_of_a_token_is_limited() {
        let longest = "x".repeat(MAX_TOKEN_BYTES);
        check(&[&format!("Bearer {longest}")], Ok(&longest));
        let too_long = AuthError::TooLong {
            limit_bytes: MAX_TOKEN_BYTES,
        };
        check(&[&format!("Bearer {longest}x")], Err(too_long));
    }
}

//! The token in a request: `Authorization: Bearer <token>`, and nowhere else.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::auth::Refusal;

/// The longest token that is looked at. Those of known issuers have 1 to 2 KiB.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The token, which has the characters of one and is not too long.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoToken)?;
    // Two headers: who put the second there? Each part on the way may look at another one.
    if values.next().is_some() {
        return Err(Refusal::SeveralTokens);
    }
    let value = value.to_str().map_err(|_| Refusal::NotBearer)?;
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::NotBearer);
    }
    let token = token.trim_start_matches(' ');
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::TooLong);
    }
    let is_of_jwt = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.is_empty() || !token.bytes().all(is_of_jwt) {
        return Err(Refusal::Malformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], expected: Result<&str, Refusal>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(token(&headers), expected, "{values:?}");
    }

    #[test]
    fn a_token_is_found_after_its_scheme() {
        check(&["Bearer a.b.c"], Ok("a.b.c"));
        check(&["bEARER   a.b.c"], Ok("a.b.c"));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        check(&[], Err(Refusal::NoToken));
        for other in [
            "",
            "Bearer",
            "Basic dTpw",
            "Bearera.b.c",
            " Bearer a",
            "a.b.c",
            "Bearer\ta",
        ] {
            check(&[other], Err(Refusal::NotBearer));
        }
        for broken in [
            "Bearer ",
            "Bearer a.b.c ",
            "Bearer a, Bearer b",
            "Bearer a=",
            "Bearer a/b",
        ] {
            check(&[broken], Err(Refusal::Malformed));
        }
        check(&["Bearer a", "Bearer a"], Err(Refusal::SeveralTokens));
        check(&["Bearer a", "Basic a"], Err(Refusal::SeveralTokens));
    }

    #[test]
    fn a_token_may_not_be_too_long() {
        let longest = "x".repeat(MAX_TOKEN_BYTES);
        check(&[&format!("Bearer {longest}")], Ok(&longest));
        check(&[&format!("Bearer {longest}x")], Err(Refusal::TooLong));
    }
}

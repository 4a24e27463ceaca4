//! What an issuer puts before the names of scopes.

/// The text before each scope in tokens, such as `miyabi/`: Cognito writes `miyabi/progress:read`,
/// where `miyabi` is the identifier of a resource server. Empty for issuers that add nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ScopePrefix(String);

impl ScopePrefix {
    /// `None` if `text` has other characters than scopes may have (RFC 6749, section 3.3), or a
    /// comma or a bracket, with which API Gateway separates scopes.
    pub(super) fn new(text: String) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',' | '[' | ']');
        text.chars().all(allowed).then_some(Self(text))
    }

    /// The name of a scope in a token; `None` without the prefix. It is then a scope of another
    /// program.
    pub(super) fn strip<'a>(&self, scope: &'a str) -> Option<&'a str> {
        scope.strip_prefix(self.0.as_str())
    }

    /// What a token must have for the scope `name`.
    pub(super) fn with(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_the_characters_of_scopes() {
        for good in ["", "miyabi/", "https://api.example.com/", "api://42:"] {
            assert_eq!(ScopePrefix::new(good.to_owned()).unwrap().with(""), good);
        }
        for bad in [
            " ", "a b/", "a,b/", "[a/", "a]/", "a\"/", "a\\", "a\n", "é/",
        ] {
            assert_eq!(ScopePrefix::new(bad.to_owned()), None, "{bad}");
        }
    }

    #[test]
    fn only_the_whole_prefix_at_the_begin_is_stripped() {
        let prefix = ScopePrefix::new("miyabi/".to_owned()).unwrap();
        assert_eq!(prefix.strip("miyabi/progress:read"), Some("progress:read"));
        for other in [
            "progress:read",
            "other/progress:read",
            "miyabi",
            "x/miyabi/progress:read",
        ] {
            assert_eq!(prefix.strip(other), None, "{other}");
        }
    }
}

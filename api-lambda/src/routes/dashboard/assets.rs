//! The files of the dashboard, as `build.rs` compressed them.

/// The page, with placeholders for the addresses of the other two files.
const PAGE: &str = include_str!("../../../assets/index.html");

/// A hash of the page and of both files.
pub(super) const PAGE_HASH: &str = env!("DASHBOARD_PAGE_HASH");

const STYLE: Asset = Asset {
    name: concat!("dashboard.", env!("DASHBOARD_CSS_HASH"), ".css"),
    content_type: "text/css; charset=utf-8",
    plain: include_bytes!("../../../assets/dist/dashboard.css"),
    gzip: include_bytes!(concat!(env!("OUT_DIR"), "/dashboard.css.gz")),
};

const SCRIPT: Asset = Asset {
    name: concat!("dashboard.", env!("DASHBOARD_JS_HASH"), ".js"),
    content_type: "text/javascript; charset=utf-8",
    plain: include_bytes!("../../../assets/dist/dashboard.js"),
    gzip: include_bytes!(concat!(env!("OUT_DIR"), "/dashboard.js.gz")),
};

/// A file whose content never changes under its name.
pub(super) struct Asset {
    /// The name, with a hash of the content.
    name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) plain: &'static [u8],
    pub(super) gzip: &'static [u8],
}

impl Asset {
    /// Finds a file by name.
    pub(super) fn find(name: &str) -> Option<Self> {
        [STYLE, SCRIPT].into_iter().find(|asset| asset.name == name)
    }
}

/// The page for a client that sees our paths below `base`.
///
/// Without a base, the addresses are relative, so a proxy can serve the page below any path. With a
/// stage they must be absolute, because an address relative to `/prod` is not below `/prod`.
pub(super) fn page(base: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let base = match base {
        "" => String::new(),
        base if base.bytes().all(is_plain) => format!("{base}/"),
        _ => String::new(),
    };
    let address = |asset: &Asset| format!("{base}assets/{}", asset.name);
    PAGE.replace("{style}", &address(&STYLE))
        .replace("{script}", &address(&SCRIPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_files_start_with_the_stage() {
        for (base, expected) in [
            ("", "\"assets/dashboard."),
            ("/prod", "\"/prod/assets/dashboard."),
            ("/\"><script>", "\"assets/dashboard."),
        ] {
            assert_eq!(page(base).matches(expected).count(), 2, "{base}");
        }
        for asset in [STYLE, SCRIPT] {
            assert!(page("").contains(asset.name));
            assert!(Asset::find(asset.name).is_some());
        }
        assert!(!page("").contains('{'), "all placeholders are filled");
    }
}

//! The files of the dashboard, as `build.rs` has packed them.

/// The page, with places for the addresses of the two other files.
const PAGE: &str = include_str!("../../../assets/index.html");

/// Which page it is.
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

/// A file that never changes under its name.
pub(super) struct Asset {
    /// Its name, with a hash of its content.
    name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) plain: &'static [u8],
    pub(super) gzip: &'static [u8],
}

impl Asset {
    /// The file that is named so.
    pub(super) fn find(name: &str) -> Option<Self> {
        [STYLE, SCRIPT].into_iter().find(|asset| asset.name == name)
    }
}

/// The page for a client that sees our paths after `base`. Without one its addresses are relative: whatever
/// a proxy puts before them stays.
///
/// A stage has to be named, since a relative address of `/prod` is not below it.
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
    fn the_page_names_its_files_below_the_stage() {
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
        assert!(!page("").contains('{'), "all places are filled");
    }
}

//! Which service the command line talks to.

use std::borrow::Cow;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use ureq::http::Uri;

/// What to do if no service is known.
pub const HOW_TO_SET: &str = "set PROGRESS_URL to the address of the service, and PROGRESS_TOKEN \
                              to a token, or write both to ~/.config/miyabi-progress/config";

/// The greatest size of a configuration file that is read, in bytes.
const MOST_FILE_BYTES: u64 = 64 * 1024;

/// Why the settings can't be used. The messages are for the user of the command.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file can't be read.
    #[error("can't read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The address is not one of HTTP.
    #[error("PROGRESS_URL must begin with https:// or http://")]
    NoHttp,
    /// The address is not valid. It may hold a password, so it is not shown.
    #[error("PROGRESS_URL is no valid address: {0}; it is like https://progress.example.com")]
    NoAddress(&'static str),
}

/// The service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its address, without a slash at the end and without a user and password: all that people see.
    pub url: String,
    /// The user and password in the address, as they are written there.
    credentials: Option<String>,
    /// The bearer token, if there is one.
    pub token: Option<String>,
}

/// What the environment and the configuration file say.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The service; none if nothing names it.
    pub service: Option<Service>,
    /// The configuration file, if it holds a token and others may read it.
    pub exposed_file: Option<PathBuf>,
}

impl Service {
    /// The service at an address, which may hold a user and a password.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if the address can't be one.
    pub fn of(address: &str, token: Option<String>) -> Result<Self, SettingsError> {
        let address = address.trim().trim_end_matches('/');
        let known = ["https://", "http://"];
        let scheme = known.into_iter().find(|known| address.starts_with(known));
        let rest = scheme.and_then(|scheme| address.strip_prefix(scheme));
        let (scheme, rest) = scheme.zip(rest).ok_or(SettingsError::NoHttp)?;
        let is_plain = |char: char| !char.is_whitespace() && !char.is_control();
        if !rest.chars().all(is_plain) {
            return Err(SettingsError::NoAddress("it has a blank inside"));
        }
        if rest.contains(['?', '#']) {
            return Err(SettingsError::NoAddress("it has a ? or #"));
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials.to_owned()), host),
            None => (None, authority),
        };
        let parsed: Option<Uri> = address.parse().ok();
        let parsed = parsed.as_ref().and_then(Uri::authority);
        let has_name = parsed.is_some_and(|parsed| !parsed.host().is_empty());
        if !has_name {
            return Err(SettingsError::NoAddress("it has no valid host name"));
        }
        // What follows the last colon, unless that is inside of an IPv6 address.
        let port = host.rsplit_once(':').map(|(_, port)| port);
        let port = port.filter(|port| !port.contains(']'));
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(SettingsError::NoAddress(
                "its port is no number up to 65535",
            ));
        }
        Ok(Self {
            url: format!("{scheme}{host}{path}"),
            credentials,
            token,
        })
    }

    /// The address of a path, to send requests to.
    pub fn address_of(&self, path: &str) -> String {
        match (&self.credentials, self.url.split_once("://")) {
            (Some(credentials), Some((scheme, rest))) => {
                format!("{scheme}://{credentials}@{rest}{path}")
            }
            _ => format!("{}{path}", self.url),
        }
    }

    /// A text without the user and password in the address.
    pub fn without_credentials(&self, text: &str) -> String {
        match &self.credentials {
            Some(credentials) => text.replace(&format!("{credentials}@"), ""),
            None => text.to_owned(),
        }
    }

    /// What must not be sent in the output of a command: the token, the password in the address, and
    /// the beginning of the address with user and password, however short they are.
    pub fn secrets(&self) -> Vec<String> {
        let credentials = self.credentials.as_deref();
        let password = credentials.and_then(|it| Some(it.split_once(':')?.1));
        let decoded = password.map(|password| percent_decode_str(password).decode_utf8_lossy());
        let beginning = credentials.map(|credentials| {
            let (scheme, _) = self.url.split_once("://").unwrap_or_default();
            format!("{scheme}://{credentials}@")
        });
        let secrets = [
            password.map(str::to_owned),
            decoded.map(Cow::into_owned),
            beginning,
            self.token.clone(),
        ];
        secrets.into_iter().flatten().collect()
    }
}

impl Settings {
    /// Reads the environment and, if it does not name the service, the configuration file.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn find() -> Result<Self, SettingsError> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let directory = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let directory =
            directory.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
        let file = directory.map(|directory| directory.join("miyabi-progress/config"));
        Self::of(variable, file.as_deref())
    }

    fn of(
        variable: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, SettingsError> {
        let token = variable("PROGRESS_TOKEN");
        let (url, token, exposed_file) = if let Some(url) = variable("PROGRESS_URL") {
            // The file's token belongs to the file's service.
            (Some(url), token, None)
        } else {
            let found = file.map(read).transpose()?.flatten();
            let (text, is_exposed) = found.unwrap_or_default();
            let file_token = value_of(&text, "PROGRESS_TOKEN");
            let is_exposed = is_exposed && file_token.is_some();
            let exposed_file = file.filter(|_| is_exposed).map(Path::to_owned);
            let url = value_of(&text, "PROGRESS_URL");
            (url, token.or(file_token), exposed_file)
        };
        let service = url.map(|url| Service::of(&url, token));
        Ok(Self {
            service: service.transpose()?,
            exposed_file,
        })
    }
}

/// The text of the file, and whether others may read it. None if there is no such file.
fn read(path: &Path) -> Result<Option<(String, bool)>, SettingsError> {
    let read = || {
        let file = File::open(path)?;
        let mut text = String::new();
        let is_exposed = is_readable_by_others(&file.metadata()?);
        file.take(MOST_FILE_BYTES).read_to_string(&mut text)?;
        io::Result::Ok((text, is_exposed))
    };
    match read() {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SettingsError::Unreadable {
            path: path.to_owned(),
            source,
        }),
        Ok(found) => Ok(Some(found)),
    }
}

#[cfg(unix)]
fn is_readable_by_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &fs::Metadata) -> bool {
    false
}

/// The value in a line `NAME=value`. Quotes around it and `export` are left out.
fn value_of(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim();
        let (key, value) = line
            .strip_prefix("export ")
            .unwrap_or(line)
            .split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (key.trim() == name && !value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn settings(
        variables: &[(&str, &str)],
        file: Option<&Path>,
    ) -> Result<Settings, SettingsError> {
        let value = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        };
        Settings::of(value, file)
    }

    fn service(url: &str, token: Option<&str>) -> Option<Service> {
        let token = token.map(str::to_owned);
        Service::of(url, token).ok()
    }

    #[test]
    fn the_environment_names_the_service() {
        let found = settings(&[("PROGRESS_URL", "https://a.example/prod/")], None).unwrap();
        assert_eq!(found.service, service("https://a.example/prod", None));
        assert_eq!(settings(&[], None).unwrap().service, None);
        assert!(settings(&[("PROGRESS_URL", "a.example")], None).is_err());
    }

    #[test]
    fn an_invalid_address_is_an_error_that_does_not_show_it() {
        for url in [
            "ftp://us:pw@a.example",
            "http://local host:1",
            "http://us:pw@a.example:x",
            "http://us:pw@a.example:70000",
            "https://us:pw@",
            "https://",
            "https://us:p w@a.example",
            "https://us:pw@[::1",
            "https://us:pw@a.example?stage=1",
        ] {
            let error = settings(&[("PROGRESS_URL", url)], None).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("PROGRESS_URL "), "{url}: {text}");
            assert!(
                !text.contains("pw") && !text.contains("a.example"),
                "{text}"
            );
        }
        for url in [
            "http://[::1]:9000/prod",
            "https://a.example:8443",
            "http://h",
        ] {
            let found = settings(&[("PROGRESS_URL", url)], None).unwrap();
            assert_eq!(found.service.unwrap().url, url);
        }
    }

    #[test]
    fn the_file_is_read_if_the_environment_names_no_service() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        assert_eq!(settings(&[], Some(&file)).unwrap().service, None);
        let text = "# ours\nexport PROGRESS_URL=\"http://b.example\"\nPROGRESS_TOKEN = t0ken\n";
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let found = settings(&[], Some(&file)).unwrap();
        assert_eq!(found.service, service("http://b.example", Some("t0ken")));
        assert_eq!(found.exposed_file.as_deref(), Some(file.as_path()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let variables = [("PROGRESS_TOKEN", "mine")];
        let found = settings(&variables, Some(&file)).unwrap();
        assert_eq!(found.service, service("http://b.example", Some("mine")));
        assert_eq!(found.exposed_file, None);
        // The token of one service is not sent to another one.
        let variables = [("PROGRESS_URL", "http://c.example")];
        let found = settings(&variables, Some(&file)).unwrap();
        assert_eq!(found.service, service("http://c.example", None));
    }

    #[test]
    fn the_password_in_an_address_is_neither_shown_nor_sent() {
        let url = "https://user:pass%20word@a.example/prod";
        let with_password = service(url, Some("t0ken")).unwrap();
        assert_eq!(with_password.url, "https://a.example/prod");
        assert_eq!(with_password.address_of("/api"), format!("{url}/api"));
        assert_eq!(
            with_password.without_credentials(&format!("can't reach {url}")),
            "can't reach https://a.example/prod"
        );
        let beginning = "https://user:pass%20word@";
        let expected = ["pass%20word", "pass word", beginning, "t0ken"];
        assert_eq!(with_password.secrets(), expected);
        let plain = service("https://a.example/a@b", None).unwrap();
        assert_eq!(plain.address_of("/c"), "https://a.example/a@b/c");
        assert_eq!(plain.without_credentials(&plain.url), plain.url);
        assert!(plain.secrets().is_empty());
    }
}

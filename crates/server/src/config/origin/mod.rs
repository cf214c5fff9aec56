//! Origins of web pages: as the option `--allow-origin` gives them, and as a browser sends them.

use core::str::FromStr;

use thiserror::Error;
use url::Host;

use crate::client_url;

/// Schemes of addresses that no page has as its origin.
const NOT_OF_PAGES: [&str; 8] = [
    "ws",
    "wss",
    "ftp",
    "mongodb",
    "mongodb+srv",
    "ssh",
    "tcp",
    "view-source",
];

/// Schemes whose pages have no origin of their own, so that browsers send `null` for them.
const WITHOUT_ORIGIN: [&str; 3] = ["about:", "data:", "javascript:"];

/// Origins whose pages may connect: one origin, or all origins that match a pattern.
///
/// It is parsed from the text of the option `--allow-origin`:
///
/// - `https://app.example` and `http://10.0.0.7:3000` are one origin. `localhost`, `127.0.0.1` and
///   `[::1]` count as one host. Upper case, a default port and non-ASCII names are read as browsers
///   read them.
/// - `http://localhost:*` is every port of the host, the default port included.
/// - `https://*.example.com` is every name below `example.com`, one level or more, and not
///   `example.com` itself. The name must have two labels or more, or be `localhost`. A port, or
///   `:*`, may follow.
/// - `capacitor://localhost`, `tauri://localhost` and `chrome-extension://abcdef` are one app or
///   extension. With `*` after the `://` they are every page of that scheme: Firefox draws the host
///   of `moz-extension` at random.
/// - `file://` is every page that a browser opens from a file and sends this origin for.
///
/// Everything else matches no page, or every page, and is an [`InvalidOrigin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin {
    scheme: String,
    hosts: Hosts,
    ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Web(Host),
    /// The names below this one: they end in a dot and this name.
    Below(String),
    /// The lower-case host of a scheme other than `http` and `https`.
    App(String),
    AnyApp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    One(Option<u16>),
    Any,
}

/// The error for a text that is not an [`AllowedOrigin`]. Each variant says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidOrigin {
    /// The text is empty.
    #[error("it is empty: write an origin, such as https://app.example")]
    Empty,
    /// The text is the origin of pages without an origin. Any page can make such a page.
    #[error(
        "every web page can open a frame whose origin is null, so it would let all of them in: serve the page over http \
         or https, and write that origin"
    )]
    Null,
    /// The text would match every page of the web.
    #[error(
        "it would let every web page in: write the origins of your pages, such as https://app.example, \
         https://*.example.com or http://localhost:*"
    )]
    EveryPage,
    /// The scheme is missing.
    #[error("it does not begin with a scheme: write http://{0} or https://{0}")]
    NoScheme(String),
    /// No page has an origin with this scheme.
    #[error("no page has an origin that begins with {0}: write http or https, which the page is loaded with")]
    NotOfPages(String),
    /// More text follows after the host and the port.
    #[error("an origin ends after the host and the port: write {0}")]
    Path(String),
    /// The text contains a user name or a password.
    #[error("an origin has no user name and no password: write {0}")]
    UserName(String),
    /// The text contains a `*` at a place where none is allowed.
    #[error(
        "a * stands for the first labels of a name, as in https://*.example.com, or for the port, as in \
         http://localhost:*: write it there or not at all"
    )]
    Wildcard,
    /// Anyone can register a name below this one.
    #[error(
        "anybody can have a name below {0}: write two labels or more after the *, as in https://*.example.com"
    )]
    TopLevel(String),
    /// The host is missing or invalid.
    #[error(
        "the host {host:?} cannot be used ({problem}): write it as in https://app.example or http://[::1]:3000"
    )]
    Host {
        /// The host.
        host: String,
        /// The problem with it.
        problem: String,
    },
    /// A page cannot be loaded from this port.
    #[error("the port {0:?} cannot be used: write 1 to 65535, or * for any port")]
    Port(String),
}

/// The origin of one page, as its browser sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageOrigin {
    scheme: String,
    host: PageHost,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PageHost {
    Web(Host),
    App(String),
}

impl PageOrigin {
    /// Reads the value of a header `Origin`. Returns `None` for `null`, and for everything that no
    /// browser sends: several origins, a path, a user name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts = Parts::of(text).ok()?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let port = match parts.port {
            Some(port) => Some(parse_port(port).ok()?),
            None => default_port(&parts.scheme),
        };
        let host = if is_web(&parts.scheme) {
            PageHost::Web(parse_host(parts.host).ok()?)
        } else {
            PageHost::App(parse_app(&parts.scheme, parts.host).ok()?)
        };
        Some(Self {
            scheme: parts.scheme,
            host,
            port,
        })
    }
}

impl AllowedOrigin {
    /// Returns the origin of the pages that a server serves at this client URL: `http` for `ws`,
    /// and `https` for `wss`. Returns `None` if clients cannot be sent to the URL.
    pub(crate) fn of_server(url: &str) -> Option<Self> {
        if !client_url::is_usable(url) {
            return None;
        }
        let url = url::Url::parse(url).ok()?;
        let scheme = match url.scheme() {
            "ws" => "http",
            "wss" => "https",
            _ => return None,
        };
        Some(Self::one(scheme, url.host()?.to_owned(), url.port()))
    }

    /// Returns the origin of the pages of one host. The default port replaces a missing port.
    pub(crate) fn one(scheme: &str, host: Host, port: Option<u16>) -> Self {
        Self {
            hosts: Hosts::Web(host),
            ports: Ports::One(port.or_else(|| default_port(scheme))),
            scheme: scheme.to_owned(),
        }
    }

    /// Returns `true` if a page of this origin may connect.
    pub(crate) fn matches(&self, page: &PageOrigin) -> bool {
        let same_port = self.ports == Ports::Any || self.ports == Ports::One(page.port);
        let same_host = match (&self.hosts, &page.host) {
            (Hosts::App(app), PageHost::App(page)) => app == page,
            (Hosts::AnyApp, PageHost::App(_)) => true,
            (_, PageHost::Web(host)) => self.has_web_host(host),
            _ => false,
        };
        self.scheme == page.scheme && same_port && same_host
    }

    /// Returns `true` if pages of this host may connect, from some port, over http or https.
    pub(crate) fn has_web_host(&self, host: &Host) -> bool {
        match (&self.hosts, host) {
            (Hosts::Web(known), host) => known == host || is_loopback(known) && is_loopback(host),
            (Hosts::Below(name), Host::Domain(host)) => host
                .strip_suffix(&**name)
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
            _ => false,
        }
    }
}

impl FromStr for AllowedOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidOrigin::Empty);
        }
        if text.eq_ignore_ascii_case("null") {
            return Err(InvalidOrigin::Null);
        }
        let Parts { scheme, host, port } = Parts::of(text)?;
        if scheme == "file" && (host == "*" || port.is_some()) {
            return Err(InvalidOrigin::Path("file://".to_owned()));
        }
        let ports = match port {
            Some("*") => Ports::Any,
            Some(port) => Ports::One(Some(parse_port(port)?)),
            None => Ports::One(default_port(&scheme)),
        };
        let hosts = if !is_web(&scheme) {
            match host {
                "*" => Hosts::AnyApp,
                app => Hosts::App(parse_app(&scheme, app)?),
            }
        } else if host == "*" {
            return Err(InvalidOrigin::EveryPage);
        } else if let Some(name) = host.strip_prefix("*.") {
            Hosts::Below(parse_name_below(name)?)
        } else if host.contains('*') {
            return Err(InvalidOrigin::Wildcard);
        } else {
            Hosts::Web(parse_host(host)?)
        };
        Ok(Self { scheme, hosts, ports })
    }
}

/// The parts of an origin, as they are written.
struct Parts<'a> {
    /// In lower case.
    scheme: String,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, InvalidOrigin> {
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err(without_scheme(text));
        };
        let scheme = scheme.to_ascii_lowercase();
        if NOT_OF_PAGES.contains(&&*scheme) {
            return Err(InvalidOrigin::NotOfPages(scheme));
        }
        let authority = authority_of(rest);
        if let Some((_, place)) = authority.rsplit_once('@') {
            return Err(InvalidOrigin::UserName(format!("{scheme}://{place}")));
        }
        if authority.len() < rest.len() {
            return Err(InvalidOrigin::Path(format!("{scheme}://{authority}")));
        }
        let (host, port) = split_port(authority);
        Ok(Self { scheme, host, port })
    }
}

/// Splits an authority into the host and the port. An IPv6 address stands in brackets.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colon is a part of an IPv6 address.
        Some((_, after)) if after.contains(']') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// Reads a host of the web as browsers read it.
pub(crate) fn parse_host(host: &str) -> Result<Host, InvalidOrigin> {
    let unusable = |problem: &dyn core::fmt::Display| InvalidOrigin::Host {
        host: host.to_owned(),
        problem: problem.to_string(),
    };
    // The parser would decode the `%`. No browser sends one.
    if host.contains('%') {
        return Err(unusable(&"it has a %"));
    }
    Host::parse(host).map_err(|error| unusable(&error))
}

/// Returns `true` if this host is always the machine itself.
pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn parse_name_below(name: &str) -> Result<String, InvalidOrigin> {
    if name.contains('*') {
        return Err(InvalidOrigin::Wildcard);
    }
    let Host::Domain(domain) = parse_host(name)? else {
        return Err(InvalidOrigin::Wildcard);
    };
    let labels = domain.strip_suffix('.').unwrap_or(&domain);
    if labels.split('.').any(str::is_empty) {
        return Err(InvalidOrigin::Host {
            host: name.to_owned(),
            problem: "a label is empty".to_owned(),
        });
    }
    if !labels.contains('.') && labels != "localhost" {
        return Err(InvalidOrigin::TopLevel(domain));
    }
    Ok(domain)
}

/// Reads the host of a scheme other than `http` and `https`. The host of `file` is empty.
fn parse_app(scheme: &str, host: &str) -> Result<String, InvalidOrigin> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
    let problem = if scheme == "file" {
        if host.is_empty() {
            return Ok(String::new());
        }
        "pages from files have no host"
    } else if host.is_empty() {
        "it is empty"
    } else if host.contains('*') {
        return Err(InvalidOrigin::Wildcard);
    } else if host.bytes().all(is_part) {
        return Ok(host.to_ascii_lowercase());
    } else {
        "it has other characters than letters, digits, . _ ~ -"
    };
    Err(InvalidOrigin::Host {
        host: host.to_owned(),
        problem: problem.to_owned(),
    })
}

fn parse_port(port: &str) -> Result<u16, InvalidOrigin> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse().ok().filter(|number| digits && *number > 0);
    number.ok_or_else(|| InvalidOrigin::Port(port.to_owned()))
}

fn without_scheme(text: &str) -> InvalidOrigin {
    let lower = text.to_ascii_lowercase();
    if let Some(page) = lower.strip_prefix("blob:") {
        return InvalidOrigin::Path(page.to_owned());
    }
    if lower.starts_with("file:") {
        return InvalidOrigin::Path("file://".to_owned());
    }
    if WITHOUT_ORIGIN.iter().any(|scheme| lower.starts_with(scheme)) {
        return InvalidOrigin::Null;
    }
    let place = lower.split_once("://").map_or(&*lower, |(_, place)| place);
    let place = authority_of(place.trim_start_matches('/'));
    match place {
        "*" | "*:*" => InvalidOrigin::EveryPage,
        place => InvalidOrigin::NoScheme(place.to_owned()),
    }
}

fn authority_of(text: &str) -> &str {
    text.split(['/', '?', '#', '\\']).next().unwrap_or_default()
}

fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn is_web(scheme: &str) -> bool {
    default_port(scheme).is_some()
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

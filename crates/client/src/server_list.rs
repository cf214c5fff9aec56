use core::fmt;
use core::net::IpAddr;
use core::ops::Range;
use core::str::FromStr;

use bellwether_protocol::json::decimal;

const DEFAULT_PATH: &str = "/v1";

/// The address of a server: `ws://host:port/path`.
///
/// Two addresses are equal if they mean the same server. The case of the host does not matter, and
/// a missing port equals the default port. Without TLS, `localhost` is `127.0.0.1`. With TLS they
/// differ, because a certificate may name only one of them.
#[derive(Clone, Debug)]
pub struct ServerUrl {
    text: String,
    /// The range of the host in the text, with its brackets.
    host: Range<usize>,
    /// The beginning of the path in the text.
    path: usize,
    port: u16,
}

impl ServerUrl {
    /// Returns the URL as text, with scheme and path.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns `true` if the URL asks for TLS (`wss`).
    pub fn is_secure(&self) -> bool {
        self.text.starts_with("wss")
    }

    /// Returns the host without brackets, in lower case.
    pub fn host(&self) -> &str {
        let host = &self.text[self.host.clone()];
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `true` if no other machine can read messages on their way to the server. The URL
    /// asks for TLS, or its host is a loopback address.
    pub(crate) fn keeps_secrets(&self) -> bool {
        let is_loopback = |host: &str| host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.is_secure() || self.host() == "localhost" || is_loopback(self.host())
    }

    fn place(&self) -> (bool, &str, u16, &str) {
        let host = match &self.text[self.host.clone()] {
            "localhost" if !self.is_secure() => "127.0.0.1",
            host => host,
        };
        (self.is_secure(), host, self.port, &self.text[self.path..])
    }
}

impl PartialEq for ServerUrl {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for ServerUrl {}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The error for a server list with an invalid entry, or without entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadServer {
    /// The list has no entry.
    EmptyList,
    /// An entry is invalid.
    BadEntry {
        /// The entry, shortened if it is long.
        entry: String,
        /// The problem with the entry.
        problem: &'static str,
    },
}

impl BadServer {
    /// Returns the problem.
    pub fn text(&self) -> String {
        match self {
            Self::EmptyList => {
                "the list of servers is empty; name at least one, such as 127.0.0.1:7001".into()
            }
            Self::BadEntry { entry, problem } => [
                "\"",
                entry,
                "\" is not the address of a server: ",
                problem,
                "; write host:port or ws://host:port/v1",
            ]
            .concat(),
        }
    }
}

impl fmt::Display for BadServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for BadServer {}

impl FromStr for ServerUrl {
    type Err = BadServer;

    fn from_str(entry: &str) -> Result<Self, Self::Err> {
        parse(entry).map_err(|problem| BadServer::BadEntry {
            entry: entry.chars().take(100).collect(),
            problem,
        })
    }
}

fn parse(entry: &str) -> Result<ServerUrl, &'static str> {
    let (scheme, rest) = match cut(entry, b':') {
        Some((scheme, rest)) if rest.starts_with("//") => (Some(scheme), &rest[2..]),
        _ => (None, entry),
    };
    let secure = match scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case("wss") => true,
        Some(scheme) if !scheme.eq_ignore_ascii_case("ws") => return Err("the scheme must be ws or wss"),
        _ => false,
    };
    let authority = cut(rest, b'/').map_or(rest, |(authority, _)| authority);
    let path = &rest[authority.len()..];
    if cut(authority, b'@').is_some() {
        return Err("it must not hold a user name");
    }
    let (host, port) = split_port(authority)?;
    let port = match port {
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or("the port is not a number from 1 to 65535")?,
        None if scheme.is_none() => return Err("the port is missing"),
        None if secure => 443,
        None => 80,
    };
    check_host(host)?;
    if !path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && cut("?#\"<>\\^`{|}", byte).is_none())
    {
        return Err("the path holds a character that is not allowed there");
    }
    let path = if path.is_empty() || path == "/" {
        DEFAULT_PATH
    } else {
        path
    };
    let host = host.to_ascii_lowercase();
    let scheme = if secure { "wss://" } else { "ws://" };
    let text = [scheme, &host, ":", &decimal(u64::from(port)), path].concat();
    Ok(ServerUrl {
        host: scheme.len()..scheme.len() + host.len(),
        path: text.len() - path.len(),
        port,
        text,
    })
}

/// Splits `host:port`. The host keeps the brackets of an IPv6 address.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    if !authority.starts_with('[') {
        return Ok(match cut(authority, b':') {
            None => (authority, None),
            Some((host, port)) => (host, Some(port)),
        });
    }
    let (host, rest) = cut(authority, b']').ok_or("the closing ] of the IPv6 address is missing")?;
    let host = &authority[..=host.len()];
    match cut(rest, b':') {
        Some(("", port)) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        _ => Err("there is something between ] and the port"),
    }
}

/// Returns the text before and after the first of these bytes. The byte must be ASCII.
fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|other| other == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.starts_with('[') {
        // This check does not find every mistake. The connection attempt finds the others.
        let address = &host[1..host.len() - 1];
        return if cut(address, b':').is_some()
            && address
                .bytes()
                .all(|byte| matches!(byte, b':' | b'.') || byte.is_ascii_hexdigit())
        {
            Ok(())
        } else {
            Err("the text in [ ] is not an IPv6 address")
        };
    }
    if host.is_empty() {
        return Err("the host is missing");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.bytes().all(allowed) {
        Ok(())
    } else {
        Err("the host holds a character that is not allowed there")
    }
}

/// The servers of a cluster, in the order in which they are tried. The list is never empty, and
/// contains no server twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerList(Vec<ServerUrl>);

impl ServerList {
    /// Creates a list of these servers. If a server occurs twice, the list keeps its first
    /// position.
    ///
    /// # Errors
    /// [`BadServer::EmptyList`] if there are no servers.
    pub fn new(servers: impl IntoIterator<Item = ServerUrl>) -> Result<Self, BadServer> {
        let mut list = Self(Vec::new());
        servers.into_iter().for_each(|server| list.add(server));
        list.unless_empty()
    }

    fn add(&mut self, server: ServerUrl) {
        if !self.0.contains(&server) {
            self.0.push(server);
        }
    }

    fn unless_empty(self) -> Result<Self, BadServer> {
        if self.0.is_empty() {
            Err(BadServer::EmptyList)
        } else {
            Ok(self)
        }
    }

    /// Returns the number of servers on the list.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the servers in order.
    pub fn iter(&self) -> core::slice::Iter<'_, ServerUrl> {
        self.0.iter()
    }

    /// Returns the position on the list of the server that a hint names.
    pub(crate) fn position(&self, hint: &str) -> Option<usize> {
        let hinted: ServerUrl = hint.parse().ok()?;
        self.0.iter().position(|server| *server == hinted)
    }
}

impl core::ops::Index<usize> for ServerList {
    type Output = ServerUrl;

    fn index(&self, index: usize) -> &ServerUrl {
        &self.0[index]
    }
}

impl<'a> IntoIterator for &'a ServerList {
    type Item = &'a ServerUrl;
    type IntoIter = core::slice::Iter<'a, ServerUrl>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for ServerList {
    type Err = BadServer;

    /// Reads entries separated by commas, blanks or line ends. Skips a byte order mark before them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut list = Self(Vec::new());
        let text = crate::command::without_mark(text);
        for entry in text.split([',', ' ', '\n', '\r', '\t']) {
            if !entry.is_empty() {
                list.add(entry.parse()?);
            }
        }
        list.unless_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_completed() {
        let list: ServerList = "127.0.0.1:7001, ws://Example.com\n[::1]:7003 ws://h:1/gate/v1 wss://s"
            .parse()
            .unwrap();
        let texts: Vec<&str> = list.iter().map(ServerUrl::as_str).collect();
        assert_eq!(
            texts,
            [
                "ws://127.0.0.1:7001/v1",
                "ws://example.com:80/v1",
                "ws://[::1]:7003/v1",
                "ws://h:1/gate/v1",
                "wss://s:443/v1"
            ]
        );
        assert_eq!(list[2].host(), "::1");
        let marked: ServerList = "\u{feff}127.0.0.1:7001".parse().unwrap();
        assert_eq!(marked[0].as_str(), "ws://127.0.0.1:7001/v1");
    }

    #[test]
    fn the_same_place_counts_once() {
        let list: ServerList = "localhost:7001 127.0.0.1:7001 ws://LOCALHOST:7001/v1/x"
            .parse()
            .unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list.position("ws://127.0.0.1:7001/v1"), Some(0));
        assert_eq!(list.position("ws://127.0.0.2:7001/v1"), None);
        assert_eq!(list.position("nonsense"), None);
        // A certificate may name only one of them.
        let secure: ServerList = "wss://localhost:7001 wss://127.0.0.1:7001".parse().unwrap();
        assert_eq!(secure.len(), 2);
    }

    #[test]
    fn secrets_stay_on_this_machine_without_tls() {
        let list: ServerList =
            "wss://example.com ws://localhost:1 127.9.9.9:1 [::1]:1 ws://example.com 10.0.0.1:1 \
                                ws://localhost.example.com [::2]:1"
                .parse()
                .unwrap();
        let keep: Vec<_> = list.iter().map(ServerUrl::keeps_secrets).collect();
        assert_eq!(keep, [true, true, true, true, false, false, false, false]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(" ,\n".parse::<ServerList>(), Err(BadServer::EmptyList));
        for (entry, problem) in [
            ("http://h:1", "scheme"),
            ("h", "port is missing"),
            ("h:", "not a number"),
            ("h:0", "not a number"),
            ("h:70000", "not a number"),
            (":1", "host is missing"),
            ("u:p@h:1", "user name"),
            ("h:1/v1?x=1", "path"),
            ("h:1/#x", "path"),
            ("hä:1", "host"),
            ("[::1:1", "closing ]"),
            ("[zz]:1", "IPv6"),
            ("[::1]x:1", "between"),
        ] {
            let error = entry.parse::<ServerList>().unwrap_err().to_string();
            assert!(error.contains(problem), "{entry}: {error}");
            assert!(error.contains("ws://host:port/v1"), "{error}");
        }
    }
}

//! What holds of every page that asks to be let in.

use axum::http::HeaderValue;
use axum::http::uri::Authority;
use url::{Host, Url};

use super::origin::allows;

/// The first line is what a page's `Origin` says, the second the `Host` it asks for, the others what this server was told.
/// If the second is empty, the page asks for where it is itself: somebody may have led its name to this server.
pub fn origin(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (page, asked) = (line(), line());
    let own = str::from_utf8(page)
        .ok()
        .and_then(|page| Some(page.split_once("://")?.1));
    let asked = if asked.is_empty() {
        own.unwrap_or_default().as_bytes()
    } else {
        asked
    };
    let (Ok(origin), host) = (HeaderValue::from_bytes(page), HeaderValue::from_bytes(asked).ok()) else {
        return;
    };
    let known: Vec<&str> = lines.filter_map(|line| str::from_utf8(line).ok()).collect();
    let by_address = allows(&origin, host.as_ref(), []);
    let by_name = allows(&origin, None, known.iter().copied());
    let allowed = allows(&origin, host.as_ref(), known.iter().copied());
    assert_eq!(allowed, by_address || by_name, "one of the two lets it in");
    let page = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
    let Some(page) = page.filter(|page| page.has_host()) else {
        return assert!(!allowed, "a page without a place");
    };
    assert!(
        !allowed || page.scheme() == "http" || page.scheme() == "https",
        "{page}"
    );
    if by_address {
        let asked = host
            .and_then(|host| host.to_str().ok().map(str::to_owned))
            .unwrap_or_default();
        is_own(&page, &asked);
    }
    if by_name {
        assert!(
            known.iter().any(|known| is_listed(&page, known)),
            "{page} is none of {known:?}"
        );
    }
}

/// The page is where the server is, and nobody else can be there.
fn is_own(page: &Url, asked: &str) {
    match page.host() {
        Some(Host::Domain(name)) => assert_eq!(
            name, "localhost",
            "{page}: whoever owns the name leads it anywhere"
        ),
        host => assert!(host.is_some(), "{page}"),
    }
    let Ok(authority) = asked.parse::<Authority>() else {
        // What browsers never send as `Host`, and nothing but a browser is to be kept out.
        return;
    };
    assert_eq!(
        authority.port_u16().unwrap_or(80),
        page.port_or_known_default().unwrap_or_default(),
        "{page}, {asked}"
    );
    let same_host = page
        .host_str()
        .is_some_and(|host| host.eq_ignore_ascii_case(authority.host()));
    assert!(
        same_host || is_loopback(page) || !is_plain(authority.host()),
        "{page}, {asked}"
    );
}

fn is_listed(page: &Url, known: &str) -> bool {
    let Ok(known) = Url::parse(known) else {
        return false;
    };
    let same_host = page.host() == known.host() || (is_loopback(page) && is_loopback(&known));
    let secure = |url: &Url| url.scheme() == "https" || url.scheme() == "wss";
    same_host
        && page.port_or_known_default() == known.port_or_known_default()
        && secure(page) == secure(&known)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An address as it is usually written: four numbers. Others mean the same, such as `0x7f.1`.
fn is_plain(host: &str) -> bool {
    host.parse::<core::net::Ipv4Addr>().is_ok()
}

//! Properties that hold for every page that asks for access.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::{Host, Url};

use super::origin::{Asked, judge};
use crate::config::AllowedOrigin;

/// Checks the decision on one page. The first line is the page's `Origin`, and the second is the
/// `Host` that it asks for. The other lines are the origins that this server knows. If the second
/// line is empty, the page asks for its own host. The owner of that host's name may have pointed
/// the name at this server.
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
    let (texts, known): (Vec<&str>, Vec<AllowedOrigin>) = lines
        .filter_map(|line| str::from_utf8(line).ok())
        .filter_map(|text| {
            let told = AllowedOrigin::of_server(text).or_else(|| text.parse().ok());
            Some((text, told?))
        })
        .unzip();
    let reached = Asked {
        scheme: "http",
        on_loopback: false,
    };
    let is_let_in = |host: Option<&HeaderValue>, known: &[AllowedOrigin]| {
        let host = host.map(|host| (header::HOST, host.clone()));
        let page: [(HeaderName, HeaderValue); 1] = [(header::ORIGIN, origin.clone())];
        let headers: HeaderMap = page.into_iter().chain(host).collect();
        match judge(&headers, known.iter(), reached) {
            Ok(readable) => {
                assert_eq!(readable.as_ref(), Some(&origin), "the page reads the answer");
                true
            }
            Err(refusal) => {
                let reason = refusal.close_reason();
                assert!(reason.len() <= 123 && reason.is_ascii(), "{reason}");
                assert!(!reason.contains(|c: char| c.is_ascii_control()), "{reason:?}");
                false
            }
        }
    };
    let by_address = is_let_in(host.as_ref(), &[]);
    let by_name = is_let_in(None, &known);
    let allowed = is_let_in(host.as_ref(), &known);
    assert_eq!(allowed, by_address || by_name, "one of the two lets it in");
    if !allowed {
        return;
    }
    let text = origin.to_str().unwrap_or_default();
    let page = Url::parse(text).unwrap_or_else(|_| panic!("{text}: no place"));
    let just_a_place = page.username().is_empty() && page.password().is_none() && page.query().is_none();
    assert!(just_a_place && matches!(page.path(), "" | "/"), "{page}");
    if by_address {
        let asked = host
            .and_then(|host| host.to_str().ok().map(str::to_owned))
            .unwrap_or_default();
        is_own(&page, &asked);
    }
    if by_name {
        assert!(
            texts.iter().any(|known| is_listed(&page, text, known.trim())),
            "{page} is none of {texts:?}"
        );
    }
}

/// Asserts that the page is at the server itself, and that no other page can be there.
fn is_own(page: &Url, asked: &str) {
    assert_eq!(page.scheme(), "http", "{page}");
    match page.host() {
        Some(Host::Domain(name)) => assert_eq!(
            name, "localhost",
            "{page}: whoever owns the name leads it anywhere"
        ),
        host => assert!(host.is_some(), "{page}"),
    }
    let Ok(authority) = asked.parse::<Authority>() else {
        // Browsers never send such a `Host`, and the rules must keep out browsers only.
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

/// Returns `true` if this text allows the page. Reads the `*` as text, without the code under test.
fn is_listed(page: &Url, text: &str, known: &str) -> bool {
    let Some((scheme, rest)) = known.split_once("://") else {
        return false;
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws" => "http".to_owned(),
        "wss" => "https".to_owned(),
        other => other.to_owned(),
    };
    if page.scheme() != scheme {
        return false;
    }
    if !matches!(&*scheme, "http" | "https") {
        return rest == "*" || text.eq_ignore_ascii_case(known) || rest.ends_with(":*");
    }
    let any_port = rest.ends_with(":*");
    let place = rest.strip_suffix(":*").unwrap_or(rest);
    let below = place.starts_with("*.");
    let place = place.strip_prefix("*.").unwrap_or(place);
    let Ok(place) = Url::parse(&format!("{scheme}://{place}")) else {
        return false;
    };
    let same_host = if below {
        let name = format!(".{}", place.host_str().unwrap_or_default());
        page.host_str()
            .is_some_and(|host| host.len() > name.len() && host.ends_with(&name))
    } else {
        page.host() == place.host() || (is_loopback(page) && is_loopback(&place))
    };
    let same_port = any_port || page.port_or_known_default() == place.port_or_known_default();
    same_host && same_port
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns `true` if the address has the usual form of four numbers. Other forms mean the same,
/// such as `0x7f.1`.
fn is_plain(host: &str) -> bool {
    host.parse::<core::net::Ipv4Addr>().is_ok()
}

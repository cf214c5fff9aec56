use super::*;

const ORIGIN: HeaderName = header::ORIGIN;
const HOST: HeaderName = header::HOST;

/// Judges a request with these headers, for a server that knows some origins.
fn verdict(headers: &[(HeaderName, &str)], on_loopback: bool) -> Result<Option<HeaderValue>, Refusal> {
    let mut known: Vec<AllowedOrigin> = [
        "http://app.example",
        "https://*.apps.example",
        "moz-extension://*",
        "capacitor://localhost",
    ]
    .map(|origin| origin.parse().unwrap())
    .into();
    known.extend(AllowedOrigin::of_server("wss://db.example/v1"));
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::try_from(*value).unwrap()))
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        });
    judge(&headers, known.iter(), http(on_loopback))
}

fn http(on_loopback: bool) -> Asked {
    Asked {
        scheme: "http",
        on_loopback,
    }
}

fn is_let_in(origin: &str, host: &str) -> bool {
    verdict(&[(HOST, host), (ORIGIN, origin)], false).is_ok()
}

#[test]
fn the_own_page_of_a_server_with_tls_is_https() {
    let is_let_in = |origin: &str, host: &str| {
        let headers = [(HOST, host), (ORIGIN, origin)];
        let headers = headers.map(|(name, value)| (name, HeaderValue::try_from(value).unwrap()));
        let asked = Asked {
            scheme: "https",
            on_loopback: false,
        };
        judge(&headers.into_iter().collect(), [].iter(), asked).is_ok()
    };
    for (origin, host) in [
        ("https://127.0.0.1:7001", "127.0.0.1:7001"),
        ("https://10.0.0.1", "10.0.0.1"),
        ("https://10.0.0.1", "10.0.0.1:443"),
        ("https://[::1]:7001", "[::1]:7001"),
    ] {
        assert!(is_let_in(origin, host), "{origin} at {host}");
    }
    for (origin, host) in [
        ("http://127.0.0.1:7001", "127.0.0.1:7001"),
        ("http://10.0.0.1", "10.0.0.1"),
        ("https://10.0.0.1", "10.0.0.1:80"),
        ("https://db.example", "db.example"),
    ] {
        assert!(!is_let_in(origin, host), "{origin} at {host}");
    }
}

#[test]
fn a_server_knows_its_own_page_by_address_only() {
    for (origin, host) in [
        ("http://127.0.0.1:7001", "127.0.0.1:7001"),
        ("http://localhost:7001", "127.0.0.1:7001"),
        ("http://localhost:7001", "LOCALHOST:7001"),
        ("http://[::1]:7001", "[::1]:7001"),
        ("http://10.0.0.1:7001", "10.0.0.1:7001"),
        ("http://10.0.0.1", "10.0.0.1"),
        ("http://10.0.0.1", "10.0.0.1:80"),
        ("http://10.0.0.1:80", "10.0.0.1"),
        ("https://db.example", "evil.example"),
        ("http://app.example", "10.0.0.1:7001"),
        ("https://a.b.apps.example", "10.0.0.1:7001"),
        ("moz-extension://2c127fa4", "10.0.0.1:7001"),
        ("capacitor://localhost", "10.0.0.1:7001"),
    ] {
        assert!(is_let_in(origin, host), "{origin} at {host}");
    }
    for (origin, host) in [
        ("http://evil.example:7001", "evil.example:7001"),
        (
            "http://localhost.evil.example:7001",
            "localhost.evil.example:7001",
        ),
        ("http://evil.example", "app.example"),
        ("http://db1:7001", "db1:7001"),
        ("http://localhost.:7001", "127.0.0.1:7001"),
        ("http://user@10.0.0.1:7001", "10.0.0.1:7001"),
        ("http://10.0.0.1:7001/", "10.0.0.1:7001"),
        ("http://10.0.0.1:7001", "10.0.0.1"),
        ("https://10.0.0.1:7001", "10.0.0.1:7001"),
        ("other://10.0.0.1:7001", "10.0.0.1:7001"),
        ("capacitor://localhost:7001", "localhost:7001"),
        ("http://localhost:7001", "evil.example@localhost:7001"),
        ("http://localhost:7001", "localhost:7001/x"),
        ("http://localhost:7001 http://evil.example", "localhost:7001"),
        ("null", "null"),
        ("", ""),
        ("http://", ""),
        ("http://\u{e9}", "\u{e9}"),
    ] {
        assert!(!is_let_in(origin, host), "{origin} at {host}");
    }
}

#[test]
fn what_no_browser_sends_lets_nobody_in() {
    let own = (ORIGIN, "http://localhost:7001");
    let host = (HOST, "localhost:7001");
    assert!(verdict(&[host.clone(), own.clone()], true).is_ok());
    let twice = verdict(&[host.clone(), own.clone(), own.clone()], true);
    assert_eq!(twice, Err(Refusal::SeveralOrigins));
    let hosts = verdict(&[host.clone(), (HOST, "evil.example"), own], true);
    assert!(hosts.is_err(), "{hosts:?}");
    let hosts = verdict(&[host, (HOST, "evil.example")], true);
    assert_eq!(hosts, Err(Refusal::Name("evil.example".to_owned())));
}

#[test]
fn a_server_on_loopback_has_few_names() {
    for own in [
        "127.0.0.1:7001",
        "[::1]:7001",
        "localhost:7001",
        "LOCALHOST",
        "db.example",
        "db.example:7001",
        "app.example",
        "a.b.apps.example",
    ] {
        assert_eq!(verdict(&[(HOST, own)], true), Ok(None), "{own}");
    }
    for strange in [
        "evil.example:7001",
        "apps.example",
        "localhost.evil.example",
        "db.example.evil.example",
        "127.0.0.1@evil.example",
        "2c127fa4",
        "",
        "a b",
    ] {
        assert!(verdict(&[(HOST, strange)], true).is_err(), "{strange}");
    }
    // HTTP/1.0, which some load balancers use.
    assert_eq!(verdict(&[], true), Ok(None));
}

#[test]
fn a_browser_is_answered_under_known_names_only() {
    let strange = (HOST, "evil.example:7001");
    for load_balancer in [
        vec![],
        vec![(header::USER_AGENT, "curl/8.0")],
        vec![(header::ACCEPT, "*/*")],
    ] {
        let headers = [vec![strange.clone()], load_balancer].concat();
        assert_eq!(verdict(&headers, false), Ok(None), "{headers:?}");
    }
    for (name, value) in [
        (SITE, "same-origin"),
        (SITE, "none"),
        (SITE, "cross-site"),
        (MODE, "cors"),
        (DESTINATION, "empty"),
    ] {
        let refused = Err(Refusal::Name("evil.example:7001".to_owned()));
        let browser = (name, value);
        assert_eq!(
            verdict(&[strange.clone(), browser.clone()], false),
            refused,
            "{browser:?}"
        );
        for known in ["db.example", "app.example:7001", "10.0.0.1:7001"] {
            let cross_site = value == "cross-site";
            let verdict = verdict(&[(HOST, known), browser.clone()], false);
            assert_eq!(verdict.is_err(), cross_site, "{known} {browser:?}");
        }
    }
}

#[test]
fn pages_of_other_sites_may_lead_their_visitors_here_and_load_nothing() {
    let asks = |site: &str, mode: &str, destination: &str| {
        let fetch = [(SITE, site), (MODE, mode), (DESTINATION, destination)];
        verdict(&[&[(HOST, "127.0.0.1:7001")][..], &fetch].concat(), true)
    };
    for (site, mode, destination) in [
        ("none", "navigate", "document"),
        ("cross-site", "navigate", "document"),
        ("same-site", "navigate", "document"),
        ("same-origin", "no-cors", "script"),
        ("same-origin", "cors", "empty"),
    ] {
        assert_eq!(
            asks(site, mode, destination),
            Ok(None),
            "{site} {mode} {destination}"
        );
    }
    for (site, mode, destination) in [
        ("cross-site", "no-cors", "image"),
        ("cross-site", "no-cors", "empty"),
        ("same-site", "no-cors", "script"),
        ("cross-site", "navigate", "iframe"),
        ("cross-site", "websocket", "websocket"),
        ("made-up", "no-cors", "empty"),
    ] {
        let refused = Err(Refusal::OtherSite);
        assert_eq!(
            asks(site, mode, destination),
            refused,
            "{site} {mode} {destination}"
        );
    }
    let site = |site| (SITE, site);
    let two = verdict(&[site("same-origin"), site("cross-site")], true);
    assert_eq!(two, Err(Refusal::OtherSite));
}

#[test]
fn a_reason_fits_a_close_frame_and_holds_visible_ascii() {
    let reason = |origin: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_bytes(origin).unwrap());
        let refusal = judge(&headers, [].iter(), http(true)).unwrap_err();
        let reason = refusal.close_reason();
        assert!(reason.len() <= 123, "{reason}");
        assert!(
            reason.bytes().all(|c| c == b' ' || c.is_ascii_graphic()),
            "{reason}"
        );
        assert!(refusal.to_string().len() < 500, "{refusal}");
        reason
    };
    for origin in [
        "https://app.example",
        "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    ] {
        let reason = reason(origin.as_bytes());
        assert!(reason.ends_with(&format!("--allow-origin {origin}")), "{reason}");
    }
    assert!(reason(b"null").contains("null"));
    for odd in [
        &b"\xff\xfe"[..],
        b"\t\"\\",
        "https://\u{202e}elpmaxe".as_bytes(),
        "x".repeat(16_000).as_bytes(),
        [0xff; 16_000].as_slice(),
    ] {
        assert!(reason(odd).contains("--allow-origin"));
    }
}

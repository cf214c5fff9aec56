use super::*;

fn allowed(text: &str) -> AllowedOrigin {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matches(pattern: &str, page: &str) -> bool {
    PageOrigin::parse(page).is_some_and(|page| allowed(pattern).matches(&page))
}

#[test]
fn one_origin_is_itself_however_it_is_written() {
    for (pattern, page) in [
        ("https://app.example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("https://app.example", "https://app.example:443"),
        ("HTTPS://App.Example", "https://app.example"),
        ("https://app.example", "HTTPS://APP.EXAMPLE"),
        (" https://app.example ", "https://app.example"),
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
        ("http://10.0.0.7:3000", "http://10.0.0.7:3000"),
        ("http://[2001:db8::7]:3000", "http://[2001:0db8::0:7]:3000"),
        ("http://localhost:3000", "http://127.0.0.1:3000"),
        ("http://127.0.0.1:3000", "http://[::1]:3000"),
        ("https://app.example.", "https://app.example."),
    ] {
        assert!(matches(pattern, page), "{pattern}, {page}");
    }
}

#[test]
fn another_origin_is_not_let_in() {
    for (pattern, page) in [
        ("https://app.example", "http://app.example"),
        ("https://app.example", "https://app.example:8443"),
        ("https://app.example", "https://app.example."),
        ("https://app.example", "https://app.example.evil.example"),
        ("https://app.example", "https://evil.example/https://app.example"),
        ("https://app.example", "https://app.example@evil.example"),
        ("https://app.example", "https://evil.example@app.example"),
        ("https://app.example", "https://app.example, https://evil.example"),
        ("https://app.example", "https://app.example https://evil.example"),
        ("https://app.example", "https://app\t.example"),
        ("https://app.example", "https://%61pp.example"),
        ("https://app.example", "https://app.example/"),
        ("https://app.example", "app://app.example"),
        ("https://app.example", "null"),
        ("https://app.example", ""),
        ("http://localhost:3000", "http://localhost:3001"),
        ("http://localhost:3000", "http://localhost.evil.example:3000"),
        ("http://localhost:3000", "http://localhost.:3000"),
        ("http://localhost:3000", "capacitor://localhost:3000"),
        ("http://[::1]:3000", "http://[::2]:3000"),
    ] {
        assert!(!matches(pattern, page), "{pattern}, {page}");
    }
}

#[test]
fn a_star_stands_for_labels_or_for_the_port() {
    for (pattern, page, is_let_in) in [
        ("https://*.example.com", "https://a.example.com", true),
        ("https://*.example.com", "https://a.b.example.com", true),
        ("https://*.example.com", "https://A.EXAMPLE.COM", true),
        ("https://*.example.com", "https://example.com", false),
        ("https://*.example.com", "https://.example.com", false),
        ("https://*.example.com", "https://evilexample.com", false),
        (
            "https://*.example.com",
            "https://a.example.com.evil.example",
            false,
        ),
        ("https://*.example.com", "https://a.example.com:8443", false),
        ("https://*.example.com", "https://a.example.com.", false),
        ("https://*.example.com", "http://a.example.com", false),
        ("https://*.example.com", "app://a.example.com", false),
        ("https://*.example.com:8443", "https://a.example.com:8443", true),
        ("https://*.example.com:*", "https://a.example.com:8443", true),
        ("http://*.localhost:*", "http://app.localhost:3000", true),
        ("http://*.localhost:*", "http://localhost:3000", false),
        ("http://localhost:*", "http://localhost", true),
        ("http://localhost:*", "http://localhost:3000", true),
        ("http://localhost:*", "http://127.0.0.1:65535", true),
        ("http://localhost:*", "http://[::1]:8080", true),
        ("http://localhost:*", "https://localhost:3000", false),
        ("http://localhost:*", "http://app.localhost:3000", false),
        ("http://localhost:*", "http://localhost.evil.example:3000", false),
        ("http://localhost:*", "http://10.0.0.7:3000", false),
        ("http://localhost:*", "capacitor://localhost", false),
    ] {
        assert_eq!(matches(pattern, page), is_let_in, "{pattern}, {page}");
    }
}

#[test]
fn apps_extensions_and_files_have_schemes_of_their_own() {
    for app in [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "http://tauri.localhost",
        "app://bundle.id_7",
        "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        "safari-web-extension://2C127FA4-62C7-7E4F-90E5-472B45EECFDC",
        "file://",
    ] {
        assert!(matches(app, app), "{app}");
        assert!(!matches(app, "null"), "{app}");
        assert!(!matches(app, "http://localhost"), "{app}");
    }
    assert!(matches("moz-extension://*", "moz-extension://2c127fa4"));
    assert!(!matches("moz-extension://*", "chrome-extension://2c127fa4"));
    assert!(!matches("moz-extension://*", "https://2c127fa4"));
    assert!(!matches("capacitor://localhost", "capacitor://evil"));
    let localhost = Host::Domain("localhost".to_owned());
    assert!(!allowed("capacitor://localhost").has_web_host(&localhost));
    assert!(!allowed("moz-extension://*").has_web_host(&localhost));
}

/// The parser refuses patterns that match nothing or everything, and says what to write instead.
#[test]
fn what_matches_nothing_is_refused_with_what_to_write() {
    for (text, says) in [
        ("", "empty"),
        (" ", "empty"),
        ("null", "serve the page over http"),
        ("about:blank", "serve the page over http"),
        ("data:text/html,x", "serve the page over http"),
        ("*", "let every web page in"),
        ("*:*", "let every web page in"),
        ("*://*", "let every web page in"),
        ("http://*", "let every web page in"),
        ("https://*:8443", "let every web page in"),
        ("app.example", "write http://app.example or https://app.example"),
        ("localhost:3000", "write http://localhost:3000 or"),
        ("//app.example/x", "write http://app.example or"),
        ("*://app.example", "write http://app.example or"),
        ("ws://app.example", "begins with ws"),
        ("wss://app.example/v1", "begins with wss"),
        ("mongodb://m1", "begins with mongodb"),
        ("http://localhost:3000/", "write http://localhost:3000"),
        ("https://app.example/app?x#y", "write https://app.example"),
        ("https://app.example\\x", "write https://app.example"),
        ("https://app.example?x", "write https://app.example"),
        ("capacitor://localhost/", "write capacitor://localhost"),
        ("blob:https://app.example", "write https://app.example"),
        ("file:///home/me/page.html", "write file://"),
        ("file:/home/me/page.html", "write file://"),
        ("file://*", "write file://"),
        ("file://:80", "write file://"),
        ("file://:*", "write file://"),
        ("file://server", "have no host"),
        ("https://me:secret@app.example", "write https://app.example"),
        ("https://*.com", "below com"),
        ("https://*.com.", "below com."),
        ("https://*.", "host \"\""),
        ("https://*..com", "label is empty"),
        ("https://*example.com", "a * stands for"),
        ("https://app*.example.com", "a * stands for"),
        ("https://app.*.example.com", "a * stands for"),
        ("https://*.*.example.com", "a * stands for"),
        ("https://*.10.0.0.7", "a * stands for"),
        ("app://a*", "a * stands for"),
        ("http://", "host \"\""),
        ("http://:3000", "host \"\""),
        ("http://::1:3000", "http://[::1]:3000"),
        ("http://a b", "host \"a b\""),
        ("http://%61pp.example", "has a %"),
        ("capacitor://", "it is empty"),
        ("app://a:b:c", "port \"c\""),
        ("http://localhost:0", "port \"0\""),
        ("http://localhost:", "port \"\""),
        ("http://localhost:65536", "port \"65536\""),
        ("http://localhost:+80", "port \"+80\""),
        ("http://localhost:30*", "port \"30*\""),
    ] {
        let error = text.parse::<AllowedOrigin>().expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error:?} does not say {says:?}");
    }
}

#[test]
fn the_pages_of_a_server_are_where_its_clients_are_sent() {
    for (url, page, is_own) in [
        ("ws://127.0.0.1:7001/v1", "http://localhost:7001", true),
        ("wss://db.example/gate/v1", "https://db.example", true),
        ("ws://db.example:7001/v1", "http://db.example:7001", true),
        ("ws://127.0.0.1:7001/v1", "http://localhost:7002", false),
        ("ws://db.example/v1", "https://db.example", false),
        (
            "ws://127.0.0.1:7001/v1",
            "http://localhost.evil.example:7001",
            false,
        ),
        ("ws://localhost/v1", "ws://localhost", false),
    ] {
        let own = AllowedOrigin::of_server(url).unwrap();
        let page = PageOrigin::parse(page);
        assert_eq!(page.is_some_and(|page| own.matches(&page)), is_own, "{url}");
    }
    assert_eq!(AllowedOrigin::of_server("data:text/html,x"), None);
    assert_eq!(AllowedOrigin::of_server("http://localhost"), None);
    assert_eq!(AllowedOrigin::of_server("wss:/@db.example/v1"), None);
}

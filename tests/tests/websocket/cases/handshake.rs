use std::time::Duration;

use crate::observe::{
    Case, GOES_ON, Seen, Start, Step, closed, executes, hello, new_command, upgrade, upgrade_with,
};

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, section, steps, seen| Case {
        name,
        section,
        start: Start::Connected,
        steps,
        seen,
    };
    let sent = |name, section, bytes, seen| case(name, section, vec![Step::Send(bytes)], seen);
    let changed = |name, section, from, to, seen| sent(name, section, upgrade_with(from, to), seen);
    let with_header = |name, header: &str, seen| {
        let more = format!("\r\n{header}\r\n\r\n");
        sent(name, "10.2", upgrade_with("\r\n\r\n", &more), seen)
    };
    let headers = |count: usize, bytes: usize| {
        let headers: String = (0..count)
            .map(|n| format!("x-{n}: {}\r\n", "x".repeat(bytes)))
            .collect();
        upgrade_with("\r\n\r\n", &format!("\r\n{headers}\r\n"))
    };
    let version = "Sec-WebSocket-Version: 13";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    vec![
        sent("a handshake as it should be", "4.1", upgrade(), GOES_ON),
        changed(
            "names and values in other letters",
            "4.2.1",
            "Upgrade: websocket",
            "uPGRADE: WEBSOCKET",
            GOES_ON,
        ),
        changed(
            "`Connection: keep-alive, Upgrade`",
            "4.2.1",
            "Connection: Upgrade",
            "Connection: keep-alive, Upgrade",
            GOES_ON,
        ),
        changed(
            "version 12",
            "4.2.2",
            version,
            "Sec-WebSocket-Version: 12",
            Seen::Http(426),
        ),
        changed(
            "no version",
            "4.2.1",
            "Sec-WebSocket-Version: 13\r\n",
            "",
            Seen::Http(426),
        ),
        changed("no key", "4.2.1", key, "", Seen::Http(400)),
        changed(
            "no `Upgrade`",
            "4.2.1",
            "Upgrade: websocket\r\n",
            "",
            Seen::Http(400),
        ),
        changed(
            "no `Connection`",
            "4.2.1",
            "Connection: Upgrade\r\n",
            "",
            Seen::Http(400),
        ),
        changed("POST", "4.2.1", "GET", "POST", Seen::Http(405)),
        changed("HTTP/1.0", "4.2.1", "HTTP/1.1", "HTTP/1.0", Seen::Http(400)),
        changed("another path", "4.2.2", "/v1", "/v2", Seen::Http(404)),
        with_header(
            "a page from elsewhere",
            "Origin: http://evil.example",
            closed(4405),
        ),
        with_header("a page whose origin is `null`", "Origin: null", closed(4405)),
        with_header("a page from a file", "Origin: file://", closed(4405)),
        with_header("an app's page", "Origin: capacitor://localhost", closed(4405)),
        with_header(
            "two headers `Origin`",
            "Origin: http://127.0.0.1:7001\r\nOrigin: http://127.0.0.1:7001",
            closed(4405),
        ),
        with_header(
            "an origin of 8 KB",
            &format!("Origin: http://{}", "x".repeat(8_000)),
            closed(4405),
        ),
        with_header(
            "an origin that is no text",
            "Origin: \u{ff}\t\u{202e}",
            closed(4405),
        ),
        with_header(
            "a page of another site without `Origin`",
            "Sec-Fetch-Site: cross-site",
            closed(4405),
        ),
        with_header("the server's own page", "Origin: http://127.0.0.1:7001", GOES_ON),
        changed(
            "a page from elsewhere, no subprotocol",
            "10.2",
            "Sec-WebSocket-Protocol: bellwether.v1\r\n",
            "Origin: http://evil.example\r\n",
            closed(4405),
        ),
        changed(
            "a page from elsewhere, no `Upgrade`",
            "10.2",
            "Upgrade: websocket\r\n",
            "Origin: http://evil.example\r\n",
            Seen::Http(403),
        ),
        changed(
            "a page from elsewhere, version 12",
            "10.2",
            version,
            "Sec-WebSocket-Version: 12\r\nOrigin: http://evil.example",
            Seen::Http(426),
        ),
        changed(
            "a page from elsewhere, another path",
            "10.2",
            "/v1 HTTP/1.1",
            "/v2 HTTP/1.1\r\nOrigin: http://evil.example",
            Seen::Http(403),
        ),
        changed(
            "no subprotocol",
            "4.2.2",
            "Sec-WebSocket-Protocol: bellwether.v1\r\n",
            "",
            closed(4406),
        ),
        changed(
            "compression offered",
            "9.1",
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            GOES_ON,
        ),
        sent("100 KB of headers", "4.2.1", headers(50, 2000), Seen::Http(431)),
        sent("200 headers", "4.2.1", headers(200, 1), Seen::Http(431)),
        sent(
            "no HTTP",
            "4.2.1",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\r\n\r\n".to_vec(),
            Seen::Http(400),
        ),
        case(
            "one byte in each segment",
            "4.1",
            vec![Step::Trickle(upgrade(), Duration::ZERO)],
            GOES_ON,
        ),
        case(
            "one byte every 50 ms, longer than a handshake may take",
            "4.1",
            vec![Step::Trickle(upgrade(), Duration::from_millis(50))],
            Seen::Ended,
        ),
        case(
            "half of it, then silence",
            "4.1",
            vec![Step::Send(upgrade()[..60].to_vec()), Step::Silence],
            Seen::Ended,
        ),
        case("nothing at all", "4.1", vec![Step::Silence], Seen::Ended),
        case(
            "no `hello` after it",
            "4.1",
            vec![Step::Send(upgrade()), Step::Silence],
            closed(4408),
        ),
        sent(
            "frames in its segment",
            "4.1",
            [upgrade(), hello(), new_command()].concat(),
            executes(1),
        ),
    ]
}

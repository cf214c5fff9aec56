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
        changed(
            "a page from elsewhere",
            "10.2",
            "\r\n\r\n",
            "\r\nOrigin: http://evil.example\r\n\r\n",
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

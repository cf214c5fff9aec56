//! The address at which clients reach a server. The server's options give it, and the server tells
//! it to its peers.

use url::Url;

/// Length limit of a client URL, in bytes.
pub(crate) const MAX_BYTES: usize = 1024;

/// Returns `true` if clients can be sent to this URL: `ws` or `wss` with a host. The URL has at
/// most [`MAX_BYTES`] visible ASCII characters, and no user name, password or fragment.
///
/// A URL from a peer must follow the rules of the option `--client-url`, because it goes to clients
/// and into the log.
pub(crate) fn is_usable(text: &str) -> bool {
    let visible = text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    visible
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "ws" | "wss")
                && is_read_alike(text, url.scheme())
                && url.fragment().is_none()
        })
}

/// Returns `true` if clients speak TLS to this URL.
pub(crate) fn is_secure(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "wss")
}

/// Returns the host of this URL, or `None` if it has none.
pub(crate) fn host(text: &str) -> Option<String> {
    Some(Url::parse(text).ok()?.host_str()?.to_owned())
}

/// Returns `true` if the host of this URL is the same for a browser and for a program that follows
/// RFC 3986.
///
/// A browser also finds a host after one slash, after three slashes, before a backslash and in
/// percent-encoding (WHATWG URL standard, section 4.4). Other programs find no host there, or
/// another host.
fn is_read_alike(text: &str, scheme: &str) -> bool {
    let Some((given, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    given.eq_ignore_ascii_case(scheme) && !authority.is_empty() && !authority.contains(['@', '\\', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_can_be_sent_to_web_sockets_only() {
        for usable in [
            "ws://127.0.0.1:7001/v1",
            "ws://[::1]:7001/v1",
            "wss://db.example/gate/v1",
            "ws://db1.example:7001",
            "WSS://DB.example",
            "ws://db.example/a@b%20\\c",
        ] {
            assert!(is_usable(usable), "{usable}");
        }
        let long = format!("ws://db.example/{}", "x".repeat(MAX_BYTES));
        for unusable in [
            "",
            "localhost:7001",
            "http://localhost:7001/v1",
            "javascript:alert(1)",
            "ws://",
            "ws://user@db.example/v1",
            "ws://:secret@db.example/v1",
            "ws://@db.example/v1",
            "ws://db.example/v1#x",
            "wss:/db.example/v1",
            "wss:/@db.example/v1",
            "wss:db.example/v1",
            "wss:///db.example/v1",
            "wss:\\\\db.example/v1",
            "wss:/x://db.example/v1",
            "ws://db.example\\@evil.example/v1",
            "ws://db%2eexample/v1",
            "ws://?db.example",
            " ws://db.example/v1",
            "ws://db.example/v1\n",
            "ws://db.exam\tple/v1",
            "ws://db.example/\u{1b}[31m",
            "ws://db.example/\u{202e}1v",
            &long,
        ] {
            assert!(!is_usable(unusable), "{unusable:?}");
        }
        assert!(is_usable(&long[..MAX_BYTES]));
    }
}

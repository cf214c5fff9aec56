//! Properties that hold for every text that a client receives. The fuzz targets call these
//! functions with the fuzzer's input, and a test calls them with the corpus: see `fuzz/README.md`
//! in the repository. This module is not part of the interface.

use bellwether_protocol::json::only_object;

use crate::{RawJson, ServerList, ServerUrl};

/// The layout of the program `bellwether`.
#[path = "bin/bellwether/pretty.rs"]
mod layout;

use layout::{pretty, pretty_relaxed};

/// Length limit of an error. An error quotes its subject, but only up to a limit.
const LONGEST_ERROR: usize = 600;

/// Checks the server list with this text.
///
/// # Panics
/// Panics if a property does not hold.
pub fn server_list(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let list = match text.parse::<ServerList>() {
        Ok(list) => list,
        Err(error) => return assert!(error.text().len() <= LONGEST_ERROR, "{error}"),
    };
    for (at, server) in list.iter().enumerate() {
        let text = server.as_str();
        assert_eq!(
            list.position(text),
            Some(at),
            "{text} is on the list once, where it is"
        );
        assert_eq!(text.parse().as_ref().map(ServerUrl::as_str), Ok(text));
        assert_eq!(server.is_secure(), text.starts_with("wss://"));
        assert!(server.is_secure() || text.starts_with("ws://"));
        assert!(server.port() > 0 && !server.host().is_empty(), "{text}");
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)),
            "{text}"
        );
    }
    let texts: Vec<&str> = list.iter().map(ServerUrl::as_str).collect();
    assert_eq!(texts.join("\n").parse().as_ref(), Ok(&list), "{texts:?}");
}

/// Checks the layout of a server's reply with this text.
///
/// # Panics
/// Panics if a property does not hold.
pub fn reply(data: &[u8]) {
    let Some(json) = str::from_utf8(data)
        .ok()
        .and_then(|text| RawJson::object(text).ok())
    else {
        return;
    };
    let laid_out = pretty(&json);
    assert_eq!(
        without_blanks(&laid_out),
        without_blanks(json.as_str()),
        "only blanks change"
    );
    assert_eq!(pretty(&read(&laid_out)), laid_out, "it is laid out already");
    // A reply is a document with several fields. Alone, a document such as `{"$numberInt":"5"}`
    // would become a number, so this one is put into another document.
    let relaxed = pretty_relaxed(&read(&format!(r#"{{"reply":{json}}}"#)));
    assert_eq!(
        pretty(&read(&relaxed)),
        relaxed,
        "it is laid out as everything else"
    );
}

fn read(text: &str) -> RawJson {
    RawJson::object(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Returns the JSON without the blanks outside its strings.
fn without_blanks(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut kept = String::new();
    for c in json.chars() {
        if in_string || !c.is_ascii_whitespace() {
            kept.push(c);
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
    }
    assert!(only_object(&kept).is_ok(), "{kept}");
    kept
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::corpus;

    #[test]
    fn lists_of_servers() {
        corpus("server_list", super::server_list);
    }

    #[test]
    fn replies() {
        corpus("reply", super::reply);
    }
}

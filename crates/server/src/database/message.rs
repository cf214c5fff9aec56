//! Prepares MongoDB's messages for clients and logs. Removes the data of the server and of other
//! clients, and limits the size.

/// Length limit of a message, in characters. MongoDB may quote a value of many megabytes in a
/// message.
const MAX_MESSAGE: usize = 4096;

/// Text after which a message quotes the whole command, which may contain other clients' documents.
const WHOLE_COMMAND: &str = "to execute command {";

/// Fields of the server's own communication with MongoDB, if a message quotes them.
const OWN_FIELDS: [&str; 8] = [
    "lsid:",
    "\"lsid\"",
    "$clusterTime",
    "operationTime:",
    "\"operationTime\"",
    "signature:",
    "\"signature\"",
    "keyId:",
];

/// Returns the message without the quoted command and without session ids, shortened to the limit.
pub(crate) fn cleaned(message: &str) -> String {
    let mut text = without_session_ids(without_command(message));
    if let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Cuts the message at the beginning of the quoted command, and keeps the command's name.
fn without_command(message: &str) -> String {
    if let Some((before, command)) = message.split_once(WHOLE_COMMAND) {
        let name = command.trim_start();
        let name = name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        return format!("{before}to execute command {name}");
    }
    let first = OWN_FIELDS.iter().filter_map(|field| message.find(field)).min();
    match first {
        None => message.to_owned(),
        Some(at) => {
            // The quoted document begins before its field.
            let begin = message[..at].find('{').unwrap_or(at);
            format!("{}…", &message[..begin])
        }
    }
}

/// Replaces the text that MongoDB writes for a session: its UUID, and after it the hash of the
/// server's user.
fn without_session_ids(message: String) -> String {
    const BETWEEN: &str = " - ";
    let mut text = String::new();
    let mut rest = message.as_str();
    while let Some(at) = rest.find(BETWEEN) {
        let (before, after) = (&rest[..at], &rest[at + BETWEEN.len()..]);
        let begin = before
            .len()
            .checked_sub(UUID_DIGITS)
            .filter(|begin| is_uuid(&before.as_bytes()[*begin..]));
        match begin {
            Some(begin) => {
                text.push_str(&before[..begin]);
                text.push('…');
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                rest = &after[end..];
            }
            None => {
                text.push_str(&rest[..at + BETWEEN.len()]);
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// Characters of a UUID, hyphens included.
const UUID_DIGITS: usize = 36;

/// Returns `true` if these bytes have the form of a UUID.
fn is_uuid(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_command_is_cut() {
        let text = concat!(
            r#"not authorized on app to execute command { insert: "notes", documents: [ { secret: "of another" } ], "#,
            r#"lsid: { id: UUID("9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d") }, $clusterTime: { clusterTime: Timestamp(1, 2), "#,
            r#"signature: { hash: BinData(0, 0000), keyId: 7 } }, $db: "app" }"#
        );
        assert_eq!(cleaned(text), "not authorized on app to execute command insert");
        for text in [
            r#"cannot do { find: "other's", lsid: { id: UUID("9b1deb4d") } } now"#,
            r#"cannot do { find: "other's", $clusterTime: 5 }"#,
            r#"cannot do {"find": "other's", "lsid": {}}"#,
            "cannot do { signature: BinData(0, 00) }",
        ] {
            assert_eq!(cleaned(text), "cannot do …", "{text}");
        }
    }

    #[test]
    fn sessions_are_cut() {
        let text = concat!(
            "cannot start 9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d - ",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= -  -  because of 1 - 2 "
        );
        assert_eq!(cleaned(text), "cannot start … -  -  because of 1 - 2 ");
        for same in [
            "",
            " - ",
            "a - b",
            "é - é",
            "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d of a collection",
        ] {
            assert_eq!(cleaned(same), same);
        }
    }

    #[test]
    fn no_message_is_endless() {
        let long = "ä".repeat(100_000);
        assert_eq!(cleaned(&long).chars().count(), MAX_MESSAGE + 1);
    }
}

//! Names faults in a connection string without a part of its password.
//!
//! The driver's own messages repeat the text that they could not read. That text may be a part of a
//! password that was not percent-encoded. The form is therefore checked here first, and no message
//! of the driver about a connection string is shown.

use mongodb::options::ConnectionString;

/// Remedy for a user name or a password that is not percent-encoded.
const ENCODE: &str = "percent-encode it: %40 for @, %3A for :, %2F for /, %3F for ?, %23 for #, %5B for [, %5D for ] and %25 for %";

/// Characters that must be percent-encoded in a user name or a password.
const RESERVED: &str = ":/?#[]@";

/// Checks a connection string before the driver reads it.
///
/// # Errors
/// The problem and its remedy. The text contains nothing of the connection string except a host and
/// its port, and only if these cannot be part of a password.
pub(super) fn check(uri: &str) -> Result<(), String> {
    let Some((scheme @ ("mongodb" | "mongodb+srv"), rest)) = uri.split_once("://") else {
        return Err("it does not begin with mongodb:// or mongodb+srv://".to_owned());
    };
    let (before, options) = rest.split_once('?').unwrap_or((rest, ""));
    if options.contains('@') {
        return Err(format!(
            "it has an @ after its first question mark; if the password has a question mark or an @, {ENCODE}; in an option write \
             %40 for @"
        ));
    }
    let (user_info, hosts) = match before.rsplit_once('@') {
        Some((user_info, hosts)) => (Some(user_info), hosts),
        None => (None, before),
    };
    if let Some(user_info) = user_info {
        check_user(user_info)?;
    }
    let hosts = hosts.split('/').next().unwrap_or_default();
    for host in hosts.split(',') {
        check_host(host, user_info.is_some(), scheme == "mongodb+srv")?;
    }
    Ok(())
}

/// Returns the reason why the driver does not accept a connection string that passed [`check`].
pub(super) fn explain(uri: &str) -> String {
    let options = uri.split_once('?').map_or("", |(_, options)| options);
    for option in options.split('&') {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) if is_name(name) => (name, value),
            _ => {
                return "one of its options is not written as name=value, or has no usable name; separate options with &"
                    .to_owned();
            }
        };
        if ConnectionString::parse(format!("mongodb://m1/?{name}={value}")).is_err() {
            return format!("its option {name} is unknown, or has a value that the option cannot have");
        }
    }
    "its options do not go together, one of them stands there twice, or the name of the database after the hosts cannot be used; see \
     https://www.mongodb.com/docs/manual/reference/connection-string/"
        .to_owned()
}

/// Checks a user name and a password.
fn check_user(user_info: &str) -> Result<(), String> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    if user.is_empty() {
        return Err("it has no user name before the @: write mongodb://user:password@host".to_owned());
    }
    for (what, text) in [("user name", user), ("password", password)] {
        if text.contains(|c| RESERVED.contains(c)) {
            return Err(format!(
                "its {what} has a character that has to be encoded; {ENCODE}"
            ));
        }
        if !is_percent_encoded(text) {
            return Err(format!("its {what} has a % that encodes no character; {ENCODE}"));
        }
    }
    Ok(())
}

fn check_host(host: &str, after_user: bool, srv: bool) -> Result<(), String> {
    const NO_USER: &str = "if there is a user and a password, the @ and the hosts are missing after them";
    let shown = |host: &str| {
        if after_user {
            let host: String = host.chars().take(300).collect();
            format!("the host {host:?}")
        } else {
            "a host".to_owned()
        }
    };
    if host.is_empty() {
        return Err("it names no host, or has a comma too many: write host:port,host:port".to_owned());
    }
    // The path of a Unix socket is a host, too. An IPv6 address stands in brackets.
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, after)| after);
    let port = after_brackets.rsplit_once(':').map(|(_, port)| port);
    let is_port = |port: &str| {
        port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    match port {
        Some(_) if srv => Err(format!(
            "with mongodb+srv it names one host without a port, and {} has one; {NO_USER}",
            shown(host)
        )),
        Some(port) if !is_port(port) => Err(format!(
            "the port of {} is no number from 1 to 65535; {NO_USER}",
            shown(host)
        )),
        _ => Ok(()),
    }
}

/// Returns `true` if two hexadecimal digits follow every `%`, and the decoded bytes are UTF-8.
fn is_percent_encoded(text: &str) -> bool {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return false;
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    str::from_utf8(&bytes).is_ok()
}

/// Returns `true` if connection strings have an option with this name. Otherwise the name may be a
/// part of a password that a question mark has cut off.
fn is_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str())
}

/// The options of connection strings, in lower case.
const NAMES: [&str; 44] = [
    "adaptiveretries",
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "compressors",
    "connecttimeoutms",
    "directconnection",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxadaptiveretries",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "proxyhost",
    "proxypassword",
    "proxyport",
    "proxyusername",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "safe",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "sockettimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "timeoutms",
    "tls",
    "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlscertificatekeyfilepassword",
    "tlsinsecure",
    "w",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Passwords with characters that people forget to encode. No error contains two characters in
    /// a row of any of them.
    const PASSWORDS: [&str; 22] = [
        "Q@Z",
        "Q:Z",
        "Q/Z",
        "Q?Z",
        "Q#Z",
        "Q[Z",
        "Q]Z",
        "Q%Z",
        "Q%4",
        "100%Qure",
        "Q%aé",
        "%",
        "@",
        ":",
        "/",
        "?",
        "Q@@Z",
        "Q/Z@J",
        "Q?Z=J&X",
        "Q?replicaSet=Z",
        "Q%ffZ",
        "Q/Z?J@X",
    ];

    #[test]
    fn an_unencoded_password_is_refused_and_not_repeated() {
        for password in PASSWORDS {
            for uri in [
                format!("mongodb://app:{password}@m1:27017,m2/?replicaSet=rs0"),
                format!("mongodb://app:{password}@m1/app?replicaSet=rs0&authSource=admin"),
                format!("mongodb+srv://app:{password}@m1/"),
            ] {
                let problem = check(&uri).unwrap_err();
                for part in ["Q", "Z", "J", "X", "100"] {
                    assert!(!problem.contains(part), "{uri}: {problem}");
                }
                assert!(problem.contains("%40 for @"), "{uri}: {problem}");
            }
        }
    }

    #[test]
    fn a_password_without_its_hosts_is_not_taken_for_a_port() {
        for uri in [
            "mongodb://app:Q",
            "mongodb://app:Q/?replicaSet=rs0",
            "mongodb://app:Q:Z/?replicaSet=rs0",
            "mongodb://app:99999/?replicaSet=rs0",
            "mongodb+srv://app:1234/",
        ] {
            let problem = check(uri).unwrap_err();
            assert!(problem.contains("missing after them"), "{uri}: {problem}");
            assert!(
                !problem.contains(['Q', 'Z', '9', '4']) || problem.contains("65535"),
                "{uri}: {problem}"
            );
            assert!(
                !problem.contains("99999") && !problem.contains("1234"),
                "{uri}: {problem}"
            );
        }
        let problem = check("mongodb://app:x@m1:99999/?replicaSet=rs0").unwrap_err();
        assert!(problem.contains("m1:99999"), "{problem}");
    }

    #[test]
    fn what_can_be_used_is_taken() {
        for uri in [
            "mongodb://m1",
            "mongodb://m1:27017,m2:27018/?replicaSet=rs0",
            "mongodb://a%40b:p%40%3A%2F%3F%23%5B%5D%25%C3%A9@m1,m2/app?replicaSet=rs0&appName=a%40b",
            "mongodb://app:!$&'()*+,;=-._~@m1/?replicaSet=rs0",
            "mongodb://[::1]:27017,[::1]/?replicaSet=rs0",
            "mongodb://%2Ftmp%2Fmongodb-27017.sock/?replicaSet=rs0",
            "mongodb+srv://app:x@cluster0.example.net/",
        ] {
            assert_eq!(check(uri), Ok(()), "{uri}");
            assert!(ConnectionString::parse(uri).is_ok(), "{uri}");
        }
    }

    #[test]
    fn a_bad_option_is_named_without_its_value() {
        for (options, says) in [
            ("replicaSet=rs0&maxPoolSize=QZ", "option maxPoolSize"),
            ("replicaSet=rs0&tls=QZ", "option tls"),
            ("replicaSet=rs0&QZ=1", "no usable name"),
            ("replicaSet", "name=value"),
            ("replicaSet=rs0&replicaSet=rs1", "twice"),
        ] {
            let uri = format!("mongodb://app:x@m1/?{options}");
            assert_eq!(check(&uri), Ok(()));
            assert!(ConnectionString::parse(&uri).is_err(), "{uri}");
            let problem = explain(&uri);
            assert!(
                problem.contains(says) && !problem.contains("QZ"),
                "{uri}: {problem}"
            );
        }
    }
}

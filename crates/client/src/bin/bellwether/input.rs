use std::path::{Path, PathBuf};
use std::{env, fs, io};

use bellwether_client::native::{Authorities, BadAuthorities, Native};
use bellwether_client::protocol::MAX_TOKEN_BYTES;
use bellwether_client::{BadServer, CommandText, NotACommand, ServerList, Token};
use thiserror::Error;

use crate::arguments::Arguments;

const TOKEN_VARIABLE: &str = "BELLWETHER_TOKEN";

/// The reason why nothing was sent.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Command(#[from] NotACommand),
    #[error("{0}")]
    Servers(#[from] BadServer),
    #[error("{origin}: {problem}")]
    ServersFrom { origin: String, problem: BadServer },
    #[error("--ca-file names {}: {problem}", .path.display())]
    Authorities { path: PathBuf, problem: BadAuthorities },
    #[error("{0} has no token; give it the text of a token or of an API key")]
    NoToken(String),
    #[error(
        "{0} has more than the {MAX_TOKEN_BYTES} bytes of the longest token; give it a token and nothing else"
    )]
    LongToken(String),
    #[error("no servers are named; use --servers, --servers-file or BELLWETHER_SERVERS (see --help)")]
    NoServers,
    #[error("cannot read {}: {problem}", .path.display())]
    Unreadable { path: PathBuf, problem: io::Error },
}

pub(crate) fn command(arguments: &Arguments) -> Result<CommandText, Problem> {
    let text = match (&arguments.file, arguments.command.as_deref()) {
        (Some(path), _) => read(path)?,
        (None, Some("-")) => io::read_to_string(io::stdin()).map_err(|problem| Problem::Unreadable {
            path: "standard input".into(),
            problem,
        })?,
        (None, text) => text.unwrap_or_default().to_owned(),
    };
    Ok(text.parse()?)
}

/// Returns the platform, with the authorities that the command line names.
pub(crate) fn platform(arguments: &Arguments) -> Result<Native, Problem> {
    let Some(path) = &arguments.ca_file else {
        return Ok(Native::new());
    };
    let pem = fs::read(path).map_err(|problem| Problem::Unreadable {
        path: path.clone(),
        problem,
    })?;
    let authorities = Authorities::from_pem(&pem).map_err(|problem| Problem::Authorities {
        path: path.clone(),
        problem,
    })?;
    Ok(Native::new().trusting(authorities))
}

/// Returns the token from the file that the command line names, or from the environment.
pub(crate) fn token(arguments: &Arguments) -> Result<Option<Token>, Problem> {
    let (origin, text) = match (&arguments.token_file, env::var(TOKEN_VARIABLE)) {
        (Some(path), _) => (format!("--token-file names {}: it", path.display()), read(path)?),
        (None, Ok(text)) => (format!("the variable {TOKEN_VARIABLE}"), text),
        (None, Err(_)) => return Ok(None),
    };
    match text.trim() {
        "" => Err(Problem::NoToken(origin)),
        text => match Token::new(text) {
            Some(token) => Ok(Some(token)),
            None => Err(Problem::LongToken(origin)),
        },
    }
}

pub(crate) fn servers(arguments: &Arguments) -> Result<ServerList, Problem> {
    if let Some(list) = &arguments.servers {
        return Ok(list.parse()?);
    }
    if let Some(path) = &arguments.servers_file {
        return from_file(path);
    }
    if let Ok(list) = env::var("BELLWETHER_SERVERS") {
        return list.parse().map_err(|problem| Problem::ServersFrom {
            origin: "BELLWETHER_SERVERS".into(),
            problem,
        });
    }
    match default_file() {
        Some(path) if path.exists() => from_file(&path),
        _ => Err(Problem::NoServers),
    }
}

fn default_file() -> Option<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("bellwether").join("servers"))
}

fn from_file(path: &Path) -> Result<ServerList, Problem> {
    let text = read(path)?;
    let entries: Vec<&str> = text
        .strip_prefix('\u{feff}')
        .unwrap_or(&text)
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    entries
        .join("\n")
        .parse()
        .map_err(|problem| Problem::ServersFrom {
            origin: path.display().to_string(),
            problem,
        })
}

fn read(path: &Path) -> Result<String, Problem> {
    let unreadable = |problem| Problem::Unreadable {
        path: path.to_owned(),
        problem,
    };
    let bytes = fs::read(path).map_err(unreadable)?;
    if matches!(bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(unreadable(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is UTF-16, as PowerShell's > writes it; save it as UTF-8",
        )));
    }
    String::from_utf8(bytes)
        .map_err(|_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))
}

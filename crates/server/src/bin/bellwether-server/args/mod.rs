mod boolean;
mod limits;

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

use bellwether_election::{Number, ServerId};
use bellwether_server::{AllowedOrigin, Config, ConfigError, TlsFiles};
use clap::{ArgGroup, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use thiserror::Error;

use crate::health::Health;
use crate::new_key::NewKey;
use crate::secret_file::{self, SecretFileError};
use limits::LimitArgs;

pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:7001";

/// The work that the user asks the program to do.
pub(crate) enum Invocation {
    Serve(Box<Args>),
    Task(Task),
}

// The work of the program other than serving. (A doc comment here would replace the program's own
// text in --help.)
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Prints a new secret for --peer-secret-file: 32 random bytes in hexadecimal digits.
    NewSecret,
    /// Prints a new API key of 256 random bits, and the table for the file of --access. The table
    /// has only the hash of the key, so keep the key itself at once.
    NewKey(NewKey),
    /// Asks a running server for a sign of life. The exit code is 0 if the server is alive. It is 1
    /// if the server answers something else, or nothing within 2 s.
    Health(Health),
}

impl Invocation {
    /// Reads the command line and the environment. Ends the program if they are invalid, or if they
    /// ask for help.
    pub(crate) fn read() -> Self {
        let matches = command().get_matches();
        let read = if matches.subcommand_name().is_some() {
            Task::from_arg_matches(&matches).map(Self::Task)
        } else {
            Args::from_arg_matches(&matches).map(|args| Self::Serve(Box::new(args)))
        };
        read.unwrap_or_else(|error| error.format(&mut command()).exit())
    }
}

/// Returns the options of the server together with its subcommands. Required options do not apply
/// to subcommands.
fn command() -> clap::Command {
    let command = Task::augment_subcommands(Args::command())
        .subcommand_required(false)
        .arg_required_else_help(false)
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true);
    deaf_to_empty_variables(with_optional_values(command))
}

/// Lets every flag take a value. A script or a file of options can then pass `--flag true` and
/// `--flag false`.
fn with_optional_values(command: clap::Command) -> clap::Command {
    command
        .mut_args(boolean::with_optional_value)
        .mut_subcommands(with_optional_values)
}

/// Treats empty environment variables as unset, because container tools often set every variable
/// that they know.
fn deaf_to_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|option| {
        let value = option.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) {
            option.env(None)
        } else {
            option
        }
    });
    command.mut_subcommands(deaf_to_empty_variables)
}

/// A Bellwether server. The coordinator executes clients' commands on a MongoDB replica set. Every
/// other server names the coordinator to its clients.
///
/// Start one server on each of several machines or in several containers. Give each server its own
/// --id, and the addresses of all others with --peer. Give clients the list of all servers. The
/// environment variable that stands with an option sets this option, too. An empty variable does
/// not count.
///
/// Exit codes: 0 after SIGTERM or SIGINT and an orderly handover; 1 if the server cannot start; 2
/// for options that cannot work. RUST_LOG sets the level of the log, for example
/// RUST_LOG=bellwether=debug.
#[derive(Parser)]
#[command(name = "bellwether-server", version)]
#[command(group = ArgGroup::new("mongodb").required(true).args(["mongodb_uri", "mongodb_uri_file"]))]
pub(crate) struct Args {
    /// This server's id, unique in the cluster: 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, env = "BELLWETHER_ID")]
    id: ServerId,

    /// The cluster's name. Servers and clients that name another are refused.
    #[arg(long, env = "BELLWETHER_CLUSTER", default_value = "bellwether")]
    cluster: String,

    /// The address for clients: WebSocket at /v1, GET /livez, /readyz, /status, and the page.
    #[arg(
        long,
        env = "BELLWETHER_LISTEN",
        default_value = DEFAULT_LISTEN,
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,

    /// The URL at which clients reach this server, such as ws://db1.example:7001/v1. The server
    /// needs it if --listen is a wildcard address, or if a proxy or a container network changes
    /// addresses. With --tls-cert it begins with wss:, and its host is a name of the certificate.
    /// At most 1,024 visible ASCII characters, without a user name or a fragment.
    #[arg(long, env = "BELLWETHER_CLIENT_URL", value_name = "URL")]
    client_url: Option<String>,

    /// The certificate chain of this server, in PEM format. With it, the server speaks only TLS at
    /// --listen: https and wss. The server reads the file again when it changes, and at SIGHUP.
    #[arg(long, env = "BELLWETHER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM format and without a passphrase. Only the user of
    /// the server should be able to read the file.
    #[arg(long, env = "BELLWETHER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The address for the other servers. An address beyond loopback needs --peer-secret-file. The
    /// server refuses web pages there.
    #[arg(
        long,
        env = "BELLWETHER_PEER_LISTEN",
        default_value = "127.0.0.1:7101",
        value_name = "ADDRESS:PORT"
    )]
    peer_listen: SocketAddr,

    /// Another server of the cluster: its id and its address for peers. Give the option once for
    /// each server, or several servers with commas between them. A server ignores its own entry, so
    /// all servers can have the same list.
    #[arg(long = "peer", env = "BELLWETHER_PEER", value_name = "ID=HOST:PORT", value_delimiter = ',', value_parser = peer)]
    peers: Vec<(ServerId, String)>,

    /// A file with the secret with which all servers of the cluster authenticate each other. The
    /// secret has 32 printable characters or more: `bellwether-server new-secret` prints one.
    /// Without it, any program on this machine can join as a peer. The server uses the first line
    /// for itself, and accepts the secrets in further lines, too.
    #[arg(long, env = "BELLWETHER_PEER_SECRET_FILE", value_name = "FILE")]
    peer_secret_file: Option<PathBuf>,

    /// The replica set, such as mongodb://m1:27017,m2:27017,m3:27017/?replicaSet=rs0
    #[arg(
        long,
        env = "BELLWETHER_MONGODB_URI",
        value_name = "URI",
        hide_env_values = true
    )]
    mongodb_uri: Option<String>,

    /// A file with the replica set's URI, instead of --mongodb-uri. Other users of the machine can
    /// then read the password neither in the list of processes nor in the environment.
    #[arg(long, env = "BELLWETHER_MONGODB_URI_FILE", value_name = "FILE")]
    mongodb_uri_file: Option<PathBuf>,

    /// The database commands work on. Bellwether keeps its own records in the database
    /// NAME_bellwether.
    #[arg(long, env = "BELLWETHER_DATABASE", default_value = "app", value_name = "NAME")]
    database: String,

    /// A directory with the page to serve at /.
    #[arg(long, env = "BELLWETHER_WWW", value_name = "DIRECTORY")]
    www: Option<PathBuf>,

    /// Lets web pages from this origin connect. The pages of this server may connect in any case,
    /// and so may those of peers that have the peer secret. Examples: https://app.example,
    /// http://localhost:* for any port, https://*.example.com for any name below,
    /// capacitor://localhost for an app, chrome-extension://ID for an extension. Give the option
    /// once for each origin, or several origins with commas between them.
    #[arg(
        long = "allow-origin",
        env = "BELLWETHER_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    allowed_origins: Vec<AllowedOrigin>,

    /// A file with the issuers whose tokens this server accepts, and with API keys
    /// (`bellwether-server new-key`): docs/access.md describes it. The server then executes only
    /// commands of clients that have proven an identity. Each of these clients may do everything.
    /// Without this option, so may each client that reaches --listen. The server reads the file
    /// again when its content changes.
    #[arg(long, env = "BELLWETHER_ACCESS", value_name = "FILE")]
    access: Option<PathBuf>,

    /// Lets clients list, create and drop collections and indexes. Each client that reaches
    /// --listen may then drop a collection.
    #[arg(long, env = "BELLWETHER_ALLOW_SCHEMA")]
    allow_schema: bool,

    /// The time between two heartbeats of a follower to the coordinator.
    #[arg(
        long,
        env = "BELLWETHER_HEARTBEAT_MS",
        default_value_t = 100,
        value_name = "MILLISECONDS"
    )]
    heartbeat_ms: u64,

    /// The time after which the servers replace a silent coordinator. They replace a crashed
    /// coordinator at once if its host refuses connections.
    #[arg(
        long,
        env = "BELLWETHER_TIMEOUT_MS",
        default_value_t = 500,
        value_name = "MILLISECONDS"
    )]
    timeout_ms: u64,

    /// Asks a MongoDB secondary to stand for election at once when the primary's process is gone.
    /// Otherwise the servers wait for MongoDB's election timeout (10 s by default). The coordinator
    /// asks, or its successor if the coordinator is gone, too. The option needs the action
    /// replSetStateChange on the cluster, which the role clusterManager has.
    #[arg(long, env = "BELLWETHER_ASSIST_FAILOVER")]
    assist_failover: bool,

    /// Stands with this number instead of one drawn at random. For tests.
    #[arg(long, env = "BELLWETHER_NUMBER")]
    number: Option<u64>,

    /// The form of log lines on standard error.
    #[arg(long, env = "BELLWETHER_LOG_FORMAT", value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,

    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

fn peer(text: &str) -> Result<(ServerId, String), String> {
    let (id, address) = text
        .split_once('=')
        .ok_or("give it as ID=HOST:PORT, such as s2=10.0.0.2:7101")?;
    let id = id.trim().parse::<ServerId>().map_err(|error| error.to_string())?;
    Ok((id, address.trim().to_owned()))
}

/// Options that cannot work.
#[derive(Debug, Error)]
pub(crate) enum ArgsError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
}

impl Args {
    /// Reads the files that the options name.
    pub(crate) fn into_config(self) -> Result<Config, ArgsError> {
        let uri = match self.mongodb_uri_file {
            Some(path) => secret_file::mongodb_uri(&path)?,
            None => self.mongodb_uri.unwrap_or_default(),
        };
        let mut config = Config::new(self.id, uri);
        config.cluster = self.cluster;
        config.listen = self.listen;
        config.client_url = self.client_url;
        config.tls = self
            .tls_cert
            .zip(self.tls_key)
            .map(|(certificate, key)| TlsFiles { certificate, key });
        config.peer_listen = self.peer_listen;
        config.peers = self.peers.into_iter().collect();
        config.peers.remove(&config.id);
        config.peer_secrets = self
            .peer_secret_file
            .map(|path| secret_file::peer_secrets(&path))
            .transpose()?;
        config.database = self.database;
        config.www = self.www;
        config.allowed_origins = self.allowed_origins;
        config.access = self.access;
        config.schema = self.allow_schema;
        config.number = self.number.map(Number);
        config.election.heartbeat = Duration::from_millis(self.heartbeat_ms);
        config.election.timeout = Duration::from_millis(self.timeout_ms);
        config.assist_failover = self.assist_failover;
        self.limits.apply_to(&mut config);
        config.validate()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use bellwether_server::{ClientLimits, Settings};

    use super::*;

    #[test]
    fn the_options_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn tasks_need_no_options() {
        for task in ["new-secret", "new-key", "health"] {
            command()
                .try_get_matches_from(["bellwether-server", task])
                .unwrap();
        }
        command().try_get_matches_from(["bellwether-server"]).unwrap_err();
    }

    #[test]
    fn a_list_of_all_servers_may_name_this_one() {
        let line = "bellwether-server --id s1 --mongodb-uri mongodb://m1 --peer s1=h1:1,s2=h2:1";
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        let peers = args.into_config().unwrap().peers;
        assert_eq!(peers.into_keys().collect::<Vec<_>>(), ["s2".parse().unwrap()]);
    }

    #[test]
    fn limits_are_those_of_the_library_unless_they_are_given() {
        let read = |more: &str| {
            let line = format!("bellwether-server --id s1 --mongodb-uri mongodb://m1{more}");
            Args::try_parse_from(line.split(' ')).unwrap().into_config()
        };
        let Config { limits, pipeline, .. } = read("").unwrap();
        assert_eq!(format!("{limits:?}"), format!("{:?}", ClientLimits::default()));
        assert_eq!(format!("{pipeline:?}"), format!("{:?}", Settings::default()));
        let given = " --connections 2 --connections-per-address 0 --shared-address 10.0.0.0/8,::1 \
            --handshake-timeout-ms 101 --hello-timeout-ms 102 --ping-ms 103 --idle-timeout-ms 104 --send-timeout-ms 105 \
            --message-bytes 2001 --outstanding 3 --queue 4 --queue-bytes 2000002 --reply-bytes 2000003 \
            --connection-reply-bytes 2000004";
        let words: Vec<&str> = given.split_whitespace().collect();
        let Config { limits, pipeline, .. } = read(&format!(" {}", words.join(" "))).unwrap();
        assert_eq!((limits.connections, limits.connections_per_address), (2, None));
        assert_eq!(limits.shared_addresses.len(), 2);
        let times = [
            limits.handshake_timeout,
            limits.hello_timeout,
            limits.ping_every,
            limits.idle_timeout,
            limits.send_timeout,
        ];
        assert_eq!(times.map(|time| time.as_millis()), [101, 102, 103, 104, 105]);
        assert_eq!((limits.message_bytes, limits.outstanding), (2001, 3));
        assert_eq!(
            (limits.reply_bytes, limits.connection_reply_bytes),
            (2_000_003, 2_000_004)
        );
        assert_eq!((pipeline.queue, pipeline.queue_bytes), (4, 2_000_002));
    }

    #[test]
    fn peers_are_read() {
        let (id, address) = peer("s2=db2.example:7101").unwrap();
        assert_eq!((id.as_str(), address.as_str()), ("s2", "db2.example:7101"));
        assert!(peer("db2.example:7101").is_err());
        assert!(peer("s 2=db2.example:7101").is_err());
    }
}

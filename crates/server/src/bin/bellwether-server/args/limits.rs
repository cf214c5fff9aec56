use core::time::Duration;

use bellwether_server::{AddressRange, ClientLimits, Config, Settings};
use clap::Args;

// (A doc comment here would replace the program's own text in --help.)
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits on clients")]
pub(crate) struct LimitArgs {
    /// Highest number of open connections of clients. The server refuses further ones. Each
    /// connection is an open file, and the server raises the limit on those as far as it may.
    #[arg(
        long,
        env = "BELLWETHER_CONNECTIONS",
        default_value_t = ClientLimits::default().connections,
        value_name = "COUNT"
    )]
    connections: usize,

    /// Highest number of connections from one address: an IPv4 address, or a /64 of IPv6 addresses.
    /// 0 means that there is no such limit.
    #[arg(
        long,
        env = "BELLWETHER_CONNECTIONS_PER_ADDRESS",
        default_value_t = ClientLimits::default().connections_per_address.unwrap_or_default(),
        value_name = "COUNT"
    )]
    connections_per_address: usize,

    /// An address that many clients share, such as that of a proxy or a gateway, or a range such as
    /// 10.0.0.0/8. It may have any number of connections. Give the option once for each address, or
    /// several addresses with commas between them.
    #[arg(
        long = "shared-address",
        env = "BELLWETHER_SHARED_ADDRESS",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    shared_addresses: Vec<AddressRange>,

    /// Time limit for the head of a request to arrive, also that of a WebSocket handshake.
    #[arg(
        long,
        env = "BELLWETHER_HANDSHAKE_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().handshake_timeout),
        value_name = "MILLISECONDS"
    )]
    handshake_timeout_ms: u64,

    /// Time limit for a client's hello after the handshake.
    #[arg(
        long,
        env = "BELLWETHER_HELLO_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().hello_timeout),
        value_name = "MILLISECONDS"
    )]
    hello_timeout_ms: u64,

    /// The time between two pings to a client. Less than --idle-timeout-ms.
    #[arg(
        long,
        env = "BELLWETHER_PING_MS",
        default_value_t = millis(ClientLimits::default().ping_every),
        value_name = "MILLISECONDS"
    )]
    ping_ms: u64,

    /// Time limit for the silence of a client, which sends not even a pong. The server then closes
    /// the connection. It closes a connection with HTTP after this time in any case.
    #[arg(
        long,
        env = "BELLWETHER_IDLE_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().idle_timeout),
        value_name = "MILLISECONDS"
    )]
    idle_timeout_ms: u64,

    /// Time limit for a client to read an answer, or each MiB of a longer answer.
    #[arg(
        long,
        env = "BELLWETHER_SEND_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().send_timeout),
        value_name = "MILLISECONDS"
    )]
    send_timeout_ms: u64,

    /// Highest length of a message from a client, in bytes.
    #[arg(
        long,
        env = "BELLWETHER_MESSAGE_BYTES",
        default_value_t = ClientLimits::default().message_bytes,
        value_name = "BYTES"
    )]
    message_bytes: usize,

    /// Highest number of outstanding commands of one connection. Beyond it, the server does not
    /// read the connection.
    #[arg(
        long,
        env = "BELLWETHER_OUTSTANDING",
        default_value_t = ClientLimits::default().outstanding,
        value_name = "COUNT"
    )]
    outstanding: usize,

    /// Highest number of commands of all clients that wait. The server answers further ones with
    /// `overloaded`.
    #[arg(
        long,
        env = "BELLWETHER_QUEUE",
        default_value_t = Settings::default().queue,
        value_name = "COUNT"
    )]
    queue: usize,

    /// Highest memory of the commands that wait, in bytes. The server answers further commands with
    /// `overloaded`.
    #[arg(
        long,
        env = "BELLWETHER_QUEUE_BYTES",
        default_value_t = Settings::default().queue_bytes,
        value_name = "BYTES"
    )]
    queue_bytes: usize,

    /// Highest memory of the replies that the clients have not read yet, in bytes. The server
    /// replaces further long replies by `overloaded`.
    #[arg(
        long,
        env = "BELLWETHER_REPLY_BYTES",
        default_value_t = ClientLimits::default().reply_bytes,
        value_name = "BYTES"
    )]
    reply_bytes: usize,

    /// Highest part of that memory for one connection, with the replies that it expects. Beyond it,
    /// the commands of the connection wait.
    #[arg(
        long,
        env = "BELLWETHER_CONNECTION_REPLY_BYTES",
        default_value_t = ClientLimits::default().connection_reply_bytes,
        value_name = "BYTES"
    )]
    connection_reply_bytes: usize,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl LimitArgs {
    pub(crate) fn apply_to(self, config: &mut Config) {
        let limits = &mut config.limits;
        limits.connections = self.connections;
        limits.connections_per_address = Some(self.connections_per_address).filter(|count| *count > 0);
        limits.shared_addresses = self.shared_addresses;
        limits.handshake_timeout = Duration::from_millis(self.handshake_timeout_ms);
        limits.hello_timeout = Duration::from_millis(self.hello_timeout_ms);
        limits.ping_every = Duration::from_millis(self.ping_ms);
        limits.idle_timeout = Duration::from_millis(self.idle_timeout_ms);
        limits.send_timeout = Duration::from_millis(self.send_timeout_ms);
        limits.message_bytes = self.message_bytes;
        limits.outstanding = self.outstanding;
        limits.reply_bytes = self.reply_bytes;
        limits.connection_reply_bytes = self.connection_reply_bytes;
        config.pipeline.queue = self.queue;
        config.pipeline.queue_bytes = self.queue_bytes;
    }
}

use core::time::Duration;

use bellwether_server::{AddressRange, ClientLimits, Config, Settings};
use clap::Args;

// (A doc comment here would replace the program's own text in --help.)
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits on clients")]
pub(crate) struct LimitArgs {
    /// How many clients may be connected at a time; further ones are refused. Each connection is an
    /// open file, and the limit on those is raised as far as the system lets it.
    #[arg(
        long,
        env = "BELLWETHER_CONNECTIONS",
        default_value_t = ClientLimits::default().connections,
        value_name = "COUNT"
    )]
    connections: usize,

    /// How many of them may come from one address: an IPv4 address, or a /64 of IPv6 addresses. 0
    /// for as many as there are.
    #[arg(
        long,
        env = "BELLWETHER_CONNECTIONS_PER_ADDRESS",
        default_value_t = ClientLimits::default().connections_per_address.unwrap_or_default(),
        value_name = "COUNT"
    )]
    connections_per_address: usize,

    /// An address that many clients share, such as that of a proxy or of a network's gateway, or a
    /// range of them, such as 10.0.0.0/8: it may have any number of connections. Give it once for
    /// each, or several with commas between them.
    #[arg(
        long = "shared-address",
        env = "BELLWETHER_SHARED_ADDRESS",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    shared_addresses: Vec<AddressRange>,

    /// How long the head of a request may take to arrive, that of a WebSocket handshake included.
    #[arg(
        long,
        env = "BELLWETHER_HANDSHAKE_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().handshake_timeout),
        value_name = "MILLISECONDS"
    )]
    handshake_timeout_ms: u64,

    /// How long a client may take to say hello after the handshake.
    #[arg(
        long,
        env = "BELLWETHER_HELLO_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().hello_timeout),
        value_name = "MILLISECONDS"
    )]
    hello_timeout_ms: u64,

    /// How often a client is pinged. Less than --idle-timeout-ms.
    #[arg(
        long,
        env = "BELLWETHER_PING_MS",
        default_value_t = millis(ClientLimits::default().ping_every),
        value_name = "MILLISECONDS"
    )]
    ping_ms: u64,

    /// How long a client may be silent, pongs included, before its connection is closed. A
    /// connection over which HTTP is spoken is closed after this time in any case.
    #[arg(
        long,
        env = "BELLWETHER_IDLE_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().idle_timeout),
        value_name = "MILLISECONDS"
    )]
    idle_timeout_ms: u64,

    /// How long a client may take to read an answer, or each MiB of a longer one.
    #[arg(
        long,
        env = "BELLWETHER_SEND_TIMEOUT_MS",
        default_value_t = millis(ClientLimits::default().send_timeout),
        value_name = "MILLISECONDS"
    )]
    send_timeout_ms: u64,

    /// The longest message a client may send, in bytes.
    #[arg(
        long,
        env = "BELLWETHER_MESSAGE_BYTES",
        default_value_t = ClientLimits::default().message_bytes,
        value_name = "BYTES"
    )]
    message_bytes: usize,

    /// How many commands of one connection may be unanswered; it is not read meanwhile.
    #[arg(
        long,
        env = "BELLWETHER_OUTSTANDING",
        default_value_t = ClientLimits::default().outstanding,
        value_name = "COUNT"
    )]
    outstanding: usize,

    /// How many commands of all clients may wait; further ones are answered `overloaded`.
    #[arg(
        long,
        env = "BELLWETHER_QUEUE",
        default_value_t = Settings::default().queue,
        value_name = "COUNT"
    )]
    queue: usize,

    /// How much memory the commands that wait may take, in bytes; further ones are answered
    /// `overloaded`.
    #[arg(
        long,
        env = "BELLWETHER_QUEUE_BYTES",
        default_value_t = Settings::default().queue_bytes,
        value_name = "BYTES"
    )]
    queue_bytes: usize,

    /// How much memory the replies that all clients have not read yet may take, in bytes; further
    /// long ones are replaced by `overloaded`.
    #[arg(
        long,
        env = "BELLWETHER_REPLY_BYTES",
        default_value_t = ClientLimits::default().reply_bytes,
        value_name = "BYTES"
    )]
    reply_bytes: usize,

    /// How much of that may be one connection's, expected replies included, before it has to wait.
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

use core::net::IpAddr;
use core::str::FromStr;
use core::time::Duration;

use bellwether_protocol::{HELLO_TIMEOUT, MAX_MESSAGE_BYTES};
use ipnet::IpNet;
use thiserror::Error;

use super::ConfigError;
use crate::pipeline::Settings;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Limits for clients. Each protects the memory or the file descriptors of the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Connections at a time, HTTP and WebSocket together. The server answers further ones with
    /// HTTP 503 and closes them, except for `/livez`, `/readyz` and `/status`.
    pub connections: usize,
    /// Connections at a time from one IPv4 address or one /64 of IPv6 addresses. The server answers
    /// further ones with HTTP 503, too. `None` is no limit.
    pub connections_per_address: Option<usize>,
    /// Addresses that many clients share, such as the address of a proxy. The limit for one address
    /// does not apply to them.
    pub shared_addresses: Vec<AddressRange>,
    /// Length limit of a message, in bytes.
    pub message_bytes: usize,
    /// Commands of one connection that are not answered yet. At this limit the server stops reading
    /// the connection.
    pub outstanding: usize,
    /// Bytes of replies, on all connections together, that wait for their clients or are expected.
    /// If the expected reply of a read finds no room, the server does not execute the read, and
    /// answers with the error `overloaded`. That error also replaces an unexpected reply of more
    /// than 1 KiB that finds no room.
    pub reply_bytes: usize,
    /// Bytes of replies of one connection that wait for the client or are expected. Beyond this
    /// limit no further command of the connection begins, and the server stops reading the
    /// connection.
    pub connection_reply_bytes: usize,
    /// Time limit for the head of an HTTP request to arrive. The head of a WebSocket handshake
    /// counts, too.
    pub handshake_timeout: Duration,
    /// Time limit for `hello` to arrive after the handshake.
    pub hello_timeout: Duration,
    /// Interval between two pings on a connection.
    pub ping_every: Duration,
    /// Time without any arrival after which the server closes a connection. A connection that
    /// speaks HTTP is closed after this time in any case.
    pub idle_timeout: Duration,
    /// Time limit for a slow client to take one frame, or each MiB of a longer frame. The server
    /// drops a client that takes longer.
    pub send_timeout: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: Some(1_000),
            shared_addresses: Vec::new(),
            message_bytes: MAX_MESSAGE_BYTES,
            outstanding: 64,
            reply_bytes: 256 * MIB,
            connection_reply_bytes: 256 * KIB,
            handshake_timeout: Duration::from_secs(10),
            hello_timeout: HELLO_TIMEOUT,
            ping_every: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(45),
            send_timeout: Duration::from_secs(10),
        }
    }
}

/// Checks that a server can work with every limit.
pub(super) fn validate(limits: &ClientLimits, settings: &Settings) -> Result<(), ConfigError> {
    // `None` means any number of connections, so there is no number to check.
    let per_address = limits.connections_per_address.unwrap_or(1);
    let counts = [
        ("--connections", limits.connections, 1, 1_000_000),
        ("--connections-per-address", per_address, 1, 1_000_000),
        ("--message-bytes", limits.message_bytes, KIB, 64 * MIB),
        ("--outstanding", limits.outstanding, 1, 1_000_000),
        ("--queue", settings.queue, 1, 1_000_000),
        ("--queue-bytes", settings.queue_bytes, MIB, 64 * KIB * MIB),
        ("--reply-bytes", limits.reply_bytes, MIB, 64 * KIB * MIB),
        (
            "--connection-reply-bytes",
            limits.connection_reply_bytes,
            KIB,
            64 * KIB * MIB,
        ),
    ];
    let hour = Duration::from_secs(60 * 60);
    let times = [
        ("--handshake-timeout-ms", limits.handshake_timeout),
        ("--hello-timeout-ms", limits.hello_timeout),
        ("--ping-ms", limits.ping_every),
        ("--idle-timeout-ms", limits.idle_timeout),
        ("--send-timeout-ms", limits.send_timeout),
    ]
    .map(|(option, time)| (option, millis(time), 100, millis(hour)));
    let counts = counts.map(|(option, value, least, most)| (option, value as u64, least as u64, most as u64));
    for (option, value, least, most) in counts.into_iter().chain(times) {
        if !(least..=most).contains(&value) {
            return Err(ConfigError::Limit {
                option,
                value,
                least,
                most,
            });
        }
    }
    if limits.ping_every >= limits.idle_timeout {
        return Err(ConfigError::PingTooRare {
            ping: limits.ping_every,
            idle: limits.idle_timeout,
        });
    }
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An IP address, or a range of addresses: `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// Returns `true` if the address is in the range. An IPv4 address may also be written as an
    /// IPv6 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical()) || self.0.contains(&address)
    }
}

/// The error for a text that is not an [`AddressRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("give it as an IP address or a range of them, such as 10.0.0.7 or 10.0.0.0/8")]
pub struct InvalidAddressRange;

impl FromStr for AddressRange {
    type Err = InvalidAddressRange;

    fn from_str(text: &str) -> Result<Self, InvalidAddressRange> {
        let text = text.trim();
        let address = text.parse::<IpAddr>().map(IpNet::from);
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| InvalidAddressRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut ClientLimits, &mut Settings);

    #[test]
    fn the_defaults_are_good_and_what_is_not_is_named() {
        let check = |change: Change| {
            let (mut limits, mut settings) = (ClientLimits::default(), Settings::default());
            change(&mut limits, &mut settings);
            validate(&limits, &settings).map_err(|error| error.to_string())
        };
        assert_eq!(check(|_, _| {}), Ok(()));
        assert_eq!(check(|limits, _| limits.connections_per_address = None), Ok(()));
        let wrong: [(Change, &str); 15] = [
            (|limits, _| limits.connections = 0, "--connections is 0"),
            (
                |limits, _| limits.connections_per_address = Some(0),
                "--connections-per-address is 0",
            ),
            (|limits, _| limits.message_bytes = 1023, "--message-bytes is 1023"),
            (|limits, _| limits.message_bytes = 65 * MIB, "1024 to 67108864"),
            (|limits, _| limits.outstanding = 0, "--outstanding is 0"),
            (|_, settings| settings.queue = 0, "--queue is 0"),
            (|_, settings| settings.queue_bytes = 0, "--queue-bytes is 0"),
            (|limits, _| limits.reply_bytes = 5, "--reply-bytes is 5"),
            (
                |limits, _| limits.connection_reply_bytes = 0,
                "--connection-reply-bytes is 0",
            ),
            (
                |limits, _| limits.handshake_timeout = Duration::ZERO,
                "--handshake-timeout-ms is 0",
            ),
            (
                |limits, _| limits.hello_timeout = Duration::MAX,
                "--hello-timeout-ms",
            ),
            (|limits, _| limits.ping_every = Duration::ZERO, "--ping-ms is 0"),
            (
                |limits, _| limits.idle_timeout = Duration::ZERO,
                "--idle-timeout-ms is 0",
            ),
            (
                |limits, _| limits.send_timeout = Duration::ZERO,
                "--send-timeout-ms is 0",
            ),
            (
                |limits, _| limits.ping_every = limits.idle_timeout,
                "less than --idle-timeout-ms",
            ),
        ];
        for (change, says) in wrong {
            let error = check(change).unwrap_err();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }

    #[test]
    fn ranges_are_read_as_people_write_them() {
        let range = |text: &str| text.parse::<AddressRange>();
        let within = |text: &str, address: &str| range(text).unwrap().contains(address.parse().unwrap());
        assert!(within("10.0.0.0/8", "10.1.2.3") && within("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(within(" 10.0.0.7", "10.0.0.7") && !within("10.0.0.7", "10.0.0.8"));
        assert!(within("2001:db8::/32", "2001:db8:1::1") && !within("2001:db8::/32", "10.0.0.1"));
        assert!(within("::/0", "2001:db8::1") && within("0.0.0.0/0", "10.0.0.1"));
        for bad in ["", "proxy.example", "10.0.0.0/33", "10.0.0", "10.0.0.1:80"] {
            assert_eq!(range(bad), Err(InvalidAddressRange), "{bad}");
        }
    }
}

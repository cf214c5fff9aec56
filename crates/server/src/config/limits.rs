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

/// Limits on what clients may take. Each protects the server's memory or file descriptors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Connections at a time, HTTP and WebSocket together. Further ones are answered with HTTP 503
    /// and closed, except for `/livez`, `/readyz` and `/status`.
    pub connections: usize,
    /// Connections at a time from one IPv4 address or one /64 of IPv6 addresses. Further ones are
    /// answered with HTTP 503 likewise. `None` is no limit.
    pub connections_per_address: Option<usize>,
    /// Addresses that many clients share, such as a proxy's: the limit for one address does not
    /// hold for them.
    pub shared_addresses: Vec<AddressRange>,
    /// Longest message, in bytes.
    pub message_bytes: usize,
    /// Commands of one connection that are not answered yet. Beyond it the connection is not read.
    pub outstanding: usize,
    /// Bytes of replies that wait to be taken by their clients, or are expected, on all connections
    /// together. A read whose reply is expected to find no room is not executed and answered with
    /// the error `overloaded`. A reply of more than 1 KiB that was not expected and finds no room
    /// is replaced by that error.
    pub reply_bytes: usize,
    /// Bytes of replies of one connection that wait to be taken, or are expected. Beyond it no
    /// further command of the connection begins, and it is not read.
    pub connection_reply_bytes: usize,
    /// For the head of an HTTP request to arrive, that of a WebSocket handshake included.
    pub handshake_timeout: Duration,
    /// For `hello` to arrive after the handshake.
    pub hello_timeout: Duration,
    /// How often a connection is pinged.
    pub ping_every: Duration,
    /// A connection on which nothing arrives for so long is closed, and one on which HTTP is spoken
    /// after so long in any case.
    pub idle_timeout: Duration,
    /// For one frame, or each MiB of a longer one, to be taken by a client that reads slowly. One
    /// that takes longer is dropped.
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

/// Checks that every limit is one that a server can work with.
pub(super) fn validate(limits: &ClientLimits, settings: &Settings) -> Result<(), ConfigError> {
    // Where one address may have any number, that is no number that could be wrong.
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

/// An IP address, or all that begin as one does: `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// Whether the address is in the range. One of IPv4 is, also where it is written as one of
    /// IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical()) || self.0.contains(&address)
    }
}

/// What is no [`AddressRange`].
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

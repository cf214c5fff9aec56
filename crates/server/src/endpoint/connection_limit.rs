//! The limits on open connections: those of all clients, and those of one address.

use core::hash::BuildHasher;
use core::net::{IpAddr, Ipv6Addr};
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;

use bellwether_protocol::ConnectionCounts;
use tokio::sync::watch;

use super::site::Site;
use crate::config::{AddressRange, ClientLimits};

#[derive(Debug)]
pub(super) struct ConnectionLimit {
    max: usize,
    max_per_address: Option<usize>,
    shared: Vec<AddressRange>,
    taken: watch::Sender<Taken>,
    refused: AtomicU64,
    /// Limit for the work of one source that may be in progress: see [`Site::new`].
    at_work: usize,
    groups: RandomState,
    /// Connections from shared addresses so far.
    of_shared: AtomicU64,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// The connections of each address that has at least one.
    by_address: HashMap<IpAddr, Here>,
}

/// The connections of one address.
#[derive(Debug)]
struct Here {
    count: usize,
    site: Arc<Site>,
}

/// The limit that leaves no permit for a further connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// The limit of the server.
    Server,
    /// The limit of the client's address.
    Address,
}

/// The right to keep one connection open. Dropping it frees the right for another connection.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    connection_limit: Arc<ConnectionLimit>,
    address: IpAddr,
    site: Arc<Site>,
}

impl ConnectionPermit {
    /// Returns the source to which the connection counts.
    pub(super) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site)
    }
}

impl ConnectionLimit {
    /// Creates the limit. `at_work` limits the work of one source at a time: see [`Site::new`].
    pub(super) fn new(limits: &ClientLimits, at_work: usize) -> Arc<Self> {
        Arc::new(Self {
            max: limits.connections,
            max_per_address: limits.connections_per_address,
            shared: limits.shared_addresses.clone(),
            taken: watch::Sender::default(),
            refused: AtomicU64::new(0),
            at_work,
            groups: RandomState::new(),
            of_shared: AtomicU64::new(0),
        })
    }

    pub(super) fn take(self: &Arc<Self>, from: IpAddr) -> Result<ConnectionPermit, LimitReached> {
        let address = same_for_one_client(from);
        let shared = self.shared.iter().any(|range| range.contains(from));
        let max_per_address = self.max_per_address.filter(|_| !shared);
        let alone = shared.then(|| {
            let number = self.of_shared.fetch_add(1, Ordering::Relaxed);
            Site::new(self.groups.hash_one((address, number)), self.at_work)
        });
        let mut result = Err(LimitReached::Server);
        self.taken.send_if_modified(|taken| {
            let here = taken.by_address.get(&address).map_or(0, |here| here.count);
            if taken.all >= self.max {
                return false;
            }
            if max_per_address.is_some_and(|max| here >= max) {
                result = Err(LimitReached::Address);
                return false;
            }
            taken.all += 1;
            let here = taken.by_address.entry(address).or_insert_with(|| Here {
                count: 0,
                site: Site::new(self.groups.hash_one(address), self.at_work),
            });
            here.count += 1;
            result = Ok(alone.unwrap_or_else(|| Arc::clone(&here.site)));
            true
        });
        if result.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        result.map(|site| ConnectionPermit {
            connection_limit: Arc::clone(self),
            address,
            site,
        })
    }

    /// Waits until all connections have ended.
    pub(super) async fn all_free(&self) {
        // The sender belongs to `self`, so this cannot fail.
        let _ = self.taken.subscribe().wait_for(|taken| taken.all == 0).await;
    }

    pub(super) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.taken.borrow().all as u64,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connection_limit.taken.send_modify(|taken| {
            taken.all -= 1;
            if let Some(here) = taken.by_address.get_mut(&self.address) {
                here.count -= 1;
                if here.count == 0 {
                    taken.by_address.remove(&self.address);
                }
            }
        });
    }
}

/// Returns the unit of the limit for one address: an IPv4 address, or an IPv6 /64, because such a
/// network usually belongs to one subscriber.
fn same_for_one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection_limit(max: usize, max_per_address: Option<usize>, shared: &[&str]) -> Arc<ConnectionLimit> {
        let limits = ClientLimits {
            connections: max,
            connections_per_address: max_per_address,
            shared_addresses: shared.iter().map(|range| range.parse().unwrap()).collect(),
            ..ClientLimits::default()
        };
        ConnectionLimit::new(&limits, 1)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_leaves_places_to_others() {
        let connection_limit = connection_limit(3, Some(2), &[]);
        let first = connection_limit.take(ip("10.0.0.1")).unwrap();
        let _second = connection_limit.take(ip("10.0.0.1")).unwrap();
        assert_eq!(
            connection_limit.take(ip("10.0.0.1")).unwrap_err(),
            LimitReached::Address
        );
        let _other = connection_limit.take(ip("10.0.0.2")).unwrap();
        assert_eq!(
            connection_limit.take(ip("10.0.0.3")).unwrap_err(),
            LimitReached::Server
        );
        drop(first);
        let _again = connection_limit.take(ip("10.0.0.1")).unwrap();
        assert_eq!(
            connection_limit.counts(),
            ConnectionCounts { open: 3, refused: 2 }
        );
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let connection_limit = connection_limit(1_000, Some(2), &[]);
        for n in 0..1_000_u32 {
            drop(connection_limit.take(IpAddr::from(n.to_be_bytes())).unwrap());
        }
        assert!(connection_limit.taken.borrow().by_address.is_empty());
        assert_eq!(connection_limit.counts().open, 0);
    }

    #[test]
    fn a_64_of_ipv6_is_one_address_and_ipv4_has_two_names() {
        let connection_limit = connection_limit(100, Some(1), &[]);
        let _one = connection_limit.take(ip("2001:db8:0:1::1")).unwrap();
        assert!(connection_limit.take(ip("2001:db8:0:1:ffff::2")).is_err());
        let _next = connection_limit.take(ip("2001:db8:0:2::1")).unwrap();
        let _four = connection_limit.take(ip("10.0.0.1")).unwrap();
        assert!(connection_limit.take(ip("::ffff:10.0.0.1")).is_err());
        let _other_four = connection_limit.take(ip("::ffff:10.0.0.2")).unwrap();
    }

    #[test]
    fn a_shared_address_has_the_limit_of_all_only() {
        let connection_limit = connection_limit(3, Some(1), &["10.0.0.0/8", "::1"]);
        let _proxy: Vec<_> = ["10.1.2.3", "::ffff:10.1.2.3", "::1"]
            .map(|address| connection_limit.take(ip(address)).unwrap())
            .into();
        assert_eq!(
            connection_limit.take(ip("10.1.2.3")).unwrap_err(),
            LimitReached::Server
        );
    }

    #[test]
    fn connections_of_an_address_are_one_source_unless_it_is_shared() {
        let connection_limit = connection_limit(100, None, &["10.9.0.0/16"]);
        let group = |address: &str| connection_limit.take(ip(address)).unwrap().site().group();
        assert_eq!(group("10.0.0.1"), group("10.0.0.1"), "also when it comes again");
        assert_ne!(group("10.0.0.1"), group("10.0.0.2"));
        assert_eq!(group("2001:db8:0:1::1"), group("2001:db8:0:1::2"));
        assert_ne!(group("10.9.0.1"), group("10.9.0.1"));
    }

    #[test]
    fn none_is_no_limit() {
        let connection_limit = connection_limit(1_000, None, &[]);
        let taken: Vec<_> = (0..1_000)
            .map(|_| connection_limit.take(ip("10.0.0.1")))
            .collect();
        assert!(taken.iter().all(Result::is_ok));
    }
}

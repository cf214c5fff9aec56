//! A network of this program's own. Its hosts are network namespaces. Between them, a switch in
//! this program passes, delays and loses packets by rules.
//!
//! Every host has one TUN device, whose other end is the switch. So real TCP meets real silence, in
//! either direction of any link, and nothing changes on the machine outside. All of it disappears
//! with the program.

mod enclosure;
mod host;
mod packet;
mod rules;
mod switch;

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

pub use enclosure::{enclose, is_enclosed};
pub use host::NetworkHost;
pub(crate) use host::run_on;
pub use rules::{Effect, Link, RuleId};
pub use switch::Traffic;

use rules::Rules;
use switch::Switch;

/// The first three bytes of all addresses.
const NETWORK: [u8; 3] = [10, 77, 0];

/// Hosts and the switch between them.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<NetworkHost>,
    switch: Switch,
}

impl Network {
    /// Makes a network with this program as its first host, and one more host for each of these
    /// last bytes of an address. No rule delays or loses packets yet; later random choices come
    /// from this seed.
    ///
    /// # Errors
    /// If this program is not in a [network namespace of its own](enclose), or the system refuses a
    /// step.
    pub fn start(own: u8, others: &[u8], seed: u64) -> Result<Self> {
        let mut hosts = Vec::new();
        let mut devices = Vec::new();
        for (place, last) in std::iter::once(&own).chain(others).enumerate() {
            let (host, device) = NetworkHost::open(address(*last), place == 0)
                .with_context(|| format!("making the host {}", address(*last)))?;
            hosts.push(host);
            devices.push((*last, device));
        }
        let switch = Switch::start(devices, Rules::new(seed))?;
        Ok(Self { hosts, switch })
    }

    /// Returns the host with this last byte of its address.
    pub fn host(&self, last: u8) -> Option<&NetworkHost> {
        self.hosts.iter().find(|host| host.address() == address(last))
    }

    /// Adds a rule: from now on, packets along these links have this effect.
    pub fn add(&self, effect: Effect, links: Vec<Link>) -> RuleId {
        self.switch.with_rules(|rules| rules.add(effect, links))
    }

    /// Removes a rule: from now on, it has no effect any more.
    pub fn remove(&self, rule: RuleId) {
        self.switch.with_rules(|rules| rules.remove(rule));
    }

    /// Returns the number of packets by fate until now.
    pub fn traffic(&self) -> Traffic {
        self.switch.traffic()
    }
}

/// Returns the address with this last byte.
pub fn address(last: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, last)
}

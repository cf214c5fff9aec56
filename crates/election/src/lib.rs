//! Leader election by the Bully algorithm, with fencing epochs, over any transport.
//!
//! Every server draws a large random number when it starts, and the largest becomes coordinator.
//! The others send heartbeats to it. When the coordinator is silent, or its host refuses a
//! connection, the next in rank takes over.
//!
//! The winner asks an [`Arbiter`] for an [`Epoch`], and is coordinator from the moment it has one.
//! Send the epoch with every write of the coordinator. The epoch stops a coordinator that was
//! paused or cut off, and does not know yet that it has been replaced.
//!
//! # Guarantees
//!
//! - With an arbiter that never grants an epoch twice, no two servers are coordinator in the same
//!   epoch. A later coordinator's epoch is larger, across any restarts.
//! - With [`Quorum::Majority`], no two servers are coordinator at the same time, as long as no
//!   clock runs a tenth faster than another. A coordinator stops before its supporters may support
//!   another server. Time during which the machine is suspended counts if the system reports it:
//!   see `Election`.
//! - With an arbiter that also returns its newest epoch ([`Arbiter::newest`]), no server acts for
//!   long on an epoch that the arbiter has not granted. A peer that invents an epoch costs an
//!   election, and no more.
//! - Once links hold still, the servers that can reach each other agree on one coordinator. By
//!   default it is the eligible server with the largest rank.
//! - On every server, the gain and the loss of the leadership alternate strictly. A coordinator
//!   also loses it when no server follows.
//!
//! # Limits
//!
//! - With [`Quorum::None`], the default, two servers can both believe for a while that they are
//!   coordinator, under different epochs. Only a check of the epoch in the data store distinguishes
//!   them.
//! - With [`LocalArbiter`], an epoch is only as good as the messages between servers. A partition
//!   yields a coordinator on either side until it heals, possibly under the same epoch. After a
//!   restart of all servers epochs begin at one again.
//! - Servers believe their peers, except for epochs. With [`LocalArbiter`], or another arbiter
//!   without a record, they believe epochs too. There a peer that invents a very large epoch stops
//!   the election until all servers restart. Any program that can send messages as a peer can
//!   disturb the election for as long as it does. The transport must authenticate peers.
//!
//! # Parts
//!
//! [`Elector`] is the whole algorithm as a state machine without clock, I/O or runtime. The crate
//! is `no_std` with `alloc` when the feature `tokio` is off. The feature `tokio`, on by default,
//! adds three parts. [`Election`] runs an elector over a [`Transport`] and an [`Arbiter`].
//! [`memory`] is a transport within one process, with faults. [`conformance`] tells the author of
//! another transport its mistakes.
//!
//! [`Config`] has the timing and the policies: [`Preemption`], [`Quorum`] and [`Detection`].
#![cfg_attr(
    feature = "tokio",
    doc = r#"
# Example

```
use bellwether_election::{Config, Election, LocalArbiter, Member, Number, ServerId, memory};

# #[tokio::main(flavor = "current_thread")]
# async fn main() -> Result<(), Box<dyn std::error::Error>> {
let network = memory::Network::new();
let ids: [ServerId; 3] = ["a".parse()?, "b".parse()?, "c".parse()?];
for id in &ids {
    let me = Member::new(id.clone(), Number::random());
    let transport = network.join(id.clone());
    let election = Election::start(Config::default(), me, ids.clone(), transport, LocalArbiter)?;
    tokio::spawn(async move {
        let mut leadership = election.leadership();
        while let Some(term) = leadership.next_term().await {
            println!("{} is coordinator in epoch {}", election.view().member.id(), term.epoch());
            // Work here while `term.is_valid()`, and hand the epoch to whatever is written to.
            term.ending().await;
        }
    });
}
# tokio::time::sleep(core::time::Duration::from_millis(50)).await;
# Ok(())
# }
```
"#
)]
// Without the feature there is no item to link to, so these links lead to the name of the feature.
#![cfg_attr(
    not(feature = "tokio"),
    doc = r#"

[`Arbiter`]: #parts
[`Arbiter::newest`]: #parts
[`Election`]: #parts
[`LocalArbiter`]: #parts
[`conformance`]: #parts
[`Transport`]: #parts
[`memory`]: #parts
"#
)]
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(feature = "tokio")]
extern crate std;

#[cfg(feature = "tokio")]
mod arbiter;
mod config;
#[cfg(feature = "tokio")]
pub mod conformance;
#[cfg(feature = "tokio")]
mod driver;
mod elector;
mod identity;
mod instant;
#[cfg(feature = "tokio")]
pub mod memory;
mod message;
mod policy;
#[cfg(feature = "tokio")]
mod transport;

#[cfg(feature = "tokio")]
pub use arbiter::{Arbiter, LocalArbiter};
pub use config::{Config, ConfigError};
#[cfg(feature = "tokio")]
pub use driver::{Election, Leadership, Term, View};
pub use elector::{Claim, Counters, Elector, Link, Newest, Output, PeerView, ResignError, Role};
pub use identity::{Coordinator, Epoch, InvalidServerId, Member, Number, Rank, Roster, ServerId};
pub use instant::Instant;
pub use message::{Body, Message, Timestamp};
#[doc(hidden)]
pub use policy::Succession;
pub use policy::{Detection, Preemption, Quorum};
#[cfg(feature = "tokio")]
pub use transport::{Event, Transport};

//! Leader election by the Bully algorithm, with fencing epochs, over any transport.
//!
//! Every server draws a large random number when it starts, and the largest becomes coordinator. The others
//! send it heartbeats and, when it falls silent or its host refuses a connection, the next in rank takes over.
//! Whoever wins asks an [`Arbiter`] for an [`Epoch`] and is coordinator from the moment it has one. Hand the
//! epoch to whatever the coordinator writes to: it is what stops a coordinator that was paused or cut off and
//! does not know yet that it has been replaced.
//!
//! # What is guaranteed
//!
//! - With an arbiter that never grants an epoch twice, no two servers are coordinator in the same epoch, and a
//!   later coordinator's epoch is larger, across any restarts.
//! - With [`Quorum::Majority`], no two servers are coordinator at the same time as long as no clock runs a tenth
//!   faster than another: a coordinator stops before those who supported it may support another. Time that passes while
//!   the machine is suspended counts where the system tells of it: see `Election`.
//! - With an arbiter that also says which epoch is the newest ([`Arbiter::newest`]), no server acts for long on an epoch
//!   that it has not granted: a peer that makes one up costs an election, and no more.
//! - When links hold still, the servers that can reach each other agree on one coordinator; by default it is
//!   the fit server with the largest rank.
//! - On every server, gaining and losing the office alternate strictly, and it is lost also when nobody follows.
//!
//! # What is not
//!
//! - With [`Quorum::None`], the default, two servers can both believe for a while that they are coordinator, under
//!   different epochs; only a check of the epoch where the work is done tells them apart.
//! - With [`LocalArbiter`], epochs are only as good as what the servers have told each other: a partition
//!   yields a coordinator on either side until it heals, possibly under one and the same epoch, and a restart
//!   of all servers begins at one again.
//! - Peers are believed, but for the epochs they name, and these too with [`LocalArbiter`] or any other arbiter without
//!   a record: there a peer that makes up a very large epoch stops the election until all servers restart. Who can send
//!   messages as a peer can disturb the election for as long as it does; to authenticate peers is the transport's part.
//!
//! # Parts
//!
//! [`Elector`] is the whole algorithm as a state machine without clock, I/O or runtime; the crate is `no_std`
//! with `alloc` when the feature `tokio` is off. The feature `tokio`, on by default, adds [`Election`], which runs
//! an elector over a [`Transport`] and an [`Arbiter`]; [`memory`], a transport within one process, with faults; and
//! [`conformance`], which tells the author of another transport what is wrong with it. [`Config`] has the timing
//! and the policies: [`Preemption`], [`Quorum`], [`Succession`] and [`Detection`].
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
        while let Some(tenure) = leadership.gained().await {
            println!("{} is coordinator in epoch {}", election.view().member.id(), tenure.epoch());
            // Work here while `tenure.is_valid()`, and hand the epoch to whatever is written to.
            tenure.ending().await;
        }
    });
}
# tokio::time::sleep(core::time::Duration::from_millis(50)).await;
# Ok(())
# }
```
"#
)]
// Where there is nothing to link to, to what says which feature it takes.
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
pub use driver::{Election, Leadership, Tenure, View};
pub use elector::{Claim, Counters, Elector, Link, Newest, Output, PeerView, ResignError, Role};
pub use identity::{Epoch, Incumbent, InvalidServerId, Member, Number, Rank, Roster, ServerId};
pub use instant::Instant;
pub use message::{Body, Message, Stamp};
pub use policy::{Detection, Preemption, Quorum, Succession};
#[cfg(feature = "tokio")]
pub use transport::{Event, Transport};

//! The elector in virtual time, under seeded faults.
//!
//! Every run is a seed. The invariants are in `invariants/`, one file each, and are checked after
//! every step. A failing run names the broken invariant and prints the command that runs it once
//! more, alone and with a trace. `cargo xtask simulate` runs more seeds than the tests do; `cargo
//! xtask planted` shows that the tests find planted bugs.
//!
//! | | |
//! |---|---|
//! | `world`, `event`, `effects` | future events, and their effects |
//! | `server`, `clock` | a process with an elector, and its own idea of time |
//! | `network` | loss, duplication, delay, cuts; the transport's reports of links |
//! | `arbiter`, `resource` | the grants of epochs, and the refusal of old ones |
//! | `faults`, `chaos` | faults, one by one and at random |
//! | `scenarios` | the tests |

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod arbiter;
mod chaos;
mod clock;
mod effects;
mod event;
mod explore;
mod faults;
mod invariants;
mod network;
mod resource;
mod scenarios;
mod server;
mod world;

//! The elector in virtual time, under seeded faults.
//!
//! Every run is a seed. What must hold is in `invariants/`, one file each, and is checked after
//! every step. A failing run says which invariant it broke and prints the command that runs it once
//! more, alone and with a trace. `cargo xtask simulate` runs more seeds than the tests do; `cargo
//! xtask planted` shows that planted bugs are found.
//!
//! | | |
//! |---|---|
//! | `world`, `event`, `effects` | what is going to happen, and what follows from it |
//! | `server`, `clock` | a process with an elector, and its own idea of time |
//! | `network` | loss, doubling, delay, cuts; what the transport says of links |
//! | `arbiter`, `resource` | who grants epochs, and who refuses old ones |
//! | `faults`, `chaos` | what can go wrong, one by one and at random |
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

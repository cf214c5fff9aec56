//! The Python client in `clients/python`: its own tests with scripted servers, its types, the
//! example in its README, and a cluster whose servers are killed and paused while it writes.

mod faults;
mod program;
mod readme;
mod sizes;
mod suite;

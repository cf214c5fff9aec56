//! The Python client in `clients/python`. The tests run its own tests with scripted servers, its
//! types, and the example in its README. They also run a cluster whose servers are killed and
//! paused while the client writes.

mod faults;
mod program;
mod readme;
mod sizes;
mod suite;

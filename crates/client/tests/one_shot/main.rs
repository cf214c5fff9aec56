//! The one-shot logic on a scripted network.

mod budget;
mod closing;
mod errors;
mod greeting;
#[path = "../hello/mod.rs"]
mod hello;
mod keepalive;
mod network;
mod order;
mod overload;
mod passing;
mod probing;
mod random;
mod script;
mod staggering;
mod wire;

const A: &str = "ws://a:1/v1";
const B: &str = "ws://b:1/v1";
const C: &str = "ws://c:1/v1";

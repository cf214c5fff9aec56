//! Three servers that elect a coordinator over UDP.
//!
//! ```text
//! cargo run --example udp --features serde                          # starts three, kills the coordinator
//! cargo run --example udp --features serde -- a a=127.0.0.1:4001 b=127.0.0.1:4002 c=127.0.0.1:4003
//! ```
//!
//! Over UDP a crash is not noticed before the coordinator has been silent for `Config::timeout`.
//! The example `tcp` shows the advantage of a connection that ends.

mod fragments;
#[path = "../three/mod.rs"]
mod three;
mod transport;

use std::process::ExitCode;

use transport::UdpTransport;

#[tokio::main]
async fn main() -> ExitCode {
    three::main(async |id, addresses| UdpTransport::bind(&id, addresses).await).await
}

//! Three servers that elect a coordinator over TCP.
//!
//! ```text
//! cargo run --example tcp --features serde                          # starts three, kills the coordinator
//! cargo run --example tcp --features serde -- a a=127.0.0.1:4001 b=127.0.0.1:4002 c=127.0.0.1:4003
//! ```
//!
//! A killed process closes its connections and refuses new ones. The transport reports that, and
//! the election does not wait for a timeout.

#[path = "../three/mod.rs"]
mod three;
mod transport;

use std::process::ExitCode;

use transport::TcpTransport;

#[tokio::main]
async fn main() -> ExitCode {
    three::main(async |id, addresses| TcpTransport::bind(&id, addresses).await).await
}

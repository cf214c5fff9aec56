//! A whole server inside a program of its own, and a client that talks to it.
//!
//! ```sh
//! cargo run -p bellwether-server --example embedded_server -- 'mongodb://m1,m2,m3/?replicaSet=rs0'
//! ```
//!
//! It works in the database `embedded`. One server is a cluster too; more of them, in this program
//! or in others, only have to be named to each other in `Config::peers`.

use std::error::Error;

use bellwether_client::native::Native;
use bellwether_client::{CommandText, OneShot, ServerList};
use bellwether_server::election::Role;
use bellwether_server::{Config, PeerSecrets, Server};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let uri = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "mongodb://127.0.0.1:27017/?replicaSet=rs0".to_owned());
    let mut config = Config::new("s1".parse()?, uri);
    config.database = "embedded".to_owned();
    // Any free ports.
    config.listen.set_port(0);
    config.peer_listen.set_port(0);
    // Without a secret any program on this machine could join as a peer. All servers of a cluster
    // have the same: those in this program a clone, those in others the text of one file.
    config.peer_secrets = Some(PeerSecrets::random());

    let server = Server::start(config).await?;
    let servers: ServerList = format!("ws://{}/v1", server.client_address()).parse()?;
    let mut role = server.role();
    // The program's own way to end it, instead of a signal.
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));

    if let Role::Coordinator { epoch } = &*role.wait_for(is_coordinator).await? {
        println!("Coordinator in epoch {}.", epoch.0);
    }

    let client = OneShot::new(Native::new(), servers);
    for command in [
        r#"{"insert": "orders", "documents": [{"item": "tea"}]}"#,
        r#"{"find": "orders", "filter": {"item": "tea"}, "limit": 1}"#,
    ] {
        let command: CommandText = command.parse()?;
        let executed = client.execute(&command, |_| {}).await?;
        println!("Executed in epoch {}: {}", executed.epoch, executed.result);
    }

    // Finishes the commands in progress, hands over, tells the clients to go elsewhere.
    let _ = stop.send(());
    running.await?;
    println!("Left.");
    Ok(())
}

fn is_coordinator(role: &Role) -> bool {
    matches!(role, Role::Coordinator { .. })
}

use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::free_ports;

/// A proxy from clients to one server that can be shut: then it passes nothing on any more, and
/// neither end notices.
///
/// Connections can still be opened, as to a container that is cut off behind Docker's proxy, and
/// none is closed.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    open: watch::Sender<bool>,
    _accepting: AbortOnDropHandle<()>,
}

impl Gate {
    /// Opens a way to the server at this port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn open_to(server: u16) -> Result<Self> {
        let port = free_ports(1)?[0];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let (open, is_open) = watch::channel(true);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, is_open.clone()));
            }
        });
        Ok(Self {
            port,
            open,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Returns the URL at which clients reach the server through it.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/v1", self.port)
    }

    /// Shuts it.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Opens it again.
    pub fn open_again(&self) {
        self.open.send_replace(true);
    }
}

/// Passes everything on while the proxy is open. Bytes in transit when it is shut are lost, and
/// neither end notices before it is open again.
async fn relay(mut client: TcpStream, server: u16, mut open: watch::Receiver<bool>) {
    // A client that connects to a shut proxy waits. From here on an error has no receiver.
    let _ = open.wait_for(|open| *open).await;
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = open.wait_for(|open| !open) => {}
    }
    let _ = open.wait_for(|open| *open).await;
}

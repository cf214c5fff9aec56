use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::free_ports;

/// An address at which connecting neither succeeds nor fails, as behind a firewall that drops
/// packets.
///
/// The listener never accepts, and the few connections that the system accepts for it are used up.
/// So the system ignores all others.
#[derive(Debug)]
pub struct BlackHole {
    port: u16,
    _listener: TcpListener,
    _filling: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens it, and sees that it swallows.
    ///
    /// # Errors
    /// If there is no free port, or the system goes on accepting.
    pub async fn open() -> Result<Self> {
        Self::open_at(free_ports(1)?[0]).await
    }

    /// Opens one as [`BlackHole::open`] does, at a port where no process listens any more.
    ///
    /// # Errors
    /// If a process listens there, or the system goes on accepting.
    pub async fn open_at(port: u16) -> Result<Self> {
        /// A connection over loopback that takes longer will not come.
        const NEVER: Duration = Duration::from_millis(300);
        const MORE_THAN_A_BACKLOG: usize = 16;

        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = TcpSocket::new_v4()?;
        // Connections of an earlier listener on this port may still be closing.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(0)?;
        let mut filling = Vec::new();
        while let Ok(connected) = timeout(NEVER, TcpStream::connect(address)).await {
            filling.push(connected?);
            ensure!(
                filling.len() < MORE_THAN_A_BACKLOG,
                "this system accepts connections beyond a backlog of 0"
            );
        }
        Ok(Self {
            port,
            _listener: listener,
            _filling: filling,
        })
    }

    /// Returns the address, as that of a server.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/v1", self.port)
    }
}

/// An address at which connections are accepted and no answer ever comes.
#[derive(Debug)]
pub struct DeafServer {
    port: u16,
    _accepting: AbortOnDropHandle<()>,
}

impl DeafServer {
    /// Starts it.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start() -> Result<Self> {
        let port = free_ports(1)?[0];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let accepting = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                kept.push(connection);
            }
        });
        Ok(Self {
            port,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Returns the address, as that of a server.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/v1", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_black_hole_swallows_and_a_deaf_server_accepts() -> Result<()> {
        let long = Duration::from_millis(500);
        let hole = BlackHole::open().await?;
        let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, hole.port));
        assert!(timeout(long, connecting).await.is_err());
        let deaf = DeafServer::start().await?;
        TcpStream::connect((Ipv4Addr::LOCALHOST, deaf.port)).await?;
        Ok(())
    }
}

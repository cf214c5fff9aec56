use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tower_http::services::ServeDir;

/// A web server for the files of a directory, on 127.0.0.1. It ends when it is dropped.
#[derive(Debug)]
pub struct FileServer {
    port: u16,
    _serving: AbortOnDropHandle<()>,
}

impl FileServer {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start(dir: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("listening for a browser")?;
        let port = listener.local_addr()?.port();
        let files = Router::new().fallback_service(ServeDir::new(dir));
        let serving = tokio::spawn(async move {
            // Never ends, and an error on one connection ends only that connection.
            let _ = axum::serve(listener, files).await;
        });
        Ok(Self {
            port,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// Returns the origin of its pages, as the browser names it.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use bellwether_protocol::ServerFrame;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header;
use tokio_tungstenite::{accept_hdr_async, connect_async};
use tokio_util::task::AbortOnDropHandle;

use crate::connection::request;
use crate::ports::free_ports;

/// A proxy between clients and one server that relays every message, but loses replies: it cuts
/// both connections instead of passing a `result` frame on. It does so for the first one only, or
/// for all until [`mend`](Self::mend). After that it relays everything in full.
#[derive(Debug)]
pub struct ReplyCutter {
    port: u16,
    state: Arc<State>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct State {
    cuts_all: bool,
    mended: AtomicBool,
    cut: AtomicBool,
    passed: AtomicUsize,
}

impl ReplyCutter {
    /// Starts to relay to the server at this URL, and will lose one reply.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(upstream: String) -> Result<Self> {
        Self::with(upstream, false).await
    }

    /// Starts to relay to the server at this URL, and loses all replies until [`mend`](Self::mend).
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn of_all(upstream: String) -> Result<Self> {
        Self::with(upstream, true).await
    }

    async fn with(upstream: String, cuts_all: bool) -> Result<Self> {
        let port = free_ports(1)?[0];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let state = Arc::new(State {
            cuts_all,
            mended: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            passed: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (upstream, state) = (upstream.clone(), Arc::clone(&state));
                    tokio::spawn(async move {
                        // A relay that fails closes both its connections; there is no other way to
                        // report the error.
                        let _ = relay(client, &upstream, &state).await;
                    });
                }
            }
        });
        Ok(Self {
            port,
            state,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Returns its URL for clients.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/v1", self.port)
    }

    /// Relays in full from now on.
    pub fn mend(&self) {
        self.state.mended.store(true, Ordering::SeqCst);
    }

    /// Returns `true` if a reply has been lost.
    pub fn has_cut(&self) -> bool {
        self.state.cut.load(Ordering::SeqCst)
    }

    /// Returns the number of replies that were passed on.
    pub fn passed(&self) -> usize {
        self.state.passed.load(Ordering::SeqCst)
    }
}

impl State {
    fn loses_this(&self) -> bool {
        if self.mended.load(Ordering::SeqCst) {
            return false;
        }
        let is_first = !self.cut.swap(true, Ordering::SeqCst);
        is_first || self.cuts_all
    }
}

async fn relay(client: TcpStream, upstream: &str, state: &State) -> Result<()> {
    let mut client = accept_hdr_async(client, select_offered).await?;
    let (mut server, _) = connect_async(request(upstream)?).await?;
    loop {
        tokio::select! {
            message = client.next() => server.send(message.context("the client is gone")??).await?,
            message = server.next() => {
                let message = message.context("the server is gone")??;
                if is_result(&message) {
                    if state.loses_this() {
                        return Ok(());
                    }
                    state.passed.fetch_add(1, Ordering::SeqCst);
                }
                client.send(message).await?;
            }
        }
    }
}

/// Agrees to the subprotocol that the client offers.
// The signature is tungstenite's.
#[allow(clippy::result_large_err)]
pub(crate) fn select_offered(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if let Some(offered) = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL) {
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, offered.clone());
    }
    Ok(response)
}

fn is_result(message: &Message) -> bool {
    matches!(message, Message::Text(text) if matches!(ServerFrame::parse(text), Ok(ServerFrame::Result(_))))
}

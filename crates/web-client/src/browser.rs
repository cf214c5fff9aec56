//! The browser as a platform of the client.

use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::Pin;
use core::time::Duration;

use bellwether_client::{Closed, ConnectError, Connection, Platform, ServerUrl};
use bellwether_protocol::SUBPROTOCOL;
use futures_util::{Sink, StreamExt};
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, State, WebSocketError};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::timer::Timer;

/// Longest delay of a timer. Browsers keep it in 31 bits of milliseconds; a longer delay would end
/// at once.
const LONGEST_TIMER: u32 = 0x7fff_ffff;

// Not functions of `window`: workers have both functions, but no window.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_with_random(bytes: &mut [u8]);
}

/// The browser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Browser;

impl Platform for Browser {
    type Connection = BrowserConnection;

    async fn connect(&self, server: &ServerUrl) -> Result<BrowserConnection, ConnectError> {
        let mut socket = WebSocket::open_with_protocol(server.as_str(), SUBPROTOCOL)
            .map_err(|error| ConnectError::BadEndpoint([&*error.name, ": ", &error.message].concat()))?;
        // The socket is ready once the browser has decided: it is open, or has failed.
        let _ = poll_fn(|context| Pin::new(&mut socket).poll_ready(context)).await;
        if !matches!(socket.state(), State::Open) {
            // A browser does not tell the page the reason. A refused connection, a refused
            // handshake and a blocked connection look the same.
            return Err(ConnectError::Unreachable(
                "the connection could not be opened".into(),
            ));
        }
        // A browser itself fails the handshake if the server selects no subprotocol. Not every
        // runtime does that.
        if socket.protocol() != SUBPROTOCOL {
            return Err(ConnectError::BadEndpoint(
                "it does not speak bellwether.v1".into(),
            ));
        }
        Ok(BrowserConnection { socket, closed: None })
    }

    async fn sleep(&self, duration: Duration) {
        let millis = u32::try_from(whole_millis(duration)).unwrap_or(LONGEST_TIMER);
        // Timers count whole milliseconds. Rounding down would end a limit before its time.
        Timer::start(millis.saturating_add(1).min(LONGEST_TIMER))
            .over()
            .await;
    }

    fn now(&self) -> Duration {
        duration(performance_now())
    }

    fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        fill_with_random(&mut bytes);
        bytes
    }
}

/// Returns whole milliseconds, rounded down. `Duration::as_millis` would add arithmetic of 128 bits
/// to the module.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    let millis = duration.as_secs().saturating_mul(1000);
    millis.saturating_add(duration.subsec_millis().into())
}

/// Converts JavaScript's milliseconds, to the microsecond.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "beyond its bounds the nearest one is meant"
)]
pub(crate) fn duration(millis: f64) -> Duration {
    Duration::from_micros((millis * 1000.0) as u64)
}

/// A connection of [`Browser`].
pub struct BrowserConnection {
    socket: WebSocket,
    /// The end of the connection, for further receives: the socket reports it once.
    closed: Option<Closed>,
}

impl Connection for BrowserConnection {
    // Browsers answer pings, but cannot send them.
    type Keepalive = Infallible;

    async fn send(&mut self, text: String) -> Result<(), Closed> {
        // On a closing socket a browser drops the text without an error. The next receive returns
        // the reason.
        Pin::new(&mut self.socket)
            .start_send(Message::Text(text))
            .map_err(|error| match error {
                WebSocketError::MessageSendError(error) => {
                    Closed::broken([&*error.name, ": ", &error.message].concat())
                }
                _ => Closed::default(),
            })
    }

    async fn recv(&mut self) -> Result<String, Closed> {
        loop {
            if let Some(closed) = &self.closed {
                return Err(closed.clone());
            }
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Err(WebSocketError::ConnectionClose(event))) => {
                    // 1005 and 1006 come from the browser: no code, and no close frame at all.
                    let code = Some(event.code).filter(|code| ![1005, 1006].contains(code));
                    let reason = event.reason;
                    self.closed = Some(Closed { code, reason });
                }
                // The close event that follows has the details. This protocol has no binary frames.
                Some(Ok(Message::Bytes(_)) | Err(_)) => {}
                None => self.closed = Some(Closed::default()),
            }
        }
    }

    fn keepalive(&self) -> Option<Infallible> {
        None
    }

    async fn close(self) {
        // Fails only for codes that a page may not send.
        let _ = self.socket.close(Some(1000), None);
    }
}

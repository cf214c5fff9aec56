//! A WebSocket whose events a task waits for.
//!
//! `gloo-net` has one as well. It also sends and reads bytes, is a stream and a sink, and has a channel for each socket. With it
//! and `gloo-timers` a page loads 3,700 bytes more.

use std::collections::VecDeque;

use bellwether_client::Closed;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::events::{Event, Listener, Watched};

#[wasm_bindgen]
extern "C" {
    type WebSocket;

    #[wasm_bindgen(constructor, catch)]
    fn new(url: &str, protocol: &str) -> Result<WebSocket, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn protocol(this: &WebSocket) -> String;

    #[wasm_bindgen(method, catch)]
    fn send(this: &WebSocket, text: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method)]
    fn close(this: &WebSocket, code: Option<u16>);

    #[wasm_bindgen(method, getter, js_name = type)]
    fn kind(this: &Event) -> String;

    #[wasm_bindgen(method, getter)]
    fn data(this: &Event) -> JsValue;

    #[wasm_bindgen(method, getter)]
    fn code(this: &Event) -> u16;

    #[wasm_bindgen(method, getter)]
    fn reason(this: &Event) -> String;

    /// An error's name and message.
    #[wasm_bindgen(js_name = String)]
    fn text_of(thrown: &JsValue) -> String;
}

const HANDLERS: &[&str] = &["onopen", "onmessage", "onerror", "onclose"];

/// The events that came and were not taken yet.
#[derive(Default)]
struct Inbox {
    is_open: bool,
    texts: VecDeque<String>,
    /// Stays once it is there.
    closed: Option<Closed>,
}

impl Inbox {
    #[expect(clippy::needless_pass_by_value, reason = "as a handler gets it")]
    fn take_in(&mut self, event: Event) {
        match &*event.kind() {
            "open" => self.is_open = true,
            // Binary frames are none of this protocol's.
            "message" => self.texts.extend(event.data().as_string()),
            "close" => {
                // 1005 and 1006 are the browser's own: no code, and no close frame at all.
                let code = Some(event.code()).filter(|code| ![1005, 1006].contains(code));
                let reason = event.reason();
                self.closed = Some(Closed { code, reason });
            }
            // An open connection that fails is closed as well, and that event says more.
            _ if self.is_open => {}
            _ => self.closed = Some(Closed::default()),
        }
    }
}

/// A WebSocket. Dropping it closes the connection, and stops it from being opened.
pub(crate) struct Socket {
    inbox: Watched<Inbox>,
    // Dropped by itself, before the socket is.
    _listener: Listener,
    socket: WebSocket,
}

impl Socket {
    /// Begins to connect.
    ///
    /// # Errors
    /// The text of the exception if the browser does not even try; the URL or the page's policy forbids it.
    pub(crate) fn connect(url: &str, protocol: &str) -> Result<Self, String> {
        let socket = WebSocket::new(url, protocol).map_err(|thrown| text_of(&thrown))?;
        let (inbox, handler) = Watched::with_handler(Inbox::take_in);
        Ok(Self {
            inbox,
            _listener: Listener::new(JsValue::clone(&socket), HANDLERS, handler),
            socket,
        })
    }

    /// Waits until it is decided. Returns `true` if the connection is open, and `false` if there is none.
    pub(crate) async fn is_opened(&self) -> bool {
        let decided = |inbox: &mut Inbox| match inbox {
            Inbox { is_open: true, .. } => Some(true),
            Inbox { closed: Some(_), .. } => Some(false),
            _ => None,
        };
        self.inbox.wait_for(decided).await
    }

    /// The subprotocol that the server has selected; empty if it has selected none.
    pub(crate) fn protocol(&self) -> String {
        self.socket.protocol()
    }

    /// Sends a text. On a closing socket a browser drops it without a word.
    ///
    /// # Errors
    /// The text of the exception if the socket refuses it.
    pub(crate) fn send(&self, text: &str) -> Result<(), String> {
        self.socket.send(text).map_err(|thrown| text_of(&thrown))
    }

    /// Waits for the next text. Loses nothing when the future is dropped.
    ///
    /// # Errors
    /// How the connection was closed, after the last text.
    pub(crate) async fn recv(&self) -> Result<String, Closed> {
        let next = |inbox: &mut Inbox| match inbox.texts.pop_front() {
            Some(text) => Some(Ok(text)),
            None => inbox.closed.clone().map(Err),
        };
        self.inbox.wait_for(next).await
    }

    /// Closes with this code, which is 1000 or from 3000 to 4999.
    pub(crate) fn close(&self, code: u16) {
        self.socket.close(Some(code));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Without an effect on one that is closing.
        self.socket.close(None);
    }
}

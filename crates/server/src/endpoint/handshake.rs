//! The WebSocket handshake.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bellwether_protocol::{CloseCode, SUBPROTOCOL};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tracing::debug;

use super::Context;
use super::origin::Refusal;
use super::session::Session;
use super::site::Site;
use super::socket::Socket;

/// The only version that exists (RFC 6455, section 4.4).
const VERSION: &str = "13";

/// Answers a handshake. If a page may not connect, the first frame of the connection says so and
/// closes it.
pub(super) async fn upgrade(
    State(context): State<Context>,
    Extension(site): Extension<Arc<Site>>,
    refused: Option<Extension<Refusal>>,
    mut request: Request,
) -> Response {
    if request.headers().contains_key(header::UPGRADE)
        && request
            .headers()
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != VERSION)
    {
        let text = "this server speaks WebSocket in version 13\n";
        let spoken = [(header::SEC_WEBSOCKET_VERSION, VERSION)];
        return (StatusCode::UPGRADE_REQUIRED, spoken, text).into_response();
    }
    let mut response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => {
            let text = format!("this address is for WebSocket connections: {error}\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offered = offers
        .iter()
        .filter_map(|offer| offer.to_str().ok())
        .any(|offer| offer.split(',').any(|protocol| protocol.trim() == SUBPROTOCOL));
    if offered {
        let chosen = HeaderValue::from_static(SUBPROTOCOL);
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrading.await {
            Ok(upgraded) => {
                let limits = &context.server.config.limits;
                let stream = TokioIo::new(upgraded);
                let mut socket = Socket::new(stream, limits.message_bytes, limits.send_timeout).await;
                if let Some(Extension(refusal)) = refused {
                    socket.close(CloseFrame {
                        code: CloseCode::OriginNotAllowed.code().into(),
                        reason: refusal.close_reason().into(),
                    });
                    return socket.flush().await;
                }
                Session::new(socket, context, site).run(offered).await;
            }
            Err(error) => debug!(%error, "a handshake was not finished"),
        }
    });
    response
}

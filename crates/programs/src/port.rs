use std::net::{Ipv4Addr, TcpListener};

/// Returns `true` if no process listens on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

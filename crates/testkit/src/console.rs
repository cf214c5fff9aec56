use std::fmt;

use serde::Deserialize;

/// One line of a browser's console.
#[derive(Clone, Debug, Deserialize)]
pub struct ConsoleLine {
    level: String,
    source: String,
    message: String,
}

impl ConsoleLine {
    /// Returns `true` if something is wrong with the page. `troubled` are the `host:port` of
    /// servers that are down, deaf or false. Chromium itself reports failed connections to them as
    /// errors, even if the page handles them well.
    pub fn is_alarming(&self, troubled: &[String]) -> bool {
        let is_alarm = matches!(self.level.as_str(), "SEVERE" | "WARNING");
        is_alarm && !self.is_closed_early() && !troubled.iter().any(|server| self.is_failure_of(server))
    }

    /// Returns `true` if the page itself has given up a connection before it was open.
    fn is_closed_early(&self) -> bool {
        self.source == "network"
            && self.message.contains("WebSocket connection to 'ws://")
            && self
                .message
                .ends_with("failed: WebSocket is closed before the connection is established.")
    }

    fn is_failure_of(&self, server: &str) -> bool {
        let socket = format!("WebSocket connection to 'ws://{server}/v1' failed: ");
        let status = format!("http://{server}/status - Failed to load resource: net::ERR_");
        self.source == "network" && (self.message.contains(&socket) || self.message.starts_with(&status))
    }
}

impl fmt::Display for ConsoleLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}: {}", self.level, self.source, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_troubled_servers_are_calm() {
        let alarming = |source: &str, message: &str| {
            let line = ConsoleLine {
                level: "SEVERE".into(),
                source: source.into(),
                message: message.into(),
            };
            line.is_alarming(&["127.0.0.1:1999".into()])
        };
        let refused = "Error in connection establishment: net::ERR_CONNECTION_REFUSED";
        let socket =
            |server: &str| format!("network 3 WebSocket connection to 'ws://{server}/v1' failed: {refused}");
        let status =
            |server: &str| format!("http://{server}/status - Failed to load resource: net::ERR_FAILED");
        assert!(!alarming("network", &socket("127.0.0.1:1999")));
        assert!(!alarming("network", &status("127.0.0.1:1999")));
        assert!(alarming("network", &socket("127.0.0.1:19990")));
        assert!(alarming("network", &status("127.0.0.1:2000")));
        assert!(alarming("console-api", &socket("127.0.0.1:1999")));
        assert!(alarming(
            "javascript",
            "javascript 3:299 Uncaught (in promise) Error: rejected"
        ));
        let early = "network 4 WebSocket connection to 'ws://127.0.0.1:7/v1' failed: WebSocket is closed before the \
                     connection is established.";
        assert!(!alarming("network", early));
    }
}

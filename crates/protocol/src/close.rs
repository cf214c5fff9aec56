use core::fmt;

/// Reasons why a server closed a connection: the WebSocket close codes of `bellwether.v1`.
///
/// RFC 6455, section 7.4.1, defines the codes below 4000. This protocol defines the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCode {
    /// 1000: the client closed the connection.
    Normal,
    /// 1002: bytes that break the WebSocket protocol itself.
    ProtocolError,
    /// 1003: a binary frame. Every frame of this protocol is text.
    UnsupportedData,
    /// 1007: a text frame that is not UTF-8.
    InvalidUtf8,
    /// 1009: a message larger than the server's limit.
    TooBig,
    /// 1012: the server is shutting down. Try another one at once.
    Restart,
    /// 1013: the server has no room for another connection. Try another one.
    TryAgainLater,
    /// 4400: a frame that is not JSON, of an unknown type, or about a command whose id cannot be
    /// read.
    BadFrame,
    /// 4401: a command before `hello`.
    HelloRequired,
    /// 4403: the client expected another cluster.
    WrongCluster,
    /// 4405: the server does not let pages of this origin connect. The reason names the option
    /// `--allow-origin` and the origin. The server has read and executed nothing. Another attempt
    /// does not help.
    OriginNotAllowed,
    /// 4406: the client does not offer the subprotocol `bellwether.v1`.
    UnsupportedProtocol,
    /// 4408: no `hello` in time, or nothing heard for longer than the idle limit.
    Timeout,
    /// 4410: the server executes commands of authenticated clients only. The connection proved no
    /// identity for a minute, or its token expired a minute ago.
    Unauthenticated,
    /// 4429: the client sent a second `hello`.
    TooMany,
}

impl CloseCode {
    /// All close codes, in ascending order.
    pub const ALL: [CloseCode; 15] = [
        Self::Normal,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::InvalidUtf8,
        Self::TooBig,
        Self::Restart,
        Self::TryAgainLater,
        Self::BadFrame,
        Self::HelloRequired,
        Self::WrongCluster,
        Self::OriginNotAllowed,
        Self::UnsupportedProtocol,
        Self::Timeout,
        Self::Unauthenticated,
        Self::TooMany,
    ];

    /// Returns the number on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::ProtocolError => 1002,
            Self::UnsupportedData => 1003,
            Self::InvalidUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Restart => 1012,
            Self::TryAgainLater => 1013,
            Self::BadFrame => 4400,
            Self::HelloRequired => 4401,
            Self::WrongCluster => 4403,
            Self::OriginNotAllowed => 4405,
            Self::UnsupportedProtocol => 4406,
            Self::Timeout => 4408,
            Self::Unauthenticated => 4410,
            Self::TooMany => 4429,
        }
    }

    /// Returns the close code with this number, or `None` if this protocol has none.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

/// Shortens the reason of a close frame to the 123 bytes there is room for (RFC 6455, section 5.5).
pub fn close_reason(mut reason: String) -> String {
    while reason.len() > 123 {
        reason.pop();
    }
    reason
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())
    }
}

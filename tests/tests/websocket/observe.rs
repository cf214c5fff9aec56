use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bellwether_protocol::{CommandId, ServerFrame};
use bellwether_testkit::{RawFrame, RawSocket, Received, handshake, mint, opcode};

/// The sent bytes and the expected observation.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Of RFC 6455.
    pub(crate) section: &'static str,
    pub(crate) start: Start,
    pub(crate) steps: Vec<Step>,
    pub(crate) seen: Seen,
}

/// State of a connection when the case begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Connected,
    Upgraded,
    Greeted,
}

pub(crate) enum Step {
    Send(Vec<u8>),
    /// One byte after the other, with this pause between them.
    Trickle(Vec<u8>, Duration),
    /// Nothing more is sent, and the connection stays open.
    Silence,
    /// Nothing more is sent, and the server's operating system knows it.
    Finish,
    /// The connection is broken off.
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The handshake is answered with this status, and that was it.
    Http(u16),
    /// A later command is executed, and a later ping answered.
    GoesOn {
        /// Number of executed commands of the case itself.
        executed: usize,
        /// A ping of the case itself was answered.
        ponged: bool,
    },
    /// A close frame with this code, or with none, and then the end of the connection.
    Closed(Option<u16>),
    /// The end of the connection, without a word.
    Ended,
    /// Nothing, since the connection was broken off.
    Nothing,
}

/// It goes on, and the case itself has neither commands nor pings.
pub(crate) const GOES_ON: Seen = executes(0);

pub(crate) const fn executes(executed: usize) -> Seen {
    Seen::GoesOn {
        executed,
        ponged: false,
    }
}

pub(crate) const fn closed(code: u16) -> Seen {
    Seen::Closed(Some(code))
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::GoesOn { executed, ponged } => {
                f.write_str("goes on")?;
                match executed {
                    0 => {}
                    1 => f.write_str(", the command is executed")?,
                    many => write!(f, ", {many} commands are executed")?,
                }
                f.write_str(if *ponged { ", a pong" } else { "" })
            }
            Self::Closed(Some(code)) => write!(f, "closed, {code}"),
            Self::Closed(None) => f.write_str("closed, without a code"),
            Self::Ended => f.write_str("ended without a close frame"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// In the ping that shows that a connection goes on.
const PROBE: &[u8] = b"still there?";

/// Plays a case on a new connection.
pub(crate) async fn observe(port: u16, case: Case) -> Result<Seen> {
    let mut socket = match case.start {
        Start::Connected => RawSocket::connect(port).await?,
        Start::Upgraded => RawSocket::upgraded(port).await?,
        Start::Greeted => RawSocket::greeted(port).await?.0,
    };
    let mut probe = true;
    let said = |step: &Step| matches!(step, Step::Send(bytes) if bytes.windows(hello().len()).any(|part| part == hello()));
    let greeted = case.start == Start::Greeted || case.steps.iter().any(said);
    for step in case.steps {
        // A server that has seen enough ends the connection in the middle of it; its frames are
        // read below.
        let sent = match step {
            Step::Send(bytes) => socket.send(&bytes).await,
            Step::Trickle(bytes, pause) => socket.trickle(&bytes, pause).await,
            Step::Silence => {
                probe = false;
                Ok(())
            }
            Step::Finish => {
                probe = false;
                socket.finish().await
            }
            Step::Reset => {
                socket.reset()?;
                return Ok(Seen::Nothing);
            }
        };
        if sent.is_err() {
            break;
        }
    }
    if case.start == Start::Connected {
        let Some(head) = socket.http_head().await? else {
            return Ok(Seen::Ended);
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("not HTTP: {head}"))?;
        if status != 101 {
            return Ok(Seen::Http(status));
        }
        expect_nothing_negotiated(&head)?;
    }
    let probe_id = new_id()?;
    if probe {
        let mut bytes = Vec::new();
        if !greeted {
            bytes.extend(hello());
        }
        bytes.extend(RawFrame::new(opcode::PING, PROBE).bytes());
        bytes.extend(read(probe_id));
        // It may have been closed already.
        let _ = socket.send(&bytes).await;
    }
    read_on(&mut socket, probe_id).await
}

/// Reads until the probe is answered or the connection is over.
async fn read_on(socket: &mut RawSocket, probe_id: CommandId) -> Result<Seen> {
    let (mut executed, mut ponged, mut probe_ponged) = (0, false, false);
    while let Some(Received { opcode, payload }) = socket.frame().await? {
        match opcode {
            opcode::TEXT => match ServerFrame::parse(std::str::from_utf8(&payload)?)? {
                ServerFrame::Result(result) if result.id == probe_id && probe_ponged => {
                    return Ok(Seen::GoesOn { executed, ponged });
                }
                ServerFrame::Result(result) if result.id == probe_id => {
                    bail!("the command after the ping is answered, and not the ping")
                }
                ServerFrame::Result(_) => executed += 1,
                // An error comes before the close frame that follows from it.
                ServerFrame::HelloOk(_) | ServerFrame::Error(_) => {}
                other => bail!("nobody asked for {other:?}"),
            },
            opcode::PONG if payload == PROBE => probe_ponged = true,
            opcode::PONG => ponged = true,
            opcode::PING => {}
            opcode::CLOSE => {
                if let Some(after) = socket.frame().await? {
                    bail!("after its close frame the server sent {after:?}");
                }
                let code = payload.get(..2).and_then(|code| code.try_into().ok());
                return Ok(Seen::Closed(code.map(u16::from_be_bytes)));
            }
            other => bail!("the server sent a frame with opcode {other}"),
        }
    }
    Ok(Seen::Ended)
}

/// Checks RFC 6455, section 4.1: the answer must have nothing that was not offered; and this server
/// has no extensions.
fn expect_nothing_negotiated(head: &str) -> Result<()> {
    let head = head.to_lowercase();
    if head.contains("sec-websocket-extensions") {
        bail!("an extension was agreed on: {head}");
    }
    // Of RFC 6455, section 1.3.
    if !head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=") {
        bail!("another key was accepted: {head}");
    }
    Ok(())
}

fn new_id() -> Result<CommandId> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(mint(u64::try_from(now.as_millis())?))
}

/// Returns a good handshake.
pub(crate) fn upgrade() -> Vec<u8> {
    handshake(7001).into_bytes()
}

/// Returns a handshake with a part of it replaced.
pub(crate) fn upgrade_with(from: &str, to: &str) -> Vec<u8> {
    let good = handshake(7001);
    assert!(good.contains(from), "{good}");
    good.replacen(from, to, 1).into_bytes()
}

pub(crate) fn hello() -> Vec<u8> {
    RawFrame::new(opcode::TEXT, r#"{"type":"hello"}"#).bytes()
}

/// Returns a command that reads. The server answers it after all earlier commands that write.
fn read(id: CommandId) -> Vec<u8> {
    let text = format!(r#"{{"type":"command","id":"{id}","command":{{"count":"notes"}}}}"#);
    RawFrame::new(opcode::TEXT, text).bytes()
}

/// Returns the text of the frame of a new command, which writes.
pub(crate) fn new_command_text() -> String {
    let id = new_id().expect("the clock is after 1970");
    format!(r#"{{"type":"command","id":"{id}","command":{{"insert":"notes","documents":[{{}}]}}}}"#)
}

/// Returns a new command's frame.
pub(crate) fn new_command() -> Vec<u8> {
    RawFrame::new(opcode::TEXT, new_command_text()).bytes()
}

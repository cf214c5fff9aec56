//! A client's WebSocket: the messages from the client, and the messages that wait until the client
//! reads them.
//!
//! Reading and sending happen at the same time. A client that is slow to read one reply therefore
//! still receives the answers to its other commands, and the waiting bytes can be counted.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::reply_budget::Reservation;

/// Size of the parts of a long message (RFC 6455, section 5.4), in bytes. Each connection has its
/// own buffer. The buffer grows to the size of the largest part, and never shrinks.
const PART: usize = 64 * 1024;

/// Number of bytes that a client must read in each `send_timeout`, unless fewer remain.
const STRIDE: usize = 1024 * 1024;

/// Number of bytes in one read. Every connection that was read at least once keeps a buffer of this
/// size.
const READ_BUFFER: usize = 4 * 1024;

pub(super) struct Socket<S> {
    stream: WebSocketStream<S>,
    waiting: VecDeque<Outgoing>,
    /// The number of bytes of the first waiting message that the library has taken.
    handed_over: usize,
    /// The time at which the client must have read the next stride.
    deadline: Option<Instant>,
    send_timeout: Duration,
    /// Bytes of text that wait.
    unsent: usize,
    /// Set if the client has sent a close frame.
    was_closed: bool,
}

enum Outgoing {
    Text {
        text: Bytes,
        /// The reservation, until the client has read the text.
        _held: Option<Reservation>,
    },
    Control(Message),
}

/// An event on a socket.
#[derive(Debug)]
pub(super) enum Event {
    /// The client sent this message, or is gone.
    Received(Option<Result<Message, Error>>),
    /// The client read a part of the waiting messages.
    Taken,
    /// The client does not read its messages, or cannot be reached.
    Lost,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) async fn new(stream: S, max_message: usize, send_timeout: Duration) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message))
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * PART);
        Self {
            stream: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
            waiting: VecDeque::new(),
            handed_over: 0,
            deadline: None,
            send_timeout,
            unsent: 0,
            was_closed: false,
        }
    }

    /// Sends a text message after all earlier messages. Keeps the reservation until then.
    pub(super) fn put(&mut self, text: String, held: Option<Reservation>) {
        self.unsent += text.len();
        self.put_behind(Outgoing::Text {
            text: text.into(),
            _held: held,
        });
    }

    pub(super) fn ping(&mut self) {
        self.put_behind(Outgoing::Control(Message::Ping(Bytes::new())));
    }

    pub(super) fn close(&mut self, frame: CloseFrame) {
        self.put_behind(Outgoing::Control(Message::Close(Some(frame))));
    }

    fn put_behind(&mut self, outgoing: Outgoing) {
        self.waiting.push_back(outgoing);
        self.deadline
            .get_or_insert_with(|| Instant::now() + self.send_timeout);
    }

    /// Returns `true` if messages wait for the client.
    pub(super) fn is_sending(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns the number of bytes of text that wait for the client.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Sends waiting messages and, if `reading`, reads, until an event happens. Dropping the future
    /// loses nothing.
    pub(super) async fn next(&mut self, reading: bool) -> Event {
        let deadline = self.deadline;
        let step = poll_fn(|cx| {
            if self.is_sending()
                && let Poll::Ready(sent) = self.poll_send(cx)
            {
                return Poll::Ready(sent.map_or(Event::Lost, |()| Event::Taken));
            }
            if reading {
                let received = ready!(self.stream.poll_next_unpin(cx));
                self.was_closed = matches!(received, Some(Ok(Message::Close(_))));
                return Poll::Ready(Event::Received(received));
            }
            Poll::Pending
        });
        match deadline {
            Some(deadline) => timeout_at(deadline, step).await.unwrap_or(Event::Lost),
            None => step.await,
        }
    }

    /// Sends until the client has read everything, or does not read any more.
    pub(super) async fn flush(&mut self) {
        while self.is_sending() && matches!(self.next(false).await, Event::Taken) {}
    }

    /// Sends the answer to the client's close frame, if that frame ended the connection (RFC 6455,
    /// section 5.5.1). Without the answer, a browser takes the connection for a broken one.
    pub(super) async fn answer_close(&mut self) {
        if self.was_closed {
            // The library has queued the answer. An error means that the client did not wait for
            // it.
            let _ = timeout(self.send_timeout, self.stream.flush()).await;
        }
    }

    /// Is ready when the client has read a stride or the first waiting message.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let begun = self.handed_over;
        while let Some(part) = self.next_part() {
            ready!(self.stream.poll_ready_unpin(cx))?;
            self.stream.start_send_unpin(part.message)?;
            self.handed_over = part.end;
            // The client has read the bytes before this part.
            if part.end / STRIDE > begun / STRIDE {
                break;
            }
        }
        if self.next_part().is_none() {
            ready!(self.stream.poll_flush_unpin(cx))?;
            if let Some(Outgoing::Text { text, .. }) = self.waiting.pop_front() {
                self.unsent -= text.len();
            }
            self.handed_over = 0;
        }
        self.deadline = self.is_sending().then(|| Instant::now() + self.send_timeout);
        Poll::Ready(Ok(()))
    }

    fn next_part(&self) -> Option<Part> {
        let begin = self.handed_over;
        match self.waiting.front()? {
            Outgoing::Control(message) => (begin == 0).then(|| Part {
                message: message.clone(),
                end: 1,
            }),
            Outgoing::Text { text, .. } => (begin < text.len()).then(|| {
                let end = text.len().min(begin + PART);
                let kind = if begin == 0 { Data::Text } else { Data::Continue };
                let frame = Frame::message(text.slice(begin..end), OpCode::Data(kind), end == text.len());
                Part {
                    message: Message::Frame(frame),
                    end,
                }
            }),
        }
    }
}

/// A part of a message, and the position of its end in the message.
struct Part {
    message: Message,
    end: usize,
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn pair() -> (Socket<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(4 * 1024);
        (Socket::new(ours, 1_000, LIMIT).await, theirs)
    }

    /// Reads this number of bytes every second, until the other side is gone.
    fn reader(mut from: DuplexStream, bytes_a_second: usize) {
        tokio::spawn(async move {
            let mut buffer = vec![0; bytes_a_second];
            while from.read_exact(&mut buffer).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn long_messages_arrive_whole_and_between_parts_others_are_answered() {
        let (mut socket, theirs) = pair().await;
        let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let long = "é".repeat(3 * PART);
        socket.put(long.clone(), None);
        socket.put("short".to_owned(), None);
        socket.ping();
        assert_eq!(socket.unsent(), long.len() + 5);
        let send = async {
            socket.flush().await;
            assert!(!socket.is_sending());
            assert_eq!(socket.unsent(), 0);
        };
        let receive = async {
            assert_eq!(client.next().await.unwrap().unwrap(), Message::text(long));
            assert_eq!(client.next().await.unwrap().unwrap(), Message::text("short"));
            assert!(matches!(client.next().await, Some(Ok(Message::Ping(_)))));
        };
        tokio::join!(send, receive);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut socket, _theirs) = pair().await;
        let begun = Instant::now();
        socket.put("x".repeat(8 * STRIDE), None);
        assert!(matches!(socket.next(true).await, Event::Lost));
        assert_eq!(begun.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_too_little_is_given_up() {
        let (mut socket, theirs) = pair().await;
        reader(theirs, STRIDE / 20);
        socket.put("x".repeat(8 * STRIDE), None);
        assert!(matches!(socket.next(true).await, Event::Lost));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_enough_may_take_longer() {
        let (mut socket, theirs) = pair().await;
        reader(theirs, STRIDE / 4);
        let begun = Instant::now();
        socket.put("x".repeat(8 * STRIDE), None);
        socket.flush().await;
        assert!(!socket.is_sending());
        assert!(begun.elapsed() > LIMIT);
    }
}

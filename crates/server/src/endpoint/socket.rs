//! A client's WebSocket: what comes from it, and what waits until the client takes it.
//!
//! Reading and sending go on side by side, so a client that is slow to take one reply still has its
//! other commands answered, and what waits for it can be counted.

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

/// A long message is sent in parts of this size (RFC 6455, section 5.4). The socket's own buffer
/// grows to the largest part it was given and never shrinks, and there is one for each connection.
const PART: usize = 64 * 1024;

/// How much a client has to take in each `send_timeout`, unless less is left.
const STRIDE: usize = 1024 * 1024;

/// How much is read at a time. Every connection that has ever been read from keeps this much.
const READ_BUFFER: usize = 4 * 1024;

pub(super) struct Socket<S> {
    stream: WebSocketStream<S>,
    waiting: VecDeque<Outgoing>,
    /// How far the first message that waits has been handed over.
    handed_over: usize,
    /// When the client must have taken the next stride.
    deadline: Option<Instant>,
    send_timeout: Duration,
    /// Bytes of replies that wait.
    unsent: usize,
    /// Whether the client has said that it is done.
    was_closed: bool,
}

enum Outgoing {
    Text {
        text: Bytes,
        /// Reservation until the client has taken the text.
        _held: Option<Reservation>,
    },
    Control(Message),
}

/// What happened on a socket.
#[derive(Debug)]
pub(super) enum Event {
    /// The client sent this, or is gone.
    Received(Option<Result<Message, Error>>),
    /// The client took a part of what waited.
    Taken,
    /// The client does not take what it is sent, or cannot be reached.
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

    /// Sends a text message when all before it are taken, and holds what is held for it until then.
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

    /// Whether something waits to be taken.
    pub(super) fn is_sending(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many bytes of text wait to be taken.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Sends what waits and, if `reading`, reads, until something happens. May be dropped at any
    /// time without losing anything.
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

    /// Sends until everything is taken, or the client does not take it.
    pub(super) async fn flush(&mut self) {
        while self.is_sending() && matches!(self.next(false).await, Event::Taken) {}
    }

    /// Sends the answer to the client's close frame, if it was that which ended the conversation
    /// (RFC 6455, section 5.5.1). Without it, a browser takes the connection for a broken one.
    pub(super) async fn answer_close(&mut self) {
        if self.was_closed {
            // The answer is there, put by the library; an error means that the client did not wait
            // for it.
            let _ = timeout(self.send_timeout, self.stream.flush()).await;
        }
    }

    /// Ready when the client has taken a stride or the first message that waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let begun = self.handed_over;
        while let Some(part) = self.next_part() {
            ready!(self.stream.poll_ready_unpin(cx))?;
            self.stream.start_send_unpin(part.message)?;
            self.handed_over = part.end;
            // What was handed over before this part has been taken.
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

/// A part of a message, and how far the message is handed over with it.
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

    /// Takes so many bytes every second, until the other side is gone.
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

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time;
use url::Url;

use super::published::{FIRST_PAUSE, MAX_AGE, PAUSE};
use super::*;
use crate::access::test_keys::{Signer, jwks};

/// An issuer's HTTP server on this machine.
struct Provider {
    keys: Arc<PublishedKeys>,
    answer: Mutex<Answer>,
    requests: AtomicUsize,
}

#[derive(Clone)]
enum Answer {
    /// The bytes of a whole HTTP answer.
    Bytes(Vec<u8>),
    Never,
    /// A body without an end.
    Endless,
    Closed,
}

impl Provider {
    async fn start(answer: Answer) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?realm=1", listener.local_addr().unwrap());
        let provider = Arc::new(Self {
            keys: PublishedKeys::new(Url::parse(&url).unwrap()),
            answer: Mutex::new(answer),
            requests: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&provider);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let serving = Arc::clone(&serving);
                tokio::spawn(async move {
                    serving.requests.fetch_add(1, Ordering::Relaxed);
                    let mut request = vec![0; 4096];
                    let read = stream.read(&mut request).await.unwrap();
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    if request.starts_with('\u{16}') {
                        // A TLS client.
                        return;
                    }
                    assert!(request.starts_with("GET /keys?realm=1 HTTP/1.1\r\n"), "{request}");
                    let answer = serving.answer.lock().unwrap().clone();
                    match answer {
                        Answer::Bytes(bytes) => stream.write_all(&bytes).await.unwrap(),
                        Answer::Never => core::future::pending().await,
                        Answer::Endless => {
                            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                            let _ = stream.write_all(head).await;
                            while stream.write_all(b"4\r\n    \r\n").await.is_ok() {}
                        }
                        Answer::Closed => {}
                    }
                });
            }
        });
        provider
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

fn http(status: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes())
}

fn set(seed: u8) -> Answer {
    http("200 OK", &jwks(&[Signer::ed25519(seed).jwk("k")]))
}

/// Moves the clock. It runs as usual before and afterwards, because a paused clock would jump to
/// the time limit of a fetch.
async fn advance(by: Duration) {
    time::pause();
    time::advance(by).await;
    time::resume();
}

#[tokio::test]
async fn a_set_is_fetched_once_and_again_when_it_is_old() {
    let provider = Provider::start(set(1)).await;
    let first = provider.keys.current().await.unwrap();
    for _ in 0..3 {
        let again = provider.keys.current().await.unwrap();
        assert!(Arc::ptr_eq(&again, &first));
    }
    assert_eq!(provider.requests(), 1);
    provider.answers(set(2));
    advance(MAX_AGE).await;
    let second = provider.keys.current().await.unwrap();
    assert!(!Arc::ptr_eq(&second, &first));
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn callers_that_come_together_share_one_fetch() {
    let provider = Provider::start(set(1)).await;
    let callers = (0..50).map(|_| provider.keys.current());
    let sets = futures_util::future::join_all(callers).await;
    assert!(sets.iter().all(Option::is_some));
    assert_eq!(provider.requests(), 1);
}

#[tokio::test]
async fn unknown_key_ids_cause_one_fetch_in_each_pause() {
    let provider = Provider::start(set(1)).await;
    let first = provider.keys.current().await.unwrap();
    for _ in 0..20 {
        assert!(provider.keys.newer(&first).await.is_none());
    }
    assert_eq!(provider.requests(), 1, "the set came a moment ago");
    provider.answers(set(2));
    advance(PAUSE).await;
    let flood = (0..20).map(|_| provider.keys.newer(&first));
    let second = futures_util::future::join_all(flood).await;
    assert!(second.iter().all(Option::is_some), "the keys were rotated");
    let second = provider.keys.current().await.unwrap();
    for _ in 0..20 {
        assert!(provider.keys.newer(&second).await.is_none());
    }
    assert_eq!(provider.requests(), 2);
    advance(PAUSE - Duration::from_secs(1)).await;
    assert!(provider.keys.newer(&second).await.is_none());
    assert_eq!(provider.requests(), 2);
    advance(Duration::from_secs(1)).await;
    assert!(provider.keys.newer(&second).await.is_some());
    assert_eq!(provider.requests(), 3);
}

#[tokio::test]
async fn the_last_good_set_counts_while_the_provider_fails() {
    let provider = Provider::start(set(1)).await;
    let first = provider.keys.current().await.unwrap();
    let good = jwks(&[Signer::ed25519(2).jwk("k")]);
    let failures = [
        Answer::Closed,
        Answer::Endless,
        Answer::Bytes(b"220 smtp.example\r\n".to_vec()),
        http("200 OK", "<html>the keys have moved</html>"),
        http("200 OK", r#"{"keys":[]}"#),
        http("200 OK", &format!("{good}{}", " ".repeat(256 * 1024))),
        http("200 OK\r\ntransfer-encoding: chunked", &good),
        http("302 Found\r\nlocation: /other", &good),
        http("500 Internal Server Error", &good),
        http("206 Partial Content", &good),
    ];
    let count = failures.len();
    for failure in failures {
        provider.answers(failure);
        advance(MAX_AGE).await;
        let kept = provider.keys.current().await.unwrap();
        assert!(Arc::ptr_eq(&kept, &first));
        // The next attempt has to wait.
        assert!(provider.keys.current().await.is_some());
    }
    assert_eq!(provider.requests(), 1 + count);
    provider.answers(set(2));
    advance(PAUSE).await;
    let second = provider.keys.current().await.unwrap();
    assert!(!Arc::ptr_eq(&second, &first));
}

#[tokio::test]
async fn a_silent_provider_ends_the_fetch_and_is_asked_again_later() {
    let provider = Provider::start(Answer::Never).await;
    time::pause();
    assert!(provider.keys.current().await.is_none());
    assert!(provider.keys.current().await.is_none());
    time::resume();
    provider.answers(set(1));
    advance(FIRST_PAUSE).await;
    assert!(provider.keys.current().await.is_some());
}

#[tokio::test]
async fn a_provider_that_is_down_gives_no_keys() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let down = PublishedKeys::new(Url::parse(&url).unwrap());
    assert!(down.current().await.is_none());
    // Over TLS, a server that answers something else is not believed.
    let provider = Provider::start(set(1)).await;
    let url = provider.keys.url().as_str().replacen("http:", "https:", 1);
    let keys = PublishedKeys::new(Url::parse(&url).unwrap());
    assert!(keys.current().await.is_none());
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_fetch() {
    let provider = Provider::start(set(1)).await;
    for _ in 0..100 {
        let mut current = Box::pin(provider.keys.current());
        let polled = futures_util::poll!(&mut current);
        drop(current);
        if polled.is_ready() {
            break;
        }
    }
    // A call during the fetch waits for it, and begins no other.
    assert!(provider.keys.current().await.is_some());
    assert_eq!(provider.requests(), 1);
}

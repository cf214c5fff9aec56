//! The native platform against servers with TLS.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellwether_client::native::{Authorities, Native};
use bellwether_client::{
    CommandText, ConnectError, Connection, OneShot, Platform, ServerList, ServerUrl, Stop,
};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An authority, and a platform that trusts only it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    platform: Native,
}

impl Authority {
    fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("the parts of the test fit");
        let mut params = CertificateParams::new([]).expect("the parts of the test fit");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("the parts of the test fit").pem();
        Self {
            issuer: Issuer::new(params, key),
            platform: Native::new()
                .trusting(Authorities::from_pem(pem.as_bytes()).expect("the parts of the test fit")),
        }
    }

    /// Starts a server whose certificate has this name and these days of validity. The server
    /// echoes each message.
    async fn serve(&self, name: &str, from: SystemTime, to: SystemTime) -> u16 {
        let key = KeyPair::generate().expect("the parts of the test fit");
        let mut params = CertificateParams::new([name.to_owned()]).expect("the parts of the test fit");
        (params.not_before, params.not_after) = (from.into(), to.into());
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("the parts of the test fit");
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the parts of the test fit");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the parts of the test fit")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the parts of the test fit");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the parts of the test fit");
        let port = listener.local_addr().expect("the parts of the test fit").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(acceptor.clone(), stream));
            }
        });
        port
    }

    async fn valid(&self, name: &str) -> u16 {
        let now = SystemTime::now();
        self.serve(name, now - DAY, now + DAY).await
    }
}

#[allow(clippy::result_large_err, reason = "the type of the library's callback")]
async fn echo(acceptor: TlsAcceptor, stream: tokio::net::TcpStream) -> Option<()> {
    let stream = acceptor.accept(stream).await.ok()?;
    let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        for protocol in request.headers().get_all("sec-websocket-protocol") {
            response
                .headers_mut()
                .insert("sec-websocket-protocol", protocol.clone());
        }
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, choose).await.ok()?;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            socket.send(message).await.ok()?;
        }
    }
    Some(())
}

fn url(text: String) -> ServerUrl {
    text.parse().expect("the parts of the test fit")
}

#[tokio::test]
async fn a_message_passes_in_both_directions() {
    let authority = Authority::new();
    for (name, host) in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")] {
        let port = authority.valid(name).await;
        let server = url(format!("wss://{host}:{port}"));
        let mut connection = authority.platform.connect(&server).await.unwrap();
        let text = "x".repeat(500_000);
        connection.send(text.clone()).await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), text);
        connection.close().await;
    }
}

/// Returns the text of the error, after a check that it means "not this server".
async fn not_proven(platform: &Native, server: &ServerUrl) -> String {
    match platform.connect(server).await {
        Err(ConnectError::NotProven(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{server} was accepted"),
    }
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_with_what_to_do() {
    let authority = Authority::new();
    let now = SystemTime::now();
    let here = |port: u16| url(format!("wss://127.0.0.1:{port}"));

    let good = here(authority.valid("127.0.0.1").await);
    // The second is an authority that was made again.
    for name in ["another authority", "an authority"] {
        let stranger = Authority::named(name).platform;
        let text = not_proven(&stranger, &good).await;
        assert!(
            text.contains("does not trust") && text.contains("--ca-file"),
            "{text}"
        );
    }
    // The authorities of this machine do not know it either, if there are any.
    let text = not_proven(&Native::new(), &good).await;
    assert!(text.contains("--ca-file"), "{text}");

    let other_name = here(authority.valid("db2.example").await);
    let text = not_proven(&authority.platform, &other_name).await;
    assert!(
        text.contains("is for db2.example and not for 127.0.0.1"),
        "{text}"
    );

    let ended = here(authority.serve("127.0.0.1", now - 9 * DAY, now - 3 * DAY).await);
    let text = not_proven(&authority.platform, &ended).await;
    assert!(
        text.contains("ended 3 days ago") && text.contains("renew"),
        "{text}"
    );

    let early = here(authority.serve("127.0.0.1", now + 5 * DAY, now + 9 * DAY).await);
    let text = not_proven(&authority.platform, &early).await;
    assert!(text.contains("clock"), "{text}");
}

#[tokio::test]
async fn a_server_without_tls_is_no_server_with_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = url(format!("wss://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let authority = Authority::new();
    let error = authority.platform.connect(&server).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::BadEndpoint(text) if text.contains("use ws://")),
        "{error:?}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = url(format!("wss://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { while listener.accept().await.map(drop).is_ok() {} });
    let error = authority.platform.connect(&server).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_list_without_a_proven_server_is_final() {
    let authority = Authority::new();
    let port = authority.valid("db2.example").await;
    let servers = ServerList::new([url(format!("wss://127.0.0.1:{port}"))]).unwrap();
    let shot = OneShot::new(authority.platform, servers).deadline(Duration::from_secs(60));
    let command: CommandText = r#"{"find":"notes"}"#.parse().unwrap();
    let failure = shot.execute(&command, |_| {}).await.unwrap_err();
    assert_eq!(failure.stop, Stop::NoUse, "{failure}");
    assert_eq!(failure.code(), "not_proven");
    assert!(
        failure.to_string().contains("not trusted: its certificate"),
        "{failure}"
    );
}

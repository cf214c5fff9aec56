//! The program `bellwether-server`.

mod args;
mod health;
mod health_tls;
mod new_key;
mod open_files;
mod secret_file;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::SystemTime;

use args::{Args, Invocation, LogFormat, Task};
use bellwether_server::{CertificateReload, NewApiKey, Server, StartError};
use data_encoding::HEXLOWER;
use health::Health;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, Metadata, error, info};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    match Invocation::read() {
        Invocation::Serve(args) => serve(*args),
        Invocation::Task(Task::NewSecret) => {
            println!("{}", HEXLOWER.encode(&rand::random::<[u8; 32]>()));
            ExitCode::SUCCESS
        }
        Invocation::Task(Task::NewKey(new_key)) => {
            print!("{}", *new_key.text(&NewApiKey::random(), SystemTime::now()));
            ExitCode::SUCCESS
        }
        Invocation::Task(Task::Health(health)) => tell_health(&health),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn tell_health(health: &Health) -> ExitCode {
    match health.ask().await {
        Ok(well) => {
            println!("{well}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(args: Args) -> ExitCode {
    start_logging(args.log_format);
    let mut config = match args.into_config() {
        Ok(config) => config,
        Err(error) => return refuse(&error, 2),
    };
    config.limits.connections = open_files::allow(config.limits.connections);
    let id = config.id.clone();
    let server = match Server::start(config).await {
        Ok(server) => server,
        Err(error @ StartError::Tls(_)) => return refuse(&error, 2),
        Err(error) => return refuse(&error, 1),
    };
    if let Some(reload) = server.certificate_reload()
        && let Err(error) = reload_at_hangup(reload)
    {
        return refuse(&error, 1);
    }
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return refuse(&error, 1),
        };
    info!(server = %id, clients = %server.client_address(), peers = %server.peer_address(), "listening");
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
    };
    server.run(shutdown).await;
    ExitCode::SUCCESS
}

/// Lets SIGHUP check the files of the certificate. Without TLS, the signal ends the program, as
/// usual.
fn reload_at_hangup(reload: CertificateReload) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("SIGHUP: checking the files of the TLS certificate");
            reload.check_now();
        }
    });
    Ok(())
}

/// Writes the error to the log and, for people, in one plain line to standard error.
fn refuse(error: &dyn core::error::Error, code: u8) -> ExitCode {
    error!(%error, "cannot start");
    eprintln!("bellwether-server: {error}");
    ExitCode::from(code)
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let no_frames = filter_fn(|line| !has_frame(line));
    match format {
        LogFormat::Text => log.finish().with(no_frames).init(),
        LogFormat::Json => log.json().finish().with(no_frames).init(),
    }
}

/// Returns `true` if the WebSocket library writes whole frames into such a line. A log must not
/// have the tokens and the data of clients, whatever `RUST_LOG` asks for.
fn has_frame(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    matches!(library, "tungstenite" | "tokio_tungstenite") && *line.level() == Level::TRACE
}

//! `bellwether`: passes one command to a Bellwether cluster and prints the reply.

mod arguments;
mod input;
mod report;

use std::process::ExitCode;

use bellwether_client::native::Native;
use bellwether_client::{CommandText, OneShot, ServerList};
use clap::Parser;

use arguments::Arguments;
use report::Exit;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (servers, command) = match prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(problem) => {
            eprintln!("bellwether: {problem}");
            return Exit::Usage.into();
        }
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(&arguments, servers, &command)).into(),
        Err(error) => {
            eprintln!("bellwether: not executed: cannot start: {error}");
            Exit::NotExecuted.into()
        }
    }
}

fn prepare(arguments: &Arguments) -> Result<(ServerList, CommandText), input::Problem> {
    let servers = input::servers(arguments)?;
    let command = input::command(arguments)?;
    Ok((servers, command))
}

async fn run(arguments: &Arguments, servers: ServerList, command: &CommandText) -> Exit {
    let mut shot = OneShot::new(Native::new(), servers)
        .client(concat!("bellwether-cli/", env!("CARGO_PKG_VERSION")))
        .deadline(arguments.timeout);
    if let Some(cluster) = &arguments.cluster {
        shot = shot.cluster(cluster);
    }
    if let Some(id) = arguments.id {
        shot = shot.ask_again(id);
    }
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the signal handler, Ctrl-C ends the process as it always did.
            core::future::pending::<()>().await;
        }
    };
    let watch = |event: bellwether_client::Event<'_>| {
        if arguments.verbose {
            report::event(event);
        }
    };
    match shot.execute_until(interrupted, command, watch).await {
        Ok(executed) => report::executed(arguments, &executed),
        Err(failure) => report::failure(&failure),
    }
}

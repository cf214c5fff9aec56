//! `bellwether`: passes one command to a Bellwether cluster and prints the reply.

#![deny(clippy::print_stderr, clippy::print_stdout)]

mod arguments;
mod input;
mod pretty;
mod report;
mod terminal;

use std::process::ExitCode;

use bellwether_client::native::Native;
use bellwether_client::{CommandId, CommandText, OneShot};

use arguments::{Arguments, Question};
use report::Exit;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    let (shot, request) = match prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(problem) => {
            terminal::tell(&format!("bellwether: {problem}"));
            return Exit::Usage.into();
        }
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(&arguments, shot, &request)).into(),
        Err(error) => {
            terminal::tell(&format!("bellwether: not executed: cannot start: {error}"));
            Exit::NotExecuted.into()
        }
    }
}

enum Request {
    Execute(CommandText),
    Outcome(CommandId),
}

fn prepare(arguments: &Arguments) -> Result<(OneShot<Native>, Request), input::Problem> {
    let mut shot = OneShot::new(input::platform(arguments)?, input::servers(arguments)?)
        .client(concat!("bellwether-cli/", env!("CARGO_PKG_VERSION")))
        .deadline(arguments.timeout)
        .deadline_option("--timeout");
    if let Some(cluster) = &arguments.cluster {
        shot = shot.cluster(cluster);
    }
    if let Some(id) = arguments.id {
        shot = shot.ask_again(id);
    }
    if let Some(token) = input::token(arguments)? {
        shot = shot.token(token);
    }
    let request = match &arguments.question {
        Some(Question::Outcome { id }) => Request::Outcome(*id),
        None => Request::Execute(input::command(arguments)?),
    };
    Ok((shot, request))
}

async fn run(arguments: &Arguments, shot: OneShot<Native>, request: &Request) -> Exit {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the signal handler, Ctrl-C ends the process as usual.
            core::future::pending::<()>().await;
        }
    };
    let watch = |event: bellwether_client::Event<'_>| {
        if arguments.verbose {
            report::event(event);
        }
    };
    let ended = match request {
        Request::Execute(command) => {
            let ended = shot.execute_until(interrupted, command, watch).await;
            ended.map(|executed| report::executed(arguments, &executed))
        }
        Request::Outcome(id) => {
            let ended = shot.outcome_until(interrupted, *id, watch).await;
            ended.map(|outcome_result| report::outcome_result(arguments, &outcome_result))
        }
    };
    ended.unwrap_or_else(|failure| report::failure(arguments, &failure))
}

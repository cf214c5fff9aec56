//! Tests of the queue, without MongoDB.

use bellwether_protocol::{CommandId, RawJson};

use super::*;
use crate::command::{AllowedCommands, ParsedCommand};

mod apart;
mod invariants;
mod limits;
mod model;
mod order;
mod overload;

fn job(source: SourceId, id: u8, deadline: Instant) -> Job {
    sized_job(source, id, deadline, 0)
}

fn sized_job(source: SourceId, id: u8, deadline: Instant, padding: usize) -> Job {
    let text = format!(r#"{{"find":"c","comment":"{}"}}"#, "x".repeat(padding));
    job_of(source, id, deadline, &text)
}

fn job_of(source: SourceId, id: u8, deadline: Instant, text: &str) -> Job {
    job_with(source, CommandId::mint(Duration::ZERO, [id; 10]), deadline, text)
}

/// Returns a job with one of more ids than fit into a byte.
fn numbered_job(source: SourceId, number: u64, deadline: Instant) -> Job {
    job_with(source, numbered_id(number), deadline, r#"{"find":"c"}"#)
}

fn numbered_id(number: u64) -> CommandId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    CommandId::mint(Duration::ZERO, random)
}

fn job_with(source: SourceId, id: CommandId, deadline: Instant, text: &str) -> Job {
    let raw = RawJson::object(text).unwrap();
    let command = ParsedCommand::parse(&raw, &AllowedCommands { schema: true }).unwrap();
    Job::execute(source, id, command, deadline).0
}

fn ids<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<u8> {
    jobs.into_iter().map(|job| job.task.id.as_bytes()[15]).collect()
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(9)
}

fn open_queue(max_jobs: usize, max_bytes: usize) -> Queue {
    let queue = Queue::new(max_jobs, max_bytes);
    queue.open();
    queue
}

fn is_full(pushed: Result<(), NotTaken>) -> bool {
    matches!(pushed, Err(NotTaken::Full { .. }))
}

/// Returns a runtime whose clock only moves when a test moves it.
fn paused_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

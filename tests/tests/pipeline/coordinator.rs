use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bellwether_protocol::{CommandId, ErrorFrame, RawJson};
use bellwether_server::{
    AllowedCommands, Answer, Database, Fence, ParsedCommand, Pipeline, Settings, SourceId,
};
use bellwether_testkit::ReplicaSet;
use serde_json::Value;
use tokio::time::Instant;

/// One server's pipeline, as the coordinator has it.
pub(crate) struct Coordinator {
    pub(crate) fence: Fence,
    pub(crate) pipeline: Pipeline,
    pub(crate) epoch: u64,
}

impl Coordinator {
    pub(crate) async fn start(set: &ReplicaSet, database: &str) -> Result<Self> {
        Self::start_with(set, database, Settings::default()).await
    }

    pub(crate) async fn start_with(set: &ReplicaSet, database: &str, settings: Settings) -> Result<Self> {
        let database = Database::connect(&set.uri(), database).await?;
        let fence = Fence::new(database.clone());
        let pipeline = Pipeline::start(database, fence.clone(), settings);
        let epoch = fence.claim("s1", "1").await?;
        pipeline.lead(epoch).await?;
        Ok(Self {
            fence,
            pipeline,
            epoch,
        })
    }

    pub(crate) async fn send(&self, id: CommandId, command: &str) -> Answer {
        self.send_by(id, command, Duration::from_secs(20)).await
    }

    pub(crate) async fn send_by(&self, id: CommandId, command: &str, time: Duration) -> Answer {
        let command = parse(command)?;
        let answer = self
            .pipeline
            .submit(SourceId::new(), id, command, Instant::now() + time)?;
        answer.await.expect("the pipeline answers every command")
    }

    /// Sends commands of one source without waiting between them, each under an id of its own.
    pub(crate) async fn send_together<C: AsRef<str>>(&self, commands: &[C]) -> Result<Vec<Answer>> {
        let source = SourceId::new();
        let submit = |command: &C| {
            self.pipeline
                .submit(source, new_id(), parse(command.as_ref())?, in_a_while())
        };
        let together: Vec<_> = commands.iter().map(submit).collect::<Result<_, ErrorFrame>>()?;
        let mut answers = Vec::new();
        for answer in together {
            answers.push(answer.await?);
        }
        Ok(answers)
    }

    /// Executes a command under an id of its own and returns the reply.
    pub(crate) async fn reply(&self, command: &str) -> Result<Value> {
        let result = self.send(new_id(), command).await;
        let result = result.with_context(|| command.to_owned())?;
        Ok(serde_json::from_str(result.result.as_str())?)
    }

    /// Sends a command that must fail, and returns the error.
    pub(crate) async fn error(&self, command: &str) -> ErrorFrame {
        self.send(new_id(), command).await.expect_err(command)
    }
}

pub(crate) fn parse(command: &str) -> Result<ParsedCommand, ErrorFrame> {
    let raw = RawJson::object(command).expect("the test's command is JSON");
    let mut allowed_commands = AllowedCommands::default();
    allowed_commands.schema = true;
    ParsedCommand::parse(&raw, &allowed_commands)
}

pub(crate) fn new_id() -> CommandId {
    minted(now())
}

pub(crate) fn minted(at: Duration) -> CommandId {
    CommandId::mint(at, rand::random())
}

pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970")
}

pub(crate) fn in_a_while() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

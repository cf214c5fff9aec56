use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bellwether_chaos::fault::{Fault, Node};
use bellwether_chaos::world::{Inflicted, World, WorldOptions};
use bellwether_client::Outcome;
use bellwether_testkit::{Case, Stage, execute_within};
use tempfile::TempDir;

use crate::hearing;

/// Number of seeds that are tried until a fault suits a case.
const SEEDS: u64 = 200;

pub(crate) struct Lab {
    pub(crate) world: World,
    _logs: TempDir,
    inserts: u32,
}

impl Stage for Lab {
    async fn start() -> Result<Self> {
        let logs = TempDir::with_prefix("bellwether-faults-")?;
        // For a developer who examines a failure.
        let dir = std::env::var_os("CHAOS_LOGS").map_or_else(|| logs.path().to_path_buf(), PathBuf::from);
        let world = World::start(WorldOptions::new(dir, 1)).await?;
        Ok(Self {
            world,
            _logs: logs,
            inserts: 0,
        })
    }

    async fn play(&mut self, case: Case<Self>) -> Result<()> {
        let played = case(self).await;
        self.world
            .heal_all()
            .await
            .context("healing everything after the case")?;
        played?;
        self.all_is_well().await
    }

    async fn end(self) -> Result<()> {
        Ok(())
    }
}

impl Lab {
    async fn all_is_well(&mut self) -> Result<()> {
        let everybody = hearing::everybody(&self.world);
        ensure!(
            hearing::heard(&self.world).await? == everybody,
            "some do not hear each other after the healing"
        );
        for node in self.world.nodes() {
            ensure!(
                !matches!(node, Node::Server(_) | Node::Mongod(_)) || self.state(node)?.is_running(),
                "{node} does not run"
            );
        }
        let outcome = self.insert(Duration::from_secs(30)).await?;
        ensure!(
            outcome == Outcome::Executed,
            "after the healing, a command ends as {outcome}"
        );
        Ok(())
    }

    /// Inflicts the fault; its victims must have no other fault.
    pub(crate) async fn inflict(&mut self, fault: Fault) -> Result<Inflicted> {
        self.inflict_so(fault, |_| true).await
    }

    /// Inflicts the fault with the first seed that meets the condition.
    pub(crate) async fn inflict_so(
        &mut self,
        fault: Fault,
        so: impl Fn(&Inflicted) -> bool,
    ) -> Result<Inflicted> {
        for seed in 0..SEEDS {
            let Some(inflicted) = self.world.inflict(fault, seed).await? else {
                continue;
            };
            if so(&inflicted) {
                println!("{fault}, seed {seed}: {}", inflicted.what);
                return Ok(inflicted);
            }
            self.world.heal(inflicted).await?;
        }
        bail!("{fault} is not as needed with any of {SEEDS} seeds")
    }

    /// Lets a client of the first host insert a document; returns the outcome.
    pub(crate) async fn insert(&mut self, deadline: Duration) -> Result<Outcome> {
        self.inserts += 1;
        let command = format!(
            r#"{{"insert":"faults","documents":[{{"_id":{}}}]}}"#,
            self.inserts
        );
        let urls = self.world.urls();
        let host = self.world.clients_host(0);
        let client = host.run(async move || execute_within(deadline, &urls, &command).await);
        let told = tokio::task::spawn_blocking(|| client.join()).await?;
        let told = told.map_err(|_| anyhow!("the client has panicked"))???;
        Ok(told.map_or_else(|failure| failure.outcome, |_| Outcome::Executed))
    }

    /// Returns `true` if the document of the last insert is in the data.
    pub(crate) async fn last_insert_is_there(&self) -> Result<bool> {
        let collection = self
            .world
            .database()
            .database("app")
            .collection::<bson::Document>("faults");
        let found = collection
            .count_documents(bson::doc! { "_id": self.inserts })
            .await?;
        Ok(found == 1)
    }

    pub(crate) fn pid(&self, node: Node) -> Result<u32> {
        Ok(match node {
            Node::Server(place) => self.world.cluster().servers[place].process.pid(),
            Node::Mongod(place) => self.world.replica_set().members[place].process.pid(),
            Node::Clients(_) => bail!("{node} is no process"),
        })
    }

    /// Returns the state of a node's process in the system.
    pub(crate) fn state(&self, node: Node) -> Result<State> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid(node)?)).unwrap_or_default();
        let Some((name, fields)) = stat.rsplit_once(") ") else {
            return Ok(State::Gone);
        };
        Ok(match fields.chars().next() {
            Some('Z' | 'X') | None => State::Gone,
            Some('T') => State::Stopped,
            Some(_) => State::Runs(name.rsplit('(').next().unwrap_or_default().to_owned()),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Gone,
    Stopped,
    /// The name of the program.
    Runs(String),
}

impl State {
    fn is_running(&self) -> bool {
        // Not the program that has started it.
        matches!(self, Self::Runs(name) if name == "mongod" || name.starts_with("bellwether"))
    }
}

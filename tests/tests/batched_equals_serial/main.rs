//! Many commands in one transaction have the same answers and effects as each of them alone: a
//! property test.
//!
//! Up to three clients send at the same time, each in documents of its own. So each client must get
//! the same answers as if it were alone.
//!
//! `PROPTEST_CASES` sets the number of tried lists of commands, 64 if it is not set. A failure
//! shows the shortest list that fails and the seed; `PROPTEST_RNG_SEED` with it tries the same
//! lists again.

mod commands;
// It has more than is needed here.
#[allow(dead_code)]
#[path = "../pipeline/coordinator.rs"]
mod coordinator;
mod faults;

use std::cell::Cell;
use std::env;
use std::iter::repeat_with;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use bellwether_protocol::{CommandId, ServerFrame};
use bellwether_server::{Answer, Settings, SourceId};
use bellwether_testkit::ReplicaSet;
use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use serde_json::Value;

use self::commands::{FILL, Id, Sending, list, sendings};
use self::coordinator::{Coordinator, in_a_while, new_id, parse};
use self::faults::{Fault, maybe_a_fault};

const CASES: u32 = 64;

/// The database of the pipeline that takes one command in a batch.
const SERIAL: &str = "serial";

/// The pipelines with batches, and the highest number of commands in a batch.
const BATCHED: [(&str, usize); 2] = [("batched", 64), ("few", 3)];

struct Pipelines {
    set: ReplicaSet,
    serial: Coordinator,
    batched: Vec<Coordinator>,
}

#[test]
fn many_at_once_are_as_one_after_another() -> Result<()> {
    // With one thread, all commands wait before the pipeline sees the first, so a seed gives the
    // same batches each time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let pipelines = runtime.block_on(Pipelines::start())?;
    let mut config = ProptestConfig {
        failure_persistence: None,
        max_shrink_time: 90_000,
        ..ProptestConfig::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(rand::random());
    }
    let RngSeed::Fixed(seed) = config.rng_seed else {
        unreachable!("it was fixed")
    };
    eprintln!("PROPTEST_RNG_SEED={seed}");

    let cases = Cell::new(0);
    // Every client has a number of its own, which is in the names and keys it uses.
    let numbered = |clients: Vec<Vec<Sending>>| -> Vec<List> {
        let number = || cases.replace(cases.get() + 1);
        clients
            .iter()
            .map(|sendings| List::of(number(), sendings))
            .collect()
    };
    for (which, sendings, fault) in found_before() {
        let lists = numbered(vec![sendings]);
        runtime.block_on(pipelines.compare(&lists, which, fault.as_ref()))?;
    }
    let clients = prop_oneof![2 => vec(sendings(), 1), 1 => vec(sendings(), 2..4)];
    let input = (0..BATCHED.len(), clients, maybe_a_fault());
    let tried = TestRunner::new(config).run(&input, |(which, clients, fault)| {
        let lists = numbered(clients);
        let compared = pipelines.compare(&lists, which, fault.as_ref());
        runtime
            .block_on(compared)
            .map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    // The driver's sessions end in the runtime.
    runtime.block_on(async { drop(pipelines) });
    tried.map_err(|error| anyhow!("{error}"))
}

/// Lists that were answered wrongly once.
fn found_before() -> Vec<(usize, Vec<Sending>, Option<Fault>)> {
    // A read that is tried again does not see later writes of the same source. Seen about every
    // third time.
    let read_again = || {
        (
            1,
            list(&[
                FILL,
                r#"{"count":"@a"}"#,
                r#"{"find":"@a"}"#,
                r#"{"delete":"@a","deletes":[{"q":{"_id":0},"limit":1}]}"#,
            ]),
            Some(Fault::disconnect("find")),
        )
    };
    let mut lists: Vec<_> = repeat_with(read_again).take(6).collect();
    // Finds by `_id` that are sent together, where `_id` is not unique.
    lists.push((
        0,
        list(&[
            r#"{"insert":"unique","documents":[{"_id":"@case-4","k":{"c":@case,"n":0}}]}"#,
            r#"{"find":"pairs","filter":{"_id":"@case-4"}}"#,
            r#"{"find":"pairs","filter":{"_id":"@case-0"}}"#,
        ]),
        None,
    ));
    lists
}

impl Pipelines {
    async fn start() -> Result<Self> {
        let set = ReplicaSet::start(3).await?;
        let start = async |database, batch| {
            let unique = doc! {
                "createIndexes": "unique",
                "indexes": [{ "key": { "k": 1 }, "name": "k", "unique": true }],
            };
            // Has every document of the other one twice.
            let pairs = doc! {
                "create": "pairs",
                "viewOn": "unique",
                "pipeline": [{ "$set": { "half": [1, 2] } }, { "$unwind": "$half" }],
            };
            for command in [unique, pairs] {
                set.client().database(database).run_command(command).await?;
            }
            let mut settings = Settings::default();
            settings.batch = batch;
            // After a broken connection the driver takes a moment to find the primary again.
            settings.primary_wait = Duration::from_secs(15);
            Coordinator::start_with(&set, database, settings).await
        };
        let serial = start(SERIAL, 1).await?;
        let mut batched = Vec::new();
        for (database, batch) in BATCHED {
            batched.push(start(database, batch).await?);
        }
        Ok(Self { set, serial, batched })
    }

    async fn compare(&self, lists: &[List], which: usize, fault: Option<&Fault>) -> Result<()> {
        let (pipeline, database) = (&self.batched[which], BATCHED[which].0);
        let held = match fault {
            Some(fault) => Some(fault.begin(self.set.client()).await?),
            None => None,
        };
        let together = send_at_once(lists, pipeline).await?;
        if let Some(fault) = held {
            fault.off().await?;
        }
        for (list, together) in lists.iter().zip(&together) {
            let alone = list.send_one_by_one(&self.serial).await?;
            for (index, (together, alone)) in together.iter().zip(&alone).enumerate() {
                let (together, alone) = (plain(together, database)?, plain(alone, SERIAL)?);
                let (_, command) = &list.commands[index];
                ensure!(
                    together == alone,
                    "command {index} of client {}, {command}\n  together: {together}\n  alone:    {alone}",
                    list.number
                );
            }
            self.compare_contents(database, list.number).await?;
        }
        let again = send_at_once(lists, pipeline).await?;
        for ((list, first), again) in lists.iter().zip(&together).zip(&again) {
            list.check_repeats(first, again)?;
        }
        Ok(())
    }

    async fn compare_contents(&self, database: &str, number: u32) -> Result<()> {
        for collection in [format!("a{number}"), format!("b{number}"), "unique".to_owned()] {
            let (together, alone) = (
                self.contents(database, &collection, number).await?,
                self.contents(SERIAL, &collection, number).await?,
            );
            ensure!(
                together == alone,
                "the collection {collection}\n  together: {together}\n  alone:    {alone}"
            );
        }
        Ok(())
    }

    /// Returns the documents of a collection, in the order in which they were stored.
    async fn contents(&self, database: &str, collection: &str, number: u32) -> Result<String> {
        let filter = if collection == "unique" {
            doc! { "k.c": i64::from(number) }
        } else {
            doc! {}
        };
        let found = self
            .set
            .client()
            .database(database)
            .collection::<Document>(collection);
        let found = found.find(filter).sort(doc! { "$natural": 1 }).await?;
        let documents: Vec<Document> = found.try_collect().await?;
        let documents = documents.into_iter().map(Bson::Document);
        let mut value = Bson::Array(documents.collect()).into_canonical_extjson();
        forget_object_ids(&mut value);
        Ok(value.to_string())
    }
}

/// Commands of one client as they are sent, with their ids.
struct List {
    number: u32,
    commands: Vec<(CommandId, String)>,
}

impl List {
    fn of(number: u32, sendings: &[Sending]) -> Self {
        let mut commands: Vec<(CommandId, String)> = Vec::new();
        for Sending { command, id } in sendings {
            let named = command.replace("@case", &number.to_string());
            let named = named
                .replace("@a", &format!("a{number}"))
                .replace("@b", &format!("b{number}"));
            let before = |index: &prop::sample::Index| {
                (!commands.is_empty()).then(|| commands[index.index(commands.len())].clone())
            };
            let next = match id {
                Id::New => None,
                Id::Repeat(index) => before(index),
                Id::Reuse(index) => before(index).map(|(id, _)| (id, named.clone())),
            };
            commands.push(next.unwrap_or_else(|| (new_id(), named)));
        }
        Self { number, commands }
    }

    async fn send_one_by_one(&self, pipeline: &Coordinator) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for (id, command) in &self.commands {
            answers.push(pipeline.send(*id, command).await);
        }
        Ok(answers)
    }

    /// Checks that a repeat of an executed and stored command gets the same answer.
    fn check_repeats(&self, first: &[Answer], again: &[Answer]) -> Result<()> {
        for (((_, command), first), again) in self.commands.iter().zip(first).zip(again) {
            let is_stored = again.as_ref().is_ok_and(|again| again.replayed);
            let (Ok(first), true) = (first, is_stored || writes(command)) else {
                continue;
            };
            let told = again
                .as_ref()
                .map(|again| (again.replayed, again.epoch, again.result.as_str()));
            ensure!(
                told.as_ref().ok() == Some(&(true, first.epoch, first.result.as_str())),
                "{command}\n  was answered {first:?}\n  and again    {told:?}"
            );
        }
        Ok(())
    }
}

/// Sends the commands of all clients, in turn one of each, before any is answered. Gives each
/// client's answers.
async fn send_at_once(lists: &[List], pipeline: &Coordinator) -> Result<Vec<Vec<Answer>>> {
    let sources: Vec<SourceId> = lists.iter().map(|_| SourceId::new()).collect();
    let mut waiting: Vec<Vec<_>> = lists.iter().map(|_| Vec::new()).collect();
    let longest = lists.iter().map(|list| list.commands.len()).max();
    for index in 0..longest.unwrap_or_default() {
        for ((list, source), waiting) in lists.iter().zip(&sources).zip(&mut waiting) {
            let Some((id, command)) = list.commands.get(index) else {
                continue;
            };
            let submitted = parse(command)
                .and_then(|command| pipeline.pipeline.submit(*source, *id, command, in_a_while()));
            waiting.push(submitted);
        }
    }
    let mut answers = Vec::new();
    for waiting in waiting {
        let mut of_one = Vec::new();
        for waiting in waiting {
            of_one.push(match waiting {
                Ok(answer) => answer.await?,
                Err(refused) => Err(refused),
            });
        }
        answers.push(of_one);
    }
    Ok(answers)
}

fn writes(command: &str) -> bool {
    ["insert", "update", "delete", "findAndModify"]
        .iter()
        .any(|name| command.contains(&format!(r#"{{"{name}""#)))
}

/// Returns an answer without the parts that differ between executions: ids and the database's name.
fn plain(answer: &Answer, database: &str) -> Result<String> {
    let frame = match answer {
        Ok(result) => ServerFrame::Result(result.clone()),
        Err(error) => ServerFrame::Error(error.clone()),
    };
    let text = frame.to_json().replace(&format!("{database}."), "db.");
    let mut value: Value = serde_json::from_str(&text)?;
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("id");
    }
    forget_object_ids(&mut value);
    Ok(value.to_string())
}

fn forget_object_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(id) = fields.get_mut("$oid") {
                *id = "made by MongoDB".into();
            }
            fields.values_mut().for_each(forget_object_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_object_ids),
        _ => {}
    }
}

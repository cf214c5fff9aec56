//! Repeats of a command, also to several servers at once: one effect, and one answer for all.

// It has more than is needed here.
#[allow(dead_code)]
#[path = "pipeline/coordinator.rs"]
mod coordinator;

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{CommandId, CommandResult, ErrorFrame, Outcome, ServerFrame};
use bellwether_server::{Answer, Settings, SourceId};
use bellwether_testkit::{Cluster, Connection, FailPoint, ReplicaSet, mint, unless_stalled};
use bson::{Document, doc};
use mongodb::Client;
use tokio::task::yield_now;

use self::coordinator::{Coordinator, in_a_while, new_id, parse};

/// One command for every kind of reply.
const COMMANDS: [&str; 9] = [
    r#"{"insert":"kinds","documents":[{"_id":1,"n":0},{"_id":2,"n":0},{"_id":3,"n":0},{"_id":4,"n":0}]}"#,
    r#"{"insert":"kinds","documents":[{"n":5}]}"#,
    r#"{"update":"kinds","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}},{"q":{"_id":7},"u":{"$inc":{"n":1}},"upsert":true},{"q":{"n":99},"u":{"$set":{"x":1}},"upsert":true}]}"#,
    r#"{"update":"kinds","updates":[{"q":{"_id":1},"u":{"$set":{"n":1}}}]}"#,
    r#"{"delete":"kinds","deletes":[{"q":{"_id":3},"limit":1},{"q":{"_id":33},"limit":1}]}"#,
    r#"{"update":"kinds","updates":[{"q":{"_id":4},"u":{"$set":{"a":{"$numberDouble":"NaN"},"b":{"$numberDouble":"-0.0"},"c":{"$numberDecimal":"1.10"},"d":{"$date":{"$numberLong":"-1"}},"e":{"$binary":{"base64":"AQID","subType":"80"}},"f":{"$regularExpression":{"pattern":"^a","options":"i"}},"g":{"$timestamp":{"t":1,"i":2}},"h":{"$minKey":1},"i":{"$maxKey":1},"j":{"$code":"x"},"k":{"$numberLong":"1"},"l":null,"m":[[],{}],"n":{"$symbol":"s"},"o":{"$undefined":true},"z":1,"10":2,"2":3}}}]}"#,
    r#"{"findAndModify":"kinds","query":{"_id":4},"update":{"$set":{"done":true}},"new":true}"#,
    r#"{"findAndModify":"kinds","query":{"_id":1},"update":{"$inc":{"n":1}}}"#,
    r#"{"findAndModify":"kinds","query":{"_id":1},"remove":true}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_repeats_every_reply_word_for_word() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let first = Coordinator::start(&set, "app_replay").await?;
    let mut told = Vec::new();
    for command in COMMANDS {
        let id = new_id();
        let answer = first
            .send(id, command)
            .await
            .with_context(|| command.to_owned())?;
        ensure!(!answer.replayed, "{command}: {answer:?}");
        told.push((id, command, answer));
    }
    // As text: one value is not a number, and equals nothing.
    let data = format!("{:?}", contents(set.client(), "app_replay", "kinds").await?);

    let second = Coordinator::start(&set, "app_replay").await?;
    assert!(second.epoch > first.epoch);
    for (id, command, answer) in &told {
        let again = second
            .send(*id, command)
            .await
            .with_context(|| (*command).to_owned())?;
        assert!(again.replayed, "{command}: {again:?}");
        assert_eq!(again.epoch, answer.epoch, "{command}: the epoch of the execution");
        assert_eq!(again.result.as_str(), answer.result.as_str(), "{command}");
    }
    // Once more, all at once, and not in their order.
    let source = SourceId::new();
    let waiting: Vec<_> = told
        .iter()
        .rev()
        .map(|(id, command, _)| second.pipeline.submit(source, *id, parse(command)?, in_a_while()))
        .collect::<Result<_, _>>()?;
    for (waiting, (_, command, answer)) in waiting.into_iter().zip(told.iter().rev()) {
        let again = waiting.await?.with_context(|| (*command).to_owned())?;
        assert!(
            again.replayed && again.epoch == answer.epoch,
            "{command}: {again:?}"
        );
        assert_eq!(again.result.as_str(), answer.result.as_str(), "{command}");
    }
    let data_now = format!("{:?}", contents(set.client(), "app_replay", "kinds").await?);
    assert_eq!(data_now, data);
    Ok(())
}

/// A question for an outcome and its command meet: at the moment of the question the command waits,
/// and it is executed before the answer. The answer must not be `not executed`.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_here_is_not_denied() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut settings = Settings::default();
    settings.batch = 1;
    let s1 = Coordinator::start_with(&set, "app_outcome", settings).await?;
    s1.reply(r#"{"insert":"effects","documents":[{"key":"first"}]}"#)
        .await?;

    let commits = FailPoint::on(set.client(), "hangBeforeCommitingTxn", doc! {}).await?;
    let look_ups = doc! { "ns": "app_outcome_bellwether.ledger", "commands": ["aggregate", "find"] };
    let look_ups = FailPoint::on(set.client(), "waitAfterCommandFinishesExecution", look_ups).await?;
    let (sender, asker) = (SourceId::new(), SourceId::new());
    let insert = |n: usize| parse(&append(&format!("{n}"), 0));
    let id = new_id();
    let before = s1.pipeline.submit(sender, new_id(), insert(0)?, in_a_while())?;
    commits.entered().await?;
    // Sources take turns, so the question is between these two.
    let between = s1.pipeline.submit(sender, new_id(), insert(2)?, in_a_while())?;
    let command = s1.pipeline.submit(sender, id, insert(1)?, in_a_while())?;
    let outcome_result = s1.pipeline.outcome(asker, id, in_a_while())?;
    commits.off().await?;
    before.await??;
    between.await??;
    look_ups.entered().await?;
    command.await??;
    look_ups.off().await?;

    let outcome_result = outcome_result.await??;
    ensure!(
        outcome_result.outcome != Outcome::NotExecuted,
        "it was executed: {outcome_result:?}"
    );
    let outcome_result = s1.pipeline.outcome(asker, id, in_a_while())?.await??;
    assert_eq!(outcome_result.outcome, Outcome::Executed);
    Ok(())
}

/// The answers to all attempts at one command.
#[derive(Default)]
struct Tries {
    command: String,
    /// Each answer with its server: 0 or 1 of two coordinators, or a server's place.
    answers: Vec<(usize, Answer)>,
}

/// Two coordinators take over from each other, over and over, and both get every command. One of
/// them does not know yet that it is fenced.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_at_two_coordinators_have_one_effect() -> Result<()> {
    const ROUNDS: usize = 12;
    const COMMANDS: usize = 16;
    let set = ReplicaSet::start(3).await?;
    let [a, b] = [
        Coordinator::start(&set, "app_twice").await?,
        Coordinator::start(&set, "app_twice").await?,
    ];
    let both = [&a, &b];
    let mut all: HashMap<CommandId, Tries> = HashMap::new();
    let mut holders: HashMap<u64, usize> = both.iter().map(|one| one.epoch).zip(0..).collect();
    for round in 0..ROUNDS {
        let (next, last) = (round % 2, (round + 1) % 2);
        let commands: Vec<(CommandId, String)> = (0..COMMANDS)
            .map(|n| (new_id(), append(&format!("{round}-{n}"), n)))
            .collect();
        let take_over = async {
            let next = both[next];
            let early = send_all(next, &commands[..COMMANDS / 2]).await?;
            let epoch = next.fence.claim("next", "2").await?;
            next.pipeline.lead(epoch).await?;
            let late = send_all(next, &commands).await?;
            anyhow::Ok((epoch, [early, late].concat()))
        };
        let go_on = async {
            let first = send_all(both[last], &commands).await?;
            let again = send_all(both[last], &commands).await?;
            anyhow::Ok([first, again].concat())
        };
        let ((epoch, by_next), by_last) = tokio::try_join!(take_over, go_on)?;
        holders.insert(epoch, next);
        for (id, command) in &commands {
            let tries = all.entry(*id).or_default();
            tries.command.clone_from(command);
        }
        for (server, by_server) in [(next, by_next), (last, by_last)] {
            for (id, answer) in by_server {
                let tries = all.get_mut(&id).context("an id of this round")?;
                tries.answers.push((server, answer));
            }
        }
        both[last].pipeline.retire().await;
    }

    let last = both[(ROUNDS - 1) % 2];
    for (id, tries) in &all {
        check(tries, &last.send(*id, &tries.command).await?, &holders)?;
    }
    assert_each_once(set.client(), "app_twice", ROUNDS * COMMANDS).await
}

/// A paused server gets the same commands as its successor, at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_at_two_servers_have_one_effect() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    // If the machine stands still, servers execute commands in epochs that the test does not see.
    unless_stalled(async || {
        let effects = set.client().database("app").collection::<Document>("effects");
        effects.drop().await?;
        duplicate_at_two_servers(&set).await
    })
    .await
}

/// Pauses the coordinator in every round, and sends the same commands to it and to its successor.
async fn duplicate_at_two_servers(set: &ReplicaSet) -> Result<()> {
    const ROUNDS: usize = 4;
    const COMMANDS: usize = 12;
    let mut cluster = Cluster::start(set.uri()).await?;
    let mut all: HashMap<CommandId, Tries> = HashMap::new();
    let mut holders: HashMap<u64, usize> = HashMap::new();
    for round in 0..ROUNDS {
        let before = cluster.all_agree().await?;
        let old = before.coordinator;
        holders.insert(before.epoch, old);
        let (mut to_old, hello) = Connection::greeted(&cluster.servers[old].url()).await?;
        let commands: Vec<(CommandId, String)> = (0..COMMANDS)
            .map(|n| (mint(hello.server_time_ms), append(&format!("{round}-{n}"), n)))
            .collect();
        // Half of them are at work, or waiting for their turn, when it stops; it finds the others
        // when it goes on.
        let (at_work, waiting) = commands.split_at(COMMANDS / 2);
        send_frames(&mut to_old, at_work).await?;
        cluster.servers[old].process.pause()?;
        send_frames(&mut to_old, waiting).await?;

        let after = cluster.agreement().await?;
        ensure!(after.coordinator != old, "{after:?} after {before:?}");
        holders.insert(after.epoch, after.coordinator);
        let (mut to_new, _) = Connection::greeted(&cluster.servers[after.coordinator].url()).await?;
        send_frames(&mut to_new, at_work).await?;
        cluster.servers[old].process.resume()?;
        send_frames(&mut to_new, waiting).await?;
        for (id, command) in &commands {
            let tries = all.entry(*id).or_default();
            tries.command.clone_from(command);
        }
        for (server, connection) in [(old, &mut to_old), (after.coordinator, &mut to_new)] {
            for _ in 0..COMMANDS {
                let (id, answer) = answer(connection.receive().await?)?;
                let tries = all.get_mut(&id).context("an id of this round")?;
                tries.answers.push((server, answer));
            }
        }
    }

    let last = cluster.all_agree().await?;
    holders.insert(last.epoch, last.coordinator);
    let (mut connection, _) = Connection::greeted(&cluster.servers[last.coordinator].url()).await?;
    for (id, tries) in &all {
        connection.command(*id, &tries.command).await?;
        let (_, settled) = answer(connection.receive().await?)?;
        check(tries, &settled?, &holders)?;
    }
    assert_each_once(set.client(), "app", ROUNDS * COMMANDS).await
}

/// Returns a command that leaves the key in the data as often as it is executed.
fn append(key: &str, n: usize) -> String {
    if n.is_multiple_of(2) {
        format!(r#"{{"insert":"effects","documents":[{{"key":"{key}"}}]}}"#)
    } else {
        format!(
            r#"{{"update":"effects","updates":[{{"q":{{"_id":"{key}"}},"u":{{"$set":{{"key":"{key}"}},"$inc":{{"n":1}}}},"upsert":true}}]}}"#
        )
    }
}

/// Submits commands one after another without waiting for answers, and then gathers those.
async fn send_all(to: &Coordinator, commands: &[(CommandId, String)]) -> Result<Vec<(CommandId, Answer)>> {
    let source = SourceId::new();
    let mut waiting = Vec::new();
    for (id, command) in commands {
        let submitted = to.pipeline.submit(source, *id, parse(command)?, in_a_while());
        waiting.push((*id, submitted));
        yield_now().await;
    }
    let mut answers = Vec::new();
    for (id, waiting) in waiting {
        let answer = match waiting {
            Ok(answer) => answer.await?,
            Err(refused) => Err(refused),
        };
        answers.push((id, answer));
    }
    Ok(answers)
}

async fn send_frames(to: &mut Connection, commands: &[(CommandId, String)]) -> Result<()> {
    for (id, command) in commands {
        to.command(*id, command).await?;
    }
    Ok(())
}

fn answer(frame: ServerFrame) -> Result<(CommandId, Answer)> {
    match frame {
        ServerFrame::Result(result) => Ok((result.id, Ok(result))),
        ServerFrame::Error(error) => Ok((error.id.context("an error of a command")?, Err(error))),
        other => bail!("expected an answer, not {other:?}"),
    }
}

/// Checks that all answers agree with the final one, and that the server that executed the command
/// did not deny it.
fn check(tries: &Tries, settled: &CommandResult, holders: &HashMap<u64, usize>) -> Result<()> {
    let Tries { command, answers } = tries;
    let mut fresh = usize::from(!settled.replayed);
    for result in answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()) {
        ensure!(
            result.epoch == settled.epoch && result.result.as_str() == settled.result.as_str(),
            "two answers to {command}: {settled:?} and {result:?}"
        );
        fresh += usize::from(!result.replayed);
    }
    ensure!(fresh <= 1, "{command} was executed {fresh} times: {answers:?}");
    if settled.replayed {
        let holder = holders.get(&settled.epoch);
        let holder = holder.with_context(|| format!("who held epoch {}", settled.epoch))?;
        let admitted = answers.iter().any(|(server, answer)| {
            let denied =
                matches!(answer, Err(ErrorFrame { outcome, .. }) if *outcome == Outcome::NotExecuted);
            server == holder && !denied
        });
        ensure!(
            admitted,
            "{command} was executed by {holder}, which denied it: {answers:?}"
        );
    }
    // If no answer reported the execution, at least one had the outcome unknown.
    let doubtful = answers
        .iter()
        .any(|(_, answer)| matches!(answer, Err(ErrorFrame { outcome, .. }) if *outcome == Outcome::Unknown));
    ensure!(
        fresh == 1 || doubtful,
        "{command} was executed, and nobody was told so first: {answers:?}"
    );
    Ok(())
}

async fn assert_each_once(client: &Client, database: &str, commands: usize) -> Result<()> {
    let mut times: HashMap<String, i32> = HashMap::new();
    for document in contents(client, database, "effects").await? {
        *times.entry(document.get_str("key")?.to_owned()).or_default() += document.get_i32("n").unwrap_or(1);
    }
    ensure!(
        times.len() == commands,
        "{} of {commands} were executed",
        times.len()
    );
    times.retain(|_, times| *times != 1);
    ensure!(times.is_empty(), "executed more than once: {times:?}");
    Ok(())
}

async fn contents(client: &Client, database: &str, collection: &str) -> Result<Vec<Document>> {
    let mut found = client
        .database(database)
        .collection::<Document>(collection)
        .find(doc! {})
        .await?;
    let mut documents = Vec::new();
    while found.advance().await? {
        documents.push(found.deserialize_current()?);
    }
    Ok(documents)
}

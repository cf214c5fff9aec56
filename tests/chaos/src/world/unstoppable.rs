use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bellwether_client::{Attempt, AttemptEnd};
use bellwether_protocol::ErrorCode;
use bellwether_testkit::execute_within;
use bson::doc;
use tokio::time::{Instant, sleep};

use super::World;
use crate::fault::Node;

/// The deadline of the client that sends the update.
const DEADLINE: Duration = Duration::from_secs(1);

/// Time until MongoDB must be at work on it, and the time between two looks.
const ARRIVAL: Duration = Duration::from_secs(3);
const LOOKS: Duration = Duration::from_millis(50);

const DATABASE: &str = "app";
const COLLECTION: &str = "burn";

impl World {
    /// Has a client send an update that MongoDB does not interrupt, and waits until this member,
    /// the primary, works on it. The update contains `number`, so that the server does not refuse
    /// it as a repeat of an earlier one. Returns `false` if the servers refuse all writes of the
    /// client's address, because earlier updates took too long together.
    pub(super) async fn burn(&self, node: Node, number: u32) -> Result<bool> {
        let direct = &self.member(node)?.direct;
        let app = direct.database(DATABASE);
        // The driver's futures must not be dropped half done.
        let target = tokio::spawn(async move {
            let target = doc! { "q": { "_id": 1 }, "u": { "$set": { "there": true } }, "upsert": true };
            app.run_command(doc! { "update": COLLECTION, "updates": [target] })
                .await
        });
        tokio::time::timeout(ARRIVAL, target)
            .await
            .with_context(|| format!("{node} does not answer"))??
            .context("writing the document to update")?;

        let urls = self.urls();
        let command = command(number);
        let sent = self
            .clients_host(0)
            .run(async move || execute_within(DEADLINE, &urls, &command).await);

        let admin = direct.database("admin");
        let until = Instant::now() + ARRIVAL;
        loop {
            let working = doc! { "currentOp": 1, "ns": format!("{DATABASE}.{COLLECTION}"), "active": true };
            let found = admin.run_command(working).await?;
            if !found.get_array("inprog")?.is_empty() {
                // Nothing waits for the answer: the fault is that the command fails.
                return Ok(true);
            }
            if sent.is_finished() {
                let ended = sent.join().map_err(|_| anyhow!("the client panicked"))???;
                let failure = ended.err().context("the update was executed")?;
                let is_refused = |one: &Attempt| matches!(&one.end, AttemptEnd::Refused(error) if error.code == ErrorCode::Overloaded);
                ensure!(
                    failure.attempts.iter().any(is_refused),
                    "the update ended before {node} worked on it: {failure}"
                );
                return Ok(false);
            }
            ensure!(
                Instant::now() < until,
                "{node} was not sent the update within {ARRIVAL:?}"
            );
            sleep(LOOKS).await;
        }
    }
}

/// Returns an update whose one expression has four nested loops. MongoDB handles no interruption
/// until the expression has a value.
fn command(number: u32) -> String {
    let mut expression = "1".to_owned();
    for _ in 0..4 {
        expression = format!(
            r#"{{"$reduce":{{"input":{{"$range":[0,1000]}},"initialValue":0,"in":{{"$add":["$$value",{expression}]}}}}}}"#
        );
    }
    format!(
        r#"{{"update":"{COLLECTION}","updates":[{{"q":{{"_id":1}},"u":[{{"$set":{{"x{number}":{expression}}}}}]}}]}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_update_is_another_command() {
        assert!(command(1).parse::<bellwether_client::CommandText>().is_ok());
        assert_ne!(command(1), command(2));
    }
}

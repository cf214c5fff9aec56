//! The tutorial, with a browser that has the page open while the coordinator is killed.

use anyhow::{Context, Result, ensure};
use bellwether_protocol::Status;
use bellwether_testkit::{Browser, ReplicaSet, wait_until};
use serde_json::json;

use crate::page::{Action, Page, Step};
use crate::shell::Shell;

const SIGN: &str = "
    document.querySelector('input').value = arguments[0];
    document.querySelector('button').click();
";
const MESSAGE: &str = "return document.querySelector('[role=status]').textContent;";
const ENTRIES: &str = "return [...document.querySelectorAll('li')].map((item) => item.textContent);";

#[tokio::test(flavor = "multi_thread")]
async fn tutorial() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let shell = Shell::start(set.uri()).await?;
    let browser = Browser::start().await?;
    let (mut before, mut killed) = (None, String::new());
    for step in Page::read("tutorial.md")?.steps()? {
        let kills = is_run(&step, "kill -9");
        if kills {
            let address = format!("http://{}:7001/", shell.address());
            browser.client().goto(&address).await?;
            before = Some(sign(&browser, "<b>before</b>").await?);
            killed = shell.run("printf '%s' \"${coordinator#s}\"").await?.1;
        }
        if is_run(&step, "coordinator=$(") {
            settled(&shell).await?;
        }
        shell.perform(&step).await?;
        if kills {
            let after = sign(&browser, "after").await?;
            let before = before.as_ref().context("the page was signed before")?;
            ensure!(after.epoch > before.epoch, "{before:?} {after:?}");
            ensure!(!after.server.ends_with(&format!(":700{killed}/v1")), "{after:?}");
            let entries = browser.client().execute(ENTRIES, vec![]).await?;
            // The text is no HTML, and each entry is there once.
            ensure!(
                entries == json!(["after", "<b>before</b>", "from a terminal"]),
                "{entries}"
            );
        }
    }
    ensure!(before.is_some(), "no step kills the coordinator");
    browser.close().await
}

fn is_run(step: &Step, text: &str) -> bool {
    matches!(&step.action, Action::Run { commands, .. } if commands.contains(text))
}

/// The message of the page about an entry.
#[derive(Debug)]
struct Saved {
    server: String,
    epoch: u64,
}

async fn sign(browser: &Browser, text: &str) -> Result<Saved> {
    browser.client().execute(SIGN, vec![json!(text)]).await?;
    wait_until("the entry to be saved", async || {
        let message = browser.client().execute(MESSAGE, vec![]).await?;
        let message = message.as_str().unwrap_or_default();
        let saved = message.strip_prefix("Saved by ").context(message.to_owned())?;
        let (server, epoch) = saved.split_once(" in epoch ").context(message.to_owned())?;
        Ok(Saved {
            server: server.to_owned(),
            epoch: epoch.parse()?,
        })
    })
    .await
}

/// Waits until all servers name the one with the largest number. A reader also takes a minute to
/// open the page.
async fn settled(shell: &Shell) -> Result<()> {
    wait_until("the servers to agree", async || {
        let mut servers = Vec::new();
        for port in 7001..=7003 {
            let ask = format!("curl -s http://127.0.0.1:{port}/status");
            let (_, status) = shell.run(&ask).await?;
            servers.push(serde_json::from_str::<Status>(&status)?);
        }
        let number = |server: &&Status| server.number.parse::<u64>().unwrap_or_default();
        let largest = servers.iter().max_by_key(number).map(|server| &server.server);
        let coordinators = servers.iter().map(|server| server.coordinator.as_ref());
        let agree = coordinators
            .map(|coordinator| coordinator.map(|hint| &hint.server))
            .all(|coordinator| coordinator.is_some() && coordinator == largest);
        ensure!(agree, "{servers:?}");
        Ok(())
    })
    .await
}

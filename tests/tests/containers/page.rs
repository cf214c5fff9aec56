//! The page, from a container, in a headless Chromium.

use anyhow::{Result, ensure};
use bellwether_testkit::{Browser, Page};
use bson::{Document, doc};

use crate::coordinator::server;
use crate::stage::Stage;

/// Sends a command from the page of the very container that is killed. The page has no list of the
/// other servers.
pub(crate) async fn a_command_after_the_coordinators_container_was_killed(stage: &mut Stage) -> Result<()> {
    let coordinator = stage.compose.all_well().await?.coordinator;
    let browser = Browser::start().await?;
    let page = Page::open(&browser, &stage.compose.page(coordinator)).await?;
    page.execute(&insert("before")).await?.expect("executed", &[])?;
    stage.compose.kill(&server(coordinator)).await?;
    page.execute(&insert("after")).await?.expect("executed", &[])?;

    let killed = format!("localhost:{}", stage.compose.ports()[coordinator]);
    let console = browser.console().await?;
    let alarms: Vec<String> = console
        .iter()
        .filter(|line| line.is_alarming(std::slice::from_ref(&killed)))
        .map(ToString::to_string)
        .collect();
    ensure!(alarms.is_empty(), "on the console: {alarms:#?}");
    browser.close().await?;

    let client = stage.compose.client().await?;
    let visits = client.database("app").collection::<Document>("visits");
    for text in ["before", "after"] {
        let count = visits.count_documents(doc! { "text": text }).await?;
        ensure!(count == 1, "{text} is there {count} times");
    }
    Ok(())
}

fn insert(text: &str) -> String {
    format!(r#"{{"insert":"visits","documents":[{{"text":"{text}"}}]}}"#)
}

//! Commands whose outcome is unknown, and the ways in which a user finds it out. The tests compare
//! the page's texts with the data.

use anyhow::{Result, ensure};
use bellwether_testkit::{Page, ReplyCutter, Shown};

use crate::stage::{COORDINATOR, HOST, SUCCESSOR, Stage, expect_unreachable, insert};

pub(crate) async fn a_lost_reply_is_replayed(stage: &mut Stage) -> Result<()> {
    let cutter = ReplyCutter::start(stage.url(COORDINATOR)).await?;
    stage.expect_trouble_at(&cutter.url());
    let page = stage.open_for([cutter.url()]).await?;
    let shown = page.execute(&insert("cut once")).await?;
    shown.expect("executed", &[(&cutter.url(), "executed")])?;
    let story = page.story_of(&cutter.url()).await?;
    ensure!(
        cutter.has_cut() && story.contains(&"lost".to_owned()),
        "{story:?}"
    );
    ensure!(
        shown.title != "Executed",
        "that it was executed before is not said: {shown:#?}"
    );
    ensure!(stage.notes("cut once").await? == 1);
    Ok(())
}

/// Sends a command that is executed, but whose execution the page does not know: its reply is cut.
async fn unknown_but_executed(stage: &mut Stage, text: &str) -> Result<(ReplyCutter, Page, Shown)> {
    let cutter = ReplyCutter::of_all(stage.url(COORDINATOR)).await?;
    stage.expect_trouble_at(&cutter.url());
    let page = stage.open_for([cutter.url()]).await?;
    page.give_up_after(2).await?;
    let shown = page.execute(&insert(text)).await?;
    shown.expect("unknown", &[])?;
    // The server may have answered the last attempt, because its time was up; the outcome of the
    // others is also unknown.
    let row = shown.row(&cutter.url())?;
    ensure!(row.kind == "unknown" || row.state == "deadline", "{shown:#?}");
    ensure!(shown.again == ["check", "send-same", "send-new"], "{shown:#?}");
    ensure!(stage.notes(text).await? == 1);
    cutter.mend();
    Ok((cutter, page, shown))
}

pub(crate) async fn checking_the_outcome_changes_nothing(stage: &mut Stage) -> Result<()> {
    let (cutter, page, before) = unknown_but_executed(stage, "checked").await?;
    page.click("#check").await?;
    let shown = page.until("the outcome", |shown| {
        ensure!(shown.outcome == "executed", "not yet");
        Ok(())
    });
    let shown = shown.await?;
    shown.expect("executed", &[(&cutter.url(), "answered")])?;
    ensure!(shown.id == before.id && shown.again.is_empty(), "{shown:#?}");
    ensure!(
        page.reply().await?.contains("ok"),
        "the reply was kept and is not shown"
    );
    ensure!(stage.notes("checked").await? == 1);
    Ok(())
}

pub(crate) async fn the_same_id_executes_once(stage: &mut Stage) -> Result<()> {
    let (cutter, page, before) = unknown_but_executed(stage, "same").await?;
    page.click("#send-same").await?;
    let shown = page.verdict().await?;
    shown.expect("executed", &[(&cutter.url(), "executed")])?;
    ensure!(shown.id == before.id, "{shown:#?} after {before:#?}");
    ensure!(stage.notes("same").await? == 1);
    Ok(())
}

pub(crate) async fn sent_as_new_it_is_executed_again(stage: &mut Stage) -> Result<()> {
    let (cutter, page, before) = unknown_but_executed(stage, "new").await?;
    page.click("#send-new").await?;
    let shown = page.verdict().await?;
    shown.expect("executed", &[(&cutter.url(), "executed")])?;
    ensure!(shown.id != before.id, "{shown:#?} after {before:#?}");
    ensure!(stage.notes("new").await? == 2);
    Ok(())
}

pub(crate) async fn a_lost_read_leaves_nothing_to_settle(stage: &mut Stage) -> Result<()> {
    let cutter = ReplyCutter::of_all(stage.url(COORDINATOR)).await?;
    stage.expect_trouble_at(&cutter.url());
    let page = stage.open_for([cutter.url()]).await?;
    page.give_up_after(2).await?;
    let shown = page.execute(r#"{"find":"notes"}"#).await?;
    ensure!(cutter.has_cut(), "{shown:#?}");
    shown.expect("not_executed", &[])?;
    ensure!(shown.again.is_empty(), "{shown:#?}");
    let history = page.text("#history").await?;
    ensure!(!history.contains("Check outcome"), "{history}");
    Ok(())
}

pub(crate) async fn a_stopped_coordinator_leaves_it_unknown(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.give_up_after(3).await?;
    let held = stage.hold_commits().await?;
    page.send(&insert("stopped")).await?;
    held.entered().await?;
    stage.pause(COORDINATOR)?;
    for server in [HOST, SUCCESSOR] {
        stage.kill(server)?;
    }
    held.off().await?;
    let shown = page.verdict().await?;
    shown.expect("unknown", &[])?;
    for server in [HOST, SUCCESSOR] {
        expect_unreachable(&page, &shown, &stage.url(server)).await?;
    }

    // The only server left goes on; it must become coordinator again before it can answer the
    // question for the outcome.
    stage.resume(COORDINATOR)?;
    page.give_up_after(60).await?;
    page.click("#check").await?;
    let shown = page.verdict().await?;
    let there = stage.notes("stopped").await?;
    let told = match shown.outcome.as_str() {
        "executed" => 1,
        "not_executed" => 0,
        _ => anyhow::bail!("a coordinator does not know: {shown:#?}"),
    };
    ensure!(there == told, "it is there {there} times: {shown:#?}");
    Ok(())
}

pub(crate) async fn a_coordinator_killed_in_mid_command(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    // So that the coordinator is the first server to get the command.
    page.execute(&insert("before")).await?;
    let held = stage.hold_commits().await?;
    page.send(&insert("killed")).await?;
    held.entered().await?;
    stage.kill(COORDINATOR)?;
    held.off().await?;
    let shown = page.verdict().await?;
    let (old, new) = (stage.url(COORDINATOR), stage.url(SUCCESSOR));
    shown.expect("executed", &[(&new, "executed")])?;
    ensure!(shown.reason.contains("s2"), "{shown:#?}");
    let story = page.story_of(&old).await?;
    ensure!(
        story.contains(&"lost".to_owned()),
        "the old coordinator: {story:?}"
    );
    let story = page.story_of(&new).await?;
    ensure!(
        story.contains(&"sent".to_owned()),
        "the new coordinator: {story:?}"
    );
    ensure!(stage.notes("killed").await? == 1);
    Ok(())
}

//! Every state of a server's row, each caused by the behaviour of a server.

use anyhow::{Result, ensure};
use bellwether_testkit::{BlackHole, DeafServer, FalseServer, Page};
use serde_json::{Value, json};

use crate::stage::{COORDINATOR, HOST, SUCCESSOR, Stage, expect_unreachable, insert};

pub(crate) async fn the_coordinator_executes_it(stage: &mut Stage) -> Result<()> {
    let coordinator = stage.url(COORDINATOR);
    let page = stage.open().await?;
    let before = page.shown().await?;
    ensure!(before.outcome == "none" && before.rows.is_empty(), "{before:#?}");

    let shown = page.execute(&insert("plain")).await?;
    shown.expect("executed", &[(&coordinator, "executed")])?;
    ensure!(shown.rows.len() == 3, "{shown:#?}");
    ensure!(shown.id.len() == 36, "{shown:#?}");
    ensure!(
        shown.reason.contains("s3") && shown.reason.contains("epoch"),
        "{shown:#?}"
    );
    let row = shown.row(&coordinator)?;
    ensure!(
        row.kind == "done" && row.text.contains("s3") && row.text.contains(" ms"),
        "{row:?}"
    );
    let story = page.story_of(&coordinator).await?;
    let way = ["waiting", "connecting", "greeting", "greeted", "sent", "executed"];
    ensure!(story == way, "{story:?}");
    for follower in [HOST, SUCCESSOR] {
        let row = shown.row(&stage.url(follower))?;
        ensure!(
            ["not_asked", "not_coordinator", "overtaken"].contains(&row.state.as_str()),
            "{row:?}"
        );
    }
    ensure!(page.reply().await?.contains("n"), "no reply");
    ensure!(stage.notes("plain").await? == 1);
    Ok(())
}

pub(crate) async fn servers_after_the_coordinator_are_not_asked(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.execute(&insert("first")).await?;
    let (coordinator, others) = (stage.url(COORDINATOR), [stage.url(HOST), stage.url(SUCCESSOR)]);
    // It knows the coordinator, also when it is opened again. Once could be chance.
    for _ in 0..4 {
        page.reload().await?;
        let shown = page.execute(&insert("another")).await?;
        let states = [
            (coordinator.as_str(), "executed"),
            (&others[0], "not_asked"),
            (&others[1], "not_asked"),
        ];
        shown.expect("executed", &states)?;
        ensure!(shown.row(&others[0])?.kind == "idle", "{shown:#?}");
    }
    Ok(())
}

pub(crate) async fn a_killed_server_is_unreachable(stage: &mut Stage) -> Result<()> {
    stage.kill(SUCCESSOR)?;
    let dead = stage.url(SUCCESSOR);
    let page = stage.open_for([dead.clone()]).await?;
    page.give_up_after(2).await?;
    let shown = page.execute(&insert("nobody there")).await?;
    shown.expect("not_executed", &[])?;
    expect_unreachable(&page, &shown, &dead).await?;
    ensure!(!shown.hint.is_empty() && shown.again.is_empty(), "{shown:#?}");

    page.servers(&stage.cluster.urls()).await?;
    let shown = page.execute(&insert("somebody there")).await?;
    shown.expect("executed", &[(&stage.url(COORDINATOR), "executed")])?;
    ensure!(stage.notes("nobody there").await? == 0);
    Ok(())
}

pub(crate) async fn servers_that_do_not_answer_time_out(stage: &mut Stage) -> Result<()> {
    let (hole, deaf) = (BlackHole::open().await?, DeafServer::start().await?);
    stage.pause(SUCCESSOR)?;
    let silent = [hole.url(), deaf.url(), stage.url(SUCCESSOR)];
    for url in &silent {
        stage.expect_trouble_at(url);
    }
    let page = stage.open_for(&silent).await?;
    page.send(&insert("into the void")).await?;
    page.until(
        "all servers to have had their time",
        async_rows(&silent, "connect_timeout"),
    )
    .await?;
    page.click("#cancel").await?;
    let shown = page.verdict().await?;
    shown.expect("not_executed", &[])?;
    for url in &silent {
        let story = page.story_of(url).await?;
        ensure!(
            story.starts_with(&["waiting".into(), "connecting".into(), "connect_timeout".into()]),
            "{story:?}"
        );
    }
    Ok(())
}

pub(crate) async fn a_black_hole_is_overtaken(stage: &mut Stage) -> Result<()> {
    let (hole, coordinator) = (BlackHole::open().await?, stage.url(COORDINATOR));
    stage.expect_trouble_at(&hole.url());
    let page = open_to_try_first(stage, &[hole.url(), coordinator.clone()], &hole.url()).await?;
    let shown = page.execute(&insert("overtaken")).await?;
    shown.expect(
        "executed",
        &[(&hole.url(), "overtaken"), (&coordinator, "executed")],
    )?;
    ensure!(shown.row(&hole.url())?.kind == "idle", "{shown:#?}");
    let story = page.story_of(&hole.url()).await?;
    ensure!(story == ["waiting", "connecting", "overtaken"], "{story:?}");
    ensure!(stage.notes("overtaken").await? == 1);
    Ok(())
}

pub(crate) async fn a_silent_server_does_not_introduce_itself(stage: &mut Stage) -> Result<()> {
    let silent = FalseServer::start("{}", |_| None).await?;
    let page = stage.open_for([silent.url()]).await?;
    page.give_up_after(2).await?;
    let shown = page.execute(&insert("hello?")).await?;
    shown.expect("not_executed", &[(&silent.url(), "hello_timeout")])?;
    let story = page.story_of(&silent.url()).await?;
    ensure!(
        story.starts_with(&["waiting", "connecting", "greeting", "hello_timeout"].map(Into::into)),
        "{story:?}"
    );
    Ok(())
}

pub(crate) async fn something_else_is_no_server(stage: &mut Stage) -> Result<()> {
    let other = FalseServer::start("{}", |_| Some("good morning".into())).await?;
    let page = stage.open_for([other.url()]).await?;
    let shown = page.execute(&insert("to whom it may concern")).await?;
    shown.expect("not_executed", &[(&other.url(), "bad_endpoint")])
}

pub(crate) async fn a_follower_names_the_coordinator(stage: &mut Stage) -> Result<()> {
    let list = stage.cluster.urls();
    let page = open_to_try_first(stage, &list, &list[SUCCESSOR]).await?;
    let shown = page.execute(&insert("hinted")).await?;
    shown.expect(
        "executed",
        &[
            (&list[SUCCESSOR], "not_coordinator"),
            (&list[COORDINATOR], "executed"),
        ],
    )?;
    let (follower, coordinator) = (shown.row(&list[SUCCESSOR])?, shown.row(&list[COORDINATOR])?);
    ensure!(
        follower.kind == "next" && follower.text.contains("s3"),
        "{follower:?}"
    );
    ensure!(coordinator.text.contains("named it"), "{coordinator:?}");
    Ok(())
}

pub(crate) async fn a_follower_alone_executes_nothing(stage: &mut Stage) -> Result<()> {
    let follower = stage.url(SUCCESSOR);
    let page = stage.open_for([follower.clone()]).await?;
    page.give_up_after(2).await?;
    let shown = page.execute(&insert("a follower")).await?;
    shown.expect("not_executed", &[(&follower, "not_coordinator")])?;
    ensure!(stage.notes("a follower").await? == 0);
    Ok(())
}

pub(crate) async fn a_forbidden_command_is_refused(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let shown = page.execute(r#"{"dropDatabase":1}"#).await?;
    let coordinator = stage.url(COORDINATOR);
    shown.expect("not_executed", &[(&coordinator, "command_not_allowed")])?;
    ensure!(shown.row(&coordinator)?.kind == "failed", "{shown:#?}");
    ensure!(
        shown.reason.contains("dropDatabase") && !shown.hint.is_empty(),
        "{shown:#?}"
    );
    ensure!(page.reply().await?.is_empty());
    Ok(())
}

pub(crate) async fn an_overloaded_server_is_asked_again(stage: &mut Stage) -> Result<()> {
    let overloaded = FalseServer::start("{}", |frame| {
        Some(if frame["type"] == "hello" {
            hello_ok().to_string()
        } else {
            let error = json!({
                "type": "error", "id": frame["id"], "code": "overloaded", "message": "the queue is full",
                "outcome": "not_executed", "retry_after_ms": 100,
            });
            error.to_string()
        })
    })
    .await?;
    let page = stage.open_for([overloaded.url()]).await?;
    page.give_up_after(2).await?;
    let shown = page.execute(&insert("too much")).await?;
    shown.expect("not_executed", &[(&overloaded.url(), "overloaded")])?;
    let story = page.story_of(&overloaded.url()).await?;
    let asked = story.iter().filter(|state| *state == "sent").count();
    ensure!(asked > 1, "{story:?}");
    Ok(())
}

pub(crate) async fn mongodb_refuses_a_duplicate_key(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let twice = r#"{"insert":"notes","documents":[{"_id":"same","text":"a"},{"_id":"same","text":"b"}]}"#;
    let shown = page.execute(twice).await?;
    shown.expect("not_executed", &[(&stage.url(COORDINATOR), "mongo")])?;
    ensure!(shown.reason.contains("E11000"), "{shown:#?}");
    ensure!(shown.again.is_empty(), "{shown:#?}");
    let details = page.text("#result").await?;
    for detail in ["keyPattern", "keyValue", "_id", "same", "writeErrors"] {
        ensure!(details.contains(detail), "no {detail} in {details}");
    }
    Ok(())
}

pub(crate) async fn a_command_that_takes_too_long_is_unknown(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.give_up_after(2).await?;
    let held = stage.hold_commits().await?;
    page.send(&insert("slow")).await?;
    held.entered().await?;
    let shown = page.verdict().await?;
    held.off().await?;
    shown.expect("unknown", &[])?;
    let row = shown.row(&stage.url(COORDINATOR))?;
    ensure!(["lost", "deadline"].contains(&row.state.as_str()), "{row:?}");
    ensure!(shown.again == ["check", "send-same", "send-new"], "{shown:#?}");
    page.click("#send-same").await?;
    page.verdict().await?.expect("executed", &[])?;
    ensure!(stage.notes("slow").await? == 1);
    Ok(())
}

/// Returns the answer of a coordinator to `hello`.
pub(crate) fn hello_ok() -> Value {
    json!({
        "type": "hello_ok", "cluster": "bellwether", "server": "s9", "role": "coordinator", "epoch": 1,
        "coordinator": { "server": "s9" }, "server_time_ms": 1_700_000_000_000_u64,
        "limits": {
            "max_message_bytes": 1_048_576, "max_depth": 100, "max_result_bytes": 4_194_304,
            "max_deadline_ms": 60_000, "retention_ms": 86_400_000,
        },
    })
}

/// Opens the page for this list, and has it try this server first, as if this had been the last
/// server to execute a command.
async fn open_to_try_first(stage: &Stage, list: &[String], first: &str) -> Result<Page> {
    let page = stage.open_for(list).await?;
    let kept = json!({ "version": 1, "history": [], "coordinator": first });
    let keep = "localStorage.setItem('bellwether', arguments[0])";
    page.run(keep, vec![json!(kept.to_string())]).await?;
    Ok(page)
}

/// Returns a check that the rows of all these servers are in this state.
fn async_rows(urls: &[String], state: &str) -> impl Fn(&bellwether_testkit::Shown) -> Result<()> {
    move |shown| {
        for url in urls {
            ensure!(shown.row(url)?.state == state, "{url} is not {state}");
        }
        Ok(())
    }
}

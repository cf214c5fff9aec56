//! The data that the page remembers, and the data that it shares.

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{Page, wait_until};
use serde_json::{Value, json};

use crate::stage::{HOST, Stage, insert};

const ODD: &str = "{ \"find\" :   \"notes\",\n\t\"filter\": {\"10\": 1, \"2\": 1} }";

pub(crate) async fn closed_in_mid_command_it_can_be_settled_later(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let held = stage.hold_commits().await?;
    page.send(&insert("closed")).await?;
    held.entered().await?;
    let id = page.shown().await?.id;
    let entry = &entries(&page).await?[0];
    ensure!(
        entry["outcome"] == "running" && entry["id"] == id.as_str(),
        "{entry}"
    );

    // Closed without a word, and opened again.
    stage.browser.start_afresh(&[]).await?;
    let page = stage.open().await?;
    let shown = page.shown().await?;
    ensure!(shown.outcome == "unknown" && shown.id == id, "{shown:#?}");
    ensure!(shown.again == ["check", "send-same", "send-new"], "{shown:#?}");
    held.off().await?;
    page.click("#check").await?;
    let shown = page.verdict().await?;
    ensure!(shown.outcome == "executed" && shown.id == id, "{shown:#?}");
    ensure!(stage.notes("closed").await? == 1);
    let entry = &entries(&page).await?[0];
    ensure!(
        entry["outcome"] == "executed" && entry["id"] == id.as_str(),
        "{entry}"
    );

    // Once more, and now settled from the history, with the same id.
    let held = stage.hold_commits().await?;
    page.send(&insert("reloaded")).await?;
    held.entered().await?;
    let id = page.shown().await?.id;
    page.reload().await?;
    held.off().await?;
    let same = format!("#history [data-id='{id}'] .ways button:last-child");
    page.click(&same).await?;
    let shown = page.verdict().await?;
    ensure!(shown.outcome == "executed" && shown.id == id, "{shown:#?}");
    ensure!(stage.notes("reloaded").await? == 1);
    Ok(())
}

pub(crate) async fn commands_come_back_as_they_were_written(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let first = page.execute(ODD).await?;
    page.execute(&insert("another")).await?;
    page.reload().await?;
    let kept = entries(&page).await?;
    ensure!(
        kept.len() == 2 && kept[1]["command"] == ODD && kept[1]["outcome"] == "executed",
        "{kept:#?}"
    );
    ensure!(page.shown().await?.outcome == "none", "something was sent");
    page.click(&format!("#history [data-id='{}'] .put", first.id))
        .await?;
    ensure!(command(&page).await? == ODD);
    let servers = page
        .run("return document.getElementById('servers').value", vec![])
        .await?;
    ensure!(servers == stage.cluster.urls().join("\n"), "{servers}");

    let listed = "return document.querySelectorAll('#history [data-id]').length";
    page.click("#forget").await?;
    ensure!(page.run(listed, vec![]).await? == 0);
    ensure!(entries(&page).await?.is_empty());
    page.reload().await?;
    ensure!(page.run(listed, vec![]).await? == 0);
    Ok(())
}

pub(crate) async fn at_most_50_are_kept(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.execute(ODD).await?;
    let fill = "const kept = JSON.parse(localStorage.getItem('bellwether'));
         const [entry] = kept.history;
         const id = (n) => entry.id.slice(0, -3) + String(n).padStart(3, '0');
         kept.history = Array.from({ length: 60 }, (_, n) => ({ ...entry, id: id(n) }));
         localStorage.setItem('bellwether', JSON.stringify(kept))";
    page.run(fill, vec![]).await?;
    page.reload().await?;
    let newest = page.execute(&insert("the newest")).await?;
    let kept = entries(&page).await?;
    ensure!(
        kept.len() == 50 && kept[0]["id"] == newest.id.as_str(),
        "{} are kept: {:#?}",
        kept.len(),
        kept[0]
    );
    Ok(())
}

pub(crate) async fn garbage_in_the_storage_does_no_harm(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.execute(ODD).await?;
    let good = page.kept().await?;
    let with = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        bad.to_string()
    };
    let garbage = [
        "{{{".to_owned(),
        "null".into(),
        "5".into(),
        "[]".into(),
        "{}".into(),
        with("version", json!(99)),
        with("history", json!(5)),
        with(
            "history",
            json!([null, 5, "x", {}, { "id": 5, "command": [], "outcome": {} }]),
        ),
        with("servers", json!({ "a": 1 })),
        with("servers", json!("not a server: at all")),
    ];
    for text in garbage {
        page.run(
            "localStorage.setItem('bellwether', arguments[0])",
            vec![json!(text)],
        )
        .await?;
        page.reload()
            .await
            .with_context(|| format!("with {text} in the storage"))?;
        page.servers(&stage.cluster.urls()).await?;
        let shown = page.execute(ODD).await?;
        ensure!(
            shown.outcome == "executed",
            "with {text} in the storage: {shown:#?}"
        );
    }
    Ok(())
}

pub(crate) async fn a_link_shares_the_command_and_nothing_else(stage: &mut Stage) -> Result<()> {
    let grant = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    stage.browser.devtools("Browser.grantPermissions", grant).await?;
    let page = stage.open().await?;
    let id = page.execute(&insert("secret")).await?.id;
    page.write(ODD).await?;
    page.click("#share").await?;
    let link = wait_until("the link on the clipboard", async || {
        let read = "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(String(error)))";
        let link = stage.browser.client().execute_async(read, vec![]).await?;
        let link = link.as_str().unwrap_or_default().to_owned();
        ensure!(link.contains("#command="), "{link:?}");
        Ok(link)
    })
    .await?;
    let own = stage.cluster.servers[HOST].page();
    let (place, fragment) = link.split_once('#').context("it has a fragment")?;
    ensure!(place == own, "{link}");
    for private in [id.as_str(), "secret", "127.0.0.1"] {
        ensure!(!fragment.contains(private), "{private} is in {fragment}");
    }

    // Another user opens it.
    let origins: Vec<String> = stage.cluster.servers.iter().map(|server| server.page()).collect();
    stage.browser.start_afresh(&origins).await?;
    let page = Page::open(&stage.browser, &link).await?;
    ensure!(command(&page).await? == ODD);
    let shown = page.shown().await?;
    ensure!(
        shown.outcome == "none" && shown.rows.is_empty(),
        "sent by itself: {shown:#?}"
    );
    ensure!(
        page.kept().await?["history"].as_array().is_none_or(Vec::is_empty),
        "sent by itself"
    );
    let said = page.text("body").await?.to_lowercase();
    ensure!(
        said.contains("link"),
        "nothing says where the command comes from: {said}"
    );
    page.servers(&stage.cluster.urls()).await?;
    page.click("#send").await?;
    page.verdict().await?.expect("executed", &[])
}

async fn entries(page: &Page) -> Result<Vec<Value>> {
    let kept = page.kept().await?;
    let history = kept["history"]
        .as_array()
        .with_context(|| format!("no history in {kept}"))?;
    Ok(history.clone())
}

async fn command(page: &Page) -> Result<String> {
    let command = page
        .run("return document.getElementById('command').value", vec![])
        .await?;
    Ok(command.as_str().unwrap_or_default().to_owned())
}

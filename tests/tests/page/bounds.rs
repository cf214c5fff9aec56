//! Servers that answer in a wrong form, with more than a user can read, or at another place. The
//! page goes on.

use anyhow::{Result, ensure};
use bellwether_testkit::{FalseServer, Page, PathProxy, wait_until};
use serde_json::json;

use crate::rows::hello_ok;
use crate::stage::{COORDINATOR, Stage, insert};

pub(crate) async fn a_status_of_another_form_stops_nothing(stage: &mut Stage) -> Result<()> {
    let forms = [
        json!({ "server": "f1", "role": "constructor", "peers": [null] }),
        json!({ "server": "f2", "role": "__proto__", "peers": [5, { "server": {} }, []], "epoch": {}, "number": [1] }),
        json!({ "server": "f3", "role": { "a": 1 }, "peers": [], "since_ms": 1e300, "mongodb": [null], "coordinator": 5 }),
        json!({ "server": "f4", "role": "coordinator", "peers": [{ "server": "s", "connected": "x" }], "epoch": "toString" }),
        json!(["f5"]),
    ];
    let mut servers = Vec::new();
    let mut urls = Vec::new();
    for form in forms {
        let server = FalseServer::start(form.to_string(), |_| None).await?;
        urls.push(server.url());
        servers.push(server);
    }
    urls.push(stage.url(COORDINATOR));
    let page = stage.open_for(&urls).await?;
    wait_until("all servers in the view of the cluster", async || {
        let view = page.text("#cluster").await?;
        for expected in ["f1", "constructor", "f2", "f3", "f4", "s3"] {
            ensure!(view.contains(expected), "no {expected} in {view}");
        }
        let note = page.text("#cluster-note").await?;
        ensure!(note.contains("s3 is coordinator in epoch"), "{note}");
        Ok(())
    })
    .await?;
    page.give_up_after(10).await?;
    page.servers(&[stage.url(COORDINATOR)]).await?;
    page.execute(&insert("beside odd servers"))
        .await?
        .expect("executed", &[])
}

/// 20 MB. Each level of it has all further levels inside.
const LEVELS: usize = 10_000_000;

pub(crate) async fn of_a_large_reply_little_is_shown_at_first(stage: &mut Stage) -> Result<()> {
    let server = FalseServer::start("", |frame| {
        if frame["type"] == "hello" {
            let mut hello = hello_ok();
            hello["role"] = "coordinator".into();
            return Some(hello.to_string());
        }
        let (open, shut) = ("[".repeat(LEVELS), "]".repeat(LEVELS));
        let result = format!(r#"{{"cursor":{{"firstBatch":[{open}{shut}]}},"ok":1}}"#);
        let id = &frame["id"];
        Some(format!(
            r#"{{"type":"result","id":{id},"epoch":7,"replayed":false,"result":{result}}}"#
        ))
    })
    .await?;
    stage.expect_trouble_at(&server.url());
    let page = stage.open_for(&[server.url()]).await?;
    let shown = page.execute(r#"{"find":"notes"}"#).await?;
    shown.expect("executed", &[(&server.url(), "executed")])?;
    let rows = async || {
        let rows = "return document.querySelectorAll('#result [role=treeitem]').length";
        let rows = page.run(rows, vec![]).await?;
        anyhow::Ok(rows.as_u64().unwrap_or_default())
    };
    let at_first = rows().await?;
    ensure!(
        (1..=5).contains(&at_first),
        "{at_first} rows are shown, each of which took a look at all of the reply"
    );
    // The nested values can be opened, and all of the reply can be saved.
    let open = "[...document.querySelectorAll('#result [aria-expanded=false]')].find((row) => row.ariaLevel > 1).click()";
    page.run(open, vec![]).await?;
    ensure!(rows().await? == at_first + 1);
    let save = "const make = URL.createObjectURL; let size = 0; \
        URL.createObjectURL = (blob) => { size = blob.size; return make.call(URL, blob); }; \
        document.getElementById('save').click(); URL.createObjectURL = make; return size";
    let saved = page.run(save, vec![]).await?;
    ensure!(saved.as_u64().unwrap_or_default() > 2 * LEVELS as u64, "{saved}");
    Ok(())
}

/// More fields than a function of JavaScript takes arguments.
const FIELDS: usize = 300_000;

pub(crate) async fn of_a_reply_with_many_fields_some_are_shown(stage: &mut Stage) -> Result<()> {
    let server = FalseServer::start("", |frame| {
        if frame["type"] == "hello" {
            let mut hello = hello_ok();
            hello["role"] = "coordinator".into();
            return Some(hello.to_string());
        }
        let fields: Vec<String> = (0..FIELDS).map(|field| format!(r#""f{field}":1"#)).collect();
        let id = &frame["id"];
        Some(format!(
            r#"{{"type":"result","id":{id},"epoch":7,"replayed":false,"result":{{{}}}}}"#,
            fields.join(",")
        ))
    })
    .await?;
    stage.expect_trouble_at(&server.url());
    let page = stage.open_for(&[server.url()]).await?;
    let shown = page.execute(r#"{"find":"notes"}"#).await?;
    shown.expect("executed", &[(&server.url(), "executed")])?;
    let result = page.text("#result").await?;
    ensure!(result.contains("f0") && result.contains("f99"), "{result}");
    ensure!(
        result.contains("Show 100 more of 299900"),
        "the rest is not offered: {result}"
    );
    page.run("document.querySelector('#result .more').click()", vec![])
        .await?;
    let result = page.text("#result").await?;
    ensure!(
        result.contains("f199") && result.contains("of 299800"),
        "{result}"
    );
    Ok(())
}

pub(crate) async fn under_a_path_everything_is_asked_for_there(stage: &mut Stage) -> Result<()> {
    let proxy = PathProxy::start("/gate/s3", stage.cluster.servers[COORDINATOR].port).await?;
    let page = Page::open(&stage.browser, &proxy.page()).await?;
    let servers = page
        .run("return document.getElementById('servers').value", vec![])
        .await?;
    let servers = servers.as_str().unwrap_or_default();
    ensure!(servers.lines().any(|server| server == proxy.url()), "{servers}");
    page.servers(&[proxy.url()]).await?;
    page.execute(&insert("under a path"))
        .await?
        .expect("executed", &[(&proxy.url(), "executed")])?;
    wait_until("the server in the view of the cluster", async || {
        let note = page.text("#cluster-note").await?;
        ensure!(note.contains("s3 is coordinator"), "{note}");
        Ok(())
    })
    .await?;
    // The list it begins with names the others too. Only pages from their own addresses may have
    // their status.
    for line in stage.browser.console().await? {
        ensure!(line.to_string().contains("/status"), "on the console: {line}");
    }
    Ok(())
}

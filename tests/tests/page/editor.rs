//! Writing a command, sending it and reading its reply.

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{DeafServer, wait_until};
use serde_json::{Value, json};

use crate::stage::{COORDINATOR, HOST, SUCCESSOR, Stage, insert};

pub(crate) async fn every_example_executes(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let names = page
        .run(
            "return Array.from(document.getElementById('example').options, (option) => option.text)",
            vec![],
        )
        .await?;
    let names: Vec<String> = serde_json::from_value(names)?;
    for wanted in ["insert", "find", "update", "aggregate", "atomic"] {
        ensure!(
            names.iter().any(|name| name.to_lowercase().contains(wanted)),
            "no example of {wanted}: {names:?}"
        );
    }
    let mut commands = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let choose = "const list = document.getElementById('example');
             list.selectedIndex = arguments[0];
             list.dispatchEvent(new Event('change', { bubbles: true }));
             return document.getElementById('command').value";
        let command = page.run(choose, vec![json!(place)]).await?;
        let command = command.as_str().context("a field has text")?.to_owned();
        if command.is_empty() || commands.contains(&command) {
            // The first is the user's own command.
            continue;
        }
        page.click("#send").await?;
        let shown = page.verdict().await?;
        ensure!(shown.outcome == "executed", "{name}: {shown:#?}");
        commands.push(command);
    }
    ensure!(commands.len() >= 5, "{commands:#?}");
    Ok(())
}

pub(crate) async fn bad_json_is_marked_where_it_is(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let bad = "{\n  \"find\": \"notes\",\n  \"filter\": { \"a\": }\n}";
    page.send(bad).await?;
    let shown = page.verdict().await?;
    ensure!(
        shown.outcome == "not_executed" && shown.id.is_empty(),
        "{shown:#?}"
    );
    ensure!(
        shown
            .rows
            .iter()
            .all(|row| ["waiting", "not_asked"].contains(&row.state.as_str())),
        "{shown:#?}"
    );
    let marked = "const field = document.getElementById('command');
         const notes = (field.getAttribute('aria-describedby') ?? '').split(' ')
             .concat((field.getAttribute('aria-errormessage') ?? '').split(' '));
         return {
             invalid: field.getAttribute('aria-invalid'),
             note: notes.map((id) => document.getElementById(id)?.textContent ?? '').join(' '),
             at: field.selectionStart,
             focused: document.activeElement === field,
         }";
    let mark = page.run(marked, vec![]).await?;
    ensure!(mark["invalid"] == "true" && mark["focused"] == true, "{mark}");
    let note = mark["note"].as_str().unwrap_or_default();
    ensure!(note.to_lowercase().contains("line 3"), "{note}");
    let at = usize::try_from(mark["at"].as_u64().context("a place")?)?;
    ensure!(
        bad[..at].lines().count() == 3 && bad[at..].starts_with('}'),
        "at {at}: {mark}"
    );

    let shown = page.execute(&bad.replace("{ \"a\": }", "{}")).await?;
    shown.expect("executed", &[])?;
    let mark = page.run(marked, vec![]).await?;
    ensure!(mark["invalid"] != "true", "{mark}");
    Ok(())
}

pub(crate) async fn cancelled_before_it_was_sent_it_is_not_executed(stage: &mut Stage) -> Result<()> {
    let deaf = DeafServer::start().await?;
    stage.expect_trouble_at(&deaf.url());
    let page = stage.open_for(&[deaf.url()]).await?;
    page.send(&insert("cancelled early")).await?;
    page.until("the server to be tried", |shown| {
        shown.expect("running", &[(&deaf.url(), "connecting")])
    })
    .await?;
    page.click("#cancel").await?;
    let shown = page.verdict().await?;
    shown.expect("not_executed", &[(&deaf.url(), "cancelled")])?;
    ensure!(shown.again.is_empty(), "{shown:#?}");
    Ok(())
}

pub(crate) async fn cancelled_after_it_was_sent_it_is_unknown(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let held = stage.hold_commits().await?;
    page.send(&insert("cancelled late")).await?;
    held.entered().await?;
    page.click("#cancel").await?;
    let shown = page.verdict().await?;
    held.off().await?;
    shown.expect("unknown", &[(&stage.url(COORDINATOR), "cancelled")])?;
    ensure!(shown.again == ["check", "send-same", "send-new"], "{shown:#?}");
    page.click("#send-same").await?;
    page.verdict().await?.expect("executed", &[])?;
    ensure!(stage.notes("cancelled late").await? == 1);
    Ok(())
}

pub(crate) async fn replies_keep_order_and_digits(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let odd =
        r#"{"insert":"odd","documents":[{"_id":"odd","10":1,"2":1,"big":9007199254740993,"half":0.5}]}"#;
    page.execute(odd).await?.expect("executed", &[])?;
    page.execute(r#"{"find":"odd"}"#).await?.expect("executed", &[])?;
    let in_order = |text: &str, parts: [&str; 4]| -> Result<()> {
        let places: Option<Vec<usize>> = parts.iter().map(|part| text.find(part)).collect();
        let places = places.with_context(|| format!("one of {parts:?} is missing: {text}"))?;
        ensure!(places.is_sorted(), "{parts:?} are out of order: {text}");
        Ok(())
    };
    let form = "return document.getElementById('result').dataset.form";
    for expected in ["relaxed", "canonical", "relaxed"] {
        ensure!(page.run(form, vec![]).await? == expected, "not {expected}");
        let reply = page.reply().await?;
        in_order(&reply, ["10:", "2:", "9007199254740993", "0.5"])?;
        ensure!(
            reply.contains("$numberLong") == (expected == "canonical"),
            "{reply}"
        );
        page.click("#relaxed").await?;
    }

    // The copied text is Extended JSON, not the text of the tree.
    let grant = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    stage.browser.devtools("Browser.grantPermissions", grant).await?;
    page.click("#copy").await?;
    let copied = wait_until("the reply on the clipboard", async || {
        let read = "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(String(error)))";
        let copied = stage.browser.client().execute_async(read, vec![]).await?;
        let copied = copied.as_str().unwrap_or_default().to_owned();
        let value: Value = serde_json::from_str(&copied).with_context(|| copied.clone())?;
        ensure!(value["cursor"]["firstBatch"][0]["_id"] == "odd", "{copied}");
        Ok(copied)
    })
    .await?;
    in_order(&copied, ["\"10\"", "\"2\"", "9007199254740993", "0.5"])
}

pub(crate) async fn the_keyboard_is_enough(stage: &mut Stage) -> Result<()> {
    const TAB: &str = "\u{e004}";
    const CONTROL_A: &str = "\u{e009}a\u{e000}";
    const CONTROL_ENTER: &str = "\u{e009}\u{e007}\u{e000}";
    const ESCAPE: &str = "\u{e00c}";

    let page = stage.open().await?;
    page.run("document.activeElement.blur()", vec![]).await?;
    let mut way = Vec::new();
    for _ in 0..60 {
        page.press(TAB).await?;
        let focused = page.focused().await?;
        if way.contains(&focused) {
            break;
        }
        way.push(focused);
    }
    // Through the editor and on: it does not keep the focus.
    for reached in ["example", "command", "send", "timeout", "servers"] {
        ensure!(
            way.iter().any(|focused| focused == reached),
            "{reached} is not reached: {way:?}"
        );
    }
    let seen = "const style = getComputedStyle(document.activeElement);
         return style.outlineStyle !== 'none' || style.boxShadow !== 'none'";
    ensure!(page.run(seen, vec![]).await? == true, "the focus cannot be seen");

    page.run("document.getElementById('command').focus()", vec![])
        .await?;
    page.press(CONTROL_A).await?;
    page.press(&insert("typed")).await?;
    page.press(CONTROL_ENTER).await?;
    page.verdict().await?.expect("executed", &[])?;
    ensure!(stage.notes("typed").await? == 1);

    let held = stage.hold_commits().await?;
    page.press(CONTROL_ENTER).await?;
    held.entered().await?;
    page.press(ESCAPE).await?;
    let shown = page.verdict().await?;
    held.off().await?;
    shown.expect("unknown", &[(&stage.url(COORDINATOR), "cancelled")])
}

pub(crate) async fn the_cluster_is_seen_to_change(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let role = async |server: &str| -> Result<String> {
        let role =
            "return document.querySelector(`#cluster [data-server='${arguments[0]}']`)?.dataset.role ?? ''";
        let role = page.run(role, vec![json!(server)]).await?;
        Ok(role.as_str().unwrap_or_default().to_owned())
    };
    let urls = stage.cluster.urls();
    let roles_are = async |expected: [&str; 3]| {
        wait_until("the view of the cluster", async || {
            for (url, expected) in urls.iter().zip(expected) {
                let role = role(url).await?;
                ensure!(role == expected, "{url} is shown as {role:?}");
            }
            Ok(())
        })
        .await
    };
    roles_are(["follower", "follower", "coordinator"]).await?;
    let epoch = stage.cluster.all_agree().await?.epoch;
    ensure!(
        page.text("#cluster").await?.contains(&epoch.to_string()),
        "{}",
        page.text("#cluster").await?
    );
    stage.kill(COORDINATOR)?;
    roles_are(["follower", "coordinator", "silent"]).await?;
    debug_assert_eq!((HOST, SUCCESSOR), (0, 1));
    Ok(())
}

pub(crate) async fn offline_in_mid_command_the_outcome_can_be_had_later(stage: &mut Stage) -> Result<()> {
    for url in stage.cluster.urls() {
        stage.expect_trouble_at(&url);
    }
    let page = stage.open().await?;
    page.give_up_after(3).await?;
    let held = stage.hold_commits().await?;
    page.send(&insert("offline")).await?;
    held.entered().await?;
    stage.browser.set_offline(true).await?;
    // An emulated failure of the network leaves open connections open.
    page.click("#cancel").await?;
    let unknown = page.verdict().await?;
    held.off().await?;
    unknown.expect("unknown", &[])?;
    let banner = "return document.getElementById('offline').checkVisibility()";
    ensure!(page.run(banner, vec![]).await? == true, "it does not say so");

    page.click("#check").await?;
    let shown = page.verdict().await?;
    ensure!(
        shown.outcome == "unknown" && shown.id == unknown.id,
        "without a network: {shown:#?}"
    );
    stage.browser.set_offline(false).await?;
    page.click("#check").await?;
    let shown = page.verdict().await?;
    ensure!(
        shown.outcome == "executed" && shown.id == unknown.id,
        "{shown:#?}"
    );
    ensure!(page.run(banner, vec![]).await? == false, "it still says so");
    ensure!(stage.notes("offline").await? == 1);
    Ok(())
}

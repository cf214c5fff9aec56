//! Everything that comes from outside is only text, and the Content-Security-Policy holds.

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{FalseServer, FileServer, HttpAnswer, Page, http_get, page_dir};
use serde_json::{Value, json};

use crate::rows::hello_ok;
use crate::stage::{HOST, Stage, insert};

/// A page that uses this as markup makes elements that the test finds, and perhaps runs a script.
const MARKUP: &str = "<img class=planted src=x onerror=planted=1><b class=planted>bold</b>";

pub(crate) async fn documents_are_text(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    let document = json!({ "_id": MARKUP, MARKUP: [MARKUP, { MARKUP: { MARKUP: MARKUP } }] });
    let insert = json!({ "insert": "markup", "documents": [document] });
    page.execute(&insert.to_string()).await?.expect("executed", &[])?;
    page.execute(r#"{"find":"markup"}"#)
        .await?
        .expect("executed", &[])?;
    for _ in 0..2 {
        let reply = page.reply().await?;
        ensure!(reply.contains("<b class=planted>bold</b>"), "{reply}");
        nothing_planted(&page).await?;
        page.click("#relaxed").await?;
    }
    // MongoDB repeats the key in its message.
    let shown = page.execute(&insert.to_string()).await?;
    shown.expect("not_executed", &[])?;
    ensure!(shown.reason.contains("<b class=planted>"), "{shown:#?}");
    nothing_planted(&page).await?;
    // The history shows the command.
    page.reload().await?;
    nothing_planted(&page).await
}

pub(crate) async fn what_a_false_server_says_is_text(stage: &mut Stage) -> Result<()> {
    let hint = json!({ "server": MARKUP, "url": format!("javascript:{MARKUP}") });
    let status = json!({
        "cluster": MARKUP, "server": MARKUP, "version": MARKUP, "number": MARKUP, "role": "follower", "since_ms": 1,
        "epoch": 1, "coordinator": hint, "peers": [{ "server": MARKUP, "number": MARKUP, "connected": true, "url": MARKUP }],
        "mongodb": { "available": false, "primary": MARKUP, "error": MARKUP }, "commands": {},
    });
    let refusing = FalseServer::start(status.to_string(), move |frame| {
        let mut hello = hello_ok();
        hello["server"] = MARKUP.into();
        hello["cluster"] = MARKUP.into();
        let error = json!({
            "type": "error", "id": frame["id"], "code": "mongo", "message": MARKUP, "hint": MARKUP,
            "outcome": "not_executed",
            "mongo": { "code": 1, "code_name": MARKUP, "message": MARKUP, "errInfo": { MARKUP: [MARKUP] } },
        });
        Some(if frame["type"] == "hello" { hello } else { error }.to_string())
    })
    .await?;
    let page = stage.open_for(&[refusing.url()]).await?;
    let shown = page.execute(r#"{"find":"notes"}"#).await?;
    shown.expect("not_executed", &[(&refusing.url(), "mongo")])?;
    ensure!(shown.reason.contains("<b class=planted>"), "{shown:#?}");
    ensure!(shown.rows[0].text.contains("<b class=planted>"), "{shown:#?}");
    let details = page.text("#result").await?;
    ensure!(
        details.contains("errInfo") && details.contains("<b class=planted>"),
        "{details}"
    );
    nothing_planted(&page).await?;

    let following = FalseServer::start(status.to_string(), move |_| {
        let mut hello = hello_ok();
        hello["role"] = MARKUP.into();
        hello["coordinator"] = hint.clone();
        Some(hello.to_string())
    })
    .await?;
    page.servers(&[following.url()]).await?;
    page.give_up_after(1).await?;
    let shown = page.execute(r#"{"find":"notes"}"#).await?;
    shown.expect("not_executed", &[(&following.url(), "not_coordinator")])?;
    ensure!(shown.rows[0].text.contains("<b class=planted>"), "{shown:#?}");
    nothing_planted(&page).await?;

    let closing = FalseServer::start(status.to_string(), |_| Some(format!("{{\"type\":\"{MARKUP}"))).await?;
    page.servers(&[closing.url()]).await?;
    page.execute(r#"{"find":"notes"}"#)
        .await?
        .expect("not_executed", &[])?;
    // The view of the cluster shows the texts that the server sends about itself.
    let seen = bellwether_testkit::wait_until("the false server in the view of the cluster", async || {
        let view = page.text("#cluster").await?;
        ensure!(view.contains("<b class=planted>"), "{view}");
        Ok(())
    });
    seen.await?;
    nothing_planted(&page).await
}

/// Opens the same page from another web server, which the servers do not know.
pub(crate) async fn a_page_that_is_not_let_in_says_what_to_do(stage: &mut Stage) -> Result<()> {
    let files = FileServer::start(&page_dir()?).await?;
    let page = Page::open(&stage.browser, &files.origin()).await?;
    page.servers(&stage.cluster.urls()).await?;
    page.give_up_after(600).await?;
    let shown = page.execute(&insert("from elsewhere")).await?;
    let url = stage.url(HOST);
    shown.expect("not_executed", &[(&url, "closed")])?;
    let option = format!("--allow-origin {}", files.origin());
    ensure!(shown.reason.contains(&option), "{shown:#?}");
    ensure!(shown.hint.contains("--allow-origin"), "{shown:#?}");
    ensure!(stage.notes("from elsewhere").await? == 0);
    // The browser prints on the console that the page may not read `/status`.
    stage.browser.client().goto("about:blank").await?;
    for line in stage.browser.console().await? {
        let line = line.to_string();
        ensure!(line.contains("/status") || line.contains("CORS"), "{line}");
    }
    Ok(())
}

pub(crate) async fn the_policy_is_sent_with_everything(stage: &mut Stage) -> Result<()> {
    let port = stage.cluster.servers[HOST].port;
    for path in [
        "/",
        "/app.js",
        "/pkg/bellwether_web_client.js",
        "/nothing-here",
        "/status",
    ] {
        let headers = http_get(port, path, &[]).await?.headers.to_lowercase();
        let policy = headers
            .lines()
            .find_map(|line| line.strip_prefix("content-security-policy: "));
        let policy = policy.with_context(|| format!("{path} comes without a policy: {headers}"))?;
        let parts: Vec<&str> = policy.split("; ").collect();
        for part in [
            "default-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            ensure!(parts.contains(&part), "{path}: no {part} in {policy}");
        }
        ensure!(
            !policy.contains("'unsafe-inline'") && !policy.contains("'unsafe-eval'"),
            "{policy}"
        );
        ensure!(headers.contains("x-content-type-options: nosniff"), "{headers}");
    }
    Ok(())
}

pub(crate) async fn the_policy_holds(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.execute(r#"{"find":"notes"}"#)
        .await?
        .expect("executed", &[])?;
    let attack = r#"
        const done = arguments[0];
        const blocked = [];
        addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
        const thrown = {};
        const attempt = (name, attack) => { try { attack(); } catch (error) { thrown[name] = error.name; } };
        const element = (name, attributes) => Object.assign(document.createElement(name), attributes);
        // In a task of the page's own: a script of a driver may evaluate text.
        setTimeout(() => {
            attempt("inline", () => {
                const script = document.createElement("script");
                script.append("window.planted = 1");
                document.body.append(script);
            });
            attempt("eval", () => (0, eval)("window.planted = 1"));
            attempt("timer", () => setTimeout("window.planted = 1", 0));
            attempt("handler", () => document.body.setAttribute("onclick", "window.planted = 1"));
            attempt("markup", () => { document.createElement("p").innerHTML = "<b>x</b>"; });
            document.body.click();
            document.body.removeAttribute("onclick");
            const style = document.createElement("style");
            style.append("body { --planted: 1 }");
            document.head.append(style);
            document.body.setAttribute("style", "--planted: 1");
            document.body.append(element("img", { src: "http://127.0.0.1:9/x.png" }));
            document.body.append(element("iframe", { src: "http://127.0.0.1:9/" }));
            attempt("object", () => document.body.append(element("object", { data: "http://127.0.0.1:9/" })));
            document.head.append(element("link", { rel: "stylesheet", href: "http://127.0.0.1:9/x.css" }));
            document.head.append(element("base", { href: "http://127.0.0.1:9/" }));
        }, 0);
        setTimeout(() => done({
            blocked, thrown, ran: window.planted ?? null,
            styled: getComputedStyle(document.body).getPropertyValue("--planted"), base: document.baseURI,
        }), 200);
    "#;
    let seen = stage.browser.client().execute_async(attack, vec![]).await?;
    ensure!(seen["ran"].is_null() && seen["styled"] == "", "{seen:#}");
    ensure!(seen["base"] == stage.cluster.servers[HOST].page(), "{seen:#}");
    let blocked: Vec<&str> = seen["blocked"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for directive in [
        "style-src-elem",
        "style-src-attr",
        "img-src",
        "frame-src",
        "base-uri",
        "require-trusted-types-for",
    ] {
        ensure!(
            blocked.contains(&directive),
            "{directive} blocked nothing: {seen:#}"
        );
    }
    for attempt in ["eval", "timer", "handler", "markup", "object"] {
        ensure!(
            !seen["thrown"][attempt].is_null(),
            "{attempt} was not stopped: {seen:#}"
        );
    }
    // The browser prints so on the console, which is no fault of the page.
    for line in stage.browser.console().await? {
        let line = line.to_string();
        ensure!(
            line.contains(" from security: ")
                || line.contains("Content Security Policy")
                || line.contains("WebSocket is closed"),
            "{line}"
        );
    }
    Ok(())
}

pub(crate) async fn only_modules_of_its_own_are_loaded(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.execute(r#"{"find":"notes"}"#)
        .await?
        .expect("executed", &[])?;
    let look = "const everything = [...document.querySelectorAll('*')];
         return {
             scripts: Array.from(document.scripts, ({ type, src }) => [type, src]),
             handlers: everything.filter((element) => element.getAttributeNames().some((name) => name.startsWith('on'))).length,
             styles: everything.filter((element) => element.localName === 'style').length,
             origins: [...new Set(performance.getEntriesByType('resource').filter(({ name }) => !name.endsWith('/status'))
                 .map(({ name }) => new URL(name).origin))],
             own: location.origin,
         }";
    let seen = page.run(look, vec![]).await?;
    let scripts: Vec<(String, String)> = serde_json::from_value(seen["scripts"].clone())?;
    let own = seen["own"].as_str().unwrap_or_default();
    ensure!(!scripts.is_empty(), "{seen:#}");
    for (kind, source) in &scripts {
        ensure!(kind == "module" && source.starts_with(own), "{seen:#}");
    }
    ensure!(seen["handlers"] == 0 && seen["styles"] == 0, "{seen:#}");
    ensure!(seen["origins"] == json!([own]), "{seen:#}");
    Ok(())
}

async fn nothing_planted(page: &Page) -> Result<()> {
    let look =
        "return { elements: document.querySelectorAll('.planted').length, ran: window.planted ?? null }";
    let planted = page.run(look, vec![]).await?;
    ensure!(
        planted == json!({ "elements": 0, "ran": null }),
        "markup was taken for markup: {planted}"
    );
    Ok(())
}

pub(crate) async fn what_is_loaded_is_compressed_where_the_browser_reads_that(
    stage: &mut Stage,
) -> Result<()> {
    let port = stage.cluster.servers[HOST].port;
    let module = "/pkg/bellwether_web_client_bg.wasm";
    let plain = http_get(port, module, &[]).await?;
    let compressed = http_get(port, module, &[("Accept-Encoding", "gzip")]).await?;
    let encoded = |answer: &HttpAnswer| answer.headers.to_lowercase().contains("content-encoding: gzip");
    ensure!(!encoded(&plain), "{}", plain.headers);
    ensure!(encoded(&compressed), "{}", compressed.headers);
    for answer in [plain, compressed] {
        let headers = answer.headers.to_lowercase();
        ensure!(headers.contains("content-type: application/wasm"), "{headers}");
    }
    Ok(())
}

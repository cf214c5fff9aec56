use anyhow::{Context, Result, ensure};
use fantoccini::elements::Element;
use fantoccini::{Client, Locator};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::wait::wait_until;

/// The page of `www/`, in the tab in front of a browser, used as a person would.
#[derive(Debug)]
pub struct Page {
    client: Client,
}

/// The visible content of the page at one moment.
#[derive(Clone, Debug, Deserialize)]
pub struct Shown {
    /// `none`, `running`, `executed`, `not_executed` or `unknown`.
    pub outcome: String,
    /// The verdict in a few words.
    pub title: String,
    /// The reason of the outcome.
    pub reason: String,
    /// The advice to the user.
    pub hint: String,
    /// The command's id; empty if it has none yet.
    pub id: String,
    /// The visible buttons for an unknown outcome: `check`, `send-same`, `send-new`.
    pub again: Vec<String>,
    /// One for each server.
    pub rows: Vec<Row>,
}

/// The line of one server.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// The server's address.
    pub url: String,
    /// Its progress, or the code with which it ended.
    pub state: String,
    /// The kind of that state, shown by shape and colour.
    pub kind: String,
    /// All its text.
    pub text: String,
}

/// Script that reads [`Shown`] from the page.
const LOOK: &str = r##"
    const text = (id) => document.getElementById(id)?.textContent.trim() ?? "";
    const seen = (id) => document.getElementById(id)?.checkVisibility() ?? false;
    return {
        outcome: document.getElementById("verdict").dataset.outcome,
        title: text("verdict-title"),
        reason: text("verdict-reason"),
        hint: text("verdict-hint"),
        id: text("id"),
        again: ["check", "send-same", "send-new"].filter(seen),
        rows: Array.from(document.querySelectorAll("#tries [data-server]"), (row) => ({
            url: row.dataset.server,
            state: row.dataset.state,
            kind: row.dataset.kind,
            text: row.innerText,
        })),
    };
"##;

/// Notes every state a row takes from now on, however briefly.
const WATCH: &str = r##"
    const story = window.bellwetherStory = [];
    const last = new WeakMap();
    const note = (row, state) => {
        if (!row.dataset.server || last.get(row) === state) return;
        last.set(row, state);
        story.push([row.dataset.server, state]);
    };
    new MutationObserver((changes) => {
        const rows = new Set();
        for (const { type, target, addedNodes, oldValue } of changes) {
            if (type === "attributes") {
                // A state that was left in the same task is seen here only.
                note(target, oldValue);
                rows.add(target);
            }
            for (const node of addedNodes) {
                if (node.nodeType !== Node.ELEMENT_NODE) continue;
                for (const row of [node, ...node.querySelectorAll("[data-server]")]) rows.add(row);
            }
        }
        for (const row of rows) note(row, row.dataset.state);
    }).observe(document.getElementById("tries"), {
        subtree: true, childList: true, attributeFilter: ["data-state"], attributeOldValue: true,
    });
"##;

/// Script that tells if the client is loaded and the list of servers is complete, so that it no
/// longer changes by itself.
const READY: &str = r##"
    const isSeen = (selector) => document.querySelector(selector)?.checkVisibility() ?? false;
    return isSeen("#cluster [data-server]") || isSeen("#usual-servers");
"##;

const FILL: &str = r#"
    const [id, text] = arguments;
    const field = document.getElementById(id);
    field.value = text;
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
"#;

impl Page {
    /// Opens it from this address and waits until a command can be sent.
    ///
    /// # Errors
    /// If it does not get so far.
    pub async fn open(browser: &Browser, address: &str) -> Result<Self> {
        let client = browser.client().clone();
        client.goto(address).await?;
        let page = Self { client };
        page.ready().await?;
        Ok(page)
    }

    /// Loads it anew.
    ///
    /// # Errors
    /// As for [`Page::open`].
    pub async fn reload(&self) -> Result<()> {
        self.client.refresh().await?;
        self.ready().await
    }

    /// Waits until a command can be sent.
    ///
    /// # Errors
    /// If that does not happen.
    pub async fn ready(&self) -> Result<()> {
        wait_until("the page to be ready", async || {
            ensure!(
                self.run(READY, vec![]).await? == true,
                "no command can be sent: {}",
                self.run("return document.body?.innerText", vec![]).await?
            );
            Ok(())
        })
        .await
    }

    /// Writes the list of servers, one a line.
    ///
    /// # Errors
    /// If there is no such field.
    pub async fn servers(&self, urls: &[String]) -> Result<()> {
        self.fill("servers", &urls.join("\n")).await
    }

    /// Writes the number of seconds after which to give up.
    ///
    /// # Errors
    /// If there is no such field.
    pub async fn give_up_after(&self, seconds: u32) -> Result<()> {
        self.fill("timeout", &seconds.to_string()).await
    }

    /// Writes the command.
    ///
    /// # Errors
    /// If there is no such field.
    pub async fn write(&self, command: &str) -> Result<()> {
        self.fill("command", command).await
    }

    /// Writes a command and sends it, without waiting for the outcome.
    ///
    /// # Errors
    /// If the page does not allow it.
    pub async fn send(&self, command: &str) -> Result<()> {
        self.write(command).await?;
        self.click("#send").await
    }

    /// Writes a command, sends it and waits for the verdict.
    ///
    /// # Errors
    /// If there is none.
    pub async fn execute(&self, command: &str) -> Result<Shown> {
        self.send(command).await?;
        self.verdict().await
    }

    /// Waits until the command in progress has ended, and returns the content of the page.
    ///
    /// # Errors
    /// If it does not.
    pub async fn verdict(&self) -> Result<Shown> {
        self.until("the page's verdict", |shown| {
            let verdicts = ["executed", "not_executed", "unknown"];
            ensure!(verdicts.contains(&shown.outcome.as_str()), "there is none yet");
            Ok(())
        })
        .await
    }

    /// Waits until the page passes the check, and returns its content.
    ///
    /// # Errors
    /// If the page does not pass it.
    pub async fn until(&self, what: &str, check: impl Fn(&Shown) -> Result<()>) -> Result<Shown> {
        wait_until(what, async || {
            let shown = self.shown().await?;
            check(&shown).with_context(|| format!("the page shows {shown:#?}"))?;
            Ok(shown)
        })
        .await
    }

    /// Returns the present content of the page.
    ///
    /// # Errors
    /// If the page is not one of ours.
    pub async fn shown(&self) -> Result<Shown> {
        let shown = self.run(LOOK, vec![]).await?;
        serde_json::from_value(shown).context("a part of the page is missing")
    }

    /// Returns the visible text of the reply.
    ///
    /// # Errors
    /// If there is no place for it.
    pub async fn reply(&self) -> Result<String> {
        self.text("#result").await
    }

    /// Returns the visible text of the first element that fits.
    ///
    /// # Errors
    /// If there is none.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let text = "return document.querySelector(arguments[0]).innerText";
        let text = self.run(text, vec![json!(selector)]).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Begins to note which states the rows go through.
    ///
    /// # Errors
    /// If there is no place for them.
    pub async fn watch(&self) -> Result<()> {
        self.run(WATCH, vec![]).await.map(drop)
    }

    /// Returns the states a server's row has gone through since [`watch`](Self::watch).
    ///
    /// # Errors
    /// If [`watch`](Self::watch) was not called.
    pub async fn story_of(&self, url: &str) -> Result<Vec<String>> {
        let story = self.run("return window.bellwetherStory", vec![]).await?;
        let story: Vec<(String, String)> = serde_json::from_value(story)?;
        let of_this = story.into_iter().filter(|(server, _)| server == url);
        Ok(of_this.map(|(_, state)| state).collect())
    }

    /// Clicks on the first element that fits.
    ///
    /// # Errors
    /// If there is none, or it cannot be clicked on.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let click = async { self.find(selector).await?.click().await };
        click.await.with_context(|| format!("clicking on {selector}"))
    }

    /// Presses keys, or types text, wherever the focus is.
    ///
    /// # Errors
    /// If the browser does not do it.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let focused = self.client.active_element().await?;
        Ok(focused.send_keys(keys).await?)
    }

    /// Returns the id of the element that has the focus, or its text if it has no id.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub async fn focused(&self) -> Result<String> {
        let focused = "return document.activeElement.id || document.activeElement.textContent.trim()";
        let focused = self.run(focused, vec![]).await?;
        Ok(focused.as_str().unwrap_or_default().to_owned())
    }

    /// Returns the data that the page keeps in the browser.
    ///
    /// # Errors
    /// If that is not JSON.
    pub async fn kept(&self) -> Result<Value> {
        let kept = self
            .run("return localStorage.getItem('bellwether')", vec![])
            .await?;
        Ok(serde_json::from_str(kept.as_str().unwrap_or("null"))?)
    }

    /// Runs JavaScript in the page and returns its result.
    ///
    /// # Errors
    /// If it throws.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        Ok(self.client.execute(script, arguments).await?)
    }

    async fn fill(&self, id: &str, text: &str) -> Result<()> {
        let filled = self.run(FILL, vec![json!(id), json!(text)]).await;
        filled.map(drop).with_context(|| format!("filling in {id}"))
    }

    async fn find(&self, selector: &str) -> Result<Element, fantoccini::error::CmdError> {
        self.client.find(Locator::Css(selector)).await
    }
}

impl Shown {
    /// Returns the row of this server.
    ///
    /// # Errors
    /// If it has none.
    pub fn row(&self, url: &str) -> Result<&Row> {
        let row = self.rows.iter().find(|row| row.url == url);
        row.with_context(|| format!("no row for {url}: {self:#?}"))
    }

    /// Checks the outcome, and in which state the rows of these servers are.
    ///
    /// # Errors
    /// If one is not as expected; the error shows everything.
    pub fn expect(&self, outcome: &str, rows: &[(&str, &str)]) -> Result<()> {
        ensure!(self.outcome == outcome, "expected {outcome}: {self:#?}");
        for (url, state) in rows {
            let row = self.row(url)?;
            ensure!(row.state == *state, "expected {url} to be {state}: {self:#?}");
        }
        Ok(())
    }
}

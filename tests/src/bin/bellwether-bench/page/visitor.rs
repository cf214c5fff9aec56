use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{Browser, wait_until};
use serde::Serialize;
use serde_json::{Value, json};

/// A user who opens the page, sends commands and leaves.
pub(crate) struct Visitor {
    browser: Browser,
    page: String,
}

/// The times of one visit.
#[derive(Serialize)]
pub(crate) struct Visit {
    /// From the beginning of the navigation to the reply to the first command.
    pub(crate) load_to_executed: Duration,
    /// Time from the click to the reply, in another page, which has loaded everything and knows no
    /// coordinator.
    pub(crate) unknowing: Duration,
    /// The same for the later commands, when the page knows the coordinator.
    pub(crate) knowing: Vec<Duration>,
}

/// Added to the page before its own scripts: sends a command as soon as the page permits one, and
/// measures.
const IN_THE_PAGE: &str = r##"
(() => {
    const SERVERS = "servers of this run";
    const byId = (id) => document.getElementById(id);
    const fill = (id, text) => {
        byId(id).value = text;
        byId(id).dispatchEvent(new InputEvent("input", { bubbles: true }));
        byId(id).dispatchEvent(new Event("change", { bubbles: true }));
    };
    /// Sends an insert, and returns its duration and the time of its execution since the navigation
    /// began.
    const send = () => new Promise((resolve, reject) => {
        fill("command", '{"insert":"visits","documents":[{"text":"a visit"}]}');
        const verdict = byId("verdict");
        const observer = new MutationObserver(() => {
            const { outcome } = verdict.dataset;
            if (outcome === "running" || outcome === "none") return;
            observer.disconnect();
            const now = performance.now();
            if (outcome === "executed") resolve([now - started, now]);
            else reject(new Error(`${outcome}: ${verdict.innerText}`));
        });
        observer.observe(verdict, { attributeFilter: ["data-outcome"] });
        const started = performance.now();
        byId("send").click();
    });
    const when = (isSo) => new Promise((resolve) => {
        const observer = new MutationObserver(() => {
            if (!isSo()) return;
            observer.disconnect();
            fill("servers", SERVERS);
            resolve();
        });
        observer.observe(document, { subtree: true, childList: true, characterData: true });
    });
    // The page's own scripts have written there, so they listen, too.
    const hasStarted = when(() => byId("verdict-title")?.textContent);
    // That takes the client, and an answer of the server.
    const hasLoaded = when(() => document.querySelector("#cluster [data-role]:not([data-role=asking])"));
    const hurried = location.hash === "#hurried" ? hasStarted.then(send) : null;
    const hurry = async () => (await hurried)[1];
    const wait = async (commands) => {
        await hasLoaded;
        const times = [];
        for (let command = 0; command <= commands; command += 1) times.push((await send())[0]);
        return times;
    };
    let sending = null;
    const begin = () => {
        let longest = 0;
        let goOn = true;
        const ended = (async () => {
            while (goOn) longest = Math.max(longest, (await send())[0]);
            return longest;
        })();
        sending = () => { goOn = false; return ended; };
    };
    window.bellwetherVisit = { hurry, wait, begin, end: () => sending() };
})();
"##;

impl Visitor {
    /// Starts a browser for this page, with this list of servers.
    pub(crate) async fn start(page: &str, servers: Vec<String>) -> Result<Self> {
        let browser = Browser::start().await?;
        let disabled = json!({ "cacheDisabled": true });
        browser.devtools("Network.enable", json!({})).await?;
        browser.devtools("Network.setCacheDisabled", disabled).await?;
        let servers = Value::from(servers.join("\n")).to_string();
        let source = IN_THE_PAGE.replace(r#""servers of this run""#, &servers);
        let added = json!({ "source": source });
        browser
            .devtools("Page.addScriptToEvaluateOnNewDocument", added)
            .await?;
        Ok(Self {
            browser,
            page: page.to_owned(),
        })
    }

    /// Opens the page and sends a command at once. Then opens it again, lets it load, and sends one
    /// command and `commands` more.
    pub(crate) async fn visit(&self, commands: u32) -> Result<Visit> {
        let millis = |time: f64| Duration::from_secs_f64(time / 1000.0);
        self.open("#hurried").await?;
        let loaded = self.ask("bellwetherVisit.hurry()", vec![]).await?;
        let loaded = loaded.as_f64().context("a time")?;
        self.open("").await?;
        let wait = "bellwetherVisit.wait(arguments[0])";
        let times: Vec<f64> = serde_json::from_value(self.ask(wait, vec![json!(commands)]).await?)?;
        let (unknowing, knowing) = times.split_first().context("no command was sent")?;
        Ok(Visit {
            load_to_executed: millis(loaded),
            unknowing: millis(*unknowing),
            knowing: knowing.iter().copied().map(millis).collect(),
        })
    }

    /// Opens the page as if for the first time.
    async fn open(&self, fragment: &str) -> Result<()> {
        let client = self.browser.client();
        client.goto("about:blank").await?;
        let everything = json!({ "origin": self.page, "storageTypes": "all" });
        self.browser
            .devtools("Storage.clearDataForOrigin", everything)
            .await?;
        Ok(client.goto(&format!("{}{fragment}", self.page)).await?)
    }

    /// Sends one command after the other from now on.
    pub(crate) async fn begin_to_send(&self) -> Result<()> {
        self.ask("bellwetherVisit.begin()", vec![]).await.map(drop)
    }

    /// Stops that, and returns the duration of the longest command.
    pub(crate) async fn longest_sent(&self) -> Result<Duration> {
        let longest = self.ask("bellwetherVisit.end()", vec![]).await?;
        let longest = longest.as_f64().context("no command was sent")?;
        Ok(Duration::from_secs_f64(longest / 1000.0))
    }

    /// Returns the paths of all files the page has loaded.
    pub(crate) async fn loaded(&self) -> Result<Vec<String>> {
        let loaded =
            "Array.from(performance.getEntriesByType('resource'), ({ name }) => new URL(name).pathname)
             .filter((path) => path !== '/status')";
        let mut loaded: Vec<String> = serde_json::from_value(self.ask(loaded, vec![]).await?)?;
        loaded.push("/index.html".into());
        loaded.sort();
        loaded.dedup();
        Ok(loaded)
    }

    pub(crate) async fn close(self) -> Result<()> {
        self.browser.close().await
    }

    /// Returns the value of an expression in the page.
    async fn ask(&self, expression: &str, arguments: Vec<Value>) -> Result<Value> {
        // A driver's script has a limit of 30 s, which commands under faults may exceed.
        let start = format!(
            "window.asked = null;
             Promise.resolve({expression}).then((value) => {{ asked = {{ value }}; }}, (error) => {{ asked = {{ error: String(error) }}; }})"
        );
        let client = self.browser.client();
        client.execute(&start, arguments).await?;
        let asked = wait_until("the page's answer", async || {
            let asked = client.execute("return window.asked", vec![]).await?;
            ensure!(!asked.is_null(), "{expression} is not done");
            Ok(asked)
        })
        .await?;
        ensure!(asked["error"].is_null(), "{expression}: {}", asked["error"]);
        Ok(asked["value"].clone())
    }
}

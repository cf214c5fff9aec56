use std::fmt;

use anyhow::{Context, Result};
use bellwether_programs::on_path;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::http::Method;
use url::{ParseError, Url};

use crate::console::ConsoleLine;
use crate::ports::free_ports;
use crate::process::{Process, Recipe};
use crate::wait::wait_until;

/// A headless Chromium with a profile of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    // Dropped last to first: the driver ends before its directory is removed.
    _driver: Process,
    _dir: TempDir,
}

impl Browser {
    /// Starts it.
    ///
    /// # Errors
    /// If there is no `chromedriver`, or it does not start a browser.
    pub async fn start() -> Result<Self> {
        let program = on_path("chromedriver").context("no chromedriver: run `cargo xtask provision`")?;
        let dir = TempDir::with_prefix("bellwether-browser-")?;
        let port = free_ports(1)?[0];
        let mut driver = Process::start(Recipe {
            name: "chromedriver".into(),
            launcher: Vec::new(),
            program,
            args: vec![format!("--port={port}").into()],
            log: dir.path().join("chromedriver.log"),
        })?;
        let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
        let args = [
            "--headless=new",
            // Containers forbid actions that Chromium's sandbox needs, and often have a small
            // /dev/shm.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            // Without it, a browser whose driver was killed would never end.
            "--remote-debugging-pipe",
            "--hide-scrollbars",
            &profile,
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities = capabilities.as_object().cloned().unwrap_or_default();
        let client = wait_until("the browser to start", async || {
            driver.expect_running()?;
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            Ok(builder.connect(&format!("http://127.0.0.1:{port}")).await?)
        })
        .await?;
        Ok(Self {
            client,
            _driver: driver,
            _dir: dir,
        })
    }

    /// Returns the client that drives the tab in front.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Closes all tabs and opens a new one, without any emulation. Forgets the stored data of these
    /// origins' pages and the lines of the console.
    ///
    /// # Errors
    /// If the browser does not do it.
    pub async fn start_afresh(&self, origins: &[String]) -> Result<()> {
        let old = self.client.windows().await?;
        let new = self.client.new_window(true).await?.handle;
        for window in old {
            self.client.switch_to_window(window).await?;
            self.client.close_window().await?;
        }
        self.client.switch_to_window(new).await?;
        for origin in origins {
            let everything = json!({ "origin": origin, "storageTypes": "all" });
            self.devtools("Storage.clearDataForOrigin", everything).await?;
        }
        self.console().await?;
        Ok(())
    }

    /// Returns the lines that the pages of all tabs, or the browser for them, have printed on the
    /// console since the last call.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub async fn console(&self) -> Result<Vec<ConsoleLine>> {
        let lines = self.post("se/log", json!({ "type": "browser" })).await?;
        Ok(serde_json::from_value(lines)?)
    }

    /// Sends a command of the Chrome DevTools Protocol to the tab in front.
    ///
    /// # Errors
    /// If the browser refuses it.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let body = json!({ "cmd": command, "params": parameters });
        let done = self.post("goog/cdp/execute", body).await;
        done.with_context(|| format!("the command {command} to Chromium"))
    }

    /// Has the tab in front believe that the user prefers these, such as `("prefers-color-scheme",
    /// "dark")`.
    ///
    /// # Errors
    /// If the browser does not know one of them.
    pub async fn prefer(&self, features: &[(&str, &str)]) -> Result<()> {
        let features: Vec<Value> = features
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features }))
            .await?;
        Ok(())
    }

    /// Gives the tab in front a screen of this size in CSS pixels, each of `scale` × `scale` real
    /// ones.
    ///
    /// # Errors
    /// If the browser does not do it.
    pub async fn resize(&self, width: u32, height: u32, scale: f64, phone: bool) -> Result<()> {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await?;
        Ok(())
    }

    /// Takes the tab in front off the network, or puts it back.
    ///
    /// # Errors
    /// If the browser does not do it.
    pub async fn set_offline(&self, offline: bool) -> Result<()> {
        self.devtools("Network.enable", json!({})).await?;
        let conditions =
            json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.emulateNetworkConditions", conditions)
            .await?;
        Ok(())
    }

    /// Ends the browser in order.
    ///
    /// # Errors
    /// If it does not answer any more.
    pub async fn close(self) -> Result<()> {
        Ok(self.client.close().await?)
    }

    /// Sends a command of chromedriver's own.
    async fn post(&self, path: &'static str, body: Value) -> Result<Value> {
        Ok(self.client.issue_cmd(Post { path, body }).await?)
    }
}

struct Post {
    path: &'static str,
    body: Value,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "POST {}", self.path)
    }
}

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{
    Browser, Case, Cluster, ClusterOptions, FailPoint, Page, ReplicaSet, Shown, page_dir, unless_stalled,
};
use bson::{Document, doc};
use tempfile::TempDir;

/// Holds a transaction before its commit.
const HOLD_COMMIT: &str = "hangBeforeCommitingTxn";

/// The browser and the cluster.
pub(crate) struct Stage {
    // Dropped in this order.
    pub(crate) browser: Browser,
    pub(crate) cluster: Cluster,
    pub(crate) set: ReplicaSet,
    /// The servers that the browser may complain about.
    troubled: Vec<String>,
    _logs: TempDir,
}

/// The server whose number is the largest.
pub(crate) const COORDINATOR: usize = 2;
/// The one that takes over from it.
pub(crate) const SUCCESSOR: usize = 1;
/// The server that the page comes from.
pub(crate) const HOST: usize = 0;

impl bellwether_testkit::Stage for Stage {
    async fn start() -> Result<Self> {
        let set = ReplicaSet::start(3).await?;
        let logs = TempDir::with_prefix("bellwether-logs-")?;
        let cluster = Cluster::start_with(ClusterOptions {
            numbers: vec![1, 2, 3],
            www: Some(page_dir()?),
            logs: Some(logs.path().to_path_buf()),
            ..ClusterOptions::steady(set.uri())
        })
        .await?;
        Ok(Self {
            browser: Browser::start().await?,
            cluster,
            set,
            troubled: Vec::new(),
            _logs: logs,
        })
    }

    async fn play(&mut self, case: Case<Self>) -> Result<()> {
        unless_stalled(async || self.play_once(case).await).await
    }

    async fn end(self) -> Result<()> {
        self.browser.close().await
    }
}

impl Stage {
    /// Plays a case with everything in order, and looks at the console after it.
    async fn play_once(&mut self, case: Case<Self>) -> Result<()> {
        self.tidy_up().await.context("preparing the case")?;
        let played = case(self).await;
        let console = self.browser.console().await.context("reading the console")?;
        let alarms: Vec<String> = console
            .iter()
            .filter(|line| line.is_alarming(&self.troubled))
            .map(ToString::to_string)
            .collect();
        let quiet = || {
            ensure!(alarms.is_empty(), "on the console: {alarms:#?}");
            Ok(())
        };
        if let Err(error) = played.and_then(|()| quiet()) {
            let page = self
                .browser
                .client()
                .execute("return document.body.innerText", vec![])
                .await;
            let page = page.map_or_else(
                |error| error.to_string(),
                |text| text.as_str().unwrap_or_default().to_owned(),
            );
            return Err(error.context(format!("alarms: {alarms:#?}\n--- the page ---\n{page}\n---")));
        }
        Ok(())
    }

    async fn tidy_up(&mut self) -> Result<()> {
        let release = doc! { "configureFailPoint": HOLD_COMMIT, "mode": "off" };
        self.set.client().database("admin").run_command(release).await?;
        for server in &mut self.cluster.servers {
            if server.process.is_paused() || !server.process.is_running() {
                server.process.restart()?;
            }
        }
        let agreement = self.cluster.all_agree().await?;
        ensure!(agreement.coordinator == COORDINATOR, "{agreement:?}");
        // Those of the same case, if it is played again.
        let notes = self.set.client().database("app").collection::<Document>("notes");
        notes.delete_many(doc! {}).await?;
        self.troubled.clear();
        let origins: Vec<String> = self.cluster.servers.iter().map(|server| server.page()).collect();
        self.browser.start_afresh(&origins).await
    }

    /// Opens the page with the list of all servers.
    pub(crate) async fn open(&self) -> Result<Page> {
        self.open_for(self.cluster.urls()).await
    }

    /// Opens the page with a list of its own.
    pub(crate) async fn open_for(&self, servers: impl AsRef<[String]>) -> Result<Page> {
        let page = Page::open(&self.browser, &self.cluster.servers[HOST].page()).await?;
        page.servers(servers.as_ref()).await?;
        page.watch().await?;
        Ok(page)
    }

    pub(crate) fn url(&self, server: usize) -> String {
        self.cluster.servers[server].url()
    }

    /// Permits, from now on, the browser's messages that this server cannot be reached.
    pub(crate) fn expect_trouble_at(&mut self, url: &str) {
        let host = url.trim_start_matches("ws://").trim_end_matches("/v1");
        self.troubled.push(host.to_owned());
    }

    pub(crate) fn kill(&mut self, server: usize) -> Result<()> {
        self.expect_trouble_at(&self.url(server));
        self.cluster.servers[server].process.kill()
    }

    pub(crate) fn pause(&mut self, server: usize) -> Result<()> {
        self.expect_trouble_at(&self.url(server));
        self.cluster.servers[server].process.pause()
    }

    pub(crate) fn resume(&mut self, server: usize) -> Result<()> {
        self.cluster.servers[server].process.resume()
    }

    /// Holds every transaction before its commit, until it is switched off.
    pub(crate) async fn hold_commits(&self) -> Result<FailPoint> {
        FailPoint::on(self.set.client(), HOLD_COMMIT, doc! {}).await
    }

    /// Counts the documents of this text in `notes`.
    pub(crate) async fn notes(&self, text: &str) -> Result<u64> {
        let notes = self.set.client().database("app").collection::<Document>("notes");
        Ok(notes.count_documents(doc! { "text": text }).await?)
    }
}

/// Inserts a document with this text into `notes`.
pub(crate) fn insert(text: &str) -> String {
    format!(r#"{{"insert":"notes","documents":[{{"text":"{text}"}}]}}"#)
}

/// Checks that the page has found no server at this address. Its last attempt there may have been
/// in progress when the time was up.
pub(crate) async fn expect_unreachable(page: &Page, shown: &Shown, url: &str) -> Result<()> {
    let row = shown.row(url)?;
    let story = page.story_of(url).await?;
    let last = ["unreachable", "connect_timeout"].contains(&row.state.as_str());
    ensure!(
        last && row.kind == "failed" && story.iter().any(|state| state == "unreachable"),
        "expected {url} to be unreachable, and it was {story:?}: {shown:#?}"
    );
    Ok(())
}

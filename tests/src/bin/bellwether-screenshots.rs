//! Makes the pictures of the page that the documentation shows: a real cluster, a real browser, and
//! the page used as in its tests. `cargo xtask screenshots` builds this together with the programs
//! it starts, and runs it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{
    Browser, Cluster, ClusterOptions, FailPoint, Page, ReplicaSet, page_dir, wait_until,
};
use bson::doc;
use clap::Parser;
use tempfile::TempDir;

/// Makes the pictures of the page.
#[derive(Parser)]
struct Options {
    /// The directory for light.png, dark.png, phone.png and failover.png
    directory: PathBuf,
}

/// The server that the page comes from, the one that takes over, and the one with the largest
/// number.
const NUMBERS: [u64; 3] = [
    4_302_116_874_990_318_267,
    9_870_213_554_801_276_493,
    15_667_421_093_318_542_908,
];
const HOST: usize = 0;
const SUCCESSOR: usize = 1;
const COORDINATOR: usize = 2;

const INSERT: &str = r#"{
  "insert": "notes",
  "documents": [
    { "text": "Feed the sheep", "stars": 5, "tags": ["farm", "daily"] },
    { "text": "Mend the fence", "stars": 3, "tags": ["farm"] },
    { "text": "Ring the bell", "stars": 4, "at": { "$date": "2026-03-01T07:30:00Z" } }
  ]
}"#;

const FIND: &str = r#"{
  "find": "notes",
  "filter": { "stars": { "$gte": 4 } },
  "sort": { "stars": -1 },
  "limit": 10
}"#;

const UPDATE: &str = r#"{
  "update": "notes",
  "updates": [
    { "q": { "text": "Mend the fence" }, "u": { "$inc": { "stars": 1 } } }
  ]
}"#;

const AGGREGATE: &str = r#"{
  "aggregate": "notes",
  "pipeline": [
    { "$group": { "_id": "$stars", "notes": { "$sum": 1 } } },
    { "$sort": { "_id": -1 } }
  ],
  "cursor": {}
}"#;

#[tokio::main]
async fn main() -> Result<()> {
    let Options { directory } = Options::parse();
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let set = ReplicaSet::start(3).await?;
    let logs = TempDir::with_prefix("bellwether-screenshots-")?;
    let cluster = Cluster::start_with(ClusterOptions {
        numbers: NUMBERS.to_vec(),
        www: Some(page_dir()?),
        logs: Some(logs.path().to_path_buf()),
        ..ClusterOptions::new(set.uri())
    })
    .await?;
    let browser = Browser::start().await?;
    let mut photographer = Photographer {
        directory,
        browser,
        cluster,
        set,
    };
    photographer.light_and_dark().await?;
    photographer.phone().await?;
    photographer.failover().await?;
    photographer.browser.close().await
}

struct Photographer {
    directory: PathBuf,
    // Dropped in this order.
    browser: Browser,
    cluster: Cluster,
    set: ReplicaSet,
}

impl Photographer {
    async fn light_and_dark(&self) -> Result<()> {
        let page = self.open((1280, 1000), 1.0, false).await?;
        for command in [INSERT, UPDATE, AGGREGATE, FIND] {
            page.execute(command).await?.expect("executed", &[])?;
        }
        self.take("light", "light.png").await?;
        self.take("dark", "dark.png").await
    }

    async fn phone(&self) -> Result<()> {
        let page = self.open((390, 844), 2.0, true).await?;
        page.execute(AGGREGATE).await?.expect("executed", &[])?;
        self.take_from("#verdict", "light", "phone.png").await
    }

    /// Takes pictures of a failover: the coordinator has died with the command, and its successor
    /// has the command now.
    async fn failover(&mut self) -> Result<()> {
        let page = self.open((1280, 1000), 1.0, false).await?;
        page.execute(FIND).await?.expect("executed", &[])?;
        // Once, so that the successor can become coordinator.
        let commit = doc! {
            "failCommands": ["commitTransaction"],
            "appName": "bellwether",
            "blockConnection": true,
            "blockTimeMS": 60_000,
        };
        let first = FailPoint::times(self.set.client(), "failCommand", 1, commit).await?;
        page.send(UPDATE).await?;
        first.entered().await?;
        let update = doc! { "nss": "app.notes" };
        let second = FailPoint::on(self.set.client(), "hangDuringBatchUpdate", update).await?;
        self.cluster.servers[COORDINATOR].process.kill()?;
        let successor = self.cluster.servers[SUCCESSOR].url();
        page.until("the successor to have the command", |shown| {
            shown.expect("running", &[(&successor, "sent")])
        })
        .await?;
        // The page looks at the cluster every now and then.
        let expected =
            format!("return document.querySelector(`#cluster [data-server='{successor}']`).dataset.role");
        wait_until("the view of the cluster", async || {
            let role = page.run(&expected, vec![]).await?;
            ensure!(role == "coordinator", "the successor is shown as {role}");
            Ok(())
        })
        .await?;
        self.take("light", "failover.png").await?;
        second.off().await?;
        page.verdict().await?.expect("executed", &[])
    }

    /// Opens the page on a screen of this size, as a user who returns to the page.
    async fn open(&self, (width, height): (u32, u32), scale: f64, phone: bool) -> Result<Page> {
        self.browser.start_afresh(&[]).await?;
        self.browser.resize(width, height, scale, phone).await?;
        self.browser.prefer(&[("prefers-color-scheme", "light")]).await?;
        let page = Page::open(&self.browser, &self.cluster.servers[HOST].page()).await?;
        page.servers(&self.cluster.urls()).await?;
        Ok(page)
    }

    async fn take(&self, scheme: &str, name: &str) -> Result<()> {
        self.take_from("body", scheme, name).await
    }

    /// Takes a picture of the view in which this element is scrolled to the top.
    async fn take_from(&self, top: &str, scheme: &str, name: &str) -> Result<()> {
        let still = ("prefers-reduced-motion", "reduce");
        self.browser
            .prefer(&[("prefers-color-scheme", scheme), still])
            .await?;
        let client = self.browser.client();
        // A caret, or a ring around the element of the last click, would make another picture every
        // time.
        let tidy = "document.activeElement.blur();
             const { top } = document.querySelector(arguments[0]).getBoundingClientRect();
             scrollBy(0, top - 24);";
        client.execute(tidy, vec![top.into()]).await?;
        let path = self.directory.join(Path::new(name));
        fs::write(&path, client.screenshot().await?)
            .with_context(|| format!("writing {}", path.display()))?;
        eprintln!("{}", path.display());
        Ok(())
    }
}

//! The page suits different users and devices: axe finds no violation, and a screen reader
//! announces each change. A phone is wide enough, and nothing moves for users who prefer no motion.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{DeafServer, Page, ReplyCutter, node_packages};
use serde_json::{Value, json};

use crate::stage::{COORDINATOR, SUCCESSOR, Stage, insert};

/// Width of the narrowest screen that a page must fit on.
const NARROWEST: u32 = 320;

pub(crate) async fn nothing_sent_yet(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    inspect(stage, &page).await
}

pub(crate) async fn under_way(stage: &mut Stage) -> Result<()> {
    let deaf = DeafServer::start().await?;
    stage.expect_trouble_at(&deaf.url());
    let page = stage.open_for([deaf.url()]).await?;
    page.give_up_after(600).await?;
    page.send(&insert("under way")).await?;
    page.until("the server to be tried", |shown| {
        shown.expect("running", &[])?;
        ensure!(!shown.rows.is_empty());
        Ok(())
    })
    .await?;
    inspect(stage, &page).await?;
    page.click("#cancel").await?;
    page.verdict().await.map(drop)
}

pub(crate) async fn executed(stage: &mut Stage) -> Result<()> {
    stage.kill(SUCCESSOR)?;
    let page = stage.open().await?;
    let long = "x".repeat(300);
    let document = json!({ "text": long, "list": [1, true, null, { "deep": { "deeper": [long] } }] });
    let insert = json!({ "insert": "wide", "documents": [document, {}, {}] });
    page.execute(&insert.to_string()).await?.expect("executed", &[])?;
    page.execute(r#"{"find":"wide"}"#)
        .await?
        .expect("executed", &[])?;
    inspect(stage, &page).await
}

pub(crate) async fn bad_json(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.execute(r#"{"find":}"#).await?.expect("not_executed", &[])?;
    inspect(stage, &page).await
}

pub(crate) async fn refused(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    page.execute(r#"{"dropDatabase":1}"#)
        .await?
        .expect("not_executed", &[])?;
    inspect(stage, &page).await
}

pub(crate) async fn unknown(stage: &mut Stage) -> Result<()> {
    let cutter = ReplyCutter::of_all(stage.url(COORDINATOR)).await?;
    stage.expect_trouble_at(&cutter.url());
    let page = stage.open_for([cutter.url()]).await?;
    page.give_up_after(1).await?;
    page.execute(&insert("is it there?"))
        .await?
        .expect("unknown", &[])?;
    inspect(stage, &page).await
}

pub(crate) async fn verdict_and_rows_are_announced(stage: &mut Stage) -> Result<()> {
    let page = stage.open().await?;
    // A screen reader does not announce a region that is replaced as a whole, so both must stay.
    let mark = "const region = (id, role) => document.getElementById(id).closest(`[role=${role}]`);
         window.regions = [region('verdict', 'status'), region('tries', 'log')];
         window.heard = [[], []];
         for (const [place, region] of window.regions.entries()) {
             new MutationObserver(() => window.heard[place].push(region.innerText))
                 .observe(region, { subtree: true, childList: true, characterData: true });
         }
         return window.regions.map((region) => region !== null)";
    ensure!(
        page.run(mark, vec![]).await? == json!([true, true]),
        "a role is missing"
    );
    page.execute(&insert("heard")).await?.expect("executed", &[])?;
    page.execute(r#"{"dropDatabase":1}"#)
        .await?
        .expect("not_executed", &[])?;
    let heard = "return { heard: window.heard, same: document.getElementById('verdict').closest('[role=status]') === window.regions[0]
             && document.getElementById('tries').closest('[role=log]') === window.regions[1],
             hidden: window.regions.some((region) => region.closest('[aria-hidden=true], [hidden]')) }";
    let heard = page.run(heard, vec![]).await?;
    ensure!(heard["same"] == true && heard["hidden"] == false, "{heard:#}");
    let said = |place: usize, what: &str| {
        let texts = heard["heard"][place].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).any(|text| text.contains(what))
    };
    ensure!(said(0, "Executed") && said(0, "Not executed"), "{heard:#}");
    ensure!(said(1, "s3"), "{heard:#}");
    Ok(())
}

pub(crate) async fn states_differ_without_colour(stage: &mut Stage) -> Result<()> {
    stage.kill(SUCCESSOR)?;
    let page = stage
        .open_for([stage.url(SUCCESSOR), stage.url(COORDINATOR)])
        .await?;
    page.execute(&insert("shapes")).await?.expect("executed", &[])?;
    let look = "return Array.from(document.querySelectorAll('#tries [data-server]'), (row) => ({
             icon: row.querySelector('use')?.getAttribute('href') ?? '', text: row.innerText,
         }))";
    let rows = page.run(look, vec![]).await?;
    let rows = rows.as_array().context("rows")?;
    ensure!(rows.len() == 2 && rows[0]["icon"] != rows[1]["icon"], "{rows:#?}");
    ensure!(rows.iter().all(|row| row["icon"] != ""), "{rows:#?}");
    Ok(())
}

pub(crate) async fn nothing_moves_for_who_does_not_want_it(stage: &mut Stage) -> Result<()> {
    let deaf = DeafServer::start().await?;
    stage.expect_trouble_at(&deaf.url());
    let page = stage.open_for([deaf.url()]).await?;
    page.give_up_after(600).await?;
    page.send(&insert("still")).await?;
    page.until("the server to be tried", |shown| shown.expect("running", &[]))
        .await?;
    // An animation that ends within a frame does not move.
    let moving = "return document.getAnimations().filter((animation) => {
             const { duration, iterations } = animation.effect.getComputedTiming();
             return animation.playState === 'running' && duration * iterations > 20;
         }).length";
    stage
        .browser
        .prefer(&[("prefers-reduced-motion", "no-preference")])
        .await?;
    ensure!(
        page.run(moving, vec![]).await? != 0,
        "nothing shows that it works"
    );
    stage
        .browser
        .prefer(&[("prefers-reduced-motion", "reduce")])
        .await?;
    let still = page.run(moving, vec![]).await?;
    ensure!(still == 0, "{still} things move");
    page.click("#cancel").await?;
    page.verdict().await.map(drop)
}

/// Inspects the page as it is now in light and dark, on a large screen and on small ones.
async fn inspect(stage: &Stage, page: &Page) -> Result<()> {
    page.run(&axe().await?, vec![]).await.context("loading axe")?;
    for scheme in ["light", "dark"] {
        stage.browser.prefer(&[("prefers-color-scheme", scheme)]).await?;
        for (width, height) in [(1280, 900), (390, 844), (NARROWEST, 640)] {
            stage.browser.resize(width, height, 1.0, width < 500).await?;
            let place = format!("{scheme}, {width} pixels wide");
            fits(page, width).await.with_context(|| place.clone())?;
            objections(stage).await.with_context(|| place)?;
        }
    }
    Ok(())
}

async fn fits(page: &Page, width: u32) -> Result<()> {
    let look = "return {
             width: document.scrollingElement.scrollWidth,
             beyond: Array.from(document.querySelectorAll('body *')).filter((element) =>
                 element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1)
                 .map((element) => element.id || element.className || element.localName).slice(0, 10),
         }";
    let seen = page.run(look, vec![]).await?;
    ensure!(
        seen["width"]
            .as_u64()
            .is_some_and(|needed| needed <= u64::from(width)),
        "it has to be scrolled sideways: {seen}"
    );
    Ok(())
}

async fn objections(stage: &Stage) -> Result<()> {
    // Colours during the change from one scheme to the other are not chosen by anyone.
    let run = "const done = arguments[0];
         const changing = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
         Promise.allSettled(changing.map(({ finished }) => finished))
             .then(() => axe.run(document, { resultTypes: ['violations'] })).then(
             ({ violations, passes }) => done({ passes: passes.length, violations: violations.map(({ id, help, nodes }) =>
                 ({ id, help, nodes: nodes.map(({ html, failureSummary }) => [html, failureSummary]) })) }),
             (error) => done({ error: String(error) }))";
    let report = stage.browser.client().execute_async(run, vec![]).await?;
    ensure!(report["error"].is_null(), "axe failed: {report:#}");
    // It looked at something.
    ensure!(report["passes"].as_u64() > Some(10), "{report:#}");
    ensure!(report["violations"] == json!([]), "axe objects: {report:#}");
    Ok(())
}

/// Returns the program of axe-core, which comes from npm and stays in cargo's target directory.
async fn axe() -> Result<String> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/package.json");
    let packages = node_packages(&packages).await?;
    let program = packages.join("node_modules/axe-core/axe.min.js");
    fs::read_to_string(&program).with_context(|| format!("reading {}", program.display()))
}

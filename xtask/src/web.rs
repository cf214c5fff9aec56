//! The browser client as an npm package.

mod compile;
mod module;
mod names;
mod package;
mod size;
mod tools;

use anyhow::Result;

use self::size::Sizes;
use self::tools::Tools;
use crate::provision;
use crate::step::say;

/// What the module is called, and its JavaScript.
const NAME: &str = "bellwether_web_client";

/// Builds the npm package of the browser client into `www/pkg`, from where the page loads it, too.
pub(crate) async fn build() -> Result<Sizes> {
    provision::wasm_target().await?;
    let tools = Tools::find().await;
    let made = module::make(&tools).await?;
    let package = package::assemble(&made.dir, &tools).await?;
    let sizes = Sizes::of(&package, made.small)?;
    say(format_args!("page: www/pkg is up to date\n{sizes}"));
    Ok(sizes)
}

/// Builds it and expects it to be small.
pub(crate) async fn build_small() -> Result<()> {
    build().await?.expect_small()
}

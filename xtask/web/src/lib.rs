//! The browser client as an npm package. `cargo xtask web` is this, and so is the program
//! `xtask-web`, for where nothing else of the project's own commands is needed: the image's build.

mod compile;
mod module;
mod names;
mod package;
mod size;
mod tools;

use anyhow::Result;
use bellwether_programs::{say, wasm_target};

use self::tools::Tools;

pub use self::size::Sizes;

/// Name of the module, and of its JavaScript.
const NAME: &str = "bellwether_web_client";

/// Builds the npm package of the browser client into `www/pkg`, from where the page loads it, too.
pub async fn build() -> Result<Sizes> {
    wasm_target().await?;
    let tools = Tools::find().await;
    let made = module::make(&tools).await?;
    let package = package::assemble(&made.dir, &tools).await?;
    let sizes = Sizes::of(&package, made.small)?;
    say(format_args!("page: www/pkg is up to date\n{sizes}"));
    Ok(sizes)
}

/// Builds it and expects it to be small.
pub async fn build_small() -> Result<()> {
    build().await?.expect_small()
}

//! Gets the programs that a fresh machine lacks. Everything goes into cargo's target directory or
//! through the system's own package manager. An error names each unavailable program together with
//! the way to supply it.

pub(crate) mod apt;
mod cargo_deny;
mod docker;
mod kubernetes_validate;
mod mongod;
mod node;
mod python;
mod second_mongod;
mod wheel;

use anyhow::{Result, bail};

pub(crate) use apt::{browser, cxx, faketime};
pub(crate) use bellwether_programs::{Missing, rust_src, target, toolchain, wasm_target};
pub(crate) use cargo_deny::cargo_deny;
pub(crate) use docker::docker;
pub(crate) use kubernetes_validate::kubernetes_validate;
pub(crate) use mongod::mongod;
pub(crate) use node::{node, packages};
pub(crate) use python::python;
pub(crate) use second_mongod::second_mongod;

use crate::step::say;

/// Gets everything that any of the commands needs.
pub(crate) async fn everything() -> Result<()> {
    faketime().await;
    let got = [
        mongod().await,
        second_if_possible().await,
        wasm_target().await,
        browser().await,
        if_possible(rust_src().await),
        if_possible(packages().await),
        python_if_possible().await,
    ];
    let failures: Vec<String> = got
        .into_iter()
        .filter_map(|got| Some(format!("{:#}", got.err()?)))
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        bail!(failures.join("\n\n"))
    }
}

/// Turns a missing tool into a message. Without the tool the browser client is larger, and its
/// package goes untested; everything else works.
fn if_possible(got: Result<()>) -> Result<()> {
    match got {
        Err(error) if error.is::<Missing>() => {
            say(format_args!("the browser client goes without: {error}"));
            Ok(())
        }
        got => got,
    }
}

/// Gets the second MongoDB, or prints a message: only `cargo xtask test-mongodb` needs it.
async fn second_if_possible() -> Result<()> {
    if let Err(error) = second_mongod().await {
        say(format_args!("no second MongoDB: {error:#}"));
    }
    Ok(())
}

/// Gets Python, or prints a message. Without it the Python client goes untested; everything else
/// works.
async fn python_if_possible() -> Result<()> {
    match python().await {
        Err(error) if error.is::<Missing>() => {
            say(format_args!("no packages for the Python client: {error}"));
            Ok(())
        }
        got => got,
    }
}

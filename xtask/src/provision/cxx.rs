use std::env;

use anyhow::{Context, Result};
use bellwether_programs::Missing;
use bellwether_programs::on_path;

use super::apt;
use crate::step::say;

/// Makes sure that there is a C++ compiler, for libFuzzer.
pub(crate) async fn cxx() -> Result<()> {
    if env::var_os("CXX").is_some() || on_path("c++").is_some() {
        say(format_args!("C++ compiler: installed"));
        return Ok(());
    }
    say(format_args!("C++ compiler: missing. The fuzzer is made with it."));
    let installed = apt::install(&["g++"]).await;
    installed.with_context(|| Missing("a C++ compiler is needed; install g++ or clang++".to_owned()))
}

//! Programs and libraries that come as packages of Debian.

use std::{env, fs};

use anyhow::{Context, Result, ensure};
use bellwether_programs::{Missing, installed_faketime, on_path};

use crate::step::{command, run, say};

/// Installs packages on Debian, if this program may.
pub(crate) async fn install(packages: &[&str]) -> Result<()> {
    let named = packages.join(" ");
    // Ubuntu has most of Debian's packages, but its Chromium is a snap, which does not run
    // everywhere.
    let debian =
        fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == "ID=debian"));
    ensure!(
        debian && on_path("apt-get").is_some(),
        "installing packages by itself works on Debian only"
    );
    ensure!(
        nix::unistd::geteuid().is_root(),
        "as root, run: apt-get install {named}"
    );
    say(format_args!("    Installing with apt-get: {named}"));
    let apt = || {
        let mut apt = command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    run(apt().args(["update", "-qq"])).await?;
    run(apt()
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
    .await
}

/// Makes sure that there is a C++ compiler, for libFuzzer.
pub(crate) async fn cxx() -> Result<()> {
    if env::var_os("CXX").is_some() || on_path("c++").is_some() {
        say(format_args!("C++ compiler: installed"));
        return Ok(());
    }
    say(format_args!("C++ compiler: missing. The fuzzer is made with it."));
    let installed = install(&["g++"]).await;
    installed.with_context(|| Missing("a C++ compiler is needed; install g++ or clang++".to_owned()))
}

/// Gets libfaketime, by which wall clocks of servers can be made to jump. Without it everything
/// else can be done.
pub(crate) async fn faketime() {
    if installed_faketime().is_some() {
        return say(format_args!("libfaketime: installed"));
    }
    say(format_args!(
        "libfaketime: missing. Wall clocks of servers jump by it."
    ));
    let installed = install(&["libfaketime"]).await;
    if let Err(error) = installed {
        say(format_args!(
            "no clock will jump: without libfaketime none can be made to. {error:#}"
        ));
    } else if installed_faketime().is_none() {
        say(format_args!(
            "no clock will jump: libfaketime is installed, and cannot be loaded or is not where it is looked for"
        ));
    }
}

/// Gets a browser that a program can drive, for the tests of the page, the package and the browser
/// client.
pub(crate) async fn browser() -> Result<()> {
    if on_path("chromedriver").is_some() {
        say(format_args!("browser: chromedriver is installed"));
        return Ok(());
    }
    say(format_args!(
        "browser: missing. The tests of the page drive a headless Chromium."
    ));
    install(&["chromium", "chromium-driver"]).await.context(
        "no chromedriver: install Chromium or Chrome and the chromedriver of the same version, and put \
         chromedriver on PATH. Only the tests that run in a browser need it",
    )
}

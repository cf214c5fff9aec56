use std::fs;

use anyhow::{Result, ensure};
use bellwether_programs::on_path;

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

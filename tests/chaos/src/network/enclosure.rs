use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use bellwether_tests::on_path;
use nix::unistd::geteuid;

/// Set for the program inside.
const MARK: &str = "CHAOS_ENCLOSED";

/// Whether this program is in a network namespace of its own.
pub fn is_enclosed() -> bool {
    env::var_os(MARK).is_some()
}

/// Puts this program into a network namespace of its own, by executing it anew with the same arguments: it does not
/// return, unless the program is inside already. To be called first of all.
///
/// Who is not root gets a user namespace as well, in which it is.
///
/// # Errors
/// If this machine does not let it; the error says what is missing.
pub fn enclose() -> Result<()> {
    if is_enclosed() {
        return Ok(());
    }
    for program in ["unshare", "nsenter", "ip"] {
        if on_path(program).is_none() {
            bail!("there is no `{program}`: install util-linux and iproute2");
        }
    }
    let mut namespaces = vec!["--net"];
    if !geteuid().is_root() {
        namespaces.extend(["--user", "--map-root-user"]);
    }
    // What fails after it has replaced this program could not be reported: so try it first.
    let tried = Command::new("unshare")
        .args(&namespaces)
        .args(["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"])
        .stdin(Stdio::null())
        .output()
        .context("starting `unshare`")?;
    if !tried.status.success() {
        bail!(
            "this machine does not let this program have network namespaces with TUN devices ({}); as root with \
             /dev/net/tun it does",
            String::from_utf8_lossy(&tried.stderr).trim()
        );
    }
    let program = env::current_exe().context("asking for this program's own path")?;
    let error = Command::new("unshare")
        .args(&namespaces)
        .arg("--")
        .arg(program)
        .args(env::args_os().skip(1))
        .env(MARK, "1")
        .exec();
    Err(error).context("executing this program anew by `unshare`")
}

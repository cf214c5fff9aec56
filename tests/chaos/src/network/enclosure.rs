use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use bellwether_testkit::on_path;
use nix::unistd::geteuid;

/// Set for the program inside.
const MARK: &str = "CHAOS_ENCLOSED";

/// Returns `true` if this program is in a network namespace of its own.
pub fn is_enclosed() -> bool {
    env::var_os(MARK).is_some()
}

/// Puts this program into a network namespace of its own, by executing it again with the same
/// arguments. So this function does not return, unless the program is inside already. Call it
/// before anything else.
///
/// The namespace has its own mounts, so the shared memory of processes disappears with it. A user
/// who is not root also gets a user namespace, and is root in it.
///
/// # Errors
/// If this machine does not allow it; the error names the missing part.
pub fn enclose() -> Result<()> {
    if is_enclosed() {
        return run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/dev/shm"]));
    }
    for program in ["unshare", "nsenter", "mount", "ip"] {
        if on_path(program).is_none() {
            bail!("there is no `{program}`: install util-linux, mount and iproute2");
        }
    }
    let mut namespaces = vec!["--net", "--mount", "--propagation", "private"];
    if !geteuid().is_root() {
        namespaces.extend(["--user", "--map-root-user"]);
    }
    let enclosed = || {
        let mut command = Command::new("unshare");
        command.args(&namespaces).arg("--");
        command
    };
    // Try the commands first: an error after the program has been replaced could not be reported.
    let device = ["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"];
    run(enclosed().args(device)).context(
        "this machine does not let this program have network namespaces with TUN devices; as root with /dev/net/tun it \
         does",
    )?;
    let program = env::current_exe().context("asking for this program's own path")?;
    let error = enclosed()
        .arg(program)
        .args(env::args_os().skip(1))
        .env(MARK, "1")
        .exec();
    Err(error).context("executing this program anew by `unshare`")
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting `{name}`"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`{name}` says: {}", said.trim());
    Ok(())
}

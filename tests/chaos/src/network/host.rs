use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, ensure};
use bellwether_testkit::Host;
use nix::sched::{CloneFlags, setns, unshare};
use tokio::runtime::Builder;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// With the largest packets there are, a message of a few kilobytes is one packet, and the switch
/// has little to do.
const MTU: u16 = 65_000;

/// A network namespace.
#[derive(Clone, Debug)]
pub struct NetworkHost {
    address: Ipv4Addr,
    // The namespace exists as long as a file of it is open or a thread runs in it.
    namespace: Arc<File>,
}

impl NetworkHost {
    /// Makes a namespace, or takes the program's own, and a TUN device in it whose other end is
    /// handed out.
    pub(super) fn open(address: Ipv4Addr, own: bool) -> Result<(Self, SyncDevice)> {
        // A thread usually cannot return to a namespace that it has left, so this thread does
        // nothing else.
        let made = thread::spawn(move || {
            if !own {
                unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
            }
            let namespace = File::open("/proc/thread-self/ns/net")?;
            let device = DeviceBuilder::new()
                .name("tun0")
                .layer(Layer::L3)
                .build_sync()
                .context("making a TUN device")?;
            device.set_nonblocking(true)?;
            // A process that talks to itself does so over loopback, by whichever address.
            ip(&format!(
                "link set lo up\nlink set tun0 addrgenmode none mtu {MTU}\naddress add {address}/24 dev tun0\nlink set tun0 up\n"
            ))?;
            let namespace = Arc::new(namespace);
            anyhow::Ok((Self { address, namespace }, device))
        });
        made.join()
            .map_err(|_| anyhow!("the thread that makes it has panicked"))?
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns the same for processes: they can use it as long as this value exists.
    pub fn for_processes(&self) -> Host {
        let file = format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd());
        Host {
            address: self.address,
            launcher: ["nsenter".into(), format!("--net={file}").into(), "--".into()].into(),
        }
    }

    /// Runs something there, on a thread of its own with a runtime of its own. It is made on that
    /// thread, so it need not be `Send`.
    pub fn run<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        run_on(Some(self.clone()), work)
    }

    /// Moves this thread there, and everything that it starts from now on.
    ///
    /// # Errors
    /// If the system refuses it.
    fn enter(&self) -> Result<()> {
        setns(&*self.namespace, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("entering the host {}", self.address))
    }
}

/// Runs something on a thread of its own, with a runtime of its own. It runs on the given host;
/// without one, it runs on the host of this program.
pub(crate) fn run_on<T, F>(
    host: Option<NetworkHost>,
    work: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<Result<T>>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    thread::spawn(move || {
        if let Some(host) = host {
            host.enter()?;
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(work()))
    })
}

/// Has `ip` do these lines, in the namespace of this thread.
fn ip(lines: &str) -> Result<()> {
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting `ip`")?;
    if let Some(mut input) = ip.stdin.take() {
        input
            .write_all(lines.as_bytes())
            .context("telling `ip` what to do")?;
    }
    let done = ip.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`ip` says: {}", said.trim());
    Ok(())
}

//! The terminal of a reader.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use bellwether_testkit::{Process, Recipe, client_program, page_dir, server_program, wait_until};
use tempfile::TempDir;

use crate::page::{Action, Step, is_as_expected, repository};

/// Runs each block whose number comes through the pipe, in one shell, so that variables, functions
/// and jobs last.
const RUNNER: &str = r#"
cd "$1"
export PATH="$1/bin:$PATH" HOME="$1" XDG_CONFIG_HOME="$1"
mkfifo blocks.new && exec 3<> blocks.new && mv blocks.new blocks
while read -r -u 3 block; do
    { source "./$block.sh"; } > "$block.out" 2>&1 < /dev/null
    echo $? > "$block.new"
    mv "$block.new" "$block.status"
done
"#;

/// The connection string in the pages.
const URI: &str = "mongodb://m1,m2,m3/?replicaSet=rs0";

/// A Bash in a directory of its own, with the programs on its `PATH` and the repository as
/// `bellwether`. It ends, with all that it started, when this is dropped.
pub(crate) struct Shell {
    // Dropped first: its programs write into the directory.
    _bash: Process,
    dir: TempDir,
    address: Ipv4Addr,
    uri: String,
    blocks: AtomicUsize,
}

impl Shell {
    pub(crate) async fn start(uri: String) -> Result<Self> {
        let dir = TempDir::with_prefix("bellwether-guide-")?;
        let bin = dir.path().join("bin");
        fs::create_dir(&bin)?;
        for program in [server_program().await?, client_program().await?] {
            let name = program.file_name().context("a program has a name")?;
            link(&program, &bin.join(name))?;
        }
        page_dir()?;
        link(&repository().canonicalize()?, &dir.path().join("bellwether"))?;
        let bash = Process::start(Recipe {
            name: "the shell of a guide".into(),
            launcher: Vec::new(),
            program: "bash".into(),
            args: vec!["-c".into(), RUNNER.into(), "bash".into(), dir.path().into()],
            log: dir.path().join("bash.log"),
        })?;
        let shell = Self {
            _bash: bash,
            dir,
            address: own_address(),
            uri,
            blocks: AtomicUsize::new(0),
        };
        wait_until("the shell to start", async || {
            ensure!(shell.dir.path().join("blocks").exists(), "there is no pipe to it");
            Ok(())
        })
        .await?;
        Ok(shell)
    }

    /// Returns the address that is used instead of 127.0.0.1.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub(crate) async fn perform(&self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Write { file, text } => {
                let path = self.dir.path().join(file);
                fs::write(&path, self.here(text)).with_context(|| format!("{}: {file}", step.place))
            }
            Action::Run { commands, output } => {
                let (status, printed) = self.run(commands).await.context(step.place.clone())?;
                match output {
                    Some(output) => ensure!(
                        is_as_expected(&self.here(output), &printed),
                        "{}:\n{commands}must print\n{output}but prints\n{printed}",
                        step.place
                    ),
                    None => ensure!(
                        status == "0",
                        "{}:\n{commands}ends with {status}:\n{printed}",
                        step.place
                    ),
                }
                Ok(())
            }
        }
    }

    /// Runs commands, and returns their exit code and their output.
    pub(crate) async fn run(&self, commands: &str) -> Result<(String, String)> {
        let block = self.blocks.fetch_add(1, Ordering::Relaxed).to_string();
        let file = |extension: &str| self.dir.path().join(format!("{block}.{extension}"));
        fs::write(file("sh"), self.here(commands))?;
        fs::write(self.dir.path().join("blocks"), format!("{block}\n"))?;
        let printed = || fs::read(file("out")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let status = wait_until("the commands to end", async || {
            if let Ok(status) = fs::read_to_string(file("status")) {
                return Ok(status.trim().to_owned());
            }
            bail!("so far they print: {}", printed().unwrap_or_default())
        })
        .await?;
        Ok((status, printed()?))
    }

    /// Returns a text of the page with the addresses that are used here.
    fn here(&self, text: &str) -> String {
        let text = text.replace("127.0.0.1", &self.address.to_string());
        text.replace(URI, &self.uri)
    }
}

/// Returns an address of loopback that most likely no other program uses.
fn own_address() -> Ipv4Addr {
    let [second, third, fourth]: [u8; 3] = rand::random();
    Ipv4Addr::new(127, 64 + second % 64, third, 1 + fourth % 254)
}

fn link(original: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(original, link).with_context(|| format!("linking to {}", original.display()))
}

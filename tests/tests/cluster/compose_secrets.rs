//! The scripts of the compose file take any password as it is, and both read it in the same way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::find_node;
use mongodb::options::ClientOptions;
use tempfile::TempDir;

/// Passwords, and the line ends after them in their files.
const PASSWORDS: [(&str, &str); 16] = [
    ("a@b", ""),
    ("a:b", "\n"),
    ("a/b", "\r\n"),
    ("a?b", "\n"),
    ("a#b", "\r\n"),
    ("100%sure", "\n"),
    ("p%41x", "\r\n"),
    ("a[b]c", "\r\n\r\n"),
    (" a b ", "\n"),
    ("$(id) `id` \\ ' \" * ~ !&;|<>", "\n"),
    ("pässwörd😀", "\r\n"),
    ("a\rb", "\n"),
    ("%", "\n"),
    ("-n", "\n"),
    ("a\tb", "\n"),
    ("0123456789abcdef", "\n"),
];

#[tokio::test]
async fn passwords_are_taken_as_they_are() -> Result<()> {
    let dir = TempDir::with_prefix("bellwether-secrets-")?;
    let secrets = Secrets::new(dir.path())?;
    for (password, end) in PASSWORDS {
        for mark in ["", "\u{feff}"] {
            let file = secrets.dir.join("replica-set/bellwether-password");
            fs::write(&file, format!("{mark}{password}{end}"))?;
            secrets.run(&["make"])?;
            let uri = fs::read_to_string(secrets.dir.join("server/mongodb-uri"))?;
            let options = ClientOptions::parse(uri.trim_end()).await;
            let options = options.with_context(|| format!("{password:?}: {uri}"))?;
            let read = options.credential.and_then(|credential| credential.password);
            ensure!(
                read.as_deref() == Some(password),
                "{password:?} became {read:?} in {uri}"
            );
            ensure!(options.repl_set_name.as_deref() == Some("rs0"), "{uri}");
            let shown = secrets.run(&["show", "replica-set/bellwether-password"])?;
            ensure!(
                shown == format!("{password}\n"),
                "{password:?} is shown as {shown:?}"
            );
        }
    }
    Ok(())
}

/// The other script reads the same files, in mongosh, which is Node.js.
#[tokio::test]
async fn both_scripts_read_the_same() -> Result<()> {
    let node = match find_node().await {
        Ok(node) => node,
        Err(error) => {
            println!("not tried: {error:#}");
            return Ok(());
        }
    };
    let dir = TempDir::with_prefix("bellwether-secrets-")?;
    let secrets = Secrets::new(dir.path())?;
    let file = secrets.dir.join("replica-set/admin-password");
    let read = format!(
        "process.stdout.write(require({:?}).readSecret({:?}))",
        scripts().join("secret.js"),
        file
    );
    for (password, end) in PASSWORDS {
        for mark in ["", "\u{feff}"] {
            fs::write(&file, format!("{mark}{password}{end}"))?;
            let output = Command::new(&node).args(["-e", &read]).output()?;
            ensure!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert_eq!(String::from_utf8(output.stdout)?, password);
            let shown = secrets.run(&["show", "replica-set/admin-password"])?;
            assert_eq!(shown, format!("{password}\n"));
        }
    }
    Ok(())
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/mongodb")
}

/// The directory of the secrets. Its files belong to the user who runs the test, since only root
/// may give them to another user.
struct Secrets {
    dir: PathBuf,
    path: String,
}

impl Secrets {
    fn new(dir: &Path) -> Result<Self> {
        for part in ["mongod", "replica-set", "server", "bin"] {
            fs::create_dir(dir.join(part))?;
        }
        let chown = dir.join("bin/chown");
        fs::write(&chown, "#!/bin/sh\n")?;
        fs::set_permissions(&chown, fs::Permissions::from_mode(0o755))?;
        Ok(Self {
            path: format!("{}:{}", dir.join("bin").display(), std::env::var("PATH")?),
            dir: dir.to_owned(),
        })
    }

    /// Runs secrets.sh and returns its output.
    fn run(&self, args: &[&str]) -> Result<String> {
        let output = Command::new("bash")
            .arg(scripts().join("secrets.sh"))
            .args(args)
            .env("SECRETS", &self.dir)
            .env("PATH", &self.path)
            .env("MEMBERS", "m1:27017,m2:27017,m3:27017")
            .output()?;
        ensure!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

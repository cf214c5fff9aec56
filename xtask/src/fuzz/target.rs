use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::build::Programs;
use super::corpus;
use crate::output::number_after;
use crate::step::{command, root, run as run_step, say};

/// The longest input. Code that needs more than linear time shows well below it.
const MAX_BYTES: u32 = 16 * 1024;
/// An input that takes longer hangs the server, or nearly.
const TIMEOUT_SECONDS: u32 = 5;
/// Limit for the whole process; the targets themselves check the memory for one input.
const MAX_MEMORY_MIB: u32 = 1024;
/// Number of a target's last lines that are shown when it has found something.
const LAST_LINES: usize = 60;

/// Returns the targets of these names, or all.
pub(super) fn named(names: &[String]) -> Result<Vec<String>> {
    let dir = root().join("fuzz/fuzz_targets");
    let mut all = Vec::new();
    for file in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
        let stem = file?
            .path()
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        all.extend(stem);
    }
    all.sort_unstable();
    for name in names {
        ensure!(
            all.contains(name),
            "no target {name}; there are {}",
            all.join(", ")
        );
    }
    Ok(if names.is_empty() { all } else { names.to_vec() })
}

/// The result of a run.
pub(super) struct Verdict {
    target: String,
    executions: u64,
    per_second: u64,
    edges: u64,
    inputs: u64,
    crash: Option<Crash>,
}

struct Crash {
    input: PathBuf,
    last_lines: String,
}

/// Runs one target for this time, or until it finds something.
pub(super) async fn fuzz(
    programs: &Programs,
    target: &str,
    time: Duration,
    seed: Option<u32>,
) -> Result<Verdict> {
    say(format_args!("    {target}: {} s", time.as_secs()));
    let artifacts = root().join("fuzz/artifacts").join(target);
    let found = corpus::found(target)?;
    for dir in [&artifacts, &found] {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let mut fuzzer = limited(programs, target);
    fuzzer
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-max_len={MAX_BYTES}"))
        .arg(format!("-seed={}", seed.unwrap_or_default()))
        .arg(format!("-dict={}", root().join("fuzz/dictionary").display()))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1");
    // New inputs go into the first.
    fuzzer.arg(found).arg(corpus::kept(target));
    let mut running = fuzzer
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start the target {target}"))?;
    let stderr = running.stderr.take().context("the target has no output")?;
    let mut said = Said::default();
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Some(line) = lines.next_segment().await? {
        said.line(&String::from_utf8_lossy(&line));
    }
    let status = running.wait().await?;
    ensure!(
        status.success() || said.crash.is_some(),
        "the target {target} ended ({status}) without an input to show for it:\n{}",
        said.last_lines()
    );
    Ok(said.verdict(target))
}

/// Runs one target with one input, its output shown.
pub(super) async fn replay(programs: &Programs, target: &str, input: &Path) -> Result<()> {
    run_step(limited(programs, target).arg(input)).await
}

fn limited(programs: &Programs, target: &str) -> Command {
    let mut fuzzer = command(programs.get(target));
    fuzzer
        .arg(format!("-timeout={TIMEOUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MAX_MEMORY_MIB}"));
    fuzzer
}

/// The relevant lines of libFuzzer's output.
#[derive(Default)]
struct Said {
    executions: u64,
    per_second: u64,
    edges: u64,
    inputs: u64,
    crash: Option<PathBuf>,
    last: Vec<String>,
}

impl Said {
    fn line(&mut self, line: &str) {
        if let Some((_, count)) = line.split_once("stat::number_of_executed_units:") {
            self.executions = count.trim().parse().unwrap_or_default();
        }
        if let Some((_, rate)) = line.split_once("stat::average_exec_per_sec:") {
            self.per_second = rate.trim().parse().unwrap_or_default();
        }
        // #697679 DONE   cov: 1537 ft: 3709 corp: 1066/103Kb lim: 868 exec/s: 116279 rss: 29Mb
        if line.starts_with('#') {
            self.edges = number_after(line, " cov: ").unwrap_or(self.edges);
            self.inputs = number_after(line, " corp: ").unwrap_or(self.inputs);
            return;
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.crash = Some(PathBuf::from(path.trim()));
        }
        if self.last.len() == LAST_LINES {
            self.last.remove(0);
        }
        self.last.push(line.to_owned());
    }

    fn last_lines(&self) -> String {
        self.last.join("\n")
    }

    fn verdict(self, target: &str) -> Verdict {
        let last_lines = self.last_lines();
        Verdict {
            target: target.to_owned(),
            executions: self.executions,
            per_second: self.per_second,
            edges: self.edges,
            inputs: self.inputs,
            crash: self.crash.map(|input| Crash { input, last_lines }),
        }
    }
}

pub(super) fn heading() -> String {
    "| target | executions | per second | edges | inputs | crashes |\n|---|---:|---:|---:|---:|---:|"
        .to_owned()
}

impl Verdict {
    pub(super) fn row(&self) -> String {
        let Self {
            target,
            executions,
            per_second,
            edges,
            inputs,
            crash,
        } = self;
        let crashes = u8::from(crash.is_some());
        format!("| {target} | {executions} | {per_second} | {edges} | {inputs} | {crashes} |")
    }

    /// Returns the found error, and the command that shows it again.
    pub(super) fn explain(&self) -> Option<String> {
        let Crash { input, last_lines } = self.crash.as_ref()?;
        let input = input.strip_prefix(root()).unwrap_or(input).display();
        let target = &self.target;
        Some(format!(
            "{last_lines}\n\n{target} breaks on an input, which is kept; see it again with\n    cargo xtask fuzz {target} --input {input}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_read() {
        let mut said = Said::default();
        for line in [
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 26Mb",
            "#697679\tDONE   cov: 1537 ft: 3709 corp: 1066/103Kb lim: 868 exec/s: 116279 rss: 29Mb",
            "thread '<unnamed>' panicked at src/x.rs:1:1:",
            "stat::number_of_executed_units: 697679",
            "stat::average_exec_per_sec:     116279",
            "artifact_prefix='/r/'; Test unit written to /r/crash-d9587c",
        ] {
            said.line(line);
        }
        let verdict = said.verdict("command");
        assert_eq!(verdict.row(), "| command | 697679 | 116279 | 1537 | 1066 | 1 |");
        let explained = verdict.explain().unwrap();
        assert!(
            explained.contains("panicked") && explained.ends_with("fuzz command --input /r/crash-d9587c"),
            "{explained}"
        );
        assert_eq!(Said::default().verdict("command").explain(), None);
    }

    #[test]
    fn targets_are_found_by_name() {
        let all = named(&[]).unwrap();
        assert!(all.len() > 5 && all.contains(&"command".to_owned()), "{all:?}");
        assert_eq!(named(&["command".to_owned()]).unwrap(), ["command"]);
        assert!(
            named(&["commands".to_owned()])
                .unwrap_err()
                .to_string()
                .contains("command, ")
        );
    }
}

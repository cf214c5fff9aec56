use std::collections::BTreeMap;
use std::fmt;

use super::percentiles::{Percentiles, seconds};
use super::{FaultFigures, Figures, Report, RunReport};
use crate::check::{Finding, Verdict};
use crate::history::Workload;

/// As Markdown.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violations = self.count(|verdict| matches!(verdict, Verdict::Violated(_)));
        let undecided = self.count(|verdict| matches!(verdict, Verdict::Undecided(_)));
        let seeds: Vec<String> = self.runs.iter().map(|run| run.seed.to_string()).collect();
        writeln!(f, "# {violations} violations, {undecided} undecided\n")?;
        let all = self.total.all_operations();
        writeln!(
            f,
            "{} s of work in {} runs (seeds {}): {} calls, {} faults, {} epochs.\n",
            seconds(self.total.length_ms),
            self.runs.len(),
            seeds.join(", "),
            all.calls(),
            self.total
                .faults
                .values()
                .map(|faults| faults.inflicted)
                .sum::<u64>(),
            self.total.epochs,
        )?;
        writeln!(f, "Again: `{}`\n", self.replay)?;
        self.write_checks(f)?;
        write_operations(f, &self.total)?;
        write_faults(f, &self.total)?;
        writeln!(f, "## Runs\n")?;
        self.runs.iter().try_for_each(|run| write_run(f, run))
    }
}

impl Report {
    fn write_checks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "## Checks\n\n| invariant | workload | checked | held | violated | undecided |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        let findings = self.runs.iter().flat_map(|run| &run.findings);
        for ((invariant, workload), row) in rows(findings) {
            let workload = workload.map_or_else(|| "all".into(), name);
            let Row {
                checked,
                held,
                violated,
                undecided,
            } = row;
            writeln!(
                f,
                "| {invariant} | {workload} | {checked} | {held} | {violated} | {undecided} |"
            )?;
        }
        writeln!(f)?;
        for run in &self.runs {
            for finding in &run.findings {
                let Some((what, why)) = not_held(&finding.verdict) else {
                    continue;
                };
                writeln!(
                    f,
                    "**seed {}: {} {what}**\n\n```text\n{why}\n```\n",
                    run.seed, finding.invariant
                )?;
            }
        }
        Ok(())
    }
}

/// Returns the label and the reason of a finding that did not hold.
fn not_held(verdict: &Verdict) -> Option<(&'static str, &str)> {
    match verdict {
        Verdict::Held => None,
        Verdict::Violated(why) => Some(("VIOLATED", why)),
        Verdict::Undecided(why) => Some(("UNDECIDED", why)),
    }
}

/// Returns a line about a finding that did not hold.
pub(super) fn in_a_line(seed: u64, finding: &Finding) -> Option<String> {
    let (what, why) = not_held(&finding.verdict)?;
    let invariant = &finding.invariant;
    let workload = finding.workload.map(|workload| format!(" ({})", name(workload)));
    let why: Vec<&str> = why.lines().collect();
    Some(format!(
        "{what}: seed {seed}, {invariant}{}: {}",
        workload.unwrap_or_default(),
        why.join("; ")
    ))
}

#[derive(Default)]
struct Row {
    checked: u64,
    held: u64,
    violated: u64,
    undecided: u64,
}

/// Returns one row for all findings about the same.
fn rows<'a>(findings: impl Iterator<Item = &'a Finding>) -> BTreeMap<(&'a str, Option<Workload>), Row> {
    let mut rows = BTreeMap::new();
    for finding in findings {
        let row: &mut Row = rows
            .entry((finding.invariant.as_str(), finding.workload))
            .or_default();
        row.checked += finding.checked;
        match finding.verdict {
            Verdict::Held => row.held += 1,
            Verdict::Violated(_) => row.violated += 1,
            Verdict::Undecided(_) => row.undecided += 1,
        }
    }
    rows
}

fn write_operations(f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    writeln!(
        f,
        "## Operations\n\nCalls of clients, by what they were told. An unknown one counts as maybe executed.\n"
    )?;
    writeln!(
        f,
        "| workload | calls | executed | of these by an earlier try | not executed | unknown |"
    )?;
    writeln!(f, "|---|---:|---:|---:|---:|---:|")?;
    let rows = figures
        .operations
        .iter()
        .map(|(workload, row)| (name(*workload), *row));
    for (workload, row) in rows.chain([("**all**".into(), figures.all_operations())]) {
        writeln!(
            f,
            "| {workload} | {} | {} | {} | {} | {} |",
            row.calls(),
            row.executed,
            row.replayed,
            row.not_executed,
            row.unknown
        )?;
    }
    writeln!(f)
}

fn write_faults(f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    writeln!(
        f,
        "## Faults\n\nA gap is the longest time in which no command was executed and which overlaps the fault or the two \
         seconds after it was healed, in seconds: of faults that came alone, and of those that came with others, whose doing \
         it may be. Whom a fault meets is drawn; the coordinator and the primary more often than others.\n"
    )?;
    writeln!(
        f,
        "| fault | inflicted | victim ill already | not possible here | failed | alone: gap p50 | p99 | max | mixed: gap p50 | p99 | max |"
    )?;
    writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for (fault, row) in &figures.faults {
        let FaultFigures {
            inflicted,
            skipped,
            not_possible,
            failed,
            alone_gaps_ms,
            mixed_gaps_ms,
        } = row;
        let [alone, mixed] = [alone_gaps_ms, mixed_gaps_ms].map(|gaps| cells(gaps));
        writeln!(
            f,
            "| {fault} | {inflicted} | {skipped} | {not_possible} | {failed} | {alone} | {mixed} |"
        )?;
    }
    writeln!(
        f,
        "| (none) | | | | | {} | – | – | – |\n",
        cells(&figures.calm_gaps_ms)
    )
}

fn cells(gaps: &[u64]) -> String {
    Percentiles::of(gaps).map_or_else(|| "– | – | –".into(), |gaps| gaps.to_string())
}

fn write_run(f: &mut fmt::Formatter<'_>, run: &RunReport) -> fmt::Result {
    let machine = &run.machine;
    let planted = run.planted.as_ref().map(|bug| format!(", planted: {bug}"));
    let calls = run.figures.all_operations().calls();
    writeln!(
        f,
        "Seed {}{}: {calls} calls in {} s. {} cores, {} % busy, load up to {:.1}; {} MiB of memory, {} MiB on disk.{}\n",
        run.seed,
        planted.unwrap_or_default(),
        seconds(run.figures.length_ms),
        machine.cores,
        machine.busy_percent,
        machine.load,
        machine.memory_mib,
        machine.disk_mib,
        if machine.debug_build {
            " A debug build: the times are no figures."
        } else {
            ""
        },
    )?;
    for trouble in &run.troubles {
        writeln!(f, "- The harness had trouble {trouble}")?;
    }
    let picture = match run.dir.as_str() {
        "." => "timeline.svg".into(),
        dir => format!("{dir}/timeline.svg"),
    };
    writeln!(f, "Again: `{}`\n\n![timeline]({picture})\n", run.replay)
}

fn name(workload: Workload) -> String {
    use clap::ValueEnum;
    let value = workload.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

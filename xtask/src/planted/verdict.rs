use super::Bug;
use crate::output::number_after;

/// The result of a check for a bug.
pub(super) enum Verdict {
    Caught {
        /// The simulation's seed.
        seed: Option<u64>,
        /// Number of runs until the failure.
        runs: Option<u64>,
    },
    /// It failed, but of something else.
    Otherwise,
    Missed,
}

impl Verdict {
    pub(super) fn new(bug: &Bug, output: &str, failed: bool) -> Self {
        if !failed {
            return Self::Missed;
        }
        // In the form of the simulation, and in that of the model.
        let named = [
            format!("invariant {} violated", bug.invariant),
            format!(": {} is broken after", bug.invariant),
        ];
        let named = named.iter().any(|named| output.contains(named));
        if !named {
            return Self::Otherwise;
        }
        Self::Caught {
            seed: number_after(output, "BELLWETHER_SEED="),
            runs: number_after(output, "\nrun "),
        }
    }

    pub(super) fn caught(&self) -> bool {
        matches!(self, Self::Caught { .. })
    }

    pub(super) fn row(&self, bug: &Bug, seconds: f64) -> String {
        let shown = |number: &Option<u64>| number.map_or_else(|| "–".into(), |number| number.to_string());
        let (by, seed, runs) = match self {
            Self::Caught { seed, runs } => (bug.invariant.as_str(), shown(seed), shown(runs)),
            Self::Otherwise => ("(something else)", "–".into(), "–".into()),
            Self::Missed => ("NOTHING", "–".into(), "–".into()),
        };
        let target = bug.check.split("::").next().unwrap_or_default();
        format!(
            "| {} | {target} | {by} | {seed} | {runs} | {seconds:.1} |",
            bug.name
        )
    }

    pub(super) fn explain(&self, bug: &Bug, output: &str) -> String {
        let Bug {
            name,
            why,
            check,
            invariant,
            ..
        } = bug;
        match self {
            Self::Caught { .. } => format!("{name}: caught"),
            Self::Otherwise => format!("{name} ({why}): {check} should name {invariant}, and says\n{output}"),
            Self::Missed => format!("{name} ({why}): {check} does not notice it"),
        }
    }
}

pub(super) fn heading() -> String {
    "| planted bug | check | caught by | seed | runs | seconds |\n|---|---|---|---|---|---|".into()
}

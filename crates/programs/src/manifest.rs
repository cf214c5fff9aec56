use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::step::{cargo, output};

/// The package for other projects to depend on.
pub const ELECTION: &str = "bellwether-election";

/// The manifest of a package of the workspace, with all inherited values.
#[derive(Deserialize)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub rust_version: Option<String>,
    pub dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    #[serde(rename = "req")]
    pub requirement: String,
    /// `None` for a dependency of the library itself; `dev` or `build` otherwise.
    pub kind: Option<String>,
}

impl Manifest {
    pub async fn of(package: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            packages: Vec<Manifest>,
        }
        let text = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"])).await?;
        let metadata: Metadata =
            serde_json::from_str(&text).context("cargo metadata says something unexpected")?;
        let mut packages = metadata.packages.into_iter();
        packages
            .find(|found| found.name == package)
            .with_context(|| format!("the workspace has no package {package}"))
    }

    /// Returns the names of all features.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.features.keys().map(String::as_str)
    }

    /// Returns every set of features that a build can have, each once: two selections that turn on
    /// the same features count as one.
    pub fn feature_sets(&self) -> BTreeSet<BTreeSet<&str>> {
        let mut sets = BTreeSet::from([BTreeSet::new()]);
        for feature in self.features() {
            let with: Vec<_> = sets
                .iter()
                .map(|set: &BTreeSet<&str>| set.union(&self.turned_on_by(feature)).copied().collect())
                .collect();
            sets.extend(with);
        }
        sets
    }

    /// Returns the feature itself, and those it turns on.
    fn turned_on_by<'a>(&'a self, feature: &'a str) -> BTreeSet<&'a str> {
        let mut on = BTreeSet::new();
        let mut waiting = vec![feature];
        while let Some(feature) = waiting.pop() {
            // A name that is no feature is a dependency, or a feature of one.
            if let Some((feature, more)) = self.features.get_key_value(feature) {
                // A feature without code of its own only turns on the features it names.
                if feature != "default" && !on.insert(feature.as_str()) {
                    continue;
                }
                waiting.extend(more.iter().map(String::as_str));
            }
        }
        on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(features: &[(&str, &[&str])]) -> Manifest {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Manifest {
            name: "it".to_owned(),
            version: "1.0.0".to_owned(),
            rust_version: None,
            dependencies: Vec::new(),
            features: features
                .iter()
                .map(|(name, on)| (name.to_string(), owned(on)))
                .collect(),
        }
    }

    #[test]
    fn every_set_of_features_comes_once() {
        let manifest = manifest(&[
            ("default", &["runtime"]),
            ("runtime", &["dep:tokio", "rand/std"]),
            ("serde", &["dep:serde"]),
            ("tcp", &["runtime", "serde"]),
        ]);
        let expected: [&[&str]; 5] = [
            &[],
            &["runtime"],
            &["runtime", "serde"],
            &["runtime", "serde", "tcp"],
            &["serde"],
        ];
        let expected = expected.map(|set| set.iter().copied().collect());
        assert_eq!(manifest.feature_sets(), BTreeSet::from(expected));
    }
}

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The short names that `wasm-opt` has given to the imports and exports between a module and its
/// JavaScript. The long ones end in a hash, which does not compress, and are in both files.
#[derive(Deserialize)]
pub(crate) struct ShortNames {
    /// Module, old name and new name of each import.
    imports: Vec<(String, String, String)>,
    /// The old name and the new name of each export.
    exports: Vec<(String, String)>,
}

/// The name that `wasm-opt` gives the one module that everything is imported from.
const MODULE: &str = "a";

impl ShortNames {
    /// Reads the output of `wasm-opt`.
    pub(crate) fn read(printed: &str) -> Result<Self> {
        serde_json::from_str(printed).with_context(|| format!("wasm-opt says {printed}"))
    }

    /// Returns the JavaScript with the short names.
    ///
    /// # Errors
    /// If it does not look as `wasm-bindgen` of today makes it, so that it would no longer fit the
    /// module.
    pub(crate) fn apply(&self, script: &str) -> Result<String> {
        let mut script = script.to_owned();
        for (module, old, new) in &self.imports {
            replace_once(
                &mut script,
                &format!("\n        {old}: "),
                &format!("\n        {new}: "),
            )?;
            let (old, new) = (
                format!("\n        {module:?}: "),
                format!("\n        {MODULE:?}: "),
            );
            if !script.contains(&new) {
                replace_once(&mut script, &old, &new)?;
            }
        }
        self.rename_exports(&script)
    }

    /// Exports are used as fields of `wasm`, and nothing else is.
    fn rename_exports(&self, script: &str) -> Result<String> {
        let names: HashMap<&str, &str> = self.exports.iter().map(|(old, new)| (&**old, &**new)).collect();
        let mut parts = script.split("wasm.");
        let mut renamed = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            renamed.push_str("wasm.");
            let end = part.find(|c: char| !is_of_name(c)).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let name = names.get(name);
            renamed.push_str(name.with_context(|| format!("the module has no wasm.{}", &part[..end]))?);
            renamed.push_str(rest);
        }
        Ok(renamed)
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn replace_once(script: &mut String, old: &str, new: &str) -> Result<()> {
    let times = script.matches(old).count();
    ensure!(
        times == 1,
        "the JavaScript has {:?} {times} times instead of once",
        old.trim()
    );
    *script = script.replace(old, new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"{"imports": [["./x_bg.js", "__wbg_now_1f", "a"], ["./x_bg.js", "__wbg_now_1f2", "b"]],
                              "exports": [["memory", "c"], ["execute", "d"], ["executed", "e"]]}"#;

    const SCRIPT: &str = r#"
export function execute(text) {
    return wasm.execute(text, wasm.executed, wasm.memory.buffer);
}
    const import0 = {
        __wbg_now_1f: function() {},
        __wbg_now_1f2: function() {},
    };
    return {
        "./x_bg.js": import0,
    };
"#;

    #[test]
    fn both_sides_get_the_same_names() {
        let renamed = ShortNames::read(PRINTED).unwrap().apply(SCRIPT).unwrap();
        let expected = SCRIPT
            .replace("wasm.execute(", "wasm.d(")
            .replace("wasm.executed", "wasm.e")
            .replace("wasm.memory", "wasm.c")
            .replace("__wbg_now_1f:", "a:")
            .replace("__wbg_now_1f2:", "b:")
            .replace("./x_bg.js", "a");
        assert_eq!(renamed, expected);
    }

    #[test]
    fn javascript_that_would_not_fit_is_refused() {
        let names = ShortNames::read(PRINTED).unwrap();
        assert!(
            names
                .apply(&SCRIPT.replace("wasm.execute(", "wasm.other("))
                .is_err()
        );
        let without_import = SCRIPT.replace("__wbg_now_1f:", "now:");
        assert!(names.apply(&without_import).is_err());
        assert!(names.apply(&SCRIPT.replace("./x_bg.js", "./y_bg.js")).is_err());
    }
}

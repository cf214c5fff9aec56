//! Options that are true or false: `--flag`, `--flag=false`, `--flag false`.

use clap::{Arg, ArgAction};

const TRUE: [&str; 6] = ["true", "yes", "on", "1", "t", "y"];
const FALSE: [&str; 6] = ["false", "no", "off", "0", "f", "n"];

/// Lets a flag take an optional value, by the same words as its environment variable. Leaves other
/// options as they are.
pub(super) fn with_optional_value(option: Arg) -> Arg {
    if !matches!(option.get_action(), ArgAction::SetTrue) {
        return option;
    }
    option
        .action(ArgAction::Set)
        .num_args(0..=1)
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
        .value_name("true|false")
        .value_parser(parse)
}

fn parse(text: &str) -> Result<bool, String> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if TRUE.iter().any(is) {
        Ok(true)
    } else if FALSE.iter().any(is) {
        Ok(false)
    } else {
        Err(format!(
            "give {} for true, {} for false, or no value for true",
            TRUE.join(", "),
            FALSE.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{Arg, Command};

    use super::{FALSE, TRUE};
    use crate::args::command;

    const REQUIRED: [&str; 4] = ["--id", "s1", "--mongodb-uri", "mongodb://m1"];

    /// Options that are true or false, and the subcommand that each belongs to.
    fn booleans() -> Vec<(Option<String>, Arg)> {
        let of = |command: &Command, name: Option<&str>| {
            let is_boolean =
                |option: &&Arg| option.get_value_parser().type_id() == core::any::TypeId::of::<bool>();
            let found: Vec<_> = command
                .get_arguments()
                .filter(is_boolean)
                .map(|option| (name.map(str::to_owned), option.clone()))
                .collect();
            found
        };
        let program = command();
        let tasks = program.get_subcommands();
        let of_tasks = tasks.flat_map(|task| of(task, Some(task.get_name())));
        of(&program, None).into_iter().chain(of_tasks).collect()
    }

    fn read(task: Option<&str>, option: &Arg, words: &[&str]) -> Result<bool, String> {
        let name = format!("--{}", option.get_long().unwrap());
        let mut line: Vec<OsString> = vec!["bellwether-server".into()];
        match task {
            Some(task) => line.push(task.into()),
            None => line.extend(REQUIRED.map(Into::into)),
        }
        match words {
            [] => {}
            [""] => line.push(name.into()),
            [word] if word.starts_with('=') => line.push((name + word).into()),
            words => line.extend([&[&*name], words].concat().into_iter().map(Into::into)),
        }
        let matches = command()
            .try_get_matches_from(line)
            .map_err(|error| error.to_string())?;
        let matches = match task {
            Some(task) => matches.subcommand_matches(task).unwrap().clone(),
            None => matches,
        };
        Ok(*matches.get_one(option.get_id().as_str()).unwrap())
    }

    #[test]
    fn every_one_takes_an_optional_value() {
        let options = booleans();
        let names: Vec<&str> = options
            .iter()
            .filter_map(|(_, option)| option.get_long())
            .collect();
        assert_eq!(names, ["allow-schema", "assist-failover", "ready"]);
        for (task, option) in &options {
            let read = |words: &[&str]| read(task.as_deref(), option, words);
            assert_eq!(read(&[]), Ok(false), "{option}");
            assert_eq!(read(&[""]), Ok(true), "{option}");
            for (words, value) in [(TRUE, true), (FALSE, false)] {
                for word in words {
                    let capital = word.to_uppercase();
                    for word in [word, &*capital] {
                        assert_eq!(read(&[word]), Ok(value), "{option} {word}");
                        assert_eq!(read(&[&format!("={word}")]), Ok(value), "{option}={word}");
                    }
                }
            }
            for word in ["maybe", "2", "truee", "health"] {
                for error in [read(&[word]), read(&[&format!("={word}")])] {
                    let error = error.unwrap_err();
                    assert!(error.contains(&format!("'{word}'")), "{error}");
                    assert!(error.contains("give true, yes, on"), "{error}");
                }
            }
            assert!(read(&["="]).is_err(), "{option}");
        }
    }
}

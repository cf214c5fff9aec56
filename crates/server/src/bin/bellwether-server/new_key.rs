//! `bellwether-server new-key`: a new API key, and its table for the access file.

use core::time::Duration;
use std::time::SystemTime;

use bellwether_server::NewApiKey;
use clap::Args;
use zeroize::Zeroizing;

/// Time until the new key expires: a year.
const VALID: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// The name of the key: the subject of the clients that send it.
    #[arg(long, default_value = "NAME", value_name = "NAME")]
    name: String,

    /// A role of these clients. Give the option once for each role.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
}

impl NewKey {
    /// Returns the key on a line of its own, and then the table. The key expires a year after
    /// `now`.
    pub(crate) fn text(&self, key: &NewApiKey, now: SystemTime) -> Zeroizing<String> {
        let day = bson::DateTime::from_system_time(now + VALID).try_to_rfc3339_string();
        let day: String = day.unwrap_or_default().chars().take(10).collect();
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let roles: Vec<String> = self.roles.iter().map(|role| quoted(role)).collect();
        Zeroizing::new(format!(
            "{}\n\n# The client sends the key above. Put this table into the file of --access.\n[[key]]\n\
             name = {}\nsha256 = \"{}\"\nroles = [{}]\nexpires = {day}\n",
            key.key(),
            quoted(&self.name),
            key.sha256(),
            roles.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_table_has_the_hash_and_not_the_key() {
        let key = NewApiKey::random();
        let new_key = NewKey {
            name: "a \"b\"".to_owned(),
            roles: vec!["reader".to_owned(), "x\ny".to_owned()],
        };
        let text = new_key.text(&key, UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let (first, table) = text.split_once('\n').unwrap();
        assert_eq!(first, key.key());
        assert!(!table.contains(key.key()));
        let table: toml::Table = table.parse().unwrap();
        let table = &table["key"][0];
        assert_eq!(table["name"].as_str(), Some("a \"b\""));
        assert_eq!(table["sha256"].as_str(), Some(&*key.sha256()));
        assert_eq!(table["roles"][1].as_str(), Some("x\ny"));
        assert_eq!(
            table["expires"].as_datetime().map(ToString::to_string).as_deref(),
            Some("2028-01-15")
        );
    }
}

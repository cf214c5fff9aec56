//! The tables of an access file, and the rules for their values.

use core::ops::Range;
use std::time::SystemTime;

use data_encoding::HEXLOWER_PERMISSIVE;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;
use url::Url;

use super::error::{AccessFileError, shown};
use super::{AccessFile, Issuer, KeySource, MAX_ACCESS_FILE};
use crate::access::api_key::{ApiKey, is_api_key};
use crate::access::principal::{API_KEY_ISSUER, is_name};
use crate::access::token::ALGORITHMS;
use crate::config::origin::is_loopback;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: Spanned<i64>,
    #[serde(default)]
    issuer: Vec<IssuerTable>,
    #[serde(default)]
    key: Vec<KeyTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerTable {
    issuer: Spanned<String>,
    audience: Spanned<Vec<Spanned<String>>>,
    jwks_url: Option<Spanned<String>>,
    jwks_file: Option<Spanned<String>>,
    secret_file: Option<Spanned<String>>,
    algorithms: Spanned<Vec<Spanned<String>>>,
    roles_claim: Option<Spanned<RolesClaim>>,
}

/// A dotted path, or its names. A name may contain dots in the second form.
#[derive(Deserialize)]
#[serde(untagged)]
enum RolesClaim {
    Path(String),
    Names(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    name: Spanned<String>,
    sha256: Spanned<String>,
    #[serde(default)]
    roles: Vec<Spanned<String>>,
    expires: Spanned<Datetime>,
}

pub(super) fn parse(text: &str) -> Result<AccessFile, AccessFileError> {
    let reader = Reader { text };
    if text.len() > MAX_ACCESS_FILE {
        let problem = format!("the file is longer than {} KiB", MAX_ACCESS_FILE / 1024);
        return reader.refuse(&(0..0), problem, "remove the issuers and keys that are not used");
    }
    let document: Document = toml::from_str(text).map_err(|error| AccessFileError::of_toml(text, &error))?;
    let version = document.version;
    let Some(number) = u64::try_from(*version.get_ref())
        .ok()
        .filter(|number| *number > 0)
    else {
        let problem = format!("version is {}", version.get_ref());
        return reader.refuse(&version.span(), problem, "give an integer from 1 on");
    };
    if document.issuer.is_empty() && document.key.is_empty() {
        let problem = "the file has no [[issuer]] and no [[key]], so no client could authenticate";
        return reader.refuse(&(0..0), problem, "add one of them");
    }
    let mut issuers: Vec<Issuer> = Vec::new();
    for table in &document.issuer {
        let issuer = reader.issuer(table)?;
        if issuers.iter().any(|earlier| earlier.name == issuer.name) {
            let problem = format!("a second [[issuer]] has issuer = {}", shown(&issuer.name));
            return reader.refuse(&table.issuer.span(), problem, "keep one of the two tables");
        }
        issuers.push(issuer);
    }
    let mut keys: Vec<ApiKey> = Vec::new();
    for table in &document.key {
        let key = reader.key(table)?;
        if keys.iter().any(|earlier| earlier.sha256 == key.sha256) {
            let problem = "a second [[key]] has the same sha256";
            return reader.refuse(&table.sha256.span(), problem, "keep one of the two tables");
        }
        keys.push(key);
    }
    Ok(AccessFile {
        version: number,
        issuers,
        keys,
    })
}

/// Checks the values, and names the line of a wrong one.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn refuse<T>(
        &self,
        at: &Range<usize>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Result<T, AccessFileError> {
        Err(AccessFileError::new(self.text, at, problem, remedy))
    }

    /// Refuses a text that is no name.
    fn name(&self, key: &str, value: &Spanned<String>) -> Result<String, AccessFileError> {
        if is_name(value.get_ref()) {
            return Ok(value.get_ref().clone());
        }
        self.wrong(key, value, "give 1 to 255 characters, and no control characters")
    }

    fn wrong<T>(&self, key: &str, value: &Spanned<String>, remedy: &str) -> Result<T, AccessFileError> {
        let problem = format!("{key} is {}", shown(value.get_ref()));
        self.refuse(&value.span(), problem, remedy)
    }

    fn issuer(&self, table: &IssuerTable) -> Result<Issuer, AccessFileError> {
        let name = self.name("issuer", &table.issuer)?;
        if name == API_KEY_ISSUER {
            let remedy = "this name stands for API keys: give the claim \"iss\" of the issuer's tokens";
            return self.wrong("issuer", &table.issuer, remedy);
        }
        if table.audience.get_ref().is_empty() {
            let remedy = "give the claim \"aud\" of tokens for this cluster, such as [\"bellwether\"]";
            return self.refuse(&table.audience.span(), "audience is empty", remedy);
        }
        let audience = table.audience.get_ref().iter();
        let audience = audience
            .map(|audience| self.name("audience", audience))
            .collect::<Result<_, _>>()?;
        let (source, key) = self.source(table)?;
        Ok(Issuer {
            audience,
            algorithms: self.algorithms(table, &source, key)?,
            source,
            roles_claim: self.roles_claim(table)?,
            name,
        })
    }

    /// Returns the place of the keys, and the name of its key in the table.
    fn source(&self, table: &IssuerTable) -> Result<(KeySource, &'static str), AccessFileError> {
        let given = [
            ("jwks_url", &table.jwks_url),
            ("jwks_file", &table.jwks_file),
            ("secret_file", &table.secret_file),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let one = "give exactly one of jwks_url, jwks_file and secret_file";
        let Some((key, value)) = given.next() else {
            let problem = format!("the issuer {} has no keys", shown(table.issuer.get_ref()));
            return self.refuse(&table.issuer.span(), problem, one);
        };
        if let Some((other, value)) = given.next() {
            let problem = format!(
                "the issuer has {key} and also {other} = {}",
                shown(value.get_ref())
            );
            return self.refuse(&value.span(), problem, one);
        }
        if value.get_ref().is_empty() {
            return self.wrong(key, value, "give a place");
        }
        let source = match key {
            "jwks_url" => KeySource::Url(self.url(value)?),
            "jwks_file" => KeySource::File(value.get_ref().into()),
            _ => KeySource::Secret(value.get_ref().into()),
        };
        Ok((source, key))
    }

    fn url(&self, value: &Spanned<String>) -> Result<Url, AccessFileError> {
        let remedy = "give the URL of a JSON Web Key Set, such as https://id.example/certs";
        let Ok(url) = Url::parse(value.get_ref()) else {
            return self.wrong("jwks_url", value, remedy);
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            let remedy = "give the URL without a user name, a password and a fragment";
            return self.refuse(&value.span(), "jwks_url has a part that cannot be used", remedy);
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if url.host().is_some_and(|host| is_loopback(&host)) => Ok(url),
            "http" => {
                let remedy = "give an https URL: an attacker on the path could replace the keys. \
                              (A server takes keys over http from a loopback address only.)";
                self.wrong("jwks_url", value, remedy)
            }
            _ => self.wrong("jwks_url", value, remedy),
        }
    }

    fn algorithms(
        &self,
        table: &IssuerTable,
        source: &KeySource,
        key: &str,
    ) -> Result<Vec<Algorithm>, AccessFileError> {
        let known = "give some of RS256, ES256, EdDSA, or HS256 alone with a secret_file";
        if table.algorithms.get_ref().is_empty() {
            return self.refuse(&table.algorithms.span(), "algorithms is empty", known);
        }
        let mut algorithms = Vec::new();
        for name in table.algorithms.get_ref() {
            let found = ALGORITHMS.iter().find(|(known, _)| known == name.get_ref());
            let Some(&(_, algorithm)) = found else {
                return self.wrong("algorithms", name, known);
            };
            let is_symmetric = algorithm == Algorithm::HS256;
            if is_symmetric != matches!(source, KeySource::Secret(_)) {
                let problem = format!("algorithms has {} together with {key}", name.get_ref());
                let remedy = if is_symmetric {
                    "HS256 needs a secret_file: with a public key set, anyone could sign tokens"
                } else {
                    "a secret_file is for HS256 only: the other algorithms need jwks_url or jwks_file"
                };
                return self.refuse(&name.span(), problem, remedy);
            }
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        Ok(algorithms)
    }

    fn roles_claim(&self, table: &IssuerTable) -> Result<Vec<String>, AccessFileError> {
        let Some(claim) = &table.roles_claim else {
            return Ok(Vec::new());
        };
        let names: Vec<String> = match claim.get_ref() {
            RolesClaim::Path(path) => path.split('.').map(str::to_owned).collect(),
            RolesClaim::Names(names) => names.clone(),
        };
        if names.is_empty() || names.iter().any(String::is_empty) {
            let problem = format!("roles_claim is {}", shown(&names.join(".")));
            let remedy = "give the path of a claim, such as \"realm_access.roles\", or a list of names \
                          such as [\"https://app.example/roles\"]";
            return self.refuse(&claim.span(), problem, remedy);
        }
        Ok(names)
    }

    fn key(&self, table: &KeyTable) -> Result<ApiKey, AccessFileError> {
        let digest = &table.sha256;
        // The value is not shown: an operator may have put the key itself there.
        let problem = if is_api_key(digest.get_ref()) {
            "sha256 holds an API key itself".to_owned()
        } else {
            format!("sha256 has {} characters", digest.get_ref().chars().count())
        };
        let sha256 = HEXLOWER_PERMISSIVE.decode(digest.get_ref().as_bytes());
        let Some(sha256) = sha256.ok().and_then(|bytes| bytes.try_into().ok()) else {
            let remedy = "give the 64 hexadecimal digits that `bellwether-server new-key` prints";
            return self.refuse(&digest.span(), problem, remedy);
        };
        let roles = table.roles.iter();
        Ok(ApiKey {
            sha256,
            name: self.name("name", &table.name)?,
            roles: roles
                .map(|role| self.name("roles", role))
                .collect::<Result<_, _>>()?,
            expires: self.expires(&table.expires)?,
        })
    }

    fn expires(&self, value: &Spanned<Datetime>) -> Result<SystemTime, AccessFileError> {
        let given = value.get_ref();
        let text = match (given.date, given.time, given.offset) {
            (Some(_), Some(_), Some(_)) => given.to_string(),
            // The day begins in UTC.
            (Some(_), None, None) => format!("{given}T00:00:00Z"),
            _ => String::new(),
        };
        match bson::DateTime::parse_rfc3339_str(&text) {
            Ok(time) => Ok(time.to_system_time()),
            Err(_) => {
                let problem = format!("expires is {given}");
                let remedy = "give a date, or a date with a time and an offset, such as 2027-01-31T12:00:00Z";
                self.refuse(&value.span(), problem, remedy)
            }
        }
    }
}

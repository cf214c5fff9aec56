//! The claims of a token whose signature is good.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::TokenError;
use crate::access::file::Issuer;
use crate::access::principal::{LEEWAY, Principal, is_name};

/// The end of the year 9999, in seconds since the Unix epoch. A time after it is a mistake.
const LAST_SECOND: u64 = 253_402_300_799;

/// The claims of every token. The roles stand at a place that the access file names.
pub(super) struct Claims<'a> {
    subject: &'a str,
    expires: SystemTime,
    not_before: Option<SystemTime>,
}

impl<'a> Claims<'a> {
    /// Reads the claims that every token has.
    ///
    /// # Errors
    /// [`TokenError::Claim`] if a claim is missing or has a wrong type. A claim that may be missing
    /// must have the right type, too: a server must not ignore a limit that it cannot read.
    pub(super) fn read(claims: &'a Value) -> Result<Self, TokenError> {
        let subject = claims.get("sub").and_then(Value::as_str);
        let expires = claims.get("exp").and_then(time);
        let not_before = match claims.get("nbf") {
            None => None,
            Some(value) => Some(time(value).ok_or(TokenError::Claim("nbf"))?),
        };
        if claims.get("iat").is_some_and(|value| time(value).is_none()) {
            return Err(TokenError::Claim("iat"));
        }
        Ok(Self {
            subject: subject
                .filter(|subject| is_name(subject))
                .ok_or(TokenError::Claim("sub"))?,
            expires: expires.ok_or(TokenError::Claim("exp"))?,
            not_before,
        })
    }

    /// Returns the principal, if the token counts at this time.
    ///
    /// # Errors
    /// [`TokenError`] if the token has expired or does not count yet, or if its roles have a wrong
    /// type.
    pub(super) fn principal(
        &self,
        issuer: &Issuer,
        claims: &Value,
        now: SystemTime,
    ) -> Result<Principal, TokenError> {
        let principal = Principal {
            issuer: issuer.name.clone(),
            subject: self.subject.to_owned(),
            roles: roles(claims, &issuer.roles_claim)?,
            expires: self.expires,
        };
        if principal.is_expired(now) {
            return Err(TokenError::Expired);
        }
        let is_early = |begin: SystemTime| begin.duration_since(now).is_ok_and(|until| until > LEEWAY);
        if self.not_before.is_some_and(is_early) {
            return Err(TokenError::NotYetValid);
        }
        Ok(principal)
    }
}

/// Reads a time: a number of seconds since the Unix epoch, which may have a fraction (RFC 7519,
/// section 2). The fraction does not count.
fn time(value: &Value) -> Option<SystemTime> {
    let seconds = match value.as_u64() {
        Some(seconds) => seconds,
        None => {
            let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
            Duration::try_from_secs_f64(seconds).ok()?.as_secs()
        }
    };
    let since_epoch = Duration::from_secs(seconds);
    (seconds <= LAST_SECOND)
        .then(|| UNIX_EPOCH.checked_add(since_epoch))
        .flatten()
}

/// Returns the roles at a path: one text, or a list of texts. A token without this claim has no
/// roles.
fn roles(claims: &Value, path: &[String]) -> Result<Vec<String>, TokenError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let found = path
        .iter()
        .try_fold(claims, |value, name| value.as_object()?.get(name));
    let role = |value: &Value| value.as_str().map(str::to_owned).ok_or(TokenError::Roles);
    match found {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(role).collect(),
        Some(value) => Ok(vec![role(value)?]),
    }
}

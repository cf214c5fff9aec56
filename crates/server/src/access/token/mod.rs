//! JSON Web Tokens (RFC 7519) in compact form, signed with a key of a configured issuer.
//!
//! The library checks the signature, the audience, and that the claims are there. This part checks
//! everything else, and it is stricter:
//!
//! - The algorithm comes from the key and the access file. The token must name the same one.
//! - Keys come only from the configured set. The header's own keys and URLs (`jwk`, `jku`, `x5c`,
//!   `x5u`) are ignored.
//! - A token with `crit` is refused, because this server knows no extension.
//! - No object in a token may repeat a name.
//! - The time is an argument, so a test needs no clock.

mod claims;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::SystemTime;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;
use thiserror::Error;

use super::crypto;
use super::file::Issuer;
use super::key_set::KeySet;
use super::principal::Principal;
use super::unique_json::UniqueJson;
use claims::Claims;

/// The algorithms of tokens that a server accepts, with their names in tokens and access files.
pub(super) const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("RS256", Algorithm::RS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
];

/// The reason why a server does not accept a token or an API key. No reason repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum TokenError {
    #[error("the token is longer than {} bytes", bellwether_protocol::MAX_TOKEN_BYTES)]
    TooLong,
    #[error("the token is no JSON Web Token of three parts (header, claims and signature)")]
    NotAToken,
    #[error("the token's header has no algorithm that this server accepts for its issuer")]
    Algorithm,
    #[error("the token's header has \"crit\", and this server knows no extensions")]
    CriticalHeader,
    #[error("this server does not know the token's issuer")]
    UnknownIssuer,
    #[error("the token's issuer has published no key that fits the token")]
    UnknownKey,
    #[error("too many keys of the token's issuer fit the token: it needs a key id (\"kid\")")]
    TooManyKeys,
    #[error("this server cannot get the keys of the token's issuer now")]
    KeysUnavailable,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token's claim \"{0}\" is missing or has a wrong type")]
    Claim(&'static str),
    #[error("the token has expired")]
    Expired,
    #[error("the token does not count yet (\"nbf\")")]
    NotYetValid,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token's claim with the roles is no text and no list of texts")]
    Roles,
    #[error("this server does not know the API key")]
    UnknownApiKey,
    #[error("the API key has expired")]
    ApiKeyExpired,
}

/// A token whose signature is not checked yet. `Debug` is left out, so no log shows a token.
pub(crate) struct UnverifiedToken<'a> {
    text: &'a str,
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Value,
    issuer: String,
}

impl<'a> UnverifiedToken<'a> {
    /// Reads the header and the issuer of a token.
    ///
    /// # Errors
    /// [`TokenError`] if the text is no token, or is one that no issuer could make valid.
    pub(crate) fn read(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > bellwether_protocol::MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::NotAToken);
        };
        let header = object(header).ok_or(TokenError::NotAToken)?;
        if header.get("crit").is_some() {
            return Err(TokenError::CriticalHeader);
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = ALGORITHMS.iter().find(|(name, _)| Some(*name) == algorithm);
        let &(_, algorithm) = algorithm.ok_or(TokenError::Algorithm)?;
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(TokenError::NotAToken),
        };
        let claims = object(claims).ok_or(TokenError::NotAToken)?;
        let issuer = claims.get("iss").and_then(Value::as_str);
        Ok(Self {
            text,
            algorithm,
            key_id,
            issuer: issuer.ok_or(TokenError::Claim("iss"))?.to_owned(),
            claims,
        })
    }

    /// Returns the issuer that the token names. Anyone can write this name into a token.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// Reads a part of a token: a JSON object in base64url without padding.
fn object(part: &str) -> Option<Value> {
    let json = BASE64URL_NOPAD.decode(part.as_bytes()).ok()?;
    let UniqueJson(value) = serde_json::from_slice(&json).ok()?;
    value.is_object().then_some(value)
}

/// Verifies a token of this issuer at this time, with the issuer's keys.
///
/// # Errors
/// [`TokenError::UnknownKey`] if none of the keys fits: a newer set may have the key. Another
/// [`TokenError`] if the token is not valid.
pub(super) fn verify(
    token: &UnverifiedToken<'_>,
    issuer: &Issuer,
    keys: &KeySet,
    now: SystemTime,
) -> Result<Principal, TokenError> {
    if token.issuer != issuer.name {
        return Err(TokenError::UnknownIssuer);
    }
    if !issuer.algorithms.contains(&token.algorithm) {
        return Err(TokenError::Algorithm);
    }
    let candidates = keys.candidates(token.key_id.as_deref(), token.algorithm);
    let candidates = candidates.ok_or(TokenError::TooManyKeys)?;
    let mut refused = TokenError::UnknownKey;
    for key in candidates {
        match signed(token, issuer, key) {
            Ok(value) => return Claims::read(&value)?.principal(issuer, &value, now),
            Err(error) => refused = error,
        }
        if refused != TokenError::Signature {
            break;
        }
    }
    Err(refused)
}

/// Returns the claims if this key has signed them and they are for this server.
fn signed(token: &UnverifiedToken<'_>, issuer: &Issuer, key: &DecodingKey) -> Result<Value, TokenError> {
    crypto::install();
    let mut validation = Validation::new(token.algorithm);
    validation.set_issuer(&[&issuer.name]);
    validation.set_audience(&issuer.audience);
    validation.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(str::to_owned));
    // The library reads the clock itself. `Claims` checks the times against the given one.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    match decode::<UniqueJson>(token.text, key, &validation) {
        Ok(data) => Ok(data.claims.0),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => TokenError::Signature,
            ErrorKind::InvalidAudience => TokenError::Audience,
            ErrorKind::InvalidIssuer => TokenError::UnknownIssuer,
            ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenError::Algorithm,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                TokenError::Claim(match &**claim {
                    "exp" => "exp",
                    "iss" => "iss",
                    "aud" => "aud",
                    _ => "sub",
                })
            }
            // The library cannot read a claim, and does not say which.
            _ => Claims::read(&token.claims).err().unwrap_or(TokenError::NotAToken),
        }),
    }
}

//! Identities of clients: the access file, tokens of OpenID Connect providers, and static API keys.
//!
//! The module `file` reads the configuration. The module `token` turns a token into a principal,
//! without a clock, a file or a connection. The module `keys` fetches the keys of issuers.
//! [`Authenticator`] puts these parts together, and follows changes of the files. Neither a token
//! nor an API key appears in an error, a log line or the output of `Debug`.

mod api_key;
mod authenticator;
mod crypto;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key_set;
mod keys;
mod load;
mod principal;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "the keys are for tests and fuzz targets only")]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "a fuzz target needs some of the keys only")
)]
mod test_keys;
mod token;
mod unique_json;

pub use api_key::NewApiKey;
pub(crate) use authenticator::{Authenticator, Identity};
pub use file::AccessFileError;
pub use load::AccessError;
pub(crate) use token::TokenError;

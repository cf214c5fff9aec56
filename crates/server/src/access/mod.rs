//! Identities of clients: the access file, tokens of OpenID Connect providers, and static API keys.
//!
//! [`AccessFile`](file::AccessFile) is the configuration. The module `token` turns a token into a
//! [`Principal`], without a clock, a file or a connection. The module `keys` fetches the keys of
//! issuers. Neither a token nor an API key appears in an error, a log line or the output of `Debug`.

mod api_key;
mod crypto;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key_set;
mod keys;
mod principal;
#[cfg(any(test, fuzzing))]
mod test_keys;
mod token;
mod unique_json;

pub use api_key::NewApiKey;
pub use file::AccessFileError;
pub use principal::Principal;

//! Properties that hold for all bytes from outside. The fuzz targets call these functions with the
//! fuzzer's input, and a test calls them with the corpus: see `fuzz/README.md` in the repository.
//! This module is not part of the interface.
//!
//! Each function panics if a property does not hold.

pub use crate::access::fuzzing::{access_file, token};
pub use crate::command::fuzzing::{command, memory};
pub use crate::endpoint::fuzzing::origin;
pub use crate::peer::fuzzing::{peer_frame, peer_secrets, peer_session};
pub use crate::pipeline::fuzzing::mongodb_reply;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::corpus;

    #[test]
    fn access_files() {
        corpus("access_file", super::access_file);
    }

    #[test]
    fn tokens() {
        corpus("token", super::token);
    }

    #[test]
    fn commands() {
        corpus("command", super::command);
    }

    #[test]
    fn origins() {
        corpus("origin", super::origin);
    }

    #[test]
    fn what_peers_send() {
        corpus("peer_frame", super::peer_frame);
    }

    #[test]
    fn what_peers_sign() {
        corpus("peer_session", super::peer_session);
    }

    #[test]
    fn secrets_of_peers() {
        corpus("peer_secrets", super::peer_secrets);
    }

    #[test]
    fn what_mongodb_replies() {
        corpus("mongodb_reply", super::mongodb_reply);
    }
}

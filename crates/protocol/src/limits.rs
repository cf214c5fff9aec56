//! Limits as servers have them unless they are configured otherwise. What a client needs to know of them holds as
//! `hello_ok` says it.

use core::time::Duration;

/// Longest message a server accepts by default, in bytes: 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// Deepest nesting of arrays and documents in a command. MongoDB itself stores no document nested deeper
/// than 100 levels.
pub const MAX_DEPTH: usize = 100;

/// Largest reply to one command, in bytes of BSON: 4 MiB. A reply is stored with the command's id in one
/// document, which MongoDB limits to 16 MiB.
pub const MAX_RESULT_BYTES: usize = 4 * 1024 * 1024;

/// How long a server works on a command that names no deadline of its own.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// Longest deadline a command may ask for. A longer one is shortened to this.
pub const MAX_DEADLINE: Duration = Duration::from_secs(60);

/// How long a server waits for `hello` after the connection opened.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

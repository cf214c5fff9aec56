//! Default limits of servers. A client uses the limits in `hello_ok` instead.

use core::time::Duration;

/// Longest message that a server accepts by default, in bytes: 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// Deepest nesting of arrays and documents in a command. MongoDB stores no document nested deeper
/// than 100 levels.
pub const MAX_DEPTH: usize = 100;

/// Largest reply to one command, in bytes of BSON: 4 MiB. The server stores a reply with the
/// command's id in one document, which MongoDB limits to 16 MiB.
pub const MAX_RESULT_BYTES: usize = 4 * 1024 * 1024;

/// Time limit for a command that names no deadline.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// Longest deadline of a command. A server shortens a longer deadline to this value.
pub const MAX_DEADLINE: Duration = Duration::from_secs(60);

/// Time limit for `hello` after a connection has opened.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest token or API key in `hello` and `token`, in bytes: 8 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

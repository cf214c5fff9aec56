//! MongoDB's error codes that this server handles.

pub(crate) const UNAUTHORIZED: i32 = 13;
pub(crate) const AUTHENTICATION_FAILED: i32 = 18;
pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;
pub(crate) const INDEX_NOT_FOUND: i32 = 27;
pub(crate) const CURSOR_NOT_FOUND: i32 = 43;
pub(crate) const NAMESPACE_EXISTS: i32 = 48;
pub(crate) const MAX_TIME_EXPIRED: i32 = 50;
pub(crate) const WRITE_CONCERN_TIMEOUT: i32 = 64;
pub(crate) const WRITE_CONFLICT: i32 = 112;
pub(crate) const CURSOR_KILLED: i32 = 237;
pub(crate) const SNAPSHOT_TOO_OLD: i32 = 239;
pub(crate) const SNAPSHOT_UNAVAILABLE: i32 = 246;
pub(crate) const NO_SUCH_TRANSACTION: i32 = 251;
pub(crate) const NOT_IN_TRANSACTION: i32 = 263;
pub(crate) const COLLECTION_UUID_MISMATCH: i32 = 361;
pub(crate) const DUPLICATE_KEY: i32 = 11000;
pub(crate) const INTERRUPTED: i32 = 11601;
/// The writes of a transaction together do not fit into MongoDB's cache.
pub(crate) const TRANSACTION_TOO_LARGE_FOR_CACHE: i32 = 388;

/// Returns `true` if a member answers with this code because it is not, or no longer, the primary,
/// or because it is stopping.
pub(crate) fn is_change_of_primary(code: i32) -> bool {
    const CODES: [i32; 8] = [91, 189, 10058, 10107, 11600, 11602, 13435, 13436];
    CODES.contains(&code)
}

/// Returns `true` if the same command may succeed a moment later, although the primary has not
/// changed. A host was not reached in time, a lock was not available in time, or the majority is
/// not known yet. The first five codes come from the driver specification "Retryable Reads".
pub(crate) fn is_passing(code: i32) -> bool {
    const CODES: [i32; 7] = [6, 7, 89, 134, 262, 9001, 24];
    CODES.contains(&code)
}

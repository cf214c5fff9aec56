//! Options that MongoDB knows and this server refuses, with the reason for each.

const WHOLE_RESULT: &str = "the reply holds the whole result; page with sort, skip and limit";
const ENDS: &str = "a command ends with its reply";
const OWN_SESSIONS: &str = "sessions are the server's own";
const ONE_TRANSACTION: &str = "every command is a transaction already, and a list of commands is one, too";
const REPEATABLE: &str = "the command's id makes it safe to repeat";
const ROUTED: &str = "it is between MongoDB's own servers";
const DRIVERS: &str = "it is between the server and MongoDB";
const NO_CAPPED: &str =
    "MongoDB can neither write to a capped collection in a transaction nor read it in a snapshot";

const REFUSED: &[(&str, &str)] = &[
    (
        "writeConcern",
        "every command is answered only after a majority has it",
    ),
    (
        "readConcern",
        "every command reads a snapshot that a majority has",
    ),
    ("$readPreference", "every command runs on the primary"),
    ("readPreference", "every command runs on the primary"),
    ("$queryOptions", "every command runs on the primary"),
    ("lsid", OWN_SESSIONS),
    ("txnNumber", ONE_TRANSACTION),
    ("txnRetryCounter", ONE_TRANSACTION),
    ("autocommit", ONE_TRANSACTION),
    ("startTransaction", ONE_TRANSACTION),
    ("stmtId", REPEATABLE),
    ("stmtIds", REPEATABLE),
    ("$db", "commands are for the configured database"),
    ("$tenant", "commands are for the configured database"),
    ("$clusterTime", "the server keeps it"),
    ("$configTime", "the server keeps it"),
    ("$topologyTime", "the server keeps it"),
    ("operationTime", "the server keeps it"),
    ("apiVersion", DRIVERS),
    ("apiStrict", DRIVERS),
    ("apiDeprecationErrors", DRIVERS),
    ("$client", DRIVERS),
    ("$audit", ROUTED),
    ("mayBypassWriteBlocking", ROUTED),
    ("maxTimeMSOpOnly", "give maxTimeMS"),
    ("fromMongos", ROUTED),
    ("fromRouter", ROUTED),
    ("needsMerge", ROUTED),
    ("shardVersion", ROUTED),
    ("databaseVersion", ROUTED),
    ("runtimeConstants", "give let"),
    ("legacyRuntimeConstants", "give let"),
    ("isMapReduceCommand", ROUTED),
    (
        "encryptionInformation",
        "the server cannot take part in queryable encryption",
    ),
    (
        "encryptedFields",
        "the server cannot take part in queryable encryption",
    ),
    (
        "collectionUUID",
        "collections are named, and the server keeps to one itself where it must",
    ),
    (
        "bypassDocumentValidation",
        "the collection's validation holds for every client",
    ),
    ("explain", "MongoDB explains nothing in a transaction"),
    ("batchSize", WHOLE_RESULT),
    ("singleBatch", WHOLE_RESULT),
    ("ntoreturn", WHOLE_RESULT),
    ("tailable", ENDS),
    ("awaitData", ENDS),
    ("noCursorTimeout", ENDS),
    ("exhaust", ENDS),
    ("allowPartialResults", "results are never partial"),
    ("oplogReplay", "it is for MongoDB's oplog"),
    ("readOnce", "MongoDB does not support it in a transaction"),
    ("capped", NO_CAPPED),
    ("size", NO_CAPPED),
    ("max", NO_CAPPED),
    (
        "timeseries",
        "MongoDB cannot write to a time series collection in a transaction",
    ),
    ("storageEngine", "MongoDB's operator decides how data is stored"),
    (
        "indexOptionDefaults",
        "MongoDB's operator decides how data is stored",
    ),
    ("idIndex", "MongoDB makes the index on _id itself"),
    ("autoIndexId", "MongoDB makes the index on _id itself"),
    ("commitQuorum", "the server lets a majority decide"),
    ("background", "MongoDB ignores it since 4.2"),
    ("dropDups", "MongoDB ignores it since 3.0"),
    (
        "authorizedCollections",
        "a client that may send this command sees every collection",
    ),
    (
        "authorizedDatabases",
        "a client that may send this command sees every collection",
    ),
];

/// Returns the reason why the server refuses the option, if MongoDB has it.
pub(super) fn reason_against(option: &str) -> Option<&'static str> {
    let refused = REFUSED.iter().find(|(known, _)| *known == option);
    refused.map(|(_, reason)| *reason)
}

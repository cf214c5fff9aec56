//! The names of MongoDB's error codes.
//!
//! MongoDB names the code of a command that failed as a whole. It sends no name with the error of
//! one statement, so this table supplies the name. The names are those of
//! `src/mongo/base/error_codes.yml` in MongoDB 6.0, for the codes that a statement can have.

/// Returns the name of a code. A code without a name gets the one that MongoDB itself gives:
/// `Location` and the number.
pub(super) fn code_name(code: i32) -> String {
    match NAMES.binary_search_by_key(&code, |(code, _)| *code) {
        Ok(at) => NAMES[at].1.to_owned(),
        Err(_) => format!("Location{code}"),
    }
}

/// The names, in the order of the codes.
const NAMES: [(i32, &str); 83] = [
    (1, "InternalError"),
    (2, "BadValue"),
    (4, "NoSuchKey"),
    (5, "GraphContainsCycle"),
    (6, "HostUnreachable"),
    (7, "HostNotFound"),
    (8, "UnknownError"),
    (9, "FailedToParse"),
    (11, "UserNotFound"),
    (13, "Unauthorized"),
    (14, "TypeMismatch"),
    (15, "Overflow"),
    (16, "InvalidLength"),
    (17, "ProtocolError"),
    (20, "IllegalOperation"),
    (22, "InvalidBSON"),
    (24, "LockTimeout"),
    (26, "NamespaceNotFound"),
    (27, "IndexNotFound"),
    (28, "PathNotViable"),
    (39, "CursorInUse"),
    (40, "ConflictingUpdateOperators"),
    (43, "CursorNotFound"),
    (46, "LockBusy"),
    (47, "NoMatchingDocument"),
    (48, "NamespaceExists"),
    (50, "MaxTimeMSExpired"),
    (52, "DollarPrefixedFieldName"),
    (53, "InvalidIdField"),
    (54, "NotSingleValueField"),
    (55, "InvalidDBRef"),
    (56, "EmptyFieldName"),
    (57, "DottedFieldName"),
    (59, "CommandNotFound"),
    (61, "ShardKeyNotFound"),
    (64, "WriteConcernFailed"),
    (65, "MultipleErrorsOccurred"),
    (66, "ImmutableField"),
    (67, "CannotCreateIndex"),
    (68, "IndexAlreadyExists"),
    (70, "ShardNotFound"),
    (72, "InvalidOptions"),
    (73, "InvalidNamespace"),
    (85, "IndexOptionsConflict"),
    (86, "IndexKeySpecsConflict"),
    (89, "NetworkTimeout"),
    (91, "ShutdownInProgress"),
    (96, "OperationFailed"),
    (112, "WriteConflict"),
    (115, "CommandNotSupported"),
    (121, "DocumentValidationFailure"),
    (125, "CommandFailed"),
    (132, "TooManyFilesOpen"),
    (134, "ReadConcernMajorityNotAvailableYet"),
    (135, "StaleTerm"),
    (146, "ExceededMemoryLimit"),
    (153, "InvalidUUID"),
    (159, "DurationOverflow"),
    (165, "ViewDepthLimitExceeded"),
    (166, "CommandNotSupportedOnView"),
    (167, "OptionNotSupportedOnView"),
    (168, "InvalidPipelineOperator"),
    (181, "AmbiguousIndexKeyPattern"),
    (182, "InvalidViewDefinition"),
    (189, "PrimarySteppedDown"),
    (197, "InvalidIndexSpecificationOption"),
    (224, "QueryFeatureNotAllowed"),
    (225, "TransactionTooOld"),
    (237, "CursorKilled"),
    (239, "SnapshotTooOld"),
    (241, "ConversionFailure"),
    (246, "SnapshotUnavailable"),
    (251, "NoSuchTransaction"),
    (262, "ExceededTimeLimit"),
    (263, "OperationNotSupportedInTransaction"),
    (292, "QueryExceededMemoryLimitNoDiskUseAllowed"),
    (334, "ExpressionNotFound"),
    (388, "TransactionTooLargeForCache"),
    (10107, "NotWritablePrimary"),
    (10334, "BSONObjectTooLarge"),
    (11000, "DuplicateKey"),
    (11601, "Interrupted"),
    (17280, "KeyTooLong"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(NAMES.is_sorted_by(|one, next| one.0 < next.0));
        assert_eq!(code_name(11000), "DuplicateKey");
        assert_eq!(code_name(241), "ConversionFailure");
        assert_eq!(code_name(40_414), "Location40414");
    }
}

//! What went wrong in SQLite, and what an operator can do about it.

use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};
use x402_core::order::StoreError;

/// Why a step was not taken.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite did not do it.
    Sql(Error),
    /// The step itself says no.
    Refused(StoreError),
}

impl Failure {
    /// Whether only this step failed, and those beside it in a transaction are as good as before.
    pub(super) fn is_of_the_step(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Sql(error) => matches!(
                error.sqlite_error_code(),
                None | Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig)
            ),
        }
    }

    pub(super) fn into_error(self, file: &Path) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => unavailable(describe(file, &error)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

pub(super) fn unavailable(why: impl Into<String>) -> StoreError {
    StoreError::Unavailable(why.into().into())
}

/// Whether a value was to come twice where it must be unique.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

pub(super) fn describe(file: &Path, error: &Error) -> String {
    format!("{}: {} ({error})", file.display(), advice(error))
}

/// What to do, in words that hold at start and later.
pub(super) fn advice(error: &Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process keeps the file locked; close what has it open"
        }
        Some(ErrorCode::DiskFull) => "there is no room for it; make room on the disk, or raise its limit",
        Some(ErrorCode::ReadOnly) => {
            "it may only be read; let the user of this process write the file and its folder"
        }
        Some(
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied,
        ) => {
            "it cannot be opened; its folder must exist, and the user of this process must be allowed to write there"
        }
        Some(ErrorCode::NotADatabase) => "it is no SQLite database; name another file",
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged; restore it from a copy",
        Some(ErrorCode::SystemIoFailure) => "the disk failed; see the system's log",
        Some(ErrorCode::ConstraintViolation) => "its record does not allow this",
        _ => "SQLite failed",
    }
}

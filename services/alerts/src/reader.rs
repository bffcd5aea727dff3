//! Why one of our readers of the logs starts over.

use std::fmt;
use std::time::Duration;

use eventlog::{LoadError, ReadError};
use readmodel::DatabaseError;

use crate::signals::SignalsError;

/// How often an idle connection (and the lock that it holds) is checked.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);

/// Why a reader starts over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("database: {0}")]
    Database(DatabaseError),
    #[error("log: {0}")]
    Log(String),
    #[error(transparent)]
    Signals(#[from] SignalsError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self::Log(error.to_string())
    }
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        Self::Log(error.to_string())
    }
}

impl Failed {
    /// A decision of a reader that was not written.
    pub(crate) fn unwritten(error: &impl fmt::Display) -> Self {
        Self::Log(error.to_string())
    }
}

//! What can go wrong while a read model is kept, told without any value of a row.

use std::{fmt, sync::Arc};

use sqlx::postgres::PgDatabaseError;

/// An error of the database, shown by its class and the objects concerned.
///
/// PostgreSQL's own text may quote values of a row, and these may be personal data: neither `Display` nor `Debug` shows
/// it, and it is not offered as a source.
#[derive(Clone)]
pub struct DatabaseError(Arc<sqlx::Error>);

/// How an error of the database is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The server or the way to it is disturbed: try again, for as long as it takes.
    Passing,
    /// The data of a record doesn't fit: the record is parked.
    OfTheRecord,
    /// Neither is plain (a missing table, a missing right): tried again for a while, then parked.
    Unclear,
}

impl DatabaseError {
    /// The SQLSTATE, where the server answered with an error.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        self.0
            .as_database_error()
            .and_then(|error| error.code())
            .map(|code| code.into_owned())
    }

    /// Whether the server or the way to it is disturbed, so that the same query may succeed another time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.severity() == Severity::Passing
    }

    /// Whether there is nothing to be read for now: the server is disturbed, or tables or columns are about to be made.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.is_passing() || matches!(self.code().as_deref(), Some("42P01" | "42703" | "3F000"))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "sqlx may add errors at any time"
    )]
    pub(crate) fn severity(&self) -> Severity {
        if let Some(code) = self.code() {
            return match code.get(..2).unwrap_or_default() {
                // Data exception, integrity violation, RAISE, limit of the program (a row too long for an index).
                "22" | "23" | "P0" | "54" => Severity::OfTheRecord,
                // Connection, rollback (deadlock, serialisation), resources, operator, system; a server become standby.
                "08" | "40" | "53" | "57" | "58" | "25" => Severity::Passing,
                "55" if code == "55P03" => Severity::Passing,
                _ => Severity::Unclear,
            };
        }
        match &*self.0 {
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                Severity::OfTheRecord
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Severity::Passing,
            _ => Severity::Unclear,
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for DatabaseError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "sqlx may add errors at any time"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self
            .0
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        {
            write!(f, "SQLSTATE {}", error.code())?;
            for (what, name) in [
                ("table", error.table()),
                ("column", error.column()),
                ("constraint", error.constraint()),
            ] {
                if let Some(name) = name {
                    write!(f, ", {what} {name}")?;
                }
            }
            return Ok(());
        }
        match &*self.0 {
            sqlx::Error::Io(error) => write!(f, "connection: {}", error.kind()),
            sqlx::Error::Tls(_) => f.write_str("TLS"),
            sqlx::Error::Protocol(_) => f.write_str("protocol"),
            sqlx::Error::PoolTimedOut => f.write_str("no connection became free in time"),
            sqlx::Error::PoolClosed => f.write_str("the pool is closed"),
            sqlx::Error::RowNotFound => f.write_str("a row expected was not there"),
            sqlx::Error::ColumnNotFound(column) => write!(f, "no column {column}"),
            sqlx::Error::ColumnDecode { index, .. } => write!(f, "column {index} can't be decoded"),
            sqlx::Error::Encode(_) => f.write_str("a value can't be encoded"),
            sqlx::Error::Decode(_) => f.write_str("a value can't be decoded"),
            sqlx::Error::Configuration(_) => f.write_str("configuration"),
            sqlx::Error::Migrate(_) => f.write_str("migration"),
            _ => f.write_str("driver"),
        }
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseError({self})")
    }
}

impl std::error::Error for DatabaseError {}

/// Why a projection could not apply a batch.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database refused; its class decides whether to try again or to park.
    #[error("database: {0}")]
    Database(DatabaseError),
    /// Something else that the fold needs is away for now (the key service, say): tried again without end.
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    /// One of the records can't be applied, now or later: it is searched for and parked with this reason.
    #[error("{0}")]
    Poison(&'static str),
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl ApplyError {
    pub(crate) fn severity(&self) -> Severity {
        match self {
            Self::Database(error) => error.severity(),
            Self::Unavailable(_) => Severity::Passing,
            Self::Poison(_) => Severity::OfTheRecord,
        }
    }

    /// What an operator reads beside the parked record: a class, never a value.
    pub(crate) fn reason(&self) -> String {
        self.to_string()
    }
}

/// Why a read model could not be kept, rebuilt or verified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("database: {0}")]
    Database(DatabaseError),
    /// The log failed.
    #[error("log: {0}")]
    Log(#[from] eventlog::ReadError),
    /// The fold failed.
    #[error("projection: {0}")]
    Apply(#[from] ApplyError),
    /// Another process moved the checkpoint: this one no longer leads.
    #[error("another runner has taken over")]
    Superseded,
    /// A rebuild or a verification of this projection is under way elsewhere.
    #[error("a rebuild or a verification of {0} is already under way")]
    Busy(String),
    /// The checkpoint was written for another stream.
    #[error("the checkpoint of {projection} belongs to stream {stream}")]
    OtherStream {
        /// The projection.
        projection: String,
        /// The stream that its checkpoint names.
        stream: String,
    },
    /// A newer version of the program has rebuilt this projection; this one stands by.
    #[error("{projection} is at version {found}, this program knows version {known}")]
    Newer {
        /// The projection.
        projection: String,
        /// The version in the database.
        found: u32,
        /// The version of this program.
        known: u32,
    },
    /// There is nothing yet to verify.
    #[error("{0} has no live version")]
    NotThere(String),
    /// A transaction took longer than it may; the connection is given up.
    #[error("a transaction took longer than {0:?}")]
    TooSlow(std::time::Duration),
    /// The log ended its subscription.
    #[error("the subscription ended")]
    SubscriptionEnded,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Database(sqlx::Error::from(error).into())
    }
}

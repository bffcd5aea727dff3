//! How far a projection has got, and who may move it on.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgExecutor, PgPool, Row};

use crate::failure::Error;
use crate::projection::{Projection, ddl_digest};
#[cfg(feature = "testing")]
use crate::testing::later;

/// A projection's row in `readmodel.checkpoint`.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
    pub(crate) version: u32,
    pub(crate) ddl_digest: Vec<u8>,
    pub(crate) generation: i64,
    pub(crate) loaded: bool,
}

impl Checkpoint {
    /// Whether the tables are those of this very program.
    pub(crate) fn is_of(&self, projection: &impl Projection) -> bool {
        self.version == version_of(projection) && self.ddl_digest == ddl_digest(projection)
    }
}

/// Sets up or brings up to date what the library keeps in the schema `readmodel`; safe to call from many processes, older
/// programs among them.
///
/// # Errors
/// The database's.
pub async fn migrate(pool: &PgPool) -> Result<(), Error> {
    let mut migrator = sqlx::migrate!();
    migrator.create_schema("readmodel");
    // A table of its own: services keep their migrations in the usual one.
    migrator.dangerous_set_table_name("readmodel.migration");
    // An older program gets on with what a later one has added.
    migrator.set_ignore_missing(true);
    // A connection of its own: after a failure the migrator leaves its advisory lock behind, and closing frees it.
    let alone = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    let outcome = migrator.run(&alone).await;
    alone.close().await;
    Ok(outcome?)
}

/// How far projections have got, in the order in which they are asked for; 0 for one that has not begun.
///
/// # Errors
/// The database's.
pub async fn checkpoints<const N: usize>(
    db: impl PgExecutor<'_>,
    projections: [&str; N],
) -> Result<[u64; N], sqlx::Error> {
    let rows = sqlx::query(
        "SELECT coalesce(c.sequence, 0) FROM unnest($1::text[]) WITH ORDINALITY AS asked (projection, place) \
         LEFT JOIN readmodel.checkpoint c USING (projection) ORDER BY asked.place",
    )
    .bind(projections.as_slice())
    .fetch_all(db)
    .await?;
    let mut sequences = [0; N];
    for (sequence, row) in sequences.iter_mut().zip(rows) {
        *sequence = row.try_get::<i64, _>(0)?.cast_unsigned();
    }
    Ok(sequences)
}

/// A connection outside the pool, made so that the death of either end is noticed in seconds.
pub(crate) async fn connect(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await?;
    // Locks of a process that died without a word are freed once the server sees that nobody is there: by keepalives
    // where the machine is gone, by looking at the socket where a long statement runs for a process that is gone.
    sqlx::raw_sql(
        "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
         SET tcp_user_timeout = 10000; SET client_connection_check_interval = 1000; \
         SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0",
    )
    .execute(&mut conn)
    .await?;
    Ok(conn)
}

/// Makes a connection write to one version of the tables.
pub(crate) async fn write_to(
    conn: &mut PgConnection,
    schema: &str,
    lead: Lead,
) -> Result<(), Error> {
    // Who waits for the live version acts on what stands there, and is told without asking the database again: no crash of
    // the server may take that back. Of what is built aside, rows and checkpoint go back together, and the log gives them again.
    let synchronous = match lead {
        Lead::Live => "on",
        Lead::Aside => "off",
    };
    let settings = format!(
        "SET search_path = {}, public; SET synchronous_commit = {synchronous}",
        quoted(schema)
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(conn).await?;
    Ok(())
}

pub(crate) async fn read(
    conn: &mut PgConnection,
    projection: &str,
) -> Result<Option<Checkpoint>, Error> {
    let row = sqlx::query(
        "SELECT stream, sequence, version, ddl_digest, generation, loaded FROM readmodel.checkpoint WHERE projection = $1",
    )
    .bind(projection)
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Checkpoint {
            stream: row.try_get(0)?,
            sequence: row.try_get::<i64, _>(1)?.unsigned_abs(),
            version: row.try_get::<i32, _>(2)?.unsigned_abs(),
            ddl_digest: row.try_get(3)?,
            generation: row.try_get(4)?,
            loaded: row.try_get(5)?,
        })
    })
    .transpose()
}

/// Creates the tables of a projection in `schema`, empty, with their checkpoint.
///
/// `loaded` says whether they go live at once, with all their indexes, or are filled in bulk first.
pub(crate) async fn create(
    conn: &mut PgConnection,
    projection: &impl Projection,
    schema: &str,
    stream: &str,
    sequence: u64,
    loaded: bool,
) -> Result<(), Error> {
    let mut tx = conn.begin().await?;
    let name = quoted(schema);
    run(&mut tx, format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; SET LOCAL search_path = {name}, public"))
        .await?;
    run(&mut tx, projection.ddl().to_owned()).await?;
    if loaded {
        run(&mut tx, projection.post_load_ddl().to_owned()).await?;
    }
    sqlx::query("DELETE FROM readmodel.checkpoint WHERE projection = $1")
        .bind(schema)
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM readmodel.parked WHERE projection = $1")
        .bind(schema)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO readmodel.checkpoint (projection, stream, sequence, version, ddl_digest, loaded) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(schema)
    .bind(stream)
    .bind(signed(sequence))
    .bind(version(projection))
    .bind(ddl_digest(projection))
    .bind(loaded)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Drops a version of the tables with its checkpoint and what it parked.
pub(crate) async fn discard(conn: &mut PgConnection, schema: &str) -> Result<(), Error> {
    let mut tx = conn.begin().await?;
    run(
        &mut tx,
        format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(schema)),
    )
    .await?;
    sqlx::query("DELETE FROM readmodel.checkpoint WHERE projection = $1")
        .bind(schema)
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM readmodel.parked WHERE projection = $1")
        .bind(schema)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// What a process must hold to do something that only one may do at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lead {
    /// Running the live version.
    Live,
    /// Building a version aside, to switch to it or to compare.
    Aside,
}

/// What a lead is called among the locks of the database.
pub(crate) fn lead_key(projection: &str, lead: Lead) -> String {
    match lead {
        Lead::Live => format!("readmodel live {projection}"),
        Lead::Aside => format!("readmodel aside {projection}"),
    }
}

/// Takes the lead for the life of the connection, if it is free.
///
/// Never waits inside the server: a statement that waits for an advisory lock holds a snapshot, and for as long as it
/// waits no dead row of the database can be cleaned up.
pub(crate) async fn try_lead(
    conn: &mut PgConnection,
    projection: &str,
    lead: Lead,
) -> Result<bool, Error> {
    Ok(
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
            .bind(lead_key(projection, lead))
            .fetch_one(conn)
            .await?,
    )
}

/// Waits until the lead is free, and takes it.
pub(crate) async fn lead(
    conn: &mut PgConnection,
    projection: &str,
    lead: Lead,
    poll: Duration,
) -> Result<(), Error> {
    while !try_lead(conn, projection, lead).await? {
        tokio::time::sleep(poll).await;
    }
    Ok(())
}

pub(crate) async fn run(conn: &mut PgConnection, sql: String) -> Result<(), Error> {
    if !sql.trim().is_empty() {
        // Made of our own schema names and of a projection's constants.
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    }
    Ok(())
}

/// A name as an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).expect("a stream doesn't reach 2^63 messages")
}

/// The version of a projection in this program.
pub(crate) fn version_of(projection: &impl Projection) -> u32 {
    projection.version() + later()
}

/// How much later this program is than it says: not at all but in tests of what happens between two versions.
#[cfg(not(feature = "testing"))]
const fn later() -> u32 {
    0
}

/// The same as the database keeps it.
pub(crate) fn version(projection: &impl Projection) -> i32 {
    column(version_of(projection))
}

/// A version as the database keeps it.
pub(crate) fn column(version: u32) -> i32 {
    i32::try_from(version).expect("a version is a small number")
}

/// The schema in which a new version is built beside the live one.
pub(crate) fn rebuild_schema(name: &str) -> String {
    format!("{name}__rebuild")
}

/// The schema of the version just replaced, until it is dropped.
pub(crate) fn old_schema(name: &str) -> String {
    format!("{name}__old")
}

/// The schema that a verification fills and drops.
pub(crate) fn verify_schema(name: &str) -> String {
    format!("{name}__verify")
}

/// Notes that live tables are those of this program, where nothing needs to be rebuilt for it.
pub(crate) async fn adopt(
    conn: &mut PgConnection,
    projection: &impl Projection,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE readmodel.checkpoint SET version = $2, ddl_digest = $3 WHERE projection = $1",
    )
    .bind(projection.name())
    .bind(version(projection))
    .bind(ddl_digest(projection))
    .execute(conn)
    .await?;
    Ok(())
}

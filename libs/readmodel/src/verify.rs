//! Whether a read model holds what the log says: rebuilt aside to the same position, and compared row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eventlog::{EventLog, Position};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};

use crate::checkpoint::{self, Lead, quoted, verify_schema};
use crate::failure::Error;
use crate::feed::Feed;
use crate::fold::{Caution, Fold};
use crate::projection::{Phase, Projection};
use crate::rebuild::{Course, Progress, Sides, lead_aside, limit};
use crate::settings::Settings;

/// So many keys of each kind are named.
const NAMED: usize = 20;

/// Where a read model and the log disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// The projection compared.
    pub projection: String,
    /// The position up to which both were compared.
    #[serde(serialize_with = "as_text")]
    pub position: Position,
    /// The number of rows compared.
    pub rows: u64,
    /// The tables that differ.
    pub tables: Vec<TableDifferences>,
}

/// Where a table and the log disagree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableDifferences {
    /// The table.
    pub table: String,
    /// The log gives this table, and the read model has none.
    pub table_missing: bool,
    /// The read model has this table, and the log gives none.
    pub table_extra: bool,
    /// Columns (name and type) that only the rebuilt table has.
    pub columns_missing: Vec<String>,
    /// Columns (name and type) that only the live table has.
    pub columns_extra: Vec<String>,
    /// Rows that the log gives and the read model lacks.
    pub missing: Rows,
    /// Rows that the read model has and the log doesn't give.
    pub extra: Rows,
    /// Rows that both have, with other content.
    pub changed: Rows,
}

/// A number of rows, the first of them named by their primary keys; never by what they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// How many.
    pub count: u64,
    /// The keys of the first, their columns joined by `/`; a digest of the row where the table has no key.
    pub first: Vec<String>,
}

impl Differences {
    /// Whether the read model holds just what the log says.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

fn as_text<S: serde::Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}

/// Rebuilds a projection in `<name>__verify` up to the position of the live version, compares all tables, and drops it.
///
/// The comparison sees both in one snapshot of the database. So the live runner goes on meanwhile, and what it writes
/// after the snapshot is not compared.
///
/// # Errors
/// [`Error::NotThere`] without a live version, [`Error::Busy`] while a rebuild or another verification of the projection
/// runs; the database's, the log's and the fold's.
pub async fn verify<P: Projection>(
    pool: &PgPool,
    log: Arc<dyn EventLog>,
    mut projection: P,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Differences, Error> {
    checkpoint::migrate(pool).await?;
    let settings = Settings::default();
    let mut caution = Caution::new(settings.patience);
    let sides = Sides {
        pool,
        log: &log,
        settings: &settings,
    };
    let mut begun = false;
    loop {
        match attempt(&sides, &mut projection, &mut begun, &mut caution, &progress).await {
            Err(error) if caution.has_a_plan_for(&error) => {}
            outcome => return outcome,
        }
    }
}

async fn attempt<P: Projection>(
    sides: &Sides<'_>,
    projection: &mut P,
    begun: &mut bool,
    caution: &mut Caution,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Differences, Error> {
    let name = projection.name();
    let stream = sides.log.stream();
    let aside = verify_schema(name);
    let mut conn = lead_aside(sides, name).await?;
    let live = live(&mut conn, name, stream).await?;
    // What an earlier attempt of this same verification has filled is gone on with: so each record that can't be applied
    // is met once. What another one left behind is not.
    if !*begun {
        checkpoint::create(&mut conn, projection, &aside, stream, 0, false).await?;
        *begun = true;
    }

    let mut fold = Fold::open(
        conn,
        projection,
        &aside,
        Lead::Aside,
        sides.settings.transaction_limit,
    )
    .await?;
    let ahead = fold.projection().ahead();
    let mut feed = Feed::prepared(Arc::clone(sides.log), fold.sequence(), ahead);
    let mut course = Course::new(sides, fold.sequence(), progress);
    // Never beyond the live version: what has been applied can't be taken back.
    if !fold.loaded() {
        course
            .fill(&mut fold, &mut feed, caution, Phase::Rebuild, live, live)
            .await?;
        course.finish(&mut fold).await?;
    }
    let live = self::live(fold.connection(), name, stream).await?;
    course
        .fill(&mut fold, &mut feed, caution, Phase::Live, live, live)
        .await?;

    let mut snapshot = fold.in_snapshot().await?;
    let live = self::live(snapshot.connection(), name, stream).await?;
    while snapshot.sequence() < live {
        let batch = feed
            .next(limit(sides.settings, Phase::Live, live, live))
            .await?;
        snapshot.advance(batch, Phase::Live, caution).await?;
    }
    let (tables, rows) = compare(snapshot.connection(), name, &aside).await?;
    snapshot.end().await?;

    let mut conn = fold.into_connection();
    checkpoint::discard(&mut conn, &aside).await?;
    let _ = conn.close().await;
    let position = Position {
        stream: stream.to_owned(),
        sequence: live,
    };
    Ok(Differences {
        projection: name.to_owned(),
        position,
        rows,
        tables,
    })
}

async fn live(conn: &mut PgConnection, name: &str, stream: &str) -> Result<u64, Error> {
    let live = checkpoint::read(conn, name)
        .await?
        .ok_or_else(|| Error::NotThere(name.to_owned()))?;
    if live.stream != stream {
        return Err(Error::OtherStream {
            projection: name.to_owned(),
            stream: live.stream,
        });
    }
    Ok(live.sequence)
}

/// A table as the catalogue describes it.
#[derive(Debug, Default)]
struct Table {
    /// Name and type.
    columns: Vec<(String, String)>,
    key: Vec<String>,
}

async fn tables(conn: &mut PgConnection, schema: &str) -> Result<BTreeMap<String, Table>, Error> {
    let rows = sqlx::query(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), \
                coalesce(a.attnum = ANY (i.indkey::int2[]), false) \
         FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
         WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
         ORDER BY c.relname, a.attnum",
    )
    .bind(schema)
    .fetch_all(conn)
    .await?;
    let mut tables = BTreeMap::<String, Table>::new();
    for row in rows {
        let table = tables.entry(row.try_get(0)?).or_default();
        if let Some(column) = row.try_get::<Option<String>, _>(1)? {
            if row.try_get(3)? {
                table.key.push(column.clone());
            }
            table.columns.push((column, row.try_get(2)?));
        }
    }
    Ok(tables)
}

async fn compare(
    conn: &mut PgConnection,
    live_schema: &str,
    rebuilt_schema: &str,
) -> Result<(Vec<TableDifferences>, u64), Error> {
    let live = tables(conn, live_schema).await?;
    let rebuilt = tables(conn, rebuilt_schema).await?;
    let names: BTreeSet<&String> = live.keys().chain(rebuilt.keys()).collect();
    let mut differences = Vec::new();
    let mut compared = 0;
    for name in names {
        let mut found = match (live.get(name), rebuilt.get(name)) {
            (Some(live), Some(rebuilt)) => {
                let (found, rows) =
                    compare_table(conn, name, (live_schema, live), (rebuilt_schema, rebuilt))
                        .await?;
                compared += rows;
                found
            }
            (None, Some(_)) => TableDifferences {
                table_missing: true,
                ..TableDifferences::default()
            },
            (Some(_), None) => TableDifferences {
                table_extra: true,
                ..TableDifferences::default()
            },
            (None, None) => TableDifferences::default(),
        };
        if found != TableDifferences::default() {
            found.table.clone_from(name);
            differences.push(found);
        }
    }
    Ok((differences, compared))
}

async fn compare_table(
    conn: &mut PgConnection,
    name: &str,
    (live_schema, live): (&str, &Table),
    (rebuilt_schema, rebuilt): (&str, &Table),
) -> Result<(TableDifferences, u64), Error> {
    let only = |these: &Table, those: &Table| {
        let only = these
            .columns
            .iter()
            .filter(|column| !those.columns.contains(column));
        only.map(|(name, of_type)| format!("{name} {of_type}"))
            .collect::<Vec<_>>()
    };
    let mut found = TableDifferences {
        columns_missing: only(rebuilt, live),
        columns_extra: only(live, rebuilt),
        ..TableDifferences::default()
    };
    let common: Vec<_> = live
        .columns
        .iter()
        .filter(|column| rebuilt.columns.contains(column))
        .collect();
    let columns = common
        .iter()
        .map(|(name, of_type)| comparable(name, of_type))
        .collect::<Vec<_>>()
        .join(", ");
    let key_is_common = rebuilt
        .key
        .iter()
        .all(|key| common.iter().any(|(name, _)| name == key));
    let key = if rebuilt.key.is_empty() || !key_is_common {
        // Equal rows are told apart by their number, so that the join below pairs them one to one.
        "md5(r::text) || '#' || row_number() OVER (PARTITION BY md5(r::text))".to_owned()
    } else {
        let parts: Vec<_> = rebuilt
            .key
            .iter()
            .map(|column| format!("{}::text", quoted(column)))
            .collect();
        format!("concat_ws('/', {})", parts.join(", "))
    };
    let live = format!("{}.{}", quoted(live_schema), quoted(name));
    let rebuilt = format!("{}.{}", quoted(rebuilt_schema), quoted(name));
    let sql = format!(
        "WITH live AS MATERIALIZED (SELECT {columns} FROM {live} EXCEPT ALL SELECT {columns} FROM {rebuilt}), \
              log AS MATERIALIZED (SELECT {columns} FROM {rebuilt} EXCEPT ALL SELECT {columns} FROM {live}), \
              told AS (SELECT a.k AS a, b.k AS b \
                       FROM (SELECT {key} AS k FROM live r) a FULL JOIN (SELECT {key} AS k FROM log r) b ON a.k = b.k) \
         SELECT count(*) FILTER (WHERE a IS NULL), \
                coalesce((array_agg(b ORDER BY b) FILTER (WHERE a IS NULL))[1:{NAMED}], '{{}}'), \
                count(*) FILTER (WHERE b IS NULL), \
                coalesce((array_agg(a ORDER BY a) FILTER (WHERE b IS NULL))[1:{NAMED}], '{{}}'), \
                count(*) FILTER (WHERE a = b), \
                coalesce((array_agg(a ORDER BY a) FILTER (WHERE a = b))[1:{NAMED}], '{{}}'), \
                (SELECT count(*) FROM {live}) \
         FROM told"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(conn)
        .await?;
    let rows = |at: usize| -> Result<Rows, sqlx::Error> {
        Ok(Rows {
            count: row.try_get::<i64, _>(at)?.unsigned_abs(),
            first: row.try_get(at + 1)?,
        })
    };
    found.missing = rows(0)?;
    found.extra = rows(2)?;
    found.changed = rows(4)?;
    Ok((found, row.try_get::<i64, _>(6)?.unsigned_abs()))
}

/// A column in a form that has an equality.
fn comparable(name: &str, of_type: &str) -> String {
    let column = quoted(name);
    match of_type {
        "json" | "xml" | "point" | "polygon" | "box" | "circle" | "line" | "lseg" | "path" => {
            format!("{column}::text AS {column}")
        }
        _ => column,
    }
}

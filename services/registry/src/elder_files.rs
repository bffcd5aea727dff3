//! Elders' files as the read model has them: one by its id, many at once, lists by facts, and searches.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use civic::{
    Assistance, CapabilityLevel, Category, DivisionCode, ElderId, ElderStatus, LocalDay, Set, Term,
};
use elders::Elder;
use eventlog::{KnownRequest, Loaded, SnapshotError, Snapshots};
use readmodel::{DatabaseError, LookUp};
use sqlx::{PgPool, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{
    elder,
    elders_rows::{bits, place},
    registry::LONGEST_CHAIN,
};

/// A file with what is told beside it.
#[derive(Clone, Debug)]
pub(crate) struct FoundFile {
    pub(crate) elder: Box<Elder>,
    pub(crate) version: u64,
    pub(crate) registered_at: DateTime<Utc>,
}

/// The files in the read model.
#[derive(Clone, Debug)]
pub(crate) struct ElderFiles {
    pool: PgPool,
    files: LookUp,
    snapshots: LookUp,
}

/// What a list asks for, on a day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedFiles<'a> {
    pub(crate) division: &'a DivisionCode,
    pub(crate) categories: Set<Category>,
    pub(crate) assistance: Set<Assistance>,
    pub(crate) capabilities: Set<CapabilityLevel>,
    pub(crate) statuses: Set<ElderStatus>,
    pub(crate) on: LocalDay,
    pub(crate) after: Option<Uuid>,
    pub(crate) limit: usize,
}

const COLUMNS: &str = "e.elder_id, e.version, e.registered_at, e.file";

impl ElderFiles {
    pub(crate) fn new(pool: PgPool) -> Self {
        let look_up = |statement| LookUp::new(pool.clone(), statement);
        Self {
            files: look_up(
                "SELECT elder_id, version, registered_at, file FROM registry_elders.elder WHERE elder_id = ANY($1)",
            ),
            snapshots: look_up(
                "SELECT elder_id, version, requests, file FROM registry_elders.elder \
                 WHERE elder_id = ANY($1) AND complete",
            ),
            pool,
        }
    }

    /// This very file, merged or not.
    pub(crate) async fn own(&self, elder: ElderId) -> Result<Option<FoundFile>, DatabaseError> {
        let row = self.files.row(elder.as_uuid()).await?;
        Ok(row.map(|row| read(&row)).transpose()?)
    }

    /// A file; of a merged one the file that stands for it.
    pub(crate) async fn get(&self, elder: ElderId) -> Result<Option<FoundFile>, DatabaseError> {
        let mut id = elder;
        for _ in 0..LONGEST_CHAIN {
            let Some(found) = self.own(id).await? else {
                return Ok(None);
            };
            match found.elder.merged_into {
                Some(surviving) => id = surviving,
                None => return Ok(Some(found)),
            }
        }
        Ok(None)
    }

    /// Many files, by the ids that were asked for; of merged ones the files that stand for them.
    pub(crate) async fn get_many(
        &self,
        elders: &[ElderId],
    ) -> Result<HashMap<ElderId, FoundFile>, sqlx::Error> {
        let mut files = HashMap::with_capacity(elders.len());
        // Each id that was asked for, and where its chain of merges has led so far.
        let mut open: Vec<(ElderId, ElderId)> =
            elders.iter().map(|elder| (*elder, *elder)).collect();
        for _ in 0..LONGEST_CHAIN {
            if open.is_empty() {
                break;
            }
            let ids: Vec<Uuid> = open.iter().map(|(_, id)| id.as_uuid()).collect();
            let rows = sqlx::query(
                "SELECT e.elder_id, e.version, e.registered_at, e.file FROM registry_elders.elder e WHERE e.elder_id = ANY($1)",
            )
            .bind(ids)
            .fetch_all(&self.pool)
            .await?;
            let mut found = HashMap::with_capacity(rows.len());
            for row in &rows {
                let file = read(row)?;
                found.insert(file.elder.id, file);
            }
            let mut further = Vec::new();
            for (asked, id) in open {
                let Some(file) = found.get(&id) else {
                    continue;
                };
                match file.elder.merged_into {
                    Some(surviving) => further.push((asked, surviving)),
                    None => {
                        files.insert(asked, file.clone());
                    }
                }
            }
            open = further;
        }
        Ok(files)
    }

    /// A page of the files of a division's subtree, by the facts of a day, in the order of ids.
    pub(crate) async fn list(&self, list: ListedFiles<'_>) -> Result<Vec<FoundFile>, sqlx::Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM registry_elders.fact f \
             JOIN registry_elders.elder e ON e.elder_id = f.elder_id \
             WHERE f.division_code >= $1 AND f.division_code < $2 \
               AND f.first_day <= $3 AND f.last_day >= $3 \
               AND f.status = ANY($4) \
               AND ($5 = 0 OR f.categories & $5 <> 0) \
               AND ($6 = 0 OR f.assistance & $6 <> 0) \
               AND ($7 OR f.capability = ANY($8)) \
               AND f.elder_id > $9 \
             ORDER BY f.elder_id LIMIT $10"
        )))
        .bind(list.division.as_str())
        .bind(list.division.beyond())
        .bind(list.on.date())
        .bind(places(list.statuses))
        .bind(bits(list.categories))
        .bind(bits(list.assistance))
        .bind(list.capabilities.is_empty())
        .bind(places(list.capabilities))
        .bind(list.after.unwrap_or(Uuid::nil()))
        .bind(i64::try_from(list.limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// The file that holds one of these claims to an ID number; of a merged one the file that stands for it. One query tells
    /// both who holds a claim and that nobody does: a second one for the file would tell by its time that there is one.
    pub(crate) async fn by_claim(
        &self,
        claims: &[String],
    ) -> Result<Option<FoundFile>, DatabaseError> {
        let held = self.by_claims(claims).await?;
        let holder = held.into_values().next();
        match holder {
            Some(FoundFile { elder, .. }) if elder.merged_into.is_some() => {
                self.get(elder.id).await
            }
            found => Ok(found),
        }
    }

    /// The files that hold these claims, by claim; a merged one counts by itself.
    pub(crate) async fn by_claims(
        &self,
        claims: &[String],
    ) -> Result<HashMap<String, FoundFile>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT e.elder_id, e.version, e.registered_at, e.file FROM registry_elders.elder e WHERE e.identity_claim = ANY($1)",
        )
        .bind(claims)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| read(row).map(|file| (file.elder.identity_claim.clone(), file)))
            .collect()
    }

    /// A page of the files under a name in a division's subtree, in the order of ids. Merged files are found by the
    /// names that they bore, and give the files that stand for them.
    pub(crate) async fn by_name(
        &self,
        digests: &[Vec<u8>],
        division: &DivisionCode,
        on: LocalDay,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<FoundFile>, sqlx::Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "WITH RECURSIVE named (elder_id, merged_into, steps) AS ( \
                 SELECT elder_id, merged_into, 0 FROM registry_elders.elder WHERE name_digest = ANY($1) \
                 UNION \
                 SELECT e.elder_id, e.merged_into, named.steps + 1 FROM named \
                 JOIN registry_elders.elder e ON e.elder_id = named.merged_into \
                 WHERE named.steps < {LONGEST_CHAIN} \
             ) \
             SELECT {COLUMNS} FROM registry_elders.fact f \
             JOIN registry_elders.elder e ON e.elder_id = f.elder_id \
             WHERE f.elder_id IN (SELECT elder_id FROM named WHERE merged_into IS NULL) \
               AND f.division_code >= $2 AND f.division_code < $3 \
               AND f.first_day <= $4 AND f.last_day >= $4 \
               AND f.elder_id > $5 \
             ORDER BY f.elder_id LIMIT $6"
        )))
        .bind(digests)
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(on.date())
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }
}

fn places<T: Term>(words: Set<T>) -> Vec<i16> {
    words.iter().map(place).collect()
}

fn read(row: &PgRow) -> Result<FoundFile, sqlx::Error> {
    let elder = match file(row.try_get(3)?)? {
        elders::File::Open(elder) => elder,
        elders::File::Absent | elders::File::Erased => {
            return Err(sqlx::Error::Decode("a row without a file".into()));
        }
    };
    Ok(FoundFile {
        elder,
        version: row.try_get::<i64, _>(1)?.unsigned_abs(),
        registered_at: row.try_get(2)?,
    })
}

fn file(bytes: &[u8]) -> Result<elders::File, sqlx::Error> {
    postcard::from_bytes(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The rows serve as snapshots: deciding about an elder needs one row, and the log's tail only where that
/// proves stale, not the elder's whole history.
#[async_trait]
impl Snapshots<elder::File> for ElderFiles {
    async fn load(&self, id: &str) -> Result<Option<Loaded<elder::File>>, SnapshotError> {
        let Ok(elder) = id.parse::<ElderId>() else {
            return Ok(None);
        };
        let unreadable = |error: DatabaseError| SnapshotError(error.to_string());
        let undecodable = |error: sqlx::Error| unreadable(error.into());
        let row = self.snapshots.row(elder.as_uuid()).await;
        let Some(row) = row.map_err(unreadable)? else {
            return Ok(None);
        };
        let version: i64 = row.try_get(1).map_err(undecodable)?;
        let requests: &[u8] = row.try_get(2).map_err(undecodable)?;
        let file = file(row.try_get(3).map_err(undecodable)?).map_err(undecodable)?;
        Ok(Some(Loaded::new(
            elder::File(file),
            version.unsigned_abs(),
            known_requests(requests),
        )))
    }
}

/// The requests as a row holds them: id, sequence and digest of each.
fn known_requests(bytes: &[u8]) -> impl Iterator<Item = KnownRequest> {
    let (requests, _) = bytes.as_chunks::<40>();
    requests.iter().filter_map(|request| {
        let (id, rest) = request.split_first_chunk::<16>()?;
        let (sequence, digest) = rest.split_first_chunk::<8>()?;
        Some(KnownRequest {
            id: Uuid::from_bytes(*id),
            sequence: u64::from_be_bytes(*sequence),
            digest: digest.try_into().ok()?,
        })
    })
}

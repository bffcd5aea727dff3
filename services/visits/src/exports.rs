//! What leaves visits on paper: the record sheets of annex 2, of one elder or of all who were visited in a division.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use civic::{DivisionCode, ElderId, LocalDay, ServiceKind, VisitMode};
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, errors, person_keys};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::{Code, Status};
use uuid::Uuid;
use vault::{DataKey, Sealed};
use workbooks::Outgoing;
use workbooks::printing::PrintError;

use crate::annex2::{self, Form, Line, Village};
use crate::book_table::{self, set, word};
use crate::codec::purpose;
use crate::visits::{Visits, day};
use crate::{cards_table, facts_table, refusals};

/// The most records of one workbook; put together in memory, this many take some 100 MiB.
const MOST_RECORDS: usize = 50_000;
/// How many names are opened at a time.
const AT_ONCE: usize = 1_000;

/// What is personal on a form.
const FORM: &[&str] = &[
    "elder.name",
    "visit.start_time",
    "visit.mode",
    "visit.services",
    "visit.remarks",
];

/// Whose records are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    Elder(ElderId),
    Division(DivisionCode),
}

/// A record that counts, as it is kept.
struct Kept {
    elder: ElderId,
    visitor: Uuid,
    village: String,
    signed: bool,
    remarks: Option<Sealed<pb::Remarks>>,
    line: Line,
}

impl Visits {
    /// Annex 2, with the records that count from one day to another.
    pub(crate) async fn export_records(
        &self,
        caller: &Caller,
        whose: Whose,
        days: (LocalDay, LocalDay),
    ) -> Result<Outgoing, Status> {
        let (mut villages, elder) = match whose {
            Whose::Division(division) => {
                caller.may_where_asked(&division)?;
                (BTreeMap::new(), None)
            }
            Whose::Elder(elder) => {
                let known = facts_table::TABLE
                    .of(&self.pool, &[elder])
                    .await
                    .map_err(errors::of_database)?;
                let facts = known.get(&elder).and_then(|kept| kept.facts.as_ref());
                let facts = facts.ok_or_else(|| refusals::no_elder(elder))?;
                let village = *facts.on(self.today()).village();
                caller.knows(&village.division(), || refusals::no_elder(elder))?;
                // Where there are no records, the form has no lines.
                let of_village: BTreeMap<ElderId, Vec<Kept>> = [(elder, Vec::new())].into();
                ([(village.to_string(), of_village)].into(), Some(elder))
            }
        };
        let place = self.exports.place().await?;
        let records = self
            .counted(whose, days)
            .await
            .map_err(errors::of_database)?;
        if records.len() > MOST_RECORDS {
            return Err(too_large());
        }
        if records.is_empty() && elder.is_none() {
            return Err(nobody_visited());
        }
        // One elder's records stand on one form, wherever she lived then.
        let home = elder.and(villages.keys().next().cloned());
        for record in records {
            let village = home.clone().unwrap_or_else(|| record.village.clone());
            let forms = villages.entry(village).or_default();
            forms.entry(record.elder).or_default().push(record);
        }
        let villages = self.opened(caller, villages).await?;
        let on = self.today();
        let print = move || {
            let book = annex2::sheets(&villages, on);
            // It goes on also where the caller has gone meanwhile.
            drop(place);
            book
        };
        let bytes = tokio::task::spawn_blocking(print)
            .await
            .map_err(|error| errors::internal(&error))?
            .map_err(|error| match error {
                PrintError::TooManyElders { .. } => too_large(),
                PrintError::Sheet(_) => errors::internal(&error),
            })?;
        self.exports.send(bytes)
    }

    async fn counted(
        &self,
        whose: Whose,
        (first, last): (LocalDay, LocalDay),
    ) -> Result<Vec<Kept>, sqlx::Error> {
        let (elder, division) = match whose {
            Whose::Elder(elder) => (Some(elder.as_uuid()), None),
            Whose::Division(division) => (None, Some(division)),
        };
        let statement = format!(
            "SELECT elder_id, visitor_id, village, day, mode, services, signed, remarks FROM {}.record \
             WHERE counted_at IS NOT NULL AND day BETWEEN $1 AND $2 AND ($3::uuid IS NULL OR elder_id = $3) \
             AND ($4::text IS NULL OR village >= $4 AND village < $5) ORDER BY start_at, record_id LIMIT $6",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(first.date())
            .bind(last.date())
            .bind(elder)
            .bind(division.map(|division| division.to_string()))
            .bind(division.map(|division| division.beyond()))
            .bind(i64::try_from(MOST_RECORDS + 1).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(kept).collect()
    }

    /// The forms with what is personal in them, opened under the keys of elders and visitors.
    async fn opened(
        &self,
        caller: &Caller,
        villages: BTreeMap<String, BTreeMap<ElderId, Vec<Kept>>>,
    ) -> Result<BTreeMap<String, Village>, Status> {
        let towns = villages.keys().map(|code| town_of(code).to_owned());
        let codes: Vec<String> = villages.keys().cloned().chain(towns).collect();
        let names = cards_table::TABLE
            .names(&self.pool, &codes)
            .await
            .map_err(errors::of_database)?;
        let called = |code: &str| names.get(code).cloned().unwrap_or_default();
        let signers = self.signers(&villages).await?;
        let mut printed = BTreeMap::new();
        for (code, forms) in villages {
            let elders: Vec<ElderId> = forms.keys().copied().collect();
            let mut opened = Vec::with_capacity(elders.len());
            let mut forms = forms;
            for some in elders.chunks(AT_ONCE) {
                let persons: Vec<Uuid> = some.iter().map(ElderId::as_uuid).collect();
                let (cards, keys) = tokio::join!(
                    cards_table::TABLE.of(&self.pool, some),
                    self.keys.vault.keys(&persons),
                );
                let cards = cards.map_err(errors::of_database)?;
                let keys = keys.map_err(|error| person_keys::away(&error))?;
                for elder in some {
                    let records = forms.remove(elder).unwrap_or_default();
                    // Who is erased stands on no paper.
                    let card = cards.get(elder).zip(keys.get(&elder.as_uuid()));
                    let form = card.and_then(|(card, key)| {
                        let sealed = &card.identity;
                        let identity: registry::Identity = key
                            .open(elders::purpose::IDENTITY, elder.as_uuid(), sealed)
                            .ok()?;
                        Some(form(identity.name, records, key, &signers))
                    });
                    opened.extend(form.map(|form| (*elder, form)));
                }
            }
            let told = opened.iter().map(|(elder, _)| elder);
            caller.told("ExportRecords", told, FORM).await?;
            opened.sort_by(|(one, form), (other, another)| {
                (&form.name, one).cmp(&(&another.name, other))
            });
            let village = Village {
                town: called(town_of(&code)),
                village: called(&code),
                forms: opened.into_iter().map(|(_, form)| form).collect(),
            };
            if !village.forms.is_empty() {
                printed.insert(code, village);
            }
        }
        if printed.is_empty() {
            return Err(nobody_visited());
        }
        Ok(printed)
    }

    /// The names of the visitors who signed.
    async fn signers(
        &self,
        villages: &BTreeMap<String, BTreeMap<ElderId, Vec<Kept>>>,
    ) -> Result<HashMap<Uuid, String>, Status> {
        let records = villages.values().flat_map(BTreeMap::values).flatten();
        let mut visitors: Vec<Uuid> = records
            .filter(|record| record.signed)
            .map(|record| record.visitor)
            .collect();
        visitors.sort_unstable();
        visitors.dedup();
        let statement = format!(
            "SELECT visitor_id, name FROM {}.visitor WHERE visitor_id = ANY($1)",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&visitors)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let keys = self.keys.vault.keys(&visitors).await;
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        rows.iter()
            .map(|row| {
                let visitor: Uuid = row.try_get(0)?;
                let sealed = Sealed::<pb::VisitorName>::from_bytes(row.try_get::<&[u8], _>(1)?);
                let name = sealed
                    .ok()
                    .zip(keys.get(&visitor))
                    .and_then(|(sealed, key)| key.open(purpose::VISITOR, visitor, &sealed).ok());
                Ok((visitor, name.unwrap_or_default().name))
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(errors::of_database)
    }
}

fn form(
    name: String,
    records: Vec<Kept>,
    key: &Arc<DataKey>,
    signers: &HashMap<Uuid, String>,
) -> Form {
    let lines = records.into_iter().map(|record| {
        let remarks = record.remarks.and_then(|sealed| {
            key.open(purpose::REMARKS, record.elder.as_uuid(), &sealed)
                .ok()
        });
        let signed_by = if record.signed {
            signers.get(&record.visitor).cloned().unwrap_or_default()
        } else {
            String::new()
        };
        Line {
            signed_by,
            remarks: remarks.unwrap_or_default().text,
            ..record.line
        }
    });
    Form {
        name,
        lines: lines.collect(),
    }
}

fn kept(row: &PgRow) -> Result<Kept, sqlx::Error> {
    let remarks: Option<&[u8]> = row.try_get(7)?;
    Ok(Kept {
        elder: ElderId(row.try_get(0)?),
        visitor: row.try_get(1)?,
        village: row.try_get(2)?,
        signed: row.try_get(6)?,
        remarks: remarks.and_then(|bytes| Sealed::from_bytes(bytes).ok()),
        line: Line {
            day: day(row.try_get(3)?)?,
            mode: word::<VisitMode>(row.try_get(4)?)?,
            services: set::<ServiceKind>(row.try_get(5)?),
            signed_by: String::new(),
            remarks: String::new(),
        },
    })
}

/// The code of a village's town.
fn town_of(village: &str) -> &str {
    village.get(..9).unwrap_or(village)
}

fn too_large() -> Status {
    service::Refusal::new(
        Code::FailedPrecondition,
        "LEDGER_TOO_LARGE",
        "there are more records than one workbook holds: ask for smaller divisions or fewer days",
        "探访记录过多，请按下级区划或较短期间分别导出",
    )
    .precondition("division_code")
    .into()
}

fn nobody_visited() -> Status {
    service::Refusal::new(
        Code::NotFound,
        "RECORDS_NOT_FOUND",
        "no visit counts there in these days",
        "该期间没有有效的探访记录",
    )
    .into()
}

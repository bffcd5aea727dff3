//! What orders would be told if they were handed in with what is recorded now. A programme is asked by its version of then, as the
//! read model of our own log has it, whatever was said of the programme later that can't be read. Where that version itself can't
//! be read, what stands in the way is parked, and the order is asked all that takes no programme.

use std::sync::Arc;

use civic::{OrderCode, Set};
use elders::Facts;
use eventlog::{Aggregate as _, ReadError, Record, Repository};
use readmodel::ReaderFailed;
use sqlx::AssertSqlSafe;

use super::Active;
use crate::book_table;
use crate::claims::{check_in, home};
use crate::definition::Definition;
use crate::judging::{self, Service};
use crate::order::Submitted;
use crate::programme::Programme;

/// The codes that follow from facts about the elder. Beside them count those by which registers stand against an order.
const OF_FACTS: [OrderCode; 3] = [
    OrderCode::NotEntitled,
    OrderCode::NotAliveOrPresent,
    OrderCode::LocationMismatch,
];

/// What stands against an order.
pub(super) struct Found {
    pub(super) codes: Set<OrderCode>,
    /// Whether its programme could be asked, too.
    pub(super) whole: bool,
}

/// The version of a programme that held on the day of an order.
enum Version {
    Held(Arc<Definition>),
    NoneHeld,
    Unreadable,
}

impl Active<'_> {
    /// What the order would be told if it were handed in with these facts.
    pub(super) async fn found(
        &mut self,
        order: &Submitted,
        record: &Record,
        facts: &Facts,
        sequence: u64,
        key: Option<&vault::DataKey>,
    ) -> Result<Found, ReaderFailed> {
        let place = key.and_then(|key| check_in(order, key));
        let home = key.and_then(|key| home(facts, order.day(), order.elder, key));
        // Where either is not known, there is no distance.
        let (place, home) = place
            .zip(home)
            .map_or((None, None), |(place, home)| (Some(place), Some(home)));
        let somewhere = civic::GeoPosition::new(0.0, 0.0).map_err(ReaderFailed::because)?;
        let service = Service {
            check_in_at: order.check_in_at,
            check_out_at: order.check_out_at,
            place: place.unwrap_or(somewhere),
            items: order.items.clone(),
            evidence: order.evidence.clone(),
        };
        let version = self.version(order).await?;
        let definition = match &version {
            Version::Held(definition) => Some(&**definition),
            Version::NoneHeld | Version::Unreadable => None,
        };
        let judged = judging::judge(
            definition,
            &service,
            facts,
            sequence,
            home.as_ref(),
            record.metadata.time,
        );
        let mut codes = judged.codes.intersection(Set::from(OF_FACTS));
        let whole = !matches!(version, Version::Unreadable);
        if !whole {
            // Only the programme says who is entitled.
            codes.remove(OrderCode::NotEntitled);
        }
        Ok(Found { codes, whole })
    }

    async fn version(&mut self, order: &Submitted) -> Result<Version, ReaderFailed> {
        if order.version == 0 {
            return Ok(Version::NoneHeld);
        }
        let definitions = &self.rechecker.claims.definitions;
        let name = (order.programme.clone(), order.version);
        let known = definitions.lock().await.get(&name).cloned();
        if let Some(definition) = known {
            return Ok(Version::Held(definition));
        }
        let statement = format!(
            "SELECT definition FROM {}.programme WHERE code = $1 AND version = $2",
            book_table::NAME
        );
        let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(&order.programme)
            .bind(order.version.cast_signed())
            .fetch_optional(&mut self.conn)
            .await?;
        let mut read = text.and_then(|text| Definition::parse(&text).ok());
        if read.is_none() {
            read = self.version_in_log(order).await?;
        }
        let Some(definition) = read.map(Arc::new) else {
            return Ok(Version::Unreadable);
        };
        definitions
            .lock()
            .await
            .insert(name, Arc::clone(&definition));
        Ok(Version::Held(definition))
    }

    /// A version as the log has it: it may be another program that could not read it into the read model. What stands in the way
    /// of it here, too, is parked.
    async fn version_in_log(
        &mut self,
        order: &Submitted,
    ) -> Result<Option<Definition>, ReaderFailed> {
        let subject = Repository::<Programme>::subject(&order.programme);
        let subject = subject.map_err(ReaderFailed::because)?;
        let read = self.rechecker.claims.own.read(&subject, 0).await;
        let (sequence, reason) = match read {
            Ok(records) => match version_among(&records, order.version) {
                Ok(definition) => return Ok(Some(definition)),
                Err(Some(fault)) => fault,
                Err(None) => {
                    tracing::error!("an order goes by a version that its programme does not have");
                    return Ok(None);
                }
            },
            Err(ReadError::Unreadable {
                sequence, reason, ..
            }) => (sequence, reason),
            Err(error) => return Err(error.into()),
        };
        self.pass_by(&subject, sequence, reason).await?;
        Ok(None)
    }
}

/// A version among the records of its programme; or which of them may have told of it and can't be read, and why.
fn version_among(records: &[Record], version: u32) -> Result<Definition, Option<(u64, String)>> {
    let mut fault = None;
    for record in records {
        for raw in &record.events {
            let reason = match Programme::decode(raw) {
                Ok(defined) if defined.version != version => continue,
                Ok(defined) => match Definition::parse(&defined.definition) {
                    Ok(definition) => return Ok(definition),
                    Err(_faults) => "its definition can't be read any more".to_owned(),
                },
                Err(error) => error.to_string(),
            };
            fault.get_or_insert((record.sequence, reason));
        }
    }
    Err(fault)
}

//! The read model of the registry's log that tells who an elder is: each elder's name and contacts, as they are sealed, and what
//! towns and villages are called.
//!
//! Kept apart from the facts by which a service judges, which hold no name.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use civic::ElderId;
use elders::codec;
use elders::event::Event;
use eventlog::{DecodeError, RawEvent, Record};
use prost::{Message as _, Name as _};
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;
use vault::Sealed;

/// Folds the registry's records, and is asked for the rows.
#[derive(Clone, Copy, Debug)]
pub struct CardsTable {
    schema: &'static str,
}

/// What is written on the card of an elder.
#[derive(Clone, Debug)]
pub struct Card {
    /// Name and ID number; of these whoever calls on the elder is told the name.
    pub identity: Sealed<registry::Identity>,
    /// The contacts.
    pub contacts: Option<Sealed<registry::ContactList>>,
}

/// What records of a batch say of an elder's card; what is absent did not change.
#[derive(Default)]
struct Said {
    identity: Option<Sealed<registry::Identity>>,
    contacts: Option<Sealed<registry::ContactList>>,
    erased: bool,
}

impl CardsTable {
    /// The table of a service, by the projection's name and schema: `<service>_cards`.
    #[must_use]
    pub const fn named(schema: &'static str) -> Self {
        Self { schema }
    }

    /// The cards of some elders; who is not known, or not any more, is missing.
    ///
    /// # Errors
    /// The database's; a row of another version of the program.
    pub async fn of(
        &self,
        db: impl PgExecutor<'_>,
        elders: &[ElderId],
    ) -> Result<HashMap<ElderId, Card>, sqlx::Error> {
        let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
        let schema = self.schema;
        let statement = format!(
            "SELECT elder_id, identity, contacts FROM {schema}.card WHERE elder_id = ANY($1)"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&ids)
            .fetch_all(db)
            .await?;
        rows.iter().map(Self::read).collect()
    }

    /// A row of a statement of the service's own that has `elder_id, identity, contacts` as its first columns.
    ///
    /// # Errors
    /// A row of another version of the program.
    pub fn read(row: &PgRow) -> Result<(ElderId, Card), sqlx::Error> {
        let broken = |_seal| sqlx::Error::Decode("a column of a card holds no sealed field".into());
        let contacts: Option<&[u8]> = row.try_get(2)?;
        let card = Card {
            identity: Sealed::from_bytes(row.try_get::<&[u8], _>(1)?).map_err(broken)?,
            contacts: contacts
                .map(Sealed::from_bytes)
                .transpose()
                .map_err(broken)?,
        };
        Ok((ElderId(row.try_get(0)?), card))
    }

    /// What some divisions are called; one without a name is missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn names(
        &self,
        db: impl PgExecutor<'_>,
        divisions: &[String],
    ) -> Result<HashMap<String, String>, sqlx::Error> {
        let schema = self.schema;
        let statement = format!("SELECT code, name FROM {schema}.division WHERE code = ANY($1)");
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(divisions)
            .fetch_all(db)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }
}

#[async_trait]
impl Projection for CardsTable {
    fn name(&self) -> &'static str {
        self.schema
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        "CREATE TABLE card (
            elder_id uuid PRIMARY KEY,
            identity bytea NOT NULL,
            contacts bytea
        );
        CREATE TABLE division (
            code text COLLATE \"C\" PRIMARY KEY,
            name text NOT NULL
        )"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        for record in records
            .iter()
            .filter(|record| record.subject.aggregate() == "divisions")
        {
            for divisions in read_events(record, divisions, &mut parked) {
                write_divisions(db, record.subject.id(), &divisions).await?;
            }
        }
        let mut said: BTreeMap<ElderId, Said> = BTreeMap::new();
        for record in records
            .iter()
            .filter(|record| record.subject.aggregate() == "elder")
        {
            let Ok(elder) = record.subject.id().parse::<ElderId>() else {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::malformed(record, event)));
                continue;
            };
            for event in read_events(record, codec::decode, &mut parked) {
                said.entry(elder).or_default().take_in(event);
            }
        }
        write(db, said).await?;
        Ok(parked)
    }
}

impl Said {
    fn take_in(&mut self, event: Event) {
        match event {
            Event::Registered(registered) => {
                self.identity = Some(registered.identity);
                self.contacts = registered.contacts;
            }
            Event::IdentityCorrected(corrected) => self.identity = Some(corrected.identity),
            Event::ContactsSet(contacts) => self.contacts = Some(contacts),
            Event::Erased { .. } => self.erased = true,
            Event::Relocated(..)
            | Event::ProfileUpdated(_)
            | Event::CapabilityAssessed(..)
            | Event::HandicapRecorded { .. }
            | Event::ObservationRecorded { .. }
            | Event::ObservationEnded { .. }
            | Event::CircumstanceRecorded(_)
            | Event::CircumstanceEnded { .. }
            | Event::ConsentGranted(_)
            | Event::ConsentRefused(_)
            | Event::ConsentWithdrawn(_)
            | Event::Died { .. }
            | Event::MovedOut { .. }
            | Event::Reinstated { .. }
            | Event::Merged(_)
            | Event::Unmerged(_) => {}
        }
    }
}

async fn write(db: &mut PgConnection, said: BTreeMap<ElderId, Said>) -> Result<(), sqlx::Error> {
    let mut erased = Vec::new();
    let (mut new, mut identities, mut first_contacts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut known, mut contacts) = (Vec::new(), Vec::new());
    for (elder, said) in said {
        let id = elder.as_uuid();
        if said.erased {
            erased.push(id);
            continue;
        }
        let of_contacts = said.contacts.map(|sealed| sealed.as_bytes().to_vec());
        if let Some(identity) = said.identity {
            new.push(id);
            identities.push(identity.as_bytes().to_vec());
            first_contacts.push(of_contacts);
        } else if let Some(of_contacts) = of_contacts {
            known.push(id);
            contacts.push(of_contacts);
        }
    }
    if !new.is_empty() {
        // A corrected identity says nothing of contacts.
        sqlx::query(
            "INSERT INTO card (elder_id, identity, contacts) SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) \
             ON CONFLICT (elder_id) DO UPDATE SET identity = excluded.identity, \
             contacts = coalesce(excluded.contacts, card.contacts)",
        )
        .bind(&new)
        .bind(&identities)
        .bind(&first_contacts)
        .execute(&mut *db)
        .await?;
    }
    if !known.is_empty() {
        sqlx::query(
            "UPDATE card SET contacts = row.contacts FROM unnest($1::uuid[], $2::bytea[]) AS row (elder_id, contacts) \
             WHERE card.elder_id = row.elder_id",
        )
        .bind(&known)
        .bind(&contacts)
        .execute(&mut *db)
        .await?;
    }
    if !erased.is_empty() {
        sqlx::query("DELETE FROM card WHERE elder_id = ANY($1)")
            .bind(&erased)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

fn divisions(raw: &RawEvent) -> Result<Vec<types::Division>, DecodeError> {
    if raw.event_type != registry::DivisionsPublished::full_name() {
        return Err(DecodeError::unknown(raw));
    }
    registry::DivisionsPublished::decode(raw.data.clone())
        .map(|message| message.divisions)
        .map_err(|_broken| DecodeError::malformed("message"))
}

/// A county's table takes the place of the one before.
async fn write_divisions(
    db: &mut PgConnection,
    county: &str,
    divisions: &[types::Division],
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM division WHERE starts_with(code, $1)")
        .bind(county)
        .execute(&mut *db)
        .await?;
    let (codes, names): (Vec<&str>, Vec<&str>) = divisions
        .iter()
        .map(|division| (division.code.as_str(), division.name.as_str()))
        .unzip();
    sqlx::query(
        "INSERT INTO division (code, name) SELECT * FROM unnest($1::text[], $2::text[]) \
         ON CONFLICT (code) DO UPDATE SET name = excluded.name",
    )
    .bind(&codes)
    .bind(&names)
    .execute(db)
    .await?;
    Ok(())
}

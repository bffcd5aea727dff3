//! The read model of the registry's log: the facts of each elder, and, for situations, on which days each lived in which village
//! with a file that was active, and was in scope.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::NaiveDate;
use civic::{Age, DivisionCode, ElderId, ElderStatus, LocalDay, VillageCode};
use elder_tables::Card;
use elders::event::Event;
use elders::facts::AGE_IN_SCOPE;
use elders::{Facts, FactsOnDay, codec, purpose};
use eventlog::Record;
use proto::eldercare::r#type::v1 as types;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;
use vault::DataKey;

use crate::document::Document;
use crate::feeds::changes::{Change, Which, of_events};
use crate::products::ProductName;

/// The projection's name and schema.
pub const NAME: &str = "sharing_elders";

/// Finds the facts of elders by their ids; of whom there are none any more there is a row without.
pub(crate) const FACTS: &str =
    "SELECT elder_id, facts FROM sharing_elders.elder WHERE elder_id = ANY($1)";

/// The aggregate whose records tell of elders.
const ELDER: &str = "elder";

/// Folds the registry's records.
#[derive(Debug, Default)]
pub struct EldersTable;

#[async_trait]
impl Projection for EldersTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    fn ddl(&self) -> &'static str {
        // `to_day` is the first day on which the spell no longer holds, NULL while it does. What holds since ever begins on
        // the first day of the calendar. An erased elder has no facts and no spells.
        "CREATE TABLE elder (
            elder_id uuid PRIMARY KEY,
            facts bytea
        );
        ALTER TABLE elder ALTER COLUMN facts SET STORAGE EXTERNAL;
        CREATE TABLE home (
            elder_id uuid NOT NULL,
            from_day date NOT NULL,
            to_day date,
            village text COLLATE \"C\" NOT NULL,
            in_scope boolean NOT NULL,
            PRIMARY KEY (elder_id, from_day)
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX home_village ON home (village, from_day, to_day, elder_id, in_scope);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut told: Vec<(ElderId, Vec<Event>)> = Vec::with_capacity(records.len());
        for record in records {
            if record.subject.aggregate() != ELDER {
                continue;
            }
            match record.subject.id().parse::<ElderId>() {
                Ok(elder) => told.push((elder, read_events(record, codec::decode, &mut parked))),
                Err(_) => {
                    let events = record.events.iter();
                    parked.extend(events.map(|event| Parked::malformed(record, event)));
                }
            }
        }
        let known: Vec<ElderId> = told
            .iter()
            // Nobody is registered twice, so that the row of a new elder need not be looked for.
            .filter(|(_, events)| !matches!(events.first(), Some(Event::Registered(_))))
            .map(|(elder, _)| *elder)
            .collect();
        let mut elders = facts_of(db, &known).await?;
        let before = spells_of(&elders);
        for (elder, events) in &told {
            let facts = elders.remove(elder).flatten();
            let facts = events
                .iter()
                .fold(facts, |facts, event| Facts::after(facts, event, *elder));
            elders.insert(*elder, facts);
        }
        // Most of what is told of an elder changes nothing of home, status and scope.
        let mut changed = spells_of(&elders);
        changed.retain(|elder, spells| before.get(elder) != Some(&*spells));
        write_facts(db, &elders).await?;
        write_spells(db, &changed).await?;
        Ok(parked)
    }
}

/// Which documents a record changes: the file of the elder whose it is, where one of its fields shows what is told.
pub(crate) fn changes(record: &Record) -> Vec<Change> {
    if record.subject.aggregate() != ELDER {
        return Vec::new();
    }
    let Ok(elder) = record.subject.id().parse::<ElderId>() else {
        return Vec::new();
    };
    of_events(record, |raw| {
        let shown = is_shown(&codec::decode(raw)?);
        Ok(shown.then_some((ProductName::Elder, Which::One(elder.as_uuid()))))
    })
}

/// Whether a field of a file's document shows what an event tells, or whether there is such a document.
fn is_shown(event: &Event) -> bool {
    match event {
        Event::Registered(_)
        | Event::IdentityCorrected(_)
        | Event::Relocated(..)
        | Event::CapabilityAssessed(..)
        | Event::HandicapRecorded { .. }
        | Event::ObservationRecorded { .. }
        | Event::ObservationEnded { .. }
        | Event::ContactsSet(_)
        | Event::ConsentGranted(_)
        | Event::ConsentRefused(_)
        | Event::ConsentWithdrawn(_)
        | Event::Died { .. }
        | Event::MovedOut { .. }
        | Event::Reinstated { .. }
        | Event::Merged(_)
        | Event::Unmerged(_)
        | Event::Erased { .. } => true,
        Event::ProfileUpdated(update) => update.categories.is_some() || update.assistance.is_some(),
        // Nobody is granted to learn of a blow, not even by the name of an event.
        Event::CircumstanceRecorded(_) | Event::CircumstanceEnded { .. } => false,
    }
}

/// Days in which an elder lived in a village, with a file that was active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spell {
    from: LocalDay,
    /// The first day on which it no longer holds.
    to: Option<LocalDay>,
    village: VillageCode,
    /// Whether visits are for the elder on these days: old enough, and of some category.
    in_scope: bool,
}

/// The spells of an elder, the earliest first. Of a merged file there are none: the other one stands for it.
fn spells(facts: &Facts) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::with_capacity(1);
    let mut turns = facts.turning_days();
    turns.insert(Age::birthday_reaching(facts.birth_date(), AGE_IN_SCOPE));
    let turns = turns.into_iter().filter(|day| *day > LocalDay::MIN);
    for day in std::iter::once(LocalDay::MIN).chain(turns) {
        let on_day = facts.on(day);
        let counts = on_day.status == ElderStatus::Active && !on_day.merged;
        let holds = counts.then(|| (*on_day.village(), on_day.in_scope()));
        if let Some(last) = spells.last_mut()
            && last.to.is_none()
        {
            if holds == Some((last.village, last.in_scope)) {
                continue;
            }
            last.to = Some(day);
        }
        spells.extend(holds.map(|(village, in_scope)| Spell {
            from: day,
            to: None,
            village,
            in_scope,
        }));
    }
    spells
}

fn spells_of(elders: &BTreeMap<ElderId, Option<Facts>>) -> BTreeMap<ElderId, Vec<Spell>> {
    let spells = elders.iter().map(|(elder, facts)| {
        let spells = facts.as_ref().map(spells).unwrap_or_default();
        (*elder, spells)
    });
    spells.collect()
}

/// The facts of some elders; who is not known is missing.
async fn facts_of(
    db: &mut PgConnection,
    elders: &[ElderId],
) -> Result<BTreeMap<ElderId, Option<Facts>>, sqlx::Error> {
    if elders.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    let rows = sqlx::query("SELECT elder_id, facts FROM elder WHERE elder_id = ANY($1)")
        .bind(ids)
        .fetch_all(db)
        .await?;
    rows.iter().map(read_facts).collect()
}

/// An elder and the facts, from the first two columns of a row.
pub(crate) fn read_facts(row: &PgRow) -> Result<(ElderId, Option<Facts>), sqlx::Error> {
    let facts = row
        .try_get::<Option<&[u8]>, _>(1)?
        .map(postcard::from_bytes)
        .transpose()
        .map_err(|_unreadable| sqlx::Error::Decode("column facts holds no facts".into()))?;
    Ok((ElderId(row.try_get(0)?), facts))
}

async fn write_facts(
    db: &mut PgConnection,
    rows: &BTreeMap<ElderId, Option<Facts>>,
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut elders = Vec::with_capacity(rows.len());
    let mut all_facts = Vec::with_capacity(rows.len());
    for (elder, facts) in rows {
        let facts = facts.as_ref().map(postcard::to_stdvec).transpose();
        let facts =
            facts.map_err(|_unwritable| sqlx::Error::Encode("facts have no bytes".into()))?;
        elders.push(elder.as_uuid());
        all_facts.push(facts);
    }
    sqlx::query(
        "INSERT INTO elder (elder_id, facts) SELECT * FROM unnest($1::uuid[], $2::bytea[]) \
         ON CONFLICT (elder_id) DO UPDATE SET facts = excluded.facts",
    )
    .bind(elders)
    .bind(all_facts)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes the spells of elders anew.
async fn write_spells(
    db: &mut PgConnection,
    changed: &BTreeMap<ElderId, Vec<Spell>>,
) -> Result<(), sqlx::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let elders: Vec<Uuid> = changed.keys().map(ElderId::as_uuid).collect();
    // Planned each time: a plan that was made while there were few spells would read all of them.
    sqlx::query("DELETE FROM home WHERE elder_id = ANY($1)")
        .persistent(false)
        .bind(elders)
        .execute(&mut *db)
        .await?;
    let (mut elders, mut villages, mut scopes) = (vec![], vec![], vec![]);
    let (mut firsts, mut ends): (Vec<NaiveDate>, Vec<Option<NaiveDate>>) = (vec![], vec![]);
    for (elder, spells) in changed {
        for spell in spells {
            elders.push(elder.as_uuid());
            firsts.push(spell.from.date());
            ends.push(spell.to.map(LocalDay::date));
            villages.push(spell.village.as_str());
            scopes.push(spell.in_scope);
        }
    }
    sqlx::query(
        "INSERT INTO home (elder_id, from_day, to_day, village, in_scope) \
         SELECT * FROM unnest($1::uuid[], $2::date[], $3::date[], $4::text[], $5::boolean[])",
    )
    .bind(elders)
    .bind(firsts)
    .bind(ends)
    .bind(villages)
    .bind(scopes)
    .execute(db)
    .await?;
    Ok(())
}

/// The facts of an elder; none where there is no such elder, or none any more.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn facts(
    db: impl PgExecutor<'_>,
    elder: ElderId,
) -> Result<Option<Facts>, sqlx::Error> {
    let statement = format!("SELECT elder_id, facts FROM {NAME}.elder WHERE elder_id = $1");
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(elder.as_uuid())
        .fetch_optional(db)
        .await?;
    let facts = row.as_ref().map(read_facts).transpose()?;
    Ok(facts.and_then(|(_elder, facts)| facts))
}

/// The facts of some elders; of whom there are none, or none any more, is missing.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn facts_of_all(
    db: impl PgExecutor<'_>,
    elders: &[ElderId],
) -> Result<BTreeMap<ElderId, Facts>, sqlx::Error> {
    let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    // Planned each time: a plan that was made while there were few elders would read all of them.
    let rows = sqlx::query(FACTS)
        .persistent(false)
        .bind(ids)
        .fetch_all(db)
        .await?;
    let mut all = BTreeMap::new();
    for row in &rows {
        if let (elder, Some(facts)) = read_facts(row)? {
            all.insert(elder, facts);
        }
    }
    Ok(all)
}

/// The facts of the next elders in the order of their ids, with whom none is known any more.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn page(
    db: impl PgExecutor<'_>,
    after: Option<ElderId>,
    most: i64,
) -> Result<Vec<(ElderId, Option<Facts>)>, sqlx::Error> {
    let statement = format!(
        "SELECT elder_id, facts FROM {NAME}.elder WHERE $1::uuid IS NULL OR elder_id > $1 ORDER BY elder_id LIMIT $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(after.map(|elder| elder.as_uuid()))
        .bind(most)
        .fetch_all(db)
        .await?;
    rows.iter().map(read_facts).collect()
}

/// How many elders with an active file live in a division on a day.
///
/// # Errors
/// The database's.
pub(crate) async fn active(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<i64, sqlx::Error> {
    let statement = format!(
        "SELECT count(*) FROM {NAME}.home WHERE village >= $1 AND village < $2 \
         AND from_day <= $3 AND (to_day IS NULL OR to_day > $3)"
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(on.date())
        .fetch_one(db)
        .await?;
    row.try_get(0)
}

/// What the registry says of an elder on a day. What does not open is absent.
pub(crate) fn document(
    elder: ElderId,
    facts: &FactsOnDay,
    card: Option<&Card>,
    key: Option<&DataKey>,
) -> Document {
    let id = elder.as_uuid();
    let identity = card.zip(key);
    let identity =
        identity.and_then(|(card, key)| key.open(purpose::IDENTITY, id, &card.identity).ok());
    let (name, id_number) = identity
        .map(|identity| (identity.name, identity.id_number))
        .unzip();
    let home = facts.residence.home.as_ref().zip(key);
    let address = home
        .and_then(|(home, key)| key.open(purpose::HOME, id, home).ok())
        .map(|home| home.address)
        .filter(|address| !address.is_empty());
    let contacts = card.and_then(|card| card.contacts.as_ref()).zip(key);
    let contacts = contacts
        .and_then(|(contacts, key)| key.open(purpose::CONTACTS, id, contacts).ok())
        .map(|list| list.contacts.into_iter().map(contact).collect::<Value>());
    let grade = facts.handicap_grade.map_or(0, |grade| grade.number());
    Document::new(ProductName::Elder, elder, elder)
        .with("elder_id", elder.to_string())
        .with("division_code", facts.village().to_string())
        .with("status", facts.status.name())
        .with_known("name", name)
        .with_known("id_number", id_number)
        .with("sex", facts.sex.name())
        .with("birth_date", facts.birth_date.to_string())
        .with("age", facts.age)
        .with("categories", facts.categories.names().collect::<Vec<_>>())
        .with("assistance", facts.assistance.names().collect::<Vec<_>>())
        .with("capability", facts.capability_level().name())
        .with("handicap_grade", grade)
        .with(
            "observations",
            facts.observations.names().collect::<Vec<_>>(),
        )
        .with("consent", facts.consent.state.name())
        .with_known("address", address)
        .with_known("contacts", contacts)
}

fn contact(contact: types::Contact) -> Value {
    json!({ "name": contact.name, "relation": contact.relation, "phone": contact.phone })
}

#[cfg(test)]
mod tests {
    use civic::{Category, Set, Sex};
    use elders::event::{
        Capability, Consent, Merge, ProfileUpdated, Registered, Residence, Source,
    };
    use elders::{purpose, testing};
    use proptest::prelude::*;
    use proto::eldercare::registry::v1 as registry;

    use super::*;

    const HERE: &str = "350524100001";
    const THERE: &str = "350524100002";

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn living_in(village: &str) -> Residence {
        Residence {
            village: village.parse().unwrap(),
            home: None,
        }
    }

    fn registered() -> Event {
        Event::Registered(Box::new(Registered {
            elder: testing::ELDER,
            source: Source::Api,
            identity: testing::sealed(purpose::IDENTITY, &registry::Identity::default()),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day("1940-03-01"),
            sex: Sex::Female,
            residence: living_in(HERE),
            categories: Category::LivingAlone.into(),
            assistance: Set::new(),
            capability: Capability::unassessed(),
            observations: Set::new(),
            handicap_grade: None,
            circumstances: vec![],
            contacts: None,
            consent: Consent::unknown(),
            wanted_services: Set::new(),
            remarks: None,
            import: None,
        }))
    }

    fn moved(village: &str, on: &str) -> Event {
        Event::Relocated(living_in(village), day(on))
    }

    fn reinstated(on: &str) -> Event {
        Event::Reinstated {
            on: day(on),
            reason: "RETURNED".to_owned(),
        }
    }

    fn merge() -> Merge {
        Merge {
            surviving: ElderId(Uuid::from_u128(2)),
            merged: testing::ELDER,
            reason: "DUPLICATE".to_owned(),
        }
    }

    fn facts<const N: usize>(events: [Event; N]) -> Option<Facts> {
        let registered = registered();
        let events = std::iter::once(&registered).chain(&events);
        events.fold(None, |facts, event| {
            Facts::after(facts, event, testing::ELDER)
        })
    }

    /// First day, end and village of where events leave an elder after the registration, in scope or not.
    fn left<const N: usize>(events: [Event; N]) -> Vec<(LocalDay, Option<LocalDay>, String)> {
        let spells = spells(&facts(events).unwrap());
        let homes =
            spells.chunk_by(|one, next| one.to == Some(next.from) && one.village == next.village);
        homes
            .map(|home| {
                let (first, last) = (home.first().unwrap(), home.last().unwrap());
                (first.from, last.to, first.village.to_string())
            })
            .collect()
    }

    /// First day and end of the spells in scope.
    fn in_scope<const N: usize>(events: [Event; N]) -> Vec<(LocalDay, Option<LocalDay>)> {
        let spells = spells(&facts(events).unwrap()).into_iter();
        let spells = spells.filter(|spell| spell.in_scope);
        spells.map(|spell| (spell.from, spell.to)).collect()
    }

    fn since_ever(to: Option<&str>) -> (LocalDay, Option<LocalDay>, String) {
        (LocalDay::MIN, to.map(day), HERE.to_owned())
    }

    fn from(on: &str, to: Option<&str>, village: &str) -> (LocalDay, Option<LocalDay>, String) {
        (day(on), to.map(day), village.to_owned())
    }

    #[test]
    fn what_is_registered_holds_since_ever() {
        assert_eq!(left([]), [since_ever(None)]);
    }

    #[test]
    fn a_move_within_the_county_begins_a_spell_elsewhere() {
        let moved_in = from("2024-10-01", None, THERE);
        let spells = left([moved(THERE, "2024-10-01")]);
        assert_eq!(spells, [since_ever(Some("2024-10-01")), moved_in]);
    }

    #[test]
    fn a_move_within_the_village_begins_none() {
        assert_eq!(left([moved(HERE, "2024-10-01")]), [since_ever(None)]);
    }

    #[test]
    fn death_ends_the_last_spell_on_its_day() {
        let died = Event::Died {
            on: day("2024-10-01"),
        };
        assert_eq!(left([died]), [since_ever(Some("2024-10-01"))]);
    }

    #[test]
    fn whoever_moved_out_and_came_back_has_a_gap() {
        let away = Event::MovedOut {
            on: day("2024-10-01"),
        };
        let spells = left([away, reinstated("2024-11-05")]);
        let back = from("2024-11-05", None, HERE);
        assert_eq!(spells, [since_ever(Some("2024-10-01")), back]);
    }

    #[test]
    fn who_moved_while_away_comes_back_to_the_new_village() {
        let away = Event::MovedOut {
            on: day("2024-10-01"),
        };
        let spells = left([away, moved(THERE, "2024-10-20"), reinstated("2024-11-05")]);
        let back = from("2024-11-05", None, THERE);
        assert_eq!(spells, [since_ever(Some("2024-10-01")), back]);
    }

    #[test]
    fn a_merged_file_counts_on_no_day_until_it_is_unmerged() {
        assert!(left([Event::Merged(merge())]).is_empty());
        let spells = left([Event::Merged(merge()), Event::Unmerged(merge())]);
        assert_eq!(spells, [since_ever(None)]);
    }

    #[test]
    fn scope_begins_with_the_sixtieth_birthday_and_needs_a_category() {
        let since = day("2000-03-01");
        assert_eq!(in_scope([]), [(since, None)]);
        let is_of = |on: &str, categories: Set<Category>| {
            Event::ProfileUpdated(ProfileUpdated {
                on: Some(day(on)),
                categories: Some(categories),
                ..ProfileUpdated::default()
            })
        };
        let (gone, back) = ("2024-10-01", "2024-11-05");
        let spells = in_scope([
            is_of(gone, Set::new()),
            is_of(back, Category::EmptyNest.into()),
        ]);
        assert_eq!(spells, [(since, Some(day(gone))), (day(back), None)]);
    }

    #[test]
    fn an_erased_elder_has_no_facts() {
        let erased = Event::Erased {
            reason: "REQUEST".to_owned(),
        };
        let facts = facts([moved(THERE, "2024-10-01"), erased]);
        let elders = BTreeMap::from([(testing::ELDER, facts)]);
        assert_eq!(spells_of(&elders).get(&testing::ELDER), Some(&vec![]));
    }

    proptest! {
        #[test]
        fn each_day_lies_in_the_spell_that_the_file_says(
            registered in testing::registered(),
            changes in prop::collection::vec(testing::change(), 0..12),
            day in testing::day(),
        ) {
            let mut facts = Facts::registered(&registered);
            for change in &changes {
                facts.apply(change, registered.elder);
            }
            let spells = spells(&facts);
            let holds = |spell: &&Spell| spell.from <= day && spell.to.is_none_or(|to| to > day);
            let held = spells.iter().filter(holds).map(|spell| (spell.village, spell.in_scope));
            let held: Vec<(VillageCode, bool)> = held.collect();
            let on_day = facts.on(day);
            let counts = on_day.status == ElderStatus::Active && !on_day.merged;
            let expected = counts.then(|| (*on_day.village(), on_day.in_scope()));
            let expected: Vec<(VillageCode, bool)> = expected.into_iter().collect();
            prop_assert_eq!(held, expected);
        }
    }
}

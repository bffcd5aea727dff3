//! Whom to tell of an alert: the contacts that the elder's file names, and who is registered for where the elder lives.
//!
//! Names and addresses are opened when somebody is told, and are written down nowhere.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use civic::{DivisionCode, ElderId, NoticeChannel, RecipientRole, VillageCode};
use elders::purpose as of_elder;
use notices::Address;
use readmodel::ReaderFailed;
use service::Clock;
use service::person_keys::Keys;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use uuid::Uuid;
use vault::{DataKey, KeyError, Sealed};

use crate::board_table::{self, place};
use crate::codec::purpose;
use crate::elders_tables::{CARDS, FACTS};
use proto::eldercare::alerts::v1 as pb;

/// Somebody who is to be told.
#[derive(Clone, Debug)]
pub(crate) struct Whom {
    /// Who.
    pub(crate) recipient: Uuid,
    /// As what.
    pub(crate) role: RecipientRole,
    /// The ways to reach them, the preferred one first; none where nobody is there to be told.
    pub(crate) ways: Vec<(NoticeChannel, Address)>,
}

/// What those who help need to know of an elder.
#[derive(Clone, Default)]
pub(crate) struct Particulars {
    /// The elder's name; empty where it can't be opened any more.
    pub(crate) name: String,
    /// Where home is.
    pub(crate) address: String,
    /// What the village is called.
    pub(crate) village: String,
}

/// Finds whom to tell.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    pub(crate) pool: PgPool,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
}

impl Finder {
    /// The contacts of an elder, in the order of calling, by these channels.
    pub(crate) async fn contacts(
        &self,
        elder: ElderId,
        channels: &[NoticeChannel],
    ) -> Result<Vec<Whom>, ReaderFailed> {
        let cards = CARDS.of(&self.pool, &[elder]).await?;
        let sealed = cards.get(&elder).and_then(|card| card.contacts.as_ref());
        let (Some(sealed), Some(key)) = (sealed, self.key(elder.as_uuid()).await?) else {
            return Ok(Vec::new());
        };
        let Ok(list) = key.open(of_elder::CONTACTS, elder.as_uuid(), sealed) else {
            tracing::error!(%elder, "the contacts of an elder can't be opened");
            return Ok(Vec::new());
        };
        let reachable = list.contacts.into_iter().zip(1_u32..);
        let reachable = reachable.filter(|(contact, _)| !contact.phone.is_empty());
        Ok(reachable
            .map(|(contact, number)| Whom {
                recipient: Uuid::new_v5(&elder.as_uuid(), format!("contact {number}").as_bytes()),
                role: RecipientRole::EmergencyContact,
                ways: channels
                    .iter()
                    .map(|channel| (*channel, Address::new(contact.phone.clone())))
                    .collect(),
            })
            .collect())
    }

    /// Those who are registered as something nearest to a village: in it, or else in the town, the county and so on.
    pub(crate) async fn registered(
        &self,
        role: RecipientRole,
        village: Option<&VillageCode>,
    ) -> Result<Vec<Whom>, ReaderFailed> {
        let Some(village) = village else {
            return Ok(Vec::new());
        };
        let around: Vec<String> = village
            .division()
            .upwards()
            .map(|division: DivisionCode| division.to_string())
            .collect();
        let statement = format!(
            "SELECT recipient_id, details, division FROM {book}.recipient WHERE active AND role = $1 AND division = ANY($2) \
             AND length(division) = (SELECT max(length(division)) FROM {book}.recipient \
                 WHERE active AND role = $1 AND division = ANY($2)) ORDER BY recipient_id",
            book = board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(place(role))
            .bind(&around)
            .fetch_all(&self.pool)
            .await?;
        self.opened(role, &rows).await
    }

    /// Who looks after some devices: each with the recipient that its registration names, or whoever is registered nearest.
    pub(crate) async fn maintainers(
        &self,
        devices: &[String],
        village: Option<&VillageCode>,
    ) -> Result<Vec<(Whom, Vec<String>)>, ReaderFailed> {
        let statement = format!(
            "SELECT r.recipient_id, r.details, array_agg(d.device_id) FROM {book}.device d JOIN {book}.recipient r \
             ON r.recipient_id = d.maintainer_id WHERE d.device_id = ANY($1) AND r.active GROUP BY 1, 2 ORDER BY 1",
            book = board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(devices)
            .fetch_all(&self.pool)
            .await?;
        let named = self.opened(RecipientRole::Maintainer, &rows).await?;
        let of = rows.iter().map(|row| row.try_get(2));
        let of = of.collect::<Result<Vec<Vec<String>>, _>>()?;
        let mut found: Vec<(Whom, Vec<String>)> = named.into_iter().zip(of).collect();
        let named: HashSet<&String> = found.iter().flat_map(|(_, devices)| devices).collect();
        let others = devices.iter().filter(|device| !named.contains(device));
        let others: Vec<String> = others.cloned().collect();
        if !others.is_empty() {
            let mut nearest = self.registered(RecipientRole::Maintainer, village).await?;
            if nearest.is_empty() {
                nearest.push(Whom {
                    recipient: Uuid::nil(),
                    role: RecipientRole::Maintainer,
                    ways: Vec::new(),
                });
            }
            found.extend(nearest.into_iter().map(|whom| (whom, others.clone())));
        }
        Ok(found)
    }

    async fn opened(
        &self,
        role: RecipientRole,
        rows: &[sqlx::postgres::PgRow],
    ) -> Result<Vec<Whom>, ReaderFailed> {
        let ids = rows.iter().map(|row| row.try_get(0));
        let ids = ids.collect::<Result<Vec<Uuid>, _>>()?;
        let keys = self.some_keys(&ids).await?;
        let mut found = Vec::with_capacity(rows.len());
        for (row, id) in rows.iter().zip(ids) {
            let sealed = Sealed::<pb::RecipientDetails>::from_bytes(row.try_get::<&[u8], _>(1)?);
            let details = sealed.ok().zip(keys.get(&id));
            let details =
                details.and_then(|(sealed, key)| key.open(purpose::RECIPIENT, id, &sealed).ok());
            let channels = details.map(|details| details.channels).unwrap_or_default();
            found.push(Whom {
                recipient: id,
                role,
                ways: channels.into_iter().filter_map(way).collect(),
            });
        }
        Ok(found)
    }

    /// What those who help need to know of an elder.
    pub(crate) async fn particulars(
        &self,
        elder: ElderId,
        village: Option<&VillageCode>,
    ) -> Result<Particulars, ReaderFailed> {
        let elders = [elder];
        let codes: Vec<String> = village.iter().map(ToString::to_string).collect();
        let (cards, facts, names, key) = tokio::join!(
            CARDS.of(&self.pool, &elders),
            FACTS.of(&self.pool, &elders),
            CARDS.names(&self.pool, &codes),
            self.key(elder.as_uuid()),
        );
        let (cards, facts, names, key) = (cards?, facts?, names?, key?);
        let mut particulars = Particulars {
            village: names.into_values().next().unwrap_or_default(),
            ..Particulars::default()
        };
        let Some(key) = key else {
            return Ok(particulars);
        };
        if let Some(card) = cards.get(&elder)
            && let Ok(identity) = key.open(of_elder::IDENTITY, elder.as_uuid(), &card.identity)
        {
            particulars.name = identity.name;
        }
        let facts = facts.get(&elder).and_then(|kept| kept.facts.as_ref());
        let residence = facts.map(|facts| facts.on(self.clock.today()).residence);
        if let Some(home) = residence.and_then(|residence| residence.home)
            && let Ok(home) = key.open(of_elder::HOME, elder.as_uuid(), &home)
        {
            particulars.address = home.address;
        }
        Ok(particulars)
    }

    async fn key(&self, person: Uuid) -> Result<Option<Arc<DataKey>>, ReaderFailed> {
        match self.keys.vault.key(person).await {
            Ok(key) => Ok(Some(key)),
            Err(KeyError::Erased) => Ok(None),
            Err(error @ KeyError::Unavailable(_)) => Err(ReaderFailed::because(error)),
        }
    }

    async fn some_keys(
        &self,
        persons: &[Uuid],
    ) -> Result<HashMap<Uuid, Arc<DataKey>>, ReaderFailed> {
        let keys = self.keys.vault.keys(persons).await;
        keys.map_err(ReaderFailed::because)
    }
}

fn way(channel: pb::RecipientChannel) -> Option<(NoticeChannel, Address)> {
    use elders::terms::WireTerm as _;
    let kind = NoticeChannel::from_wire(channel.channel)?;
    Some((kind, Address::new(channel.address)))
}

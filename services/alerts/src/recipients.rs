//! Who is told of alerts: what callers ask of recipients, and what is told about them.

use civic::{DivisionCode, NoticeChannel, RecipientRole};
use elders::terms::WireTerm as _;
use eventlog::Position;
use proto::eldercare::alerts::v1 as pb;
use service::{Asked, Caller, errors, paging, person_keys};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;
use vault::Sealed;

use crate::alerts::Alerts;
use crate::board_table::{self, word};
use crate::codec::purpose;
use crate::recipient::{Command, Said};
use crate::refusals;

/// What is said of a recipient, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) role: RecipientRole,
    pub(crate) division: DivisionCode,
    pub(crate) active: bool,
    pub(crate) name: String,
    pub(crate) channels: Vec<(NoticeChannel, String)>,
}

/// Which recipients are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) inactive_too: bool,
}

/// The id of the recipient that a request registers: the same for ever, so that a retry registers nobody twice.
fn recipient_of(request_id: Uuid) -> Uuid {
    Uuid::new_v5(&request_id, b"recipient")
}

/// What is told of a recipient.
const RECIPIENT: &[&str] = &["recipient.name", "recipient.channels"];

impl Alerts {
    /// Registers a recipient, or changes all that is said of one; the id, and where that stands.
    pub(crate) async fn register_recipient(
        &self,
        caller: &Caller,
        asked: Asked,
        known: Option<Uuid>,
        named: Named,
    ) -> Result<(Uuid, Position), Status> {
        caller.may_here(&named.division)?;
        let (id, key) = match known {
            None => {
                let id = recipient_of(asked.request_id);
                (id, self.keys.create(id).await?)
            }
            Some(id) => {
                let loaded = self.recipients.load_newest(&id.to_string()).await;
                let loaded = loaded.map_err(service::not_loaded)?;
                let said = loaded.state.said.as_ref();
                let said = said.ok_or_else(|| refusals::no_recipient(id))?;
                caller.knows(&said.division, || refusals::no_recipient(id))?;
                let key = self.keys.key(id).await?;
                (id, key.ok_or_else(|| refusals::no_recipient(id))?)
            }
        };
        let channels = named.channels.into_iter();
        let details = pb::RecipientDetails {
            name: named.name,
            channels: channels
                .map(|(channel, address)| pb::RecipientChannel {
                    channel: channel.wire(),
                    address,
                })
                .collect(),
        };
        let said = Said {
            role: named.role,
            division: named.division,
            active: named.active,
            details: key.seal(purpose::RECIPIENT, id, &details),
        };
        let command = if known.is_some() {
            Command::Change(said)
        } else {
            Command::Register(said)
        };
        let context = asked.by(caller, self.clock.now(), Some(named.division));
        let committed = self
            .recipients
            .execute(&id.to_string(), &context, &command)
            .await
            .map_err(|error| {
                service::not_executed(error, |refusal| refusals::of_recipient(id, refusal))
            })?;
        Ok((id, committed.position))
    }

    /// Refuses somebody in whose charge what stands there can't be given by this caller: whoever is registered neither in the
    /// caller's divisions nor around that place.
    pub(crate) async fn recipient_is_known(
        &self,
        caller: &Caller,
        recipient: Uuid,
        place: Option<&DivisionCode>,
    ) -> Result<(), Status> {
        let loaded = self.recipients.load_newest(&recipient.to_string()).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let known = loaded.state.said.as_ref().is_some_and(|said| {
            caller.reaches(&said.division)
                || place.is_some_and(|place| said.division.contains(place))
        });
        if known {
            Ok(())
        } else {
            Err(refusals::no_recipient(recipient))
        }
    }

    /// A page of recipients, and the cursor of the next one.
    pub(crate) async fn list_recipients(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<(Vec<pb::Recipient>, Option<Uuid>), Status> {
        caller.may_here(&filter.division)?;
        let statement = format!(
            "SELECT recipient_id, role, division, active, details FROM {}.recipient \
             WHERE division >= $1 AND division < $2 AND ($3 OR active) AND ($4::uuid IS NULL OR recipient_id > $4) \
             ORDER BY recipient_id LIMIT $5",
            board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.inactive_too)
            .bind(after)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let ids = rows.iter().map(|row| row.try_get(0));
        let ids = ids
            .collect::<Result<Vec<Uuid>, _>>()
            .map_err(errors::of_database)?;
        let keys = self.keys.vault.keys(&ids).await;
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let read = |row: &sqlx::postgres::PgRow| -> Result<pb::Recipient, sqlx::Error> {
            let id: Uuid = row.try_get(0)?;
            let sealed = Sealed::<pb::RecipientDetails>::from_bytes(row.try_get::<&[u8], _>(4)?);
            let details = sealed
                .ok()
                .zip(keys.get(&id))
                .and_then(|(sealed, key)| key.open(purpose::RECIPIENT, id, &sealed).ok())
                .unwrap_or_default();
            Ok(pb::Recipient {
                recipient_id: id.to_string(),
                role: word::<RecipientRole>(row.try_get(1)?)?.wire(),
                division_code: row.try_get(2)?,
                name: details.name,
                channels: details.channels,
                active: row.try_get(3)?,
            })
        };
        let recipients = rows.iter().map(read).collect::<Result<Vec<_>, _>>();
        let mut recipients = recipients.map_err(errors::of_database)?;
        let next =
            paging::cut(&mut recipients, size).and_then(|last| last.recipient_id.parse().ok());
        let told = recipients.iter().map(|recipient| &recipient.recipient_id);
        caller.told("ListRecipients", told, RECIPIENT).await?;
        Ok((recipients, next))
    }
}

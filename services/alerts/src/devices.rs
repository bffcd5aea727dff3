//! Devices and homes: what callers ask of them, and what is told about them.

use chrono::{DateTime, Utc};
use civic::{AlertKind, AwayReason, DeviceKind, DivisionCode, ElderId};
use decider::Decider as _;
use elders::terms::WireTerm as _;
use elders::wire::write_time;
use eventlog::Position;
use proto::eldercare::alerts::v1 as pb;
use service::{Asked, Caller, Deadline, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::absence;
use crate::alerts::{Alerts, reaches};
use crate::board_table::{self, word};
use crate::device::{Command, Device, Registered};
use crate::refusals;
use crate::signal::DeviceId;

/// What of a device changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub(crate) elder: Option<ElderId>,
    pub(crate) maintainer: Option<Option<Uuid>>,
}

/// Which devices are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) elder: Option<ElderId>,
    /// None: all but those that are retired.
    pub(crate) state: Option<pb::DeviceState>,
}

/// What is told of an elder with a device.
const DEVICE: &[&str] = &[
    "device.device_id",
    "device.kind",
    "device.last_signal_at",
    "device.state",
];

impl Alerts {
    /// Registers a device; its credential, and where that stands.
    pub(crate) async fn register_device(
        &self,
        caller: &Caller,
        asked: Asked,
        device: DeviceId,
        (kind, elder, maintainer): (DeviceKind, ElderId, Option<Uuid>),
        deadline: Deadline,
    ) -> Result<(String, Position), Status> {
        let registration = asked.request_id;
        // A retry is answered as before, wherever the elder lives by now, and whether the file is still there.
        let repeated = caller.was_answered(&self.devices, device.as_str(), registration);
        let village = if repeated.await? {
            None
        } else {
            let village = self.village_of(caller, elder, deadline).await?;
            if let Some(maintainer) = maintainer {
                self.recipient_is_known(caller, maintainer, Some(&village.division()))
                    .await?;
            }
            Some(village)
        };
        let command = Command::Register(Registered {
            kind,
            elder,
            maintainer,
            credential: registration,
            village,
        });
        let context = asked.by(
            caller,
            self.clock.now(),
            village.map(|village| village.division()),
        );
        let committed = self
            .devices
            .execute(device.as_str(), &context, &command)
            .await
            .map_err(|error| {
                service::not_executed(error, |refusal| refusals::of_device(&device, refusal))
            })?;
        let credential = self.credentials.of(&device, registration);
        Ok((credential, committed.position))
    }

    /// Changes what is said of a device.
    pub(crate) async fn update_device(
        &self,
        caller: &Caller,
        asked: Asked,
        (device, etag): (DeviceId, Option<u64>),
        change: Change,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let (division, repeated) = self.may_change(caller, &device, &asked).await?;
        let village = match change.elder.filter(|_| !repeated) {
            None => None,
            Some(elder) => Some(self.village_of(caller, elder, deadline).await?),
        };
        if let Some(Some(maintainer)) = change.maintainer
            && !repeated
        {
            let home = village.map(|village| village.division()).or(division);
            self.recipient_is_known(caller, maintainer, home.as_ref())
                .await?;
        }
        let command = Command::Update {
            elder: change.elder,
            maintainer: change.maintainer,
            village: village.map(Some),
        };
        let context = asked.by(caller, self.clock.now(), division);
        let committed = self
            .devices
            .execute_with(device.as_str(), &context, |held| {
                let outcome = if etag.is_some_and(|etag| etag != held.sequence) {
                    Err(errors::etag_mismatch())
                } else {
                    let decided = held.state.decide(&command);
                    decided.map_err(|refusal| refusals::of_device(&device, refusal))
                };
                async move { outcome }
            })
            .await
            .map_err(|error| service::not_executed(error, |status| status))?;
        Ok(committed.position)
    }

    /// Ends a device's watch.
    pub(crate) async fn retire_device(
        &self,
        caller: &Caller,
        asked: Asked,
        device: DeviceId,
    ) -> Result<Position, Status> {
        let (division, _) = self.may_change(caller, &device, &asked).await?;
        let context = asked.by(caller, self.clock.now(), division);
        let committed = self
            .devices
            .execute(device.as_str(), &context, &Command::Retire)
            .await
            .map_err(|error| {
                service::not_executed(error, |refusal| refusals::of_device(&device, refusal))
            })?;
        Ok(committed.position)
    }

    /// Where a device stands that the caller reaches, and whether the request was carried out before.
    async fn may_change(
        &self,
        caller: &Caller,
        device: &DeviceId,
        asked: &Asked,
    ) -> Result<(Option<DivisionCode>, bool), Status> {
        let row = sqlx::query_scalar::<_, String>(AssertSqlSafe(format!(
            "SELECT village FROM {}.device WHERE device_id = $1",
            board_table::NAME
        )))
        .bind(device.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(errors::of_database)?;
        let row = row.map(|village| village.parse::<DivisionCode>().ok());
        let (is_there, division) = match row {
            Some(division) if reaches(caller, division.as_ref()) => (true, division),
            row => {
                // It may have been registered a moment ago. Of one of elsewhere the row decides; the log is asked all the same, so
                // that it takes as long.
                let loaded = self.devices.load_newest(device.as_str()).await;
                let loaded = loaded.map_err(service::not_loaded)?;
                match (row, &loaded.state) {
                    (Some(division), _) => (true, division),
                    (None, Device::Registered(known)) => {
                        (true, known.village.map(|village| village.division()))
                    }
                    (None, Device::Unknown | Device::Retired) => (false, None),
                }
            }
        };
        let repeated = caller.was_answered(&self.devices, device.as_str(), asked.request_id);
        let repeated = repeated.await?;
        if repeated || is_there && reaches(caller, division.as_ref()) {
            Ok((division, repeated))
        } else {
            Err(refusals::no_device(device))
        }
    }

    /// A page of devices, and the cursor of the next one.
    pub(crate) async fn list_devices(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<&str>,
        size: u32,
    ) -> Result<(Vec<pb::Device>, Option<String>), Status> {
        caller.may_here(&filter.division)?;
        use pb::DeviceState::{Faulty, Offline, Online, Retired};
        let offline = format!(
            "EXISTS (SELECT 1 FROM {}.offline o WHERE o.device_id = d.device_id)",
            board_table::NAME
        );
        let faulty = format!(
            "EXISTS (SELECT 1 FROM {}.alert a WHERE a.line = '{}-' || d.device_id AND a.open)",
            board_table::NAME,
            AlertKind::DeviceFault
        );
        let state = match filter.state {
            None | Some(pb::DeviceState::Unspecified) => "NOT d.retired".to_owned(),
            Some(Retired) => "d.retired".to_owned(),
            Some(Offline) => format!("NOT d.retired AND {offline}"),
            Some(Faulty) => format!("NOT d.retired AND NOT {offline} AND {faulty}"),
            Some(Online) => format!("NOT d.retired AND NOT {offline} AND NOT {faulty}"),
        };
        let statement = format!(
            "SELECT d.device_id, d.kind, d.elder_id, d.maintainer_id, d.village, d.registered_at, d.retired, d.sequence, \
                 {offline}, {faulty} FROM {}.device d \
             WHERE d.village >= $1 AND d.village < $2 AND ($3::uuid IS NULL OR d.elder_id = $3) AND {state} \
             AND ($4::text IS NULL OR d.device_id > $4) ORDER BY d.device_id LIMIT $5",
            board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.elder.map(|elder| elder.as_uuid()))
            .bind(after)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let devices = rows.iter().map(device).collect::<Result<Vec<_>, _>>();
        let mut devices = devices.map_err(errors::of_database)?;
        let next = paging::cut(&mut devices, size).map(|last| last.device_id.clone());
        let ids: Vec<DeviceId> = devices
            .iter()
            .filter_map(|device| device.device_id.parse().ok())
            .collect();
        let heard = self.signals.last_heard(&ids).await;
        let heard = heard.map_err(|error| {
            tracing::warn!(%error, "the last signals can't be had");
            errors::unavailable("the stream of signals")
        })?;
        for (device, id) in devices.iter_mut().zip(&ids) {
            device.last_signal_at = heard.get(id).map(|at| write_time(*at));
        }
        let told = devices.iter().map(|device| &device.elder_id);
        caller.told("ListDevices", told, DEVICE).await?;
        Ok((devices, next))
    }

    /// Says that nobody is at an elder's home.
    pub(crate) async fn mark_away(
        &self,
        caller: &Caller,
        asked: Asked,
        elder: ElderId,
        reason: AwayReason,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let command = absence::Command::Mark(reason);
        self.change_absence(caller, asked, elder, command, deadline)
            .await
    }

    /// Says that somebody is there again.
    pub(crate) async fn end_away(
        &self,
        caller: &Caller,
        asked: Asked,
        elder: ElderId,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let command = absence::Command::End;
        self.change_absence(caller, asked, elder, command, deadline)
            .await
    }

    async fn change_absence(
        &self,
        caller: &Caller,
        asked: Asked,
        elder: ElderId,
        command: absence::Command,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let id = elder.to_string();
        // A retry is answered as before, whether the elder's file is still there or not.
        let repeated = caller.was_answered(&self.absences, &id, asked.request_id);
        let division = if repeated.await? {
            None
        } else {
            let village = self.village_of(caller, elder, deadline).await?;
            Some(village.division())
        };
        let context = asked.by(caller, self.clock.now(), division);
        let committed = self
            .absences
            .execute(&id, &context, &command)
            .await
            .map_err(|error| service::not_executed(error, refusals::of_absence))?;
        Ok(committed.position)
    }
}

fn device(row: &PgRow) -> Result<pb::Device, sqlx::Error> {
    let (retired, offline, faulty): (bool, bool, bool) =
        (row.try_get(6)?, row.try_get(8)?, row.try_get(9)?);
    let state = match (retired, offline, faulty) {
        (true, _, _) => pb::DeviceState::Retired,
        (false, true, _) => pb::DeviceState::Offline,
        (false, false, true) => pb::DeviceState::Faulty,
        (false, false, false) => pb::DeviceState::Online,
    };
    let maintainer: Option<Uuid> = row.try_get(3)?;
    let registered_at: DateTime<Utc> = row.try_get(5)?;
    Ok(pb::Device {
        device_id: row.try_get(0)?,
        kind: word::<DeviceKind>(row.try_get(1)?)?.wire(),
        elder_id: row.try_get::<Uuid, _>(2)?.to_string(),
        maintainer_id: maintainer.map_or_else(String::new, |id| id.to_string()),
        division_code: row.try_get(4)?,
        registered_at: Some(write_time(registered_at)),
        last_signal_at: None,
        state: state.into(),
        etag: service::etag(row.try_get::<i64, _>(7)?.cast_unsigned()),
    })
}

/// A device's admission: its registration, while it is not retired.
pub(crate) async fn registration(
    pool: &sqlx::PgPool,
    device: &DeviceId,
) -> Result<Option<Uuid>, sqlx::Error> {
    let statement = format!(
        "SELECT credential_id FROM {}.device WHERE device_id = $1 AND NOT retired",
        board_table::NAME
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(device.as_str())
        .fetch_optional(pool)
        .await
}

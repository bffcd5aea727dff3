//! The rows of devices: what the records of a batch say of each, written at once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use civic::VillageCode;
use eventlog::Record;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::board_table::place;
use crate::device::{Event, Registered};

/// What the records of a batch say of devices.
#[derive(Default)]
pub(crate) struct DeviceRows(BTreeMap<String, Changes>);

/// What becomes of a device's row: each of them stands for what came after the one before.
#[derive(Default)]
struct Changes {
    registered: Option<(Registered, DateTime<Utc>)>,
    updated: Option<(Uuid, Option<Uuid>, Option<VillageCode>)>,
    retired: bool,
    sequence: i64,
}

impl DeviceRows {
    /// What happened to a device.
    pub(crate) fn fold(&mut self, record: &Record, events: Vec<Event>) {
        for event in events {
            let changes = self.0.entry(record.subject.id().to_owned()).or_default();
            changes.sequence = record.sequence.cast_signed();
            match event {
                Event::Registered(registered) => {
                    changes.registered = Some((registered, record.metadata.time));
                    changes.updated = None;
                    changes.retired = false;
                }
                Event::Updated {
                    elder,
                    maintainer,
                    village,
                } => changes.updated = Some((elder.as_uuid(), maintainer, village)),
                Event::Retired => changes.retired = true,
            }
        }
    }

    /// Writes it.
    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.register(db).await?;
        self.update(db).await?;
        self.retire(db).await
    }

    async fn register(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (mut devices, mut kinds, mut elders) = (Vec::new(), Vec::new(), Vec::new());
        let (mut maintainers, mut credentials, mut villages) = (Vec::new(), Vec::new(), Vec::new());
        let (mut since, mut sequences) = (Vec::new(), Vec::new());
        for (device, changes) in &self.0 {
            let Some((registered, at)) = &changes.registered else {
                continue;
            };
            devices.push(device.as_str());
            kinds.push(place(registered.kind));
            elders.push(registered.elder.as_uuid());
            maintainers.push(registered.maintainer);
            credentials.push(registered.credential);
            villages.push(written(registered.village.as_ref()));
            since.push(*at);
            sequences.push(changes.sequence);
        }
        if devices.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO device (device_id, kind, elder_id, maintainer_id, credential_id, village, registered_at, \
                 sequence, retired) \
             SELECT *, false FROM UNNEST($1::text[], $2::integer[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], \
                 $7::timestamptz[], $8::bigint[]) \
             ON CONFLICT (device_id) DO UPDATE SET kind = excluded.kind, elder_id = excluded.elder_id, \
                 maintainer_id = excluded.maintainer_id, credential_id = excluded.credential_id, \
                 village = excluded.village, registered_at = excluded.registered_at, retired = false, \
                 sequence = excluded.sequence",
        )
        .bind(devices)
        .bind(kinds)
        .bind(elders)
        .bind(maintainers)
        .bind(credentials)
        .bind(villages)
        .bind(since)
        .bind(sequences)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn update(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (mut devices, mut elders, mut maintainers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut villages, mut sequences) = (Vec::new(), Vec::new());
        for (device, changes) in &self.0 {
            let Some((elder, maintainer, village)) = &changes.updated else {
                continue;
            };
            devices.push(device.as_str());
            elders.push(*elder);
            maintainers.push(*maintainer);
            villages.push(written(village.as_ref()));
            sequences.push(changes.sequence);
        }
        if devices.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE device SET elder_id = now.elder_id, maintainer_id = now.maintainer_id, village = now.village, \
                 sequence = now.sequence \
             FROM UNNEST($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[]) \
                 AS now (device_id, elder_id, maintainer_id, village, sequence) \
             WHERE device.device_id = now.device_id",
        )
        .bind(devices)
        .bind(elders)
        .bind(maintainers)
        .bind(villages)
        .bind(sequences)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn retire(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let retired = self.0.iter().filter(|(_, changes)| changes.retired);
        let (devices, sequences): (Vec<&str>, Vec<i64>) = retired
            .map(|(device, changes)| (device.as_str(), changes.sequence))
            .unzip();
        if devices.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE device SET retired = true, sequence = now.sequence \
             FROM UNNEST($1::text[], $2::bigint[]) AS now (device_id, sequence) \
             WHERE device.device_id = now.device_id",
        )
        .bind(devices)
        .bind(sequences)
        .execute(db)
        .await?;
        Ok(())
    }
}

fn written(village: Option<&VillageCode>) -> String {
    village.map_or_else(String::new, ToString::to_string)
}

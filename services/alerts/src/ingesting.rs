//! Takes signals in that came to a gateway: each is checked by itself, and those of a batch are stored together.

use std::collections::HashSet;

use civic::{DivisionCode, SHANGHAI, SignalKind};
use eventlog::Position;
use proto::eldercare::alerts::v1 as pb;
use service::{Caller, Checks, errors};
use sqlx::AssertSqlSafe;
use tonic::Status;

use crate::alerts::Alerts;
use crate::board_table;
use crate::parse;
use crate::signal::DeviceId;
use crate::signals::{LONGEST_ID, STREAM, Sent};

/// The most signals of a batch.
pub(crate) const MOST: usize = 1_000;

impl Alerts {
    /// Stores a batch; the receipt. A gateway of some divisions passes on what devices in these say, and no others.
    pub(crate) async fn ingest(
        &self,
        caller: &Caller,
        batch: pb::IngestSignalsRequest,
    ) -> Result<pb::IngestSignalsResponse, Status> {
        if batch.signals.len() > MOST {
            let mut checks = Checks::new();
            checks.refuse(
                "signals",
                "TOO_MANY",
                format!("has {MOST} at most"),
                format!("每批不超过 {MOST} 条"),
            );
            checks.finish()?;
        }
        let mut receipt = pb::IngestSignalsResponse::default();
        let theirs = self.theirs(caller, &batch.signals).await?;
        let mut good = Vec::with_capacity(batch.signals.len());
        for (signal, index) in batch.signals.into_iter().zip(0..) {
            let beyond = |theirs: &HashSet<String>| !theirs.contains(&signal.device_id);
            let read = if theirs.as_ref().is_some_and(beyond) {
                Err(not_theirs())
            } else {
                read(signal)
            };
            match read {
                Ok(signal) => good.push(signal),
                Err(refused) => receipt.refused.push(pb::RefusedSignal { index, ..refused }),
            }
        }
        receipt.stored = i32::try_from(good.len()).unwrap_or(i32::MAX);
        if !good.is_empty() {
            let last = self.signals.store(&good).await.map_err(|error| {
                tracing::warn!(%error, "signals can't be stored");
                errors::unavailable("the stream of signals")
            })?;
            receipt.position = Position::new(STREAM, last).to_string();
        }
        Ok(receipt)
    }
}

impl Alerts {
    /// Of these signals' devices those in homes of the caller's divisions; none where the caller's are all.
    async fn theirs(
        &self,
        caller: &Caller,
        signals: &[pb::Signal],
    ) -> Result<Option<HashSet<String>>, Status> {
        if caller.everywhere {
            caller.may_everywhere()?;
            return Ok(None);
        }
        let devices: Vec<&str> = signals
            .iter()
            .map(|signal| signal.device_id.as_str())
            .collect();
        let statement = format!(
            "SELECT device_id, village FROM {}.device WHERE device_id = ANY($1)",
            board_table::NAME
        );
        let rows: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(devices)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let reached = rows.into_iter().filter(|(_, village)| {
            let village = village.parse::<DivisionCode>();
            village.is_ok_and(|village| caller.reaches(&village))
        });
        Ok(Some(reached.map(|(device, _)| device).collect()))
    }
}

/// A device that is not registered, or stands elsewhere: which of them, the gateway is not told.
fn not_theirs() -> pb::RefusedSignal {
    pb::RefusedSignal {
        index: 0,
        field: "device_id".to_owned(),
        reason: "DEVICE_NOT_YOURS".to_owned(),
        message_en: "is no device in your divisions".to_owned(),
        message_zh: "不是您所辖区划内的设备".to_owned(),
    }
}

/// A signal, or the first thing that is wrong with it.
fn read(signal: pb::Signal) -> Result<(DeviceId, Sent), pb::RefusedSignal> {
    let mut checks = Checks::new();
    let id = checks.string("signal_id", &signal.signal_id, 1..=LONGEST_ID);
    let device = parse::device_id(&mut checks, "device_id", &signal.device_id);
    let kind = parse::term::<SignalKind>(&mut checks, "kind", signal.kind);
    let device_time = checks.instant("device_time", signal.device_time);
    checks.that(
        signal.litres.is_finite() && (0.0..1e6).contains(&signal.litres),
        "litres",
        "OUT_OF_RANGE",
        "is an amount of water in litres",
        "应为以升计的用水量",
    );
    let place = signal.position;
    checks.that(
        place.is_none_or(|place| {
            (-90.0..=90.0).contains(&place.latitude) && (-180.0..=180.0).contains(&place.longitude)
        }),
        "position",
        "OUT_OF_RANGE",
        "is no place on the earth",
        "不是有效的经纬度",
    );
    let violations = match checks.is_clean() {
        true => Vec::new(),
        false => checks.into_violations(),
    };
    if let Some(first) = violations.into_iter().next() {
        return Err(pb::RefusedSignal {
            index: 0,
            field: first.field,
            reason: first.reason.into_owned(),
            message_en: first.en.to_string(),
            message_zh: first.zh.to_string(),
        });
    }
    let (Some(id), Some(device), Some(kind)) = (id, device, kind) else {
        return Err(pb::RefusedSignal::default());
    };
    let sent = Sent {
        signal_id: id,
        kind,
        device_time: device_time.flatten().map(|at| at.with_timezone(&SHANGHAI)),
        litres: (signal.litres > 0.0 || kind == SignalKind::Flow).then_some(signal.litres),
        latitude: place.map(|place| place.latitude),
        longitude: place.map(|place| place.longitude),
    };
    Ok((device, sent))
}

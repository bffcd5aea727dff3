//! When an elder was erased, what the devices of that home have sent is deleted, however long the stream could not be reached.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use civic::ElderId;
use eventlog::{EventLog, Record};
use prost::Name as _;
use proto::eldercare::registry::v1 as pb;
use readmodel::{ApplyError, Follower, Parked, Reactor};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::board_table;
use crate::signal::DeviceId;
use crate::signals::Signals;

/// The reactor's name; it never changes.
pub(crate) const NAME: &str = "alerts_on_elder_erased";
/// How long the register of devices may take to catch up before the batch is handed out again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes signals. Doing it twice changes nothing.
///
/// Retired devices are among them, as long as they are not registered again for another elder.
pub(crate) struct OnElderErased {
    signals: Signals,
    own: Arc<dyn EventLog>,
    board: Follower,
    erased: String,
}

impl OnElderErased {
    /// The reactor on the registry's stream; `board` follows the register of devices, which is read from our `own` log.
    #[must_use]
    pub(crate) fn new(signals: Signals, own: Arc<dyn EventLog>, board: Follower) -> Self {
        Self {
            signals,
            own,
            board,
            erased: pb::ElderErased::full_name(),
        }
    }

    /// Waits until the register of devices holds all that our log does.
    async fn register_is_whole(&self) -> Result<(), ApplyError> {
        let last = self.own.last_sequence().await;
        let last = last.map_err(|_away| ApplyError::Unavailable("the log of alerts"))?;
        tokio::time::timeout(PATIENCE, self.board.reaches(last))
            .await
            .map_err(|_late| ApplyError::Unavailable("the register of devices"))
    }
}

#[async_trait]
impl Reactor for OnElderErased {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn react(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
    ) -> Result<Vec<Parked>, ApplyError> {
        // A subject that names no elder is parked by the read models of the registry's log.
        let elders: Vec<_> = records
            .iter()
            .filter(|record| record.tells_of(&self.erased))
            .filter_map(|record| record.subject.id().parse::<ElderId>().ok())
            .map(|elder| elder.as_uuid())
            .collect();
        if elders.is_empty() {
            return Ok(Vec::new());
        }
        self.register_is_whole().await?;
        let devices: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT device_id FROM {}.device WHERE elder_id = ANY($1)",
            board_table::NAME
        )))
        .bind(elders)
        .fetch_all(db)
        .await?;
        for device in devices {
            // What the register holds was registered under an id.
            let Ok(device) = device.parse::<DeviceId>() else {
                continue;
            };
            self.signals
                .forget(&device)
                .await
                .map_err(|_away| ApplyError::Unavailable("the stream of signals"))?;
        }
        Ok(Vec::new())
    }
}

//! Writes a line in the service's log where nobody is told: for local runs. It says what an operator may know.

use async_trait::async_trait;
use civic::{AlertKind, DivisionCode, Severity};
use serde_json::Value;
use uuid::Uuid;

use crate::{Channel, Delivered, Failure, Notice};

pub(crate) struct LogLine;

#[async_trait]
impl Channel for LogLine {
    async fn send(&self, notice: &Notice) -> Result<Delivered, Failure> {
        let coded = Coded::of(&notice.data);
        tracing::info!(
            key = %notice.key,
            channel = notice.channel.name(),
            attempt = notice.attempt,
            alert = coded.alert.map(tracing::field::display),
            kind = coded.kind.map(AlertKind::name),
            severity = coded.severity.map(Severity::name),
            level = coded.level,
            division = coded.division.map(tracing::field::display),
            "a notice is told to nobody but this log"
        );
        Ok(Delivered::default())
    }
}

/// What of a notice's data says who it is about to nobody. Each is read as what it is, so that nothing else gets through.
struct Coded {
    alert: Option<Uuid>,
    kind: Option<AlertKind>,
    severity: Option<Severity>,
    level: Option<u64>,
    division: Option<DivisionCode>,
}

impl Coded {
    fn of(data: &Value) -> Self {
        let text = |field| data.get(field).and_then(Value::as_str);
        Self {
            alert: text("alert_id").and_then(|id| id.parse().ok()),
            kind: text("kind").and_then(AlertKind::from_name),
            severity: text("severity").and_then(Severity::from_name),
            level: data.get("level").and_then(Value::as_u64),
            division: text("division").and_then(|code| code.parse().ok()),
        }
    }
}

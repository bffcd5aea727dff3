//! How fast help comes, as operators see it: each step in the course of an alert, by its delay.

use eventlog::Record;

use super::Teller;
use crate::alert_line::Event;

impl Teller {
    /// Measures after how long an alert on this line came to a step.
    pub(super) async fn measure(&self, line: &str, record: &Record, event: &Event) {
        let at = record.metadata.time;
        let (step, alert) = match event {
            Event::Raised(raised) => {
                self.measures.stepped("RAISED", raised.kind, raised.at, at);
                return;
            }
            Event::Escalated { alert, .. } => ("ESCALATED", alert),
            Event::Acknowledged { alert, .. } => ("ACKNOWLEDGED", alert),
            Event::Assigned { alert, .. } => ("ASSIGNED", alert),
            Event::Dispatched { alert, .. } => ("DISPATCHED", alert),
            Event::Arrived { alert, .. } => ("ARRIVED", alert),
            Event::Resolved { alert, .. } => ("RESOLVED", alert),
            Event::WentOffline { .. }
            | Event::CameOnline { .. }
            | Event::Joined { .. }
            | Event::Noted { .. } => return,
        };
        // What is in memory will do: a later alert on the line says that nobody asks about this one any more.
        if let Ok(known) = self.lines.load(line).await
            && let Some(newest) = known.state.newest()
            && newest.raised.alert == *alert
        {
            let raised = &newest.raised;
            self.measures.stepped(step, raised.kind, raised.at, at);
        }
    }
}

//! What becomes of alerts.

use chrono::TimeDelta;
use civic::{AlertKind, AlertOutcome, ElderId, Severity};
use elders::terms::WireTerm as _;
use eventlog::{RawEvent, Subject};
use proto::eldercare::alerts::v1 as alerts;

use super::{Life, VILLAGES};
use crate::support::{id, timestamp};

impl Life<'_> {
    pub(super) async fn alerts_change(&mut self, who: usize) {
        let person = &self.people[who];
        let (elder, known) = (person.elder, person.alerts.clone());
        let event = if known.is_empty() || self.dice.one_in(3) {
            let alert = id();
            let raised = self.alert(elder, &alert);
            self.people[who].alerts.push(alert);
            raised
        } else {
            let alert = known[self.dice.below(known.len())].clone();
            self.help(alert)
        };
        let subject = Subject::new("alerts", "line", &format!("SOS-{elder}")).unwrap();
        self.write(|ground| &ground.logs.alerts, subject, vec![event])
            .await;
    }

    fn alert(&mut self, elder: ElderId, alert: &str) -> RawEvent {
        let raised = self.moment();
        // Some are told at once, some later, and some to nobody.
        let due = [raised, raised + TimeDelta::minutes(10)];
        let levels = self.dice.below(3);
        let levels = due.into_iter().skip(levels).map(|at| alerts::LevelDue {
            level: 0,
            at: timestamp(at),
            roles: vec![],
        });
        let somewhere = self.dice.pick(&VILLAGES);
        RawEvent::of(&alerts::AlertRaised {
            alert_id: alert.to_owned(),
            kind: self.dice.pick(AlertKind::ALL).wire(),
            severity: self.dice.pick(Severity::ALL).wire(),
            elder_id: elder.to_string(),
            division_code: match self.dice.below(8) {
                0 => String::new(),
                _ => somewhere.to_owned(),
            },
            raised_at: timestamp(raised),
            levels: levels.collect(),
            ..Default::default()
        })
    }

    fn help(&mut self, alert_id: String) -> RawEvent {
        let at = timestamp(self.moment());
        match self.dice.below(5) {
            0 => RawEvent::of(&alerts::AlertEscalated {
                alert_id,
                level: i32::try_from(self.dice.below(3)).unwrap(),
                at,
            }),
            1 => RawEvent::of(&alerts::AlertAcknowledged { alert_id, at }),
            2 => RawEvent::of(&alerts::HelpDispatched { alert_id, at }),
            3 => RawEvent::of(&alerts::HelpArrived { alert_id, at }),
            _ => RawEvent::of(&alerts::AlertResolved {
                alert_id,
                outcome: self.dice.pick(AlertOutcome::ALL).wire(),
                at,
            }),
        }
    }
}

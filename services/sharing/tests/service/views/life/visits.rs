//! What becomes of visits.

use chrono::TimeDelta;
use civic::{Doubt, ElderId, FindingKind, VisitMode, VisitResult};
use elders::terms::{WireTerm as _, wire_set};
use eventlog::{RawEvent, Subject};
use proto::eldercare::visits::v1 as visits;
use vault::DataKey;

use super::{Life, VILLAGES};
use crate::support::{id, timestamp};

impl Life<'_> {
    pub(super) async fn visits_change(&mut self, who: usize) {
        let person = &self.people[who];
        let (elder, known) = (person.elder, person.visits.clone());
        let mut events = vec![];
        if known.is_empty() || self.dice.one_in(2) {
            let record = id();
            let key = self.ground.vault.key(elder.as_uuid()).await.unwrap();
            events.push(self.visit(elder, &record, &key));
            if self.dice.one_in(3) {
                events.push(self.doubt(record.clone()));
            }
            self.people[who].visits.push(record);
        } else {
            let record_id = known[self.dice.below(known.len())].clone();
            events.push(match self.dice.below(4) {
                0 => self.doubt(record_id),
                1 => RawEvent::of(&visits::RecordConfirmed { record_id }),
                2 => RawEvent::of(&visits::RecordRejected { record_id }),
                _ => RawEvent::of(&visits::ReferralOpened {
                    referral_id: id(),
                    record_id,
                    finding: Some(visits::Finding {
                        kind: self.dice.pick(FindingKind::ALL).wire(),
                        note: None,
                    }),
                    department: "health".to_owned(),
                }),
            });
        }
        let subject = Subject::new("visits", "year", &format!("{elder}-2024")).unwrap();
        self.write(|ground| &ground.logs.visits, subject, events)
            .await;
    }

    fn visit(&mut self, elder: ElderId, record: &str, key: &DataKey) -> RawEvent {
        let start = self.moment();
        let remarks = visits::Remarks {
            text: "血压偏高".to_owned(),
        };
        let remarks = key.seal("visits.remarks", elder.as_uuid(), &remarks);
        RawEvent::of(&visits::VisitRecorded {
            record_id: record.to_owned(),
            elder_id: elder.to_string(),
            visitor_id: id(),
            mode: self.dice.pick(VisitMode::ALL).wire(),
            result: self.dice.pick(VisitResult::ALL).wire(),
            start_time: timestamp(start),
            end_time: timestamp(start + TimeDelta::minutes(self.dice.few(90))),
            services: wire_set(self.dice.words::<civic::ServiceKind>()),
            remarks: self.dice.one_in(2).then(|| (&remarks).into()),
            division_code: self.dice.pick(&VILLAGES).to_owned(),
            ..Default::default()
        })
    }

    fn doubt(&mut self, record_id: String) -> RawEvent {
        RawEvent::of(&visits::RecordDoubted {
            record_id,
            doubts: vec![self.dice.pick(Doubt::ALL).wire()],
        })
    }
}

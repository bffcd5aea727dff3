//! What becomes of care that is insured: orders, what is said of them, settlements and enrolments.

use chrono::TimeDelta;
use civic::{ElderId, OrderCode};
use elders::codec;
use elders::terms::wire_set;
use eventlog::{RawEvent, Subject};
use proto::eldercare::claims::v1 as claims;

use super::{Life, VILLAGES};
use crate::support::{COUNTY, Ground, date, id, timestamp};

const PROGRAMME: &str = "LTCI";

/// The versions of the insurance: from when on each holds, and what a year's entitlement is by it.
const VERSIONS: [(&str, &str); 3] = [
    ("2024-01-01", "services: 12"),
    ("2024-02-15", "minutes: 1440"),
    ("2024-03-05", "services: 4"),
];

impl Life<'_> {
    pub(super) async fn orders_change(&mut self, who: usize) {
        let person = &self.people[who];
        let (elder, known) = (person.elder, person.orders.clone());
        if known.is_empty() || self.dice.one_in(3) {
            let order = id();
            let submitted = self.order(elder);
            self.people[who].orders.push(order.clone());
            return self.of_order(&order, submitted).await;
        }
        let order_key = known[self.dice.below(known.len())].clone();
        let verdict = match self.dice.below(4) {
            0 => {
                let filed = RawEvent::of(&claims::AppealFiled::default());
                return self.of_order(&order_key, filed).await;
            }
            1 => RawEvent::of(&claims::OrderApproved {
                order_key,
                ..Default::default()
            }),
            2 => RawEvent::of(&claims::OrderHeldAbnormal {
                order_key,
                codes: wire_set(self.dice.words::<OrderCode>()),
                conflicts: vec![],
            }),
            _ => RawEvent::of(&claims::OrderNotSettled {
                order_key,
                ..Default::default()
            }),
        };
        self.verdicts.push(verdict);
        self.verdicts_of_year(elder);
    }

    /// Some of the year's entitlement is used, or given back.
    fn verdicts_of_year(&mut self, elder: ElderId) {
        let (order_key, elder_id) = (id(), elder.to_string());
        let programme_code = PROGRAMME.to_owned();
        let (year, units) = (2024, self.dice.few(5));
        self.verdicts.push(match self.dice.below(3) {
            0 => RawEvent::of(&claims::EntitlementReleased {
                order_key,
                programme_code,
                elder_id,
                year,
                units,
            }),
            _ => RawEvent::of(&claims::EntitlementConsumed {
                order_key,
                programme_code,
                elder_id,
                year,
                units,
            }),
        });
    }

    fn order(&mut self, elder: ElderId) -> RawEvent {
        let start = self.moment();
        RawEvent::of(&claims::OrderSubmitted {
            provider_id: self.dice.pick(&["P01", "P02"]).to_owned(),
            order_id: self.dice.digits(6),
            programme_code: PROGRAMME.to_owned(),
            programme_version: 1,
            elder_id: elder.to_string(),
            caregiver_id: id(),
            check_in_at: timestamp(start),
            check_out_at: timestamp(start + TimeDelta::hours(2)),
            codes: wire_set(self.dice.words::<OrderCode>()),
            division_code: self.dice.pick(&VILLAGES).to_owned(),
            units: 1,
            amount_fen: self.dice.few(50_000),
            ..Default::default()
        })
    }

    async fn of_order(&self, order: &str, event: RawEvent) {
        let subject = Subject::new("claims", "order", order).unwrap();
        self.write(|ground| &ground.logs.claims, subject, vec![event])
            .await;
    }

    pub(super) async fn adjudicates(&mut self) {
        let verdicts = std::mem::take(&mut self.verdicts);
        if !verdicts.is_empty() {
            let subject = Subject::new("claims", "adjudication", "orders").unwrap();
            self.write(|ground| &ground.logs.claims, subject, verdicts)
                .await;
        }
    }

    /// A settlement bears the orders of some people, and is paid.
    pub(super) async fn settles(&mut self) {
        self.settlements += 1;
        let number = self.settlements;
        let mut lines = vec![];
        for _ in 0..self.people.len() / 20 {
            let who = self.dice.below(self.people.len());
            let orders = std::mem::take(&mut self.people[who].orders).into_iter();
            lines.extend(orders.map(|order_key| claims::SettlementLine {
                order_key,
                amount_fen: 0,
            }));
        }
        let drafted = RawEvent::of(&claims::SettlementDrafted {
            number,
            lines,
            ..Default::default()
        });
        let paid = RawEvent::of(&claims::SettlementPaid {
            number,
            paid_on: Some(codec::write_day(self.past_day())),
            ..Default::default()
        });
        let subject = Subject::new("claims", "settlements", "LTCI-P01").unwrap();
        self.write(|ground| &ground.logs.claims, subject, vec![drafted, paid])
            .await;
    }

    /// The insurance gets its next version, as long as there is one.
    pub(super) async fn insurance_changes(&mut self) {
        let next = usize::try_from(self.versions).unwrap();
        let Some((from, quota)) = VERSIONS.get(next) else {
            return;
        };
        self.versions += 1;
        let defined = RawEvent::of(&claims::ProgrammeDefined {
            version: self.versions,
            division_code: COUNTY.to_owned(),
            effective_from: date(from),
            definition: format!("name: 长期护理险\nquota: {{{quota}}}\n"),
        });
        let subject = Subject::new("claims", "programme", PROGRAMME).unwrap();
        self.write(|ground| &ground.logs.claims, subject, vec![defined])
            .await;
    }

    pub(super) async fn enrolment_changes(&mut self, who: usize) {
        let elder = self.people[who].elder;
        let elder_id = elder.to_string();
        let subject = Subject::new("claims", "enrolment", &format!("{PROGRAMME}-{elder_id}"));
        let programme_code = PROGRAMME.to_owned();
        let last_day = Some(codec::write_day(self.some_day()));
        let events = match self.people[who].enrolment.clone() {
            Some(enrolment_id) => vec![RawEvent::of(&claims::EnrolmentEnded {
                programme_code,
                elder_id,
                enrolment_id,
                last_day,
            })],
            None => {
                let enrolment_id = id();
                self.people[who].enrolment = Some(enrolment_id.clone());
                let enrolled = Ground::enrolment(elder, &enrolment_id);
                let charged = RawEvent::of(&claims::PremiumCharged {
                    programme_code,
                    elder_id,
                    enrolment_id,
                    year: 2024,
                    amount_fen: 30_000,
                });
                vec![enrolled, charged]
            }
        };
        self.write(|ground| &ground.logs.claims, subject.unwrap(), events)
            .await;
    }
}

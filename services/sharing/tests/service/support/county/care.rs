//! The orders of the county, and the money for them: each was handed in, judged and paid at its own time.

use chrono::TimeDelta;
use civic::OrderCode;
use elders::terms::WireTerm as _;
use eventlog::{RawEvent, Subject};
use proto::eldercare::claims::v1 as claims;

use super::{County, Home};
use crate::support::{VILLAGE, at, date, id, timestamp};

/// The runs of the adjudicator.
const RUNS: (&str, &str) = ("adjudication", "orders");

impl County<'_> {
    pub(super) async fn is_cared_for(&self) {
        let [left, come] = self.moves();
        let (first, next) = (self.first, self.next);
        let mut keys = vec![];
        for (home, programme, start, amount, handed_in) in [
            (first, "LTCI", "2024-01-31 23:00", 3_000, "2024-02-01 10:00"),
            (
                first,
                "LTCI",
                "2024-02-01 00:30",
                20_000,
                "2024-02-02 10:00",
            ),
            (next, "LTCI", "2024-02-10 09:00", 15_000, "2024-02-12 10:00"),
            (first, "LTCI", "2024-02-11 09:00", 2_000, "2024-02-12 10:00"),
            (
                self.other,
                "MEALS",
                "2024-02-15 09:00",
                12_000,
                "2024-02-16 10:00",
            ),
            (next, "LTCI", "2024-02-19 09:00", 4_500, "2024-02-20 10:00"),
            (
                first,
                "LTCI",
                "2024-02-20 09:00",
                10_000,
                "2024-02-20 12:00",
            ),
            (left, "LTCI", "2024-02-20 22:00", 5_000, "2024-02-22 10:00"),
            (next, "LTCI", "2024-03-01 06:00", 9_000, "2024-03-01 07:00"),
            // These wait.
            (
                self.far,
                "FAR",
                "2024-02-15 09:00",
                1_000,
                "2024-02-16 10:00",
            ),
            (first, "LTCI", "2024-02-21 00:00", 7_000, "2024-02-21 09:00"),
            (
                self.far,
                "FAR",
                "2024-03-01 05:00",
                1_000,
                "2024-03-01 06:00",
            ),
            (come, "MEALS", "2024-03-01 05:00", 4_000, "2024-03-01 06:00"),
            (first, "LTCI", "2024-03-01 07:00", 8_000, "2024-03-01 08:00"),
        ] {
            let times = (start, handed_in);
            keys.push(self.order(home, programme, times, amount).await);
        }
        keys.truncate(9);
        let keys: [String; 9] = keys.try_into().unwrap();
        self.are_judged(&keys).await;
    }

    async fn are_judged(&self, keys: &[String; 9]) {
        let [
            before,
            paid,
            approved,
            refused,
            cooked,
            late,
            held,
            appealed,
            new,
        ] = keys;
        let appeal = || RawEvent::of(&claims::AppealFiled::default());
        for (when, (aggregate, of), events) in [
            (
                "2024-02-03 01:00",
                RUNS,
                vec![will_be_paid(paid), is_abnormal(before)],
            ),
            (
                "2024-02-14 01:00",
                RUNS,
                vec![will_be_paid(approved), is_abnormal(refused)],
            ),
            ("2024-02-17 00:00", RUNS, vec![is_not_paid(before)]),
            // The second draft has lost an order.
            (
                "2024-02-18 10:00",
                ("settlements", "LTCI-P01"),
                vec![drafted(&[paid, approved]), drafted(&[paid])],
            ),
            ("2024-02-20 23:30", RUNS, vec![is_abnormal(held)]),
            (
                "2024-02-20 23:59",
                ("order", refused.as_str()),
                vec![appeal()],
            ),
            (
                "2024-02-21 00:00",
                RUNS,
                vec![will_be_paid(late), will_be_paid(cooked)],
            ),
            // The money went out three days before somebody said so.
            (
                "2024-02-22 10:00",
                ("settlements", "LTCI-P01"),
                vec![is_paid("2024-02-19")],
            ),
            ("2024-02-23 01:00", RUNS, vec![is_abnormal(appealed)]),
            (
                "2024-02-24 10:00",
                ("order", appealed.as_str()),
                vec![appeal()],
            ),
            ("2024-02-28 00:00", RUNS, vec![is_not_paid(refused)]),
            ("2024-03-01 08:30", RUNS, vec![will_be_paid(new)]),
        ] {
            self.claim(when, aggregate, of, events).await;
        }
    }

    async fn order(
        &self,
        (elder, village): Home,
        programme: &str,
        (start, handed_in): (&str, &str),
        amount_fen: i64,
    ) -> String {
        let (key, start) = (id(), at(start));
        let submitted = RawEvent::of(&claims::OrderSubmitted {
            elder_id: elder.to_string(),
            division_code: village.to_owned(),
            programme_code: programme.to_owned(),
            provider_id: "P01".to_owned(),
            check_in_at: timestamp(start),
            check_out_at: timestamp(start + TimeDelta::hours(1)),
            amount_fen,
            ..Default::default()
        });
        self.claim(handed_in, "order", &key, vec![submitted]).await;
        key
    }

    /// Of one programme elders of the county have had nothing yet but are enrolled; of one, none has heard.
    pub(super) async fn is_paid_for(&self) {
        let [_left, (elder, village)] = self.moves();
        let enrolled = RawEvent::of(&claims::PersonEnrolled {
            elder_id: elder.to_string(),
            programme_code: "BATHS".to_owned(),
            enrolment_id: id(),
            basis: "AGE".to_owned(),
            first_day: date("2024-03-01"),
            last_day: date("2024-12-31"),
        });
        let subject = Subject::new("claims", "enrolment", &format!("BATHS-{elder}")).unwrap();
        // Where somebody is enrolled, the record itself says.
        let there = ("2024-02-25 09:00", village);
        let log = &self.ground.logs.claims;
        self.told(log, subject, there, vec![enrolled]).await;

        let paid = RawEvent::of(&claims::FundPaid {
            provider_id: "P01".to_owned(),
            settlement_number: 1,
            amount_fen: 19_500,
            reserved_fen: 20_000,
        });
        for (when, programme, entry) in [
            ("2024-01-02 09:00", "LTCI", deposited(100_000)),
            ("2024-02-01 09:00", "MEALS", deposited(30_000)),
            ("2024-02-01 09:00", "FAR", deposited(1_000)),
            ("2024-02-03 01:00", "LTCI", reserved(20_000)),
            ("2024-02-14 01:00", "LTCI", reserved(15_000)),
            ("2024-02-21 00:00", "LTCI", reserved(4_500)),
            ("2024-02-21 00:00", "MEALS", reserved(12_000)),
            ("2024-02-21 09:00", "LTCI", deposited(50_000)),
            ("2024-02-22 10:00", "LTCI", paid),
            ("2024-02-25 09:00", "BATHS", deposited(5_000)),
            ("2024-03-01 08:30", "LTCI", reserved(9_000)),
        ] {
            self.claim(when, "fund", programme, vec![entry]).await;
        }
    }

    /// What happens to an aggregate of claims at a time.
    async fn claim(&self, when: &str, aggregate: &str, of: &str, events: Vec<RawEvent>) {
        let subject = Subject::new("claims", aggregate, of).unwrap();
        let log = &self.ground.logs.claims;
        self.told(log, subject, (when, VILLAGE), events).await;
    }
}

fn will_be_paid(order: &str) -> RawEvent {
    RawEvent::of(&claims::OrderApproved {
        order_key: order.to_owned(),
        ..Default::default()
    })
}

fn is_abnormal(order: &str) -> RawEvent {
    RawEvent::of(&claims::OrderHeldAbnormal {
        order_key: order.to_owned(),
        codes: vec![OrderCode::NotEntitled.wire()],
        conflicts: vec![],
    })
}

fn is_not_paid(order: &str) -> RawEvent {
    RawEvent::of(&claims::OrderNotSettled {
        order_key: order.to_owned(),
        reason: claims::NotSettledReason::NoAppeal.into(),
    })
}

/// The settlement of February bears these orders.
fn drafted(orders: &[&String]) -> RawEvent {
    let lines = orders.iter().map(|order| claims::SettlementLine {
        order_key: (*order).clone(),
        amount_fen: 0,
    });
    RawEvent::of(&claims::SettlementDrafted {
        number: 1,
        lines: lines.collect(),
        ..Default::default()
    })
}

fn is_paid(on: &str) -> RawEvent {
    RawEvent::of(&claims::SettlementPaid {
        number: 1,
        amount_fen: 19_500,
        paid_on: date(on),
        reference: "V1".to_owned(),
    })
}

fn deposited(amount_fen: i64) -> RawEvent {
    RawEvent::of(&claims::FundDeposited {
        kind: claims::DepositKind::Grant.into(),
        amount_fen,
        ..Default::default()
    })
}

fn reserved(amount_fen: i64) -> RawEvent {
    RawEvent::of(&claims::FundReserved {
        amount_fen,
        orders: 1,
    })
}

//! A county of which so much is on record that its figures differ by day and by division; few enough to be counted by hand.
//!
//! - [`care`]: its orders, and the money for them.

mod care;

use std::sync::Arc;

use chrono::TimeDelta;
use civic::{AlertKind, AlertOutcome, Doubt, ElderId, VisitMode, VisitResult};
use elders::event::Event;
use elders::terms::WireTerm as _;
use eventlog::{EventLog, RawEvent, Subject};
use proto::eldercare::alerts::v1 as alerts;
use proto::eldercare::tiering::v1::Interval;
use proto::eldercare::visits::v1 as visits;

use super::{
    COUNTY, FAR_VILLAGE, Ground, OTHER_VILLAGE, TOWN, VILLAGE, at, date, day, id, timestamp, week,
};

/// In the same town as the village.
const NEXT_VILLAGE: &str = "350524100002";

/// An elder, and where that one lives when something happens.
type Home = (ElderId, &'static str);

/// Whom it is all about.
struct County<'a> {
    ground: &'a Ground,
    first: Home,
    next: Home,
    /// In the other town; dies.
    other: Home,
    /// Moves from the first town to the other.
    mover: ElderId,
    /// Counts nowhere in the county.
    far: Home,
}

impl Ground {
    /// What happens in the county until the first of March 2024, a Friday.
    pub(crate) async fn county(&self) {
        let county = County {
            ground: self,
            first: (self.elder().await, VILLAGE),
            next: (self.elder_in(NEXT_VILLAGE).await, NEXT_VILLAGE),
            other: (self.elder_in(OTHER_VILLAGE).await, OTHER_VILLAGE),
            mover: self.elder().await,
            far: (self.elder_in(FAR_VILLAGE).await, FAR_VILLAGE),
        };
        county.is_lived_in().await;
        county.is_visited().await;
        county.is_not_visited().await;
        county.calls_for_help().await;
        county.is_cared_for().await;
        county.is_paid_for().await;
    }
}

impl County<'_> {
    async fn is_lived_in(&self) {
        for (elder, tier, since) in [
            (self.first.0, "PRIORITY", "2024-02-01"),
            (self.next.0, "SECONDARY", "2024-02-01"),
            (self.next.0, "PRIORITY", "2024-02-21"),
            (self.other.0, "GENERAL", "2024-02-01"),
            (self.mover, "SECONDARY", "2024-02-01"),
            (self.far.0, "PRIORITY", "2024-02-01"),
        ] {
            let interval = match tier {
                "PRIORITY" => Interval::Weekly,
                _ => Interval::Monthly,
            };
            let ground = self.ground;
            ground.tiered_with(elder, tier, since, interval).await;
        }
        let died = Event::Died {
            on: day("2024-02-24"),
        };
        self.ground.record(self.other.0, &[died]).await;
        self.ground
            .moves(self.mover, OTHER_VILLAGE, "2024-02-28")
            .await;
    }

    /// Where the mover lives first, and then.
    fn moves(&self) -> [Home; 2] {
        [VILLAGE, OTHER_VILLAGE].map(|village| (self.mover, village))
    }

    async fn is_visited(&self) {
        let [left, come] = self.moves();
        for (home, start) in [
            (left, "2024-02-18 23:30"),
            (self.first, "2024-02-19 00:00"),
            (self.first, "2024-02-20 09:00"),
            (self.other, "2024-02-20 23:50"),
            (self.far, "2024-02-20 09:00"),
            (left, "2024-02-21 00:00"),
            (left, "2024-02-27 09:00"),
            (self.far, "2024-02-28 09:00"),
            (come, "2024-02-29 09:00"),
            (come, "2024-03-01 08:00"),
        ] {
            self.visit(home, start, VisitResult::Met).await;
        }
        for (start, result) in [
            ("2024-02-19 10:00", VisitResult::NotAtHome),
            ("2024-02-20 10:00", VisitResult::RefusedAtDoor),
        ] {
            self.visit(self.next, start, result).await;
        }
        // One stays doubtful, one is found false, and one true.
        self.doubtful(self.first, "2024-02-26 09:00").await;
        let record_id = self.doubtful(self.first, "2024-02-27 09:00").await;
        let rejected = RawEvent::of(&visits::RecordRejected { record_id });
        self.ground.in_year(self.first.0, vec![rejected]).await;
        let record_id = self.doubtful(self.next, "2024-02-28 09:00").await;
        let confirmed = RawEvent::of(&visits::RecordConfirmed { record_id });
        self.ground.in_year(self.next.0, vec![confirmed]).await;
    }

    async fn visit(&self, (elder, village): Home, start: &str, result: VisitResult) -> String {
        let (record_id, start) = (id(), at(start));
        let recorded = RawEvent::of(&visits::VisitRecorded {
            record_id: record_id.clone(),
            elder_id: elder.to_string(),
            division_code: village.to_owned(),
            visitor_id: id(),
            mode: VisitMode::Home.wire(),
            result: result.wire(),
            start_time: timestamp(start),
            end_time: timestamp(start + TimeDelta::minutes(20)),
            ..Default::default()
        });
        self.ground.in_year(elder, vec![recorded]).await;
        record_id
    }

    async fn doubtful(&self, home: Home, start: &str) -> String {
        let record_id = self.visit(home, start, VisitResult::Met).await;
        let doubted = RawEvent::of(&visits::RecordDoubted {
            record_id: record_id.clone(),
            doubts: vec![Doubt::TooShort.wire()],
        });
        self.ground.in_year(home.0, vec![doubted]).await;
        record_id
    }

    async fn is_not_visited(&self) {
        let [left, _come] = self.moves();
        let late = week("2024-02-12");
        for (home, period) in [
            (self.next, week("2024-02-05")),
            // Of the week before the twentieth of February.
            (self.next, week("2024-02-12")),
            (self.first, campaign("2024-02-14", "2024-02-18")),
            (self.other, late.clone()),
            // Of the week before the first of March.
            (self.next, week("2024-02-19")),
            (self.next, campaign("2024-02-22", "2024-02-25")),
            (left, campaign("2024-02-22", "2024-02-25")),
            (self.other, campaign("2024-02-19", "2024-02-23")),
            (self.far, week("2024-02-19")),
            (self.first, month("2024-02-01")),
        ] {
            let (elder, village) = home;
            let missed = RawEvent::of(&visits::VisitMissed {
                elder_id: elder.to_string(),
                period: Some(period),
                tier: "PRIORITY".to_owned(),
                division_code: village.to_owned(),
                blocked_by_consent: false,
            });
            self.ground.in_year(elder, vec![missed]).await;
        }
        let met = RawEvent::of(&visits::DutyMet {
            elder_id: self.other.0.to_string(),
            period: Some(late),
            record_id: id(),
            late: true,
        });
        self.ground.in_year(self.other.0, vec![met]).await;
        for (home, period) in [
            (self.first, week("2024-02-12")),
            (self.first, week("2024-02-19")),
            (left, week("2024-02-19")),
            (self.far, week("2024-02-19")),
        ] {
            self.meets(home, period).await;
        }
        // The county begins later than one of its towns, and owes nothing in February.
        for (division, on) in [(TOWN, "2024-02-01"), (COUNTY, "2024-02-26")] {
            let started = RawEvent::of(&visits::VisitingStarted {
                division_code: division.to_owned(),
                on: date(on),
            });
            let subject = Subject::new("visits", "visiting", division).unwrap();
            let log = &self.ground.logs.visits;
            self.ground.write(log, subject, vec![started]).await;
        }
    }

    /// A duty was met when its period closed. Where the elder lived then the record itself says.
    async fn meets(&self, (elder, village): Home, period: visits::Period) {
        let met = RawEvent::of(&visits::DutyMet {
            elder_id: elder.to_string(),
            period: Some(period),
            record_id: id(),
            late: false,
        });
        let year = Subject::new("visits", "year", &format!("{elder}-2024")).unwrap();
        let (log, events) = (&self.ground.logs.visits, vec![met]);
        self.told(log, year, ("2024-02-26 00:00", village), events)
            .await;
    }

    /// Writes events at a time in a village.
    async fn told(
        &self,
        log: &Arc<dyn EventLog>,
        subject: Subject,
        (when, village): (&str, &str),
        events: Vec<RawEvent>,
    ) {
        let metadata = service::testing::metadata(at(when), village);
        service::testing::write(&**log, subject, metadata, events).await;
    }

    async fn calls_for_help(&self) {
        let [_left, come] = self.moves();
        let (first, next, other) = (self.first, self.next, self.other);
        let nobody = [None, None];
        for (home, kind, raised, delays, over) in [
            (
                first,
                AlertKind::Sos,
                "2024-01-31 23:59",
                [Some(30), Some(600)],
                Some("2024-02-01 00:14"),
            ),
            (
                next,
                AlertKind::Fall,
                "2024-02-10 08:00",
                [Some(90), Some(1_200)],
                Some("2024-02-22 08:00"),
            ),
            (
                other,
                AlertKind::Fire,
                "2024-02-12 10:00",
                [Some(50), Some(800)],
                Some("2024-02-24 10:00"),
            ),
            (
                self.far,
                AlertKind::Sos,
                "2024-02-15 09:00",
                [Some(1), Some(2)],
                None,
            ),
            (
                next,
                AlertKind::DeviceOffline,
                "2024-02-15 08:00",
                nobody,
                None,
            ),
            (
                first,
                AlertKind::VisitMissed,
                "2024-02-19 08:30",
                [Some(5), None],
                Some("2024-02-19 10:00"),
            ),
            // Help comes on the next day.
            (
                first,
                AlertKind::Inactivity,
                "2024-02-20 23:58",
                [Some(240), Some(1_500)],
                None,
            ),
            (first, AlertKind::Sos, "2024-02-28 08:00", nobody, None),
            (
                come,
                AlertKind::Sos,
                "2024-02-29 09:00",
                [Some(60), None],
                None,
            ),
        ] {
            self.alert(home, kind, raised, delays, over).await;
        }
    }

    /// An alert that is taken on, and where somebody comes, after so many seconds, and that is over at some time.
    async fn alert(
        &self,
        (elder, village): Home,
        kind: AlertKind,
        raised: &str,
        [taken_on, come]: [Option<i64>; 2],
        over: Option<&str>,
    ) {
        let (alert_id, raised) = (id(), at(raised));
        let after = |seconds| timestamp(raised + TimeDelta::seconds(seconds));
        let mut events = vec![RawEvent::of(&alerts::AlertRaised {
            alert_id: alert_id.clone(),
            elder_id: elder.to_string(),
            division_code: village.to_owned(),
            kind: kind.wire(),
            severity: kind.severity().wire(),
            raised_at: timestamp(raised),
            ..Default::default()
        })];
        if let Some(seconds) = taken_on {
            events.push(RawEvent::of(&alerts::AlertAcknowledged {
                alert_id: alert_id.clone(),
                at: after(seconds),
            }));
        }
        if let Some(seconds) = come {
            events.push(RawEvent::of(&alerts::HelpArrived {
                alert_id: alert_id.clone(),
                at: after(seconds),
            }));
        }
        if let Some(over) = over {
            events.push(RawEvent::of(&alerts::AlertResolved {
                alert_id,
                outcome: AlertOutcome::Assisted.wire(),
                at: timestamp(at(over)),
            }));
        }
        self.ground.on_line(kind, elder, events).await;
    }
}

fn month(first: &str) -> visits::Period {
    visits::Period {
        kind: visits::PeriodKind::Month.into(),
        ..week(first)
    }
}

fn campaign(first: &str, last: &str) -> visits::Period {
    visits::Period {
        kind: visits::PeriodKind::Campaign.into(),
        first_day: date(first),
        last_day: date(last),
        campaign_id: id(),
    }
}

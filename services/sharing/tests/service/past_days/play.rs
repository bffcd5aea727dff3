//! What happens in a county by chance, hour after hour: each service puts it on record at its time, some of it long after it was so.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{Category, Doubt, ElderId, LocalDay, OrderCode, Set, VisitMode, VisitResult};
use elders::codec::write_day;
use elders::event::{Event, ProfileUpdated};
use elders::terms::WireTerm as _;
use eventlog::{EventLog, RawEvent, Subject};
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::tiering::v1 as tiering;
use proto::eldercare::visits::v1 as visits;

use crate::support::{
    COUNTY, FAR_VILLAGE, Ground, OTHER_VILLAGE, TOWN, VILLAGE, day, id, timestamp, week,
};
use crate::views::dice::Dice;

/// Three villages of the county, and one beyond.
const VILLAGES: [&str; 4] = [VILLAGE, "350524100002", OTHER_VILLAGE, FAR_VILLAGE];
const PROGRAMMES: [&str; 2] = ["LTCI", "MEALS"];
const PROVIDER: &str = "P01";
/// How many elders there are at first.
const ELDERS: usize = 16;
/// At most so many minutes lie between two deeds.
const MINUTES: usize = 120;

/// A county in which something happens every hour.
pub(super) struct Play<'a> {
    ground: &'a Ground,
    dice: Dice,
    elders: Vec<ElderId>,
    visits: Vec<(ElderId, String)>,
    /// Whose week is closed.
    closed: BTreeSet<(ElderId, LocalDay)>,
    /// Orders that are not paid, by programme.
    orders: [Vec<String>; 2],
    settlements: i32,
}

impl<'a> Play<'a> {
    /// Some live there, and one of the towns visits them before the others do.
    pub(super) async fn begun(ground: &'a Ground, seed: u64) -> Self {
        let mut play = Self {
            ground,
            dice: Dice::seeded(seed),
            elders: vec![],
            visits: vec![],
            closed: BTreeSet::new(),
            orders: [vec![], vec![]],
            settlements: 0,
        };
        for _ in 0..ELDERS {
            play.arrives().await;
        }
        for (division, on) in [(TOWN, "2024-02-01"), (COUNTY, "2024-02-19")] {
            let started = RawEvent::of(&visits::VisitingStarted {
                division_code: division.to_owned(),
                on: Some(write_day(day(on))),
            });
            let subject = Subject::new("visits", "visiting", division).unwrap();
            let log = &ground.logs.visits;
            ground.write(log, subject, vec![started]).await;
        }
        play
    }

    /// So many things happen, one after the other.
    pub(super) async fn goes_on(&mut self, deeds: usize) {
        for _ in 0..deeds {
            let later = self.now() + TimeDelta::minutes(self.dice.few(MINUTES));
            self.ground.clock.advance_to(later).unwrap();
            match self.dice.below(16) {
                0 => self.file_changes().await,
                1 => self.tier_changes().await,
                2..6 => self.visit().await,
                6 => self.visit_is_judged().await,
                7 => self.week_closes().await,
                8..11 => self.order().await,
                11..14 => self.order_goes_on().await,
                14 => self.fund_moves().await,
                _ => self.settlement_is_paid().await,
            }
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.ground.clock.now()
    }

    /// Today, or up to so many days before.
    fn past_day(&mut self, days: usize) -> LocalDay {
        let today = self.ground.clock.today();
        today.plus_days(-self.dice.few(days))
    }

    fn somebody(&mut self) -> ElderId {
        self.dice.pick(&self.elders)
    }

    async fn arrives(&mut self) {
        let village = self.dice.pick(&VILLAGES);
        let elder = self.ground.elder_in(village).await;
        self.elders.push(elder);
        self.tier_of(elder).await;
    }

    async fn file_changes(&mut self) {
        let on = self.past_day(10);
        let who = self.dice.below(self.elders.len());
        let elder = self.elders[who];
        let changed = match self.dice.below(8) {
            0..3 => {
                let village = self.dice.pick(&VILLAGES);
                return self.ground.moves(elder, village, &on.to_string()).await;
            }
            3 => {
                let categories = match self.dice.below(2) {
                    0 => Set::new(),
                    _ => Category::LivingAlone.into(),
                };
                Event::ProfileUpdated(ProfileUpdated {
                    on: Some(on),
                    categories: Some(categories),
                    ..ProfileUpdated::default()
                })
            }
            4 => Event::Died { on },
            5 => Event::Reinstated {
                on,
                reason: "ALIVE".to_owned(),
            },
            6 => {
                self.elders.swap_remove(who);
                self.ground.is_erased(elder).await;
                return self.arrives().await;
            }
            _ => return self.arrives().await,
        };
        self.ground.record(elder, &[changed]).await;
    }

    async fn tier_changes(&mut self) {
        let elder = self.somebody();
        if !self.dice.one_in(5) {
            return self.tier_of(elder).await;
        }
        let ended = RawEvent::of(&tiering::TierEnded {
            elder_id: elder.to_string(),
            on: Some(write_day(self.past_day(10))),
        });
        let subject = Subject::new("tiering", "tier", &elder.to_string()).unwrap();
        let log = &self.ground.logs.tiering;
        self.ground.write(log, subject, vec![ended]).await;
    }

    async fn tier_of(&mut self, elder: ElderId) {
        let on = self.past_day(10).to_string();
        let (tier, interval) = self.dice.pick(&[
            ("PRIORITY", tiering::Interval::Weekly),
            ("SECONDARY", tiering::Interval::Monthly),
            ("GENERAL", tiering::Interval::Monthly),
        ]);
        self.ground.tiered_with(elder, tier, &on, interval).await;
    }

    async fn visit(&mut self) {
        let (elder, record_id) = (self.somebody(), id());
        let start = self.now() - TimeDelta::minutes(self.dice.few(9 * 24 * 60));
        let recorded = RawEvent::of(&visits::VisitRecorded {
            record_id: record_id.clone(),
            elder_id: elder.to_string(),
            visitor_id: id(),
            mode: VisitMode::Home.wire(),
            result: self.dice.pick(VisitResult::ALL).wire(),
            start_time: timestamp(start),
            end_time: timestamp(start + TimeDelta::minutes(20)),
            division_code: self.dice.pick(&VILLAGES).to_owned(),
            ..Default::default()
        });
        let mut events = vec![recorded];
        if self.dice.one_in(4) {
            events.push(RawEvent::of(&visits::RecordDoubted {
                record_id: record_id.clone(),
                doubts: vec![Doubt::TooShort.wire()],
            }));
        }
        self.visits.push((elder, record_id));
        self.ground.in_year(elder, events).await;
    }

    async fn visit_is_judged(&mut self) {
        let Some(last) = self.visits.len().checked_sub(1) else {
            return;
        };
        let (elder, record_id) = self.visits[self.dice.below(last + 1)].clone();
        let judged = match self.dice.below(2) {
            0 => RawEvent::of(&visits::RecordConfirmed { record_id }),
            _ => RawEvent::of(&visits::RecordRejected { record_id }),
        };
        self.ground.in_year(elder, vec![judged]).await;
    }

    /// Somebody's duty was met or missed; or met after all.
    async fn week_closes(&mut self) {
        let elder = self.somebody();
        let monday = self.past_day(21).iso_week().first_day();
        let period = Some(week(&monday.to_string()));
        let elder_id = elder.to_string();
        let village = self.dice.pick(&VILLAGES);
        let late = !self.closed.insert((elder, monday));
        let closed = if late || self.dice.one_in(2) {
            RawEvent::of(&visits::DutyMet {
                elder_id,
                period,
                record_id: id(),
                late,
            })
        } else {
            RawEvent::of(&visits::VisitMissed {
                elder_id,
                period,
                tier: "PRIORITY".to_owned(),
                division_code: village.to_owned(),
                blocked_by_consent: false,
            })
        };
        let year = Subject::new("visits", "year", &format!("{elder}-2024")).unwrap();
        let metadata = service::testing::metadata(self.now(), village);
        let log: &dyn EventLog = &*self.ground.logs.visits;
        service::testing::write(log, year, metadata, vec![closed]).await;
    }

    /// One in ten is handed in before the service.
    async fn order(&mut self) {
        let (elder, key) = (self.somebody(), id());
        let hours = if self.dice.one_in(10) {
            self.dice.few(48)
        } else {
            -self.dice.few(240)
        };
        let start = self.now() + TimeDelta::hours(hours);
        let programme = self.dice.below(2);
        let submitted = RawEvent::of(&claims::OrderSubmitted {
            elder_id: elder.to_string(),
            division_code: self.dice.pick(&VILLAGES).to_owned(),
            programme_code: PROGRAMMES[programme].to_owned(),
            provider_id: PROVIDER.to_owned(),
            check_in_at: timestamp(start),
            check_out_at: timestamp(start + TimeDelta::hours(1)),
            amount_fen: self.dice.few(30_000),
            ..Default::default()
        });
        self.ground.claim("order", &key, vec![submitted]).await;
        self.orders[programme].push(key);
    }

    async fn order_goes_on(&mut self) {
        let known = &self.orders[self.dice.below(2)];
        if known.is_empty() {
            return;
        }
        let order_key = known[self.dice.below(known.len())].clone();
        let said = match self.dice.below(5) {
            0 => {
                let appeal = RawEvent::of(&claims::AppealFiled::default());
                return self.ground.claim("order", &order_key, vec![appeal]).await;
            }
            1 | 2 => RawEvent::of(&claims::OrderApproved {
                order_key,
                ..Default::default()
            }),
            3 => RawEvent::of(&claims::OrderHeldAbnormal {
                order_key,
                codes: vec![OrderCode::NotEntitled.wire()],
                conflicts: vec![],
            }),
            _ => RawEvent::of(&claims::OrderNotSettled {
                order_key,
                ..Default::default()
            }),
        };
        self.ground
            .claim("adjudication", "orders", vec![said])
            .await;
    }

    async fn fund_moves(&mut self) {
        let programme = self.dice.pick(&PROGRAMMES);
        let entry = match self.dice.below(3) {
            0 => RawEvent::of(&claims::FundDeposited {
                amount_fen: self.dice.few(100_000),
                ..Default::default()
            }),
            // Sometimes more is freed than approved.
            _ => RawEvent::of(&claims::FundReserved {
                amount_fen: self.dice.few(40_000) - 10_000,
                orders: 1,
            }),
        };
        self.ground.claim("fund", programme, vec![entry]).await;
    }

    /// A settlement bears a few orders and is paid, which is put on record days after the money went out.
    async fn settlement_is_paid(&mut self) {
        let programme = self.dice.below(2);
        let mut lines = vec![];
        for _ in 0..3 {
            let known = &mut self.orders[programme];
            if known.is_empty() {
                break;
            }
            let order_key = known.swap_remove(self.dice.below(known.len()));
            lines.push(claims::SettlementLine {
                order_key,
                amount_fen: 0,
            });
        }
        self.settlements += 1;
        let number = self.settlements;
        let drafted = RawEvent::of(&claims::SettlementDrafted {
            number,
            lines,
            ..Default::default()
        });
        let confirmed = RawEvent::of(&claims::SettlementConfirmed {
            number,
            ..Default::default()
        });
        let paid = RawEvent::of(&claims::SettlementPaid {
            number,
            paid_on: Some(write_day(self.past_day(6))),
            ..Default::default()
        });
        let booked = RawEvent::of(&claims::FundPaid {
            provider_id: PROVIDER.to_owned(),
            settlement_number: number,
            amount_fen: self.dice.few(20_000),
            reserved_fen: self.dice.few(20_000),
        });
        let code = PROGRAMMES[programme];
        let settlements = format!("{code}-{PROVIDER}");
        let ground = self.ground;
        ground.claim("fund", code, vec![booked]).await;
        // Now and then the money is said to have gone out before that was confirmed.
        let events = match self.dice.below(2) {
            0 => vec![drafted, paid],
            _ => vec![drafted, confirmed, paid],
        };
        ground.claim("settlements", &settlements, events).await;
    }
}

//! What follows from all that was acknowledged, kept as plainly as it can be.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use elders::{codec, wire};
use proto::eldercare::claims::v1 as pb;

use super::commands::{Flaw, Programme, Service};

/// A settlement by programme, provider and number.
pub(super) type Numbered = (Programme, String, i32);

/// All that was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// In the order of the log.
    pub(super) orders: Vec<Known>,
    pub(super) enrolments: Vec<Enrolled>,
    /// Whose premium of a year is charged.
    charged: BTreeSet<(Programme, ElderId, i32)>,
    premiums: BTreeMap<Programme, i64>,
    deposits: BTreeMap<Programme, i64>,
    /// As they were when they were paid.
    pub(super) paid: Vec<pb::GetSettlementResponse>,
    /// Of which settlement, how many fen, and about which order, by the id.
    pub(super) adjustments: BTreeMap<String, (Numbered, i64, String)>,
}

/// An order that was acknowledged.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) order: pb::ServiceOrder,
    pub(super) programme: Programme,
    pub(super) elder: ElderId,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    /// As it was answered last.
    pub(super) standing: pb::OrderStanding,
}

/// An enrolment that was acknowledged.
#[derive(Debug)]
pub(super) struct Enrolled {
    pub(super) programme: Programme,
    pub(super) elder: ElderId,
    pub(super) id: String,
    pub(super) first: LocalDay,
    pub(super) last: LocalDay,
}

fn minutes(order: &pb::ServiceOrder) -> i64 {
    let seconds = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
    (seconds(order.check_out_at) - seconds(order.check_in_at)) / 60
}

impl Known {
    pub(super) fn is_approved(&self) -> bool {
        self.standing.state() == pb::OrderState::Approved
    }

    pub(super) fn may_be_appealed(&self) -> bool {
        self.standing.state() == pb::OrderState::AbnormalOpen
            && self.standing.appeal() == pb::AppealState::Unspecified
    }

    pub(super) fn is_appealed(&self) -> bool {
        self.standing.appeal() == pb::AppealState::Pending
    }

    pub(super) fn day(&self) -> LocalDay {
        LocalDay::of(self.start)
    }

    pub(super) fn units(&self) -> i64 {
        self.programme.units(minutes(&self.order))
    }

    fn meets(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn shares_a_file(&self, other: &Self) -> bool {
        let hashes: BTreeSet<_> = other.order.evidence.iter().map(|file| &file.hash).collect();
        let mut files = self.order.evidence.iter();
        files.any(|file| hashes.contains(&file.hash))
    }
}

impl Book {
    /// An enrolment is acknowledged, with the premium that it is said to bring.
    pub(super) fn enrolled(&mut self, enrolled: Enrolled, premium: i64) {
        let whose = (enrolled.programme, enrolled.elder, enrolled.first.year());
        let due = if self.charged.insert(whose) {
            enrolled.programme.premium().0
        } else {
            0
        };
        assert_eq!(premium, due, "the premium of a year is charged once");
        *self.premiums.entry(enrolled.programme).or_default() += due;
        self.enrolments.push(enrolled);
    }

    /// A grant is acknowledged.
    pub(super) fn deposited(&mut self, programme: Programme, fen: i64) {
        *self.deposits.entry(programme).or_default() += fen;
    }

    /// An order is acknowledged that was handed in on a day, with the verdict on it.
    pub(super) fn handed_in(
        &mut self,
        service: &Service,
        elder: ElderId,
        order: pb::ServiceOrder,
        standing: pb::OrderStanding,
        on: LocalDay,
    ) {
        let at = |at: Option<prost_types::Timestamp>| wire::read_time(at.unwrap()).unwrap();
        let known = Known {
            programme: service.programme,
            elder,
            start: at(order.check_in_at),
            end: at(order.check_out_at),
            order,
            standing,
        };
        self.verdict_is_just(&known, service, on);
        self.orders.push(known);
    }

    /// The verdict, but for what follows from the elder's facts, is the one of the table of codes.
    fn verdict_is_just(&self, known: &Known, service: &Service, on: LocalDay) {
        use pb::OrderCode as Code;
        let Known {
            programme,
            elder,
            order,
            standing,
            ..
        } = known;
        let told: BTreeSet<Code> = standing.codes().collect();
        let day = known.day();
        let enrolled = self.enrolments.iter().any(|one| {
            one.programme == *programme
                && one.elder == *elder
                && (one.first..=one.last).contains(&day)
        });
        let wanted = match programme {
            Programme::Insurance => pb::EvidenceKind::Video,
            Programme::HomeCare => pb::EvidenceKind::Photo,
        };
        let met: Vec<&Known> = self.orders.iter().filter(|one| one.meets(known)).collect();
        let with_another =
            |one: &&Known| one.order.caregiver_id == order.caregiver_id && one.elder != *elder;
        let reused = self.orders.iter().any(|one| one.shares_a_file(known));
        let limit = day.plus_days(programme.submission_days());
        let expected = [
            (Code::NotEnrolled, !enrolled),
            (
                Code::ProviderInvalid,
                service.flaw == Some(Flaw::BorrowedCaregiver),
            ),
            (
                Code::DurationShort,
                service.minutes < programme.least_minutes(),
            ),
            (Code::ItemsInvalid, service.flaw == Some(Flaw::NoItems)),
            (
                Code::LocationMismatch,
                service.flaw == Some(Flaw::FarFromHome),
            ),
            (
                Code::EvidenceMissing,
                !order.evidence.iter().any(|file| file.kind() == wanted),
            ),
            (Code::EvidenceReused, reused),
            (Code::CaregiverOverlap, met.iter().any(with_another)),
            (
                Code::DuplicateService,
                met.iter().any(|one| one.elder == *elder),
            ),
            (Code::LateSubmission, on > limit),
        ];
        for (code, applies) in expected {
            assert_eq!(told.contains(&code), applies, "{code:?} of {known:?}");
        }
        let over = Code::QuotaExceeded;
        let others = told.iter().any(|code| *code != over);
        let passes = !self.bears(known);
        assert_eq!(told.contains(&over), passes && !others, "{known:?}");
        let state = if told.is_empty() {
            pb::OrderState::Approved
        } else {
            pb::OrderState::AbnormalOpen
        };
        assert_eq!(standing.state(), state, "{known:?}");
        let amount = programme.costs(service.minutes).0;
        assert_eq!(standing.amount_fen, amount, "{known:?}");
    }

    /// Whether the year's entitlement bears one more approval.
    pub(super) fn bears(&self, known: &Known) -> bool {
        let used = self.used(known.programme, known.elder, known.day().year());
        used + known.units() <= known.programme.a_year()
    }

    /// Time for appeals passes.
    pub(super) fn is(&mut self, today: LocalDay) {
        for known in &mut self.orders {
            let until = known.standing.appeal_until.and_then(codec::read_day);
            if known.may_be_appealed() && until.is_some_and(|until| until < today) {
                known.standing.state = pb::OrderState::NotSettled.into();
                known.standing.not_settled_reason = pb::NotSettledReason::NoAppeal.into();
            }
        }
    }

    /// Somebody has decided on an order.
    pub(super) fn decided(&mut self, standing: pb::OrderStanding) {
        let mut orders = self.orders.iter_mut();
        let known = orders.find(|known| known.order.order_id == standing.order_id);
        known.unwrap().standing = standing;
    }

    /// What approved orders have used of a year.
    pub(super) fn used(&self, programme: Programme, elder: ElderId, year: i32) -> i64 {
        let approved = self.orders.iter().filter(|known| {
            known.is_approved()
                && known.programme == programme
                && known.elder == elder
                && known.day().year() == year
        });
        approved.map(Known::units).sum()
    }

    /// What adjustments of a settlement sum up to; and those of them that are about an order, or about none.
    pub(super) fn adjusted(&self, settlement: &Numbered, about: &str) -> (i64, i64) {
        let all = self.adjustments.values();
        let of_it = all.filter(|(named, ..)| named == settlement);
        of_it.fold((0, 0), |(all, alike), (_, fen, order)| {
            (all + fen, if order == about { alike + fen } else { alike })
        })
    }

    /// What a fund is to hold.
    pub(super) fn fund(&self, programme: Programme) -> pb::GetFundResponse {
        let of = |sums: &BTreeMap<Programme, i64>| sums.get(&programme).copied();
        let premiums_fen = of(&self.premiums).unwrap_or_default();
        let in_fen = premiums_fen + of(&self.deposits).unwrap_or_default();
        let settlements = self.paid.iter().filter_map(|one| one.settlement.as_ref());
        let paid = settlements.filter(|one| one.programme_code == programme.code());
        let (paid_fen, of_orders) = paid.fold((0, 0), |(all, of_orders), one| {
            (all + one.total_fen, of_orders + one.orders_fen)
        });
        let approved = self.orders.iter().filter(|known| known.is_approved());
        let approved = approved.filter(|known| known.programme == programme);
        let approved: i64 = approved.map(|known| known.standing.amount_fen).sum();
        pb::GetFundResponse {
            in_fen,
            premiums_fen,
            reserved_fen: approved - of_orders,
            paid_fen,
            balance_fen: in_fen - paid_fen,
        }
    }
}

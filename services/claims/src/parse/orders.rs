//! Orders and appeals, and what is asked of them, become domain types.

use chrono::{DateTime, TimeDelta, Utc};
use civic::{AppealState, ElderId, GeoPosition, HoldState, OrderCode, OrderState};
use elders::terms::set_from_wire;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks, List, Paged};
use uuid::Uuid;

use super::{
    LISTS, Parse, Parsed, count, day, maybe_day, maybe_provider, maybe_term, page_of,
    programme_code, provider_id, term,
};
use crate::by_provider::Named;
use crate::desk::Arrived;
use crate::figures::Group;
use crate::judging::{Evidence, Service};
use crate::{appeals, holds, order, orders, suspicions};

/// The longest number of an order.
const LONGEST_ORDER: usize = 64;
/// The longest name of an item or a rule.
const LONGEST_CODE: usize = 64;
/// The most items, and the most files, of an order.
const MOST: usize = 50;
/// The longest statement of an appeal.
const LONGEST_STATEMENT: usize = 2_000;
/// The longest service.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// The most days in which patterns are looked for.
const MOST_DAYS: i64 = 366;

impl Parse {
    pub(crate) fn order(
        &self,
        order: Option<pb::ServiceOrder>,
        min_position: &str,
        now: DateTime<Utc>,
    ) -> Parsed<(Arrived, Option<Position>)> {
        let mut checks = Checks::new();
        let order = checks.present("order", order);
        let arrived = order
            .and_then(|order| checks.within("order", |checks| self.arrived(checks, order, now)));
        let position = self.position(&mut checks, min_position);
        checks.all((arrived, position))
    }

    fn arrived(
        &self,
        checks: &mut Checks,
        order: pb::ServiceOrder,
        now: DateTime<Utc>,
    ) -> Option<Arrived> {
        let digest = self.digests.of(&order);
        let provider = provider_id(checks, &order.provider_id);
        let number = order_id(checks, &order.order_id);
        let programme = programme_code(checks, &order.programme_code);
        let version = count(checks, "programme_version", order.programme_version);
        let elder = checks.id("elder_id", &order.elder_id).map(ElderId);
        let caregiver = checks.id("caregiver_id", &order.caregiver_id);
        let start = past(checks, "check_in_at", order.check_in_at, now);
        let end = past(checks, "check_out_at", order.check_out_at, now);
        let length = start.zip(end).map(|(start, end)| end - start);
        checks.that(
            length.is_none_or(|length| length >= TimeDelta::zero() && length <= LONGEST),
            "check_out_at",
            "TIMES_INVALID",
            "must not lie before the check-in, nor more than 24 hours after it",
            "不得早于签到时间，且不得超过其后 24 小时",
        );
        let place = position(checks, order.check_in);
        let items = checks.count("items", order.items.len(), 0..=MOST);
        for item in &order.items {
            checks.string("items", item, 1..=LONGEST_CODE);
        }
        let evidence = evidence(checks, order.evidence);
        items?;
        Some(Arrived {
            provider: provider?,
            number: number?,
            programme: programme?,
            version: version?,
            elder: elder?,
            caregiver: caregiver?,
            service: Service {
                check_in_at: start?,
                check_out_at: end?,
                place: place?,
                items: order.items,
                evidence: evidence?,
            },
            digest,
        })
    }

    pub(crate) fn get_order(
        &self,
        request: &pb::GetOrderRequest,
    ) -> Parsed<(Named, Option<Position>)> {
        let mut checks = Checks::new();
        let named = named(&mut checks, &request.provider_id, &request.order_id);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((named, position))
    }

    pub(crate) fn list_orders(
        &self,
        mut request: pb::ListOrdersRequest,
    ) -> Parsed<Paged<orders::Filter>> {
        let mut checks = Checks::new();
        let filter = self.filter(&mut checks, request.filter.as_ref());
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListOrders", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn figures(
        &self,
        request: &pb::GetFiguresRequest,
    ) -> Parsed<(orders::Filter, Vec<Group>, Option<Position>)> {
        let mut checks = Checks::new();
        let filter = self.filter(&mut checks, request.filter.as_ref());
        let number = checks.count("groups", request.groups.len(), 0..=2);
        let groups: Vec<Option<Group>> = request.groups.iter().map(|one| group(*one)).collect();
        let distinct = match groups.as_slice() {
            [one, other] => one != other,
            _ => true,
        };
        checks.that(
            distinct && groups.iter().all(Option::is_some),
            "groups",
            "VALUE_UNKNOWN",
            "are known and different ones",
            "应为不同的已知分组",
        );
        let groups = number.map(|_| groups.into_iter().flatten().collect());
        let position = self.position(&mut checks, &request.min_position);
        checks.all((filter, groups, position))
    }

    fn filter(
        &self,
        checks: &mut Checks,
        filter: Option<&pb::OrderFilter>,
    ) -> Option<orders::Filter> {
        let filter = checks.present("filter", filter)?;
        checks.within("filter", |checks| {
            let division = checks.division("division_code", &filter.division_code);
            let programme = if filter.programme_code.is_empty() {
                Some(None)
            } else {
                programme_code(checks, &filter.programme_code).map(Some)
            };
            let provider = maybe_provider(checks, &filter.provider_id);
            let elder = checks.maybe_id("elder_id", &filter.elder_id);
            let states = match set_from_wire::<OrderState>(&filter.states) {
                Ok(states) => Some(states),
                Err(_index) => {
                    checks.unknown("states");
                    None
                }
            };
            let code = maybe_term::<OrderCode>(checks, "code", filter.code);
            let first = maybe_day(checks, "first_service_day", filter.first_service_day);
            let last = maybe_day(checks, "last_service_day", filter.last_service_day);
            let month = filter.approved_in_month_of;
            let approved_in = maybe_day(checks, "approved_in_month_of", month);
            let entitled_by = checks.string("entitled_by", &filter.entitled_by, 0..=LONGEST_CODE);
            Some(orders::Filter {
                division: division?,
                programme: programme?,
                provider: provider?,
                elder: elder?.map(ElderId),
                states: states?,
                code: code?,
                first: first?,
                last: last?,
                approved_in: approved_in?,
                entitled_by: entitled_by.map(|rule| (!rule.is_empty()).then_some(rule))?,
                abnormal_at_submission: filter.abnormal_at_submission,
                without_code: filter.without_code,
                not_approved: filter.not_approved,
            })
        })
    }

    pub(crate) fn appeal(
        &self,
        mut request: pb::AppealOrderRequest,
    ) -> Parsed<(Asked, Named, String, Vec<Evidence>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let named = named(&mut checks, &request.provider_id, &request.order_id);
        let statement = checks.string("statement", &request.statement, 1..=LONGEST_STATEMENT);
        let evidence = evidence(&mut checks, request.evidence);
        checks.all((asked, named, statement, evidence))
    }

    pub(crate) fn decision(
        &self,
        mut request: pb::DecideAppealRequest,
    ) -> Parsed<(Asked, Uuid, bool)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let key = key(&mut checks, &request.provider_id, &request.order_id);
        let decision = checks.known::<pb::AppealDecision>("decision", request.decision);
        let accept = decision.map(|decision| decision == pb::AppealDecision::Accept);
        checks.all((asked, key, accept))
    }

    pub(crate) fn list_appeals(
        &self,
        mut request: pb::ListAppealsRequest,
    ) -> Parsed<Paged<appeals::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let provider = maybe_provider(&mut checks, &request.provider_id);
        let state = maybe_term::<AppealState>(&mut checks, "state", request.state);
        let filter = division.zip(provider).zip(state);
        let filter = filter.map(|((division, provider), state)| appeals::Filter {
            division,
            provider,
            state,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListAppeals", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }
}

impl Parse {
    pub(crate) fn list_held(
        &self,
        mut request: pb::ListHeldOrdersRequest,
    ) -> Parsed<Paged<holds::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let state = maybe_term::<HoldState>(&mut checks, "state", request.state);
        let filter = division
            .zip(state)
            .map(|(division, state)| holds::Filter { division, state });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListHeldOrders", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn hold_decision(
        &self,
        mut request: pb::DecideHoldRequest,
    ) -> Parsed<(Asked, holds::Decision)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let key = key(&mut checks, &request.provider_id, &request.order_id);
        let read = checks.etag(&request.etag);
        let decision = checks.known::<pb::HoldDecision>("decision", request.decision);
        let withdraw = decision.map(|decision| decision == pb::HoldDecision::Withdraw);
        let (asked, key, withdraw, read) = checks.all((asked, key, withdraw, read))?;
        let decision = holds::Decision {
            key,
            withdraw,
            read,
        };
        Ok((asked, decision))
    }

    pub(crate) fn suspicions(
        &self,
        request: &pb::ListSuspicionsRequest,
    ) -> Parsed<(suspicions::Filter, Option<Position>)> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let provider = maybe_provider(&mut checks, &request.provider_id);
        let first = day(&mut checks, "first_day", request.first_day);
        let last = day(&mut checks, "last_day", request.last_day);
        let days = first.zip(last);
        checks.that(
            days.is_none_or(|(first, last)| (0..MOST_DAYS).contains(&first.days_until(last))),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day, nor 366 days or more after it",
            "不得早于起始日，且期间不超过 366 天",
        );
        let position = self.position(&mut checks, &request.min_position);
        let filter = division.zip(provider).zip(days);
        let filter = filter.map(|((division, provider), (first, last))| suspicions::Filter {
            division,
            provider,
            first,
            last,
        });
        checks.all((filter, position))
    }
}

/// A provider's own number of an order: it is named in lists and files, each time in one line.
pub(super) fn order_id(checks: &mut Checks, id: &str) -> Option<String> {
    let id = checks.string("order_id", id, 1..=LONGEST_ORDER)?;
    let one_line = !id.chars().any(char::is_control);
    checks.that(
        one_line,
        "order_id",
        "CONTROL_CHARACTERS",
        "has control characters",
        "含有控制字符",
    );
    one_line.then_some(id)
}

fn named(checks: &mut Checks, provider: &str, order: &str) -> Option<Named> {
    let provider = provider_id(checks, provider);
    let number = order_id(checks, order);
    let (provider, number) = (provider?, number?);
    Some(Named {
        key: order::key(&provider, &number),
        provider,
    })
}

fn key(checks: &mut Checks, provider: &str, order: &str) -> Option<Uuid> {
    named(checks, provider, order).map(|named| named.key)
}

fn position(checks: &mut Checks, position: Option<types::GeoPosition>) -> Option<GeoPosition> {
    let position = checks.present("check_in", position)?;
    checks.parsed(
        "check_in",
        GeoPosition::new(position.latitude, position.longitude),
        "POSITION_OUT_OF_RANGE",
        "is no position on earth",
        "经纬度超出范围",
    )
}

fn evidence(checks: &mut Checks, evidence: Vec<pb::Evidence>) -> Option<Vec<Evidence>> {
    checks.count("evidence", evidence.len(), 0..=MOST)?;
    let files: Vec<Option<Evidence>> = evidence
        .into_iter()
        .map(|file| {
            checks.within("evidence", |checks| {
                let kind = term(checks, "kind", file.kind);
                let fits = (8..=64).contains(&file.hash.len());
                checks.that(
                    fits,
                    "hash",
                    "HASH_INVALID",
                    "needs 8 to 64 bytes",
                    "应为 8 至 64 字节",
                );
                Some(Evidence {
                    kind: kind?,
                    hash: fits.then(|| file.hash.to_vec())?,
                })
            })
        })
        .collect();
    files.into_iter().collect()
}

fn group(number: i32) -> Option<Group> {
    Some(match pb::FigureGroup::try_from(number).ok()? {
        pb::FigureGroup::Unspecified => return None,
        pb::FigureGroup::Provider => Group::Provider,
        pb::FigureGroup::ServiceMonth => Group::ServiceMonth,
        pb::FigureGroup::ApprovalMonth => Group::ApprovalMonth,
        pb::FigureGroup::EntitledBy => Group::EntitledBy,
        pb::FigureGroup::Code => Group::Code,
        pb::FigureGroup::Division => Group::Division,
        pb::FigureGroup::Programme => Group::Programme,
    })
}

/// An instant that has come already.
fn past(
    checks: &mut Checks,
    field: &str,
    at: Option<prost_types::Timestamp>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let at = checks.present(field, at);
    let at = at.and_then(|at| checks.instant(field, Some(at))?)?;
    checks.that(
        at <= now,
        field,
        "IN_THE_FUTURE",
        "has not come yet",
        "时间尚未到来",
    );
    (at <= now).then_some(at)
}

//! Requests become domain types, here and nowhere else.

mod homes;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    AlertKind, AlertOutcome, DivisionCode, DivisionLevel, ElderId, LocalDay, NoticeChannel,
    RecipientRole, Set, Severity, VillageCode,
};
use elders::codec::read_day;
use elders::terms::{WireTerm, set_from_wire};
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::alerts::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks, List, PageBounds, Paged, RequestDigests};
use tonic::Status;
use uuid::Uuid;

use crate::alert_line::Cause;
use crate::alert_policy::AlertPolicy;
use crate::codec::read_policy;
use crate::listing;
use crate::recipients::{self, Named};
use crate::responding::{Done, Wanted};
use crate::signal::DeviceId;

const LISTS: PageBounds = PageBounds {
    default: 100,
    most: 1_000,
};
/// The longest name.
const LONGEST_NAME: usize = 64;
/// The longest address of a channel.
const LONGEST_ADDRESS: usize = 500;
/// The most ways to reach a recipient.
const MOST_CHANNELS: usize = 5;
/// The most days of one set of figures.
const MOST_DAYS: i64 = 400;
/// How far in the future something may have happened: clocks differ.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// Reads requests: knows the streams that positions may lie in, and the digests of requests.
#[derive(Clone, Debug)]
pub(crate) struct Parse {
    /// Our own, the signals', the registry's.
    pub(crate) streams: [String; 3],
    pub(crate) digests: RequestDigests,
}

type Parsed<T> = Result<T, Status>;

impl Parse {
    /// A command's id, and the digest of the rest of its request.
    fn asked<M: prost::Message>(&self, checks: &mut Checks, id: &str, rest: &M) -> Option<Asked> {
        Some(Asked {
            request_id: checks.request_id(id)?,
            digest: self.digests.of(rest),
        })
    }

    pub(crate) fn raise_alert(
        &self,
        mut request: pb::RaiseAlertRequest,
        now: DateTime<Utc>,
    ) -> Parsed<(Asked, Wanted)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let kind = term::<AlertKind>(&mut checks, "kind", request.kind);
        checks.that(
            kind.is_none_or(|kind| !kind.is_of_a_device()),
            "kind",
            "KIND_OF_DEVICES",
            "is raised by devices alone",
            "该类预警仅由设备产生",
        );
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let village = checks.parsed(
            "division_code",
            request.division_code.parse::<VillageCode>(),
            "VILLAGE_INVALID",
            "is no code of a village, 12 digits",
            "应为 12 位村（社区）代码",
        );
        let at = checks.present("occurred_at", request.occurred_at);
        let at = at.and_then(|at| checks.instant("occurred_at", Some(at))?);
        checks.that(
            at.is_none_or(|at| at <= now + AHEAD),
            "occurred_at",
            "IN_THE_FUTURE",
            "has not happened yet",
            "时间尚未到来",
        );
        let cause = cause(&mut checks, kind, request.cause);
        let wanted = kind.zip(elder).zip(village).zip(at).zip(cause);
        let wanted = wanted.map(|((((kind, elder), village), at), cause)| Wanted {
            kind,
            elder,
            village,
            at: at.min(now),
            cause,
        });
        checks.all((asked, wanted))
    }

    pub(crate) fn list_alerts(
        &self,
        mut request: pb::ListAlertsRequest,
    ) -> Parsed<Paged<listing::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let kinds = set::<AlertKind>(&mut checks, "kinds", &request.kinds);
        let severities = set::<Severity>(&mut checks, "severities", &request.severities);
        let elder = checks.maybe_id("elder_id", &request.elder_id);
        let from = checks.instant("raised_from", request.raised_from);
        let before = checks.instant("raised_before", request.raised_before);
        let filter = division
            .zip(kinds)
            .zip(severities)
            .zip(elder)
            .zip(from)
            .zip(before);
        let open_only = request.open_only;
        let filter = filter.map(
            |(((((division, kinds), severities), elder), from), before)| listing::Filter {
                division,
                kinds,
                severities,
                open_only,
                elder: elder.map(ElderId),
                from,
                before,
            },
        );
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListAlerts", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn get_alert(
        &self,
        request: &pb::GetAlertRequest,
    ) -> Parsed<(Uuid, Option<Position>)> {
        let mut checks = Checks::new();
        let alert = checks.id("alert_id", &request.alert_id);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((alert, position))
    }

    pub(crate) fn watch_alerts(
        &self,
        request: &pb::WatchAlertsRequest,
    ) -> Parsed<(DivisionCode, Option<u64>)> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let after = checks.position("after_position", &request.after_position);
        let own = &self.streams[0];
        let of_ours = after
            .as_ref()
            .is_none_or(|after| after.as_ref().is_none_or(|after| after.stream == *own));
        checks.that(
            of_ours,
            "after_position",
            "POSITION_INVALID",
            "must lie in the log of alerts",
            "必须是预警日志的位置",
        );
        let (division, after) = checks.all((division, after))?;
        Ok((division, after.map(|after| after.sequence)))
    }

    pub(crate) fn acknowledge(
        &self,
        mut request: pb::AcknowledgeAlertRequest,
    ) -> Parsed<(Asked, Uuid, Done)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let alert = checks.id("alert_id", &request.alert_id);
        checks.all((asked, alert, Some(Done::Acknowledged)))
    }

    pub(crate) fn assign(
        &self,
        mut request: pb::AssignAlertRequest,
    ) -> Parsed<(Asked, Uuid, Done)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let alert = checks.id("alert_id", &request.alert_id);
        let recipient = checks.id("recipient_id", &request.recipient_id);
        checks.all((asked, alert, recipient.map(Done::Assigned)))
    }

    pub(crate) fn dispatch(
        &self,
        mut request: pb::DispatchAlertRequest,
    ) -> Parsed<(Asked, Uuid, Done)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let alert = checks.id("alert_id", &request.alert_id);
        checks.all((asked, alert, Some(Done::Dispatched)))
    }

    pub(crate) fn arrival(
        &self,
        mut request: pb::RecordArrivalRequest,
    ) -> Parsed<(Asked, Uuid, Done)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let alert = checks.id("alert_id", &request.alert_id);
        checks.all((asked, alert, Some(Done::Arrived)))
    }

    pub(crate) fn resolve(
        &self,
        mut request: pb::ResolveAlertRequest,
    ) -> Parsed<(Asked, Uuid, Done)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let alert = checks.id("alert_id", &request.alert_id);
        let outcome = term::<AlertOutcome>(&mut checks, "outcome", request.outcome);
        checks.that(
            outcome != Some(AlertOutcome::SelfCleared),
            "outcome",
            "OUTCOME_OF_DEVICES",
            "only a device that is heard again ends an alert so",
            "仅设备恢复在线时自动解除",
        );
        checks.all((asked, alert, outcome.map(Done::Resolved)))
    }

    #[allow(clippy::type_complexity, reason = "it is taken apart where it is used")]
    pub(crate) fn figures(
        &self,
        request: &pb::GetResponseFiguresRequest,
    ) -> Parsed<(DivisionCode, (LocalDay, LocalDay), Option<Position>)> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let first = day(&mut checks, "first_day", request.first_day);
        let last = day(&mut checks, "last_day", request.last_day);
        let days = first.zip(last);
        checks.that(
            days.is_none_or(|(first, last)| (0..MOST_DAYS).contains(&first.days_until(last))),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day, nor 400 days or more after it",
            "不得早于起始日，且期间不超过 400 天",
        );
        let position = self.position(&mut checks, &request.min_position);
        checks.all((division, days, position))
    }

    pub(crate) fn publish_policy(
        &self,
        mut request: pb::PublishAlertPolicyRequest,
    ) -> Parsed<(Asked, DivisionCode, AlertPolicy)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let division = checks.division("division_code", &request.division_code);
        checks.that(
            division.is_none_or(|division| division.level() != DivisionLevel::Village),
            "division_code",
            "DIVISION_TOO_SMALL",
            "a village goes by its town's rules",
            "村（社区）执行所属乡镇的规则",
        );
        let policy = checks.present("policy", request.policy.as_ref());
        let policy = policy.and_then(|policy| match read_policy(policy) {
            Ok(policy) => Some(policy),
            Err(error) => {
                let field = match &error {
                    eventlog::DecodeError::Malformed(field) => format!("policy.{field}"),
                    eventlog::DecodeError::UnknownType(_) => "policy".to_owned(),
                };
                checks.refuse(
                    &field,
                    "VALUE_INVALID",
                    "is missing or can't be read",
                    "缺失或无法识别",
                );
                None
            }
        });
        checks.all((asked, division, policy))
    }

    pub(crate) fn get_policy(
        &self,
        request: &pb::GetAlertPolicyRequest,
    ) -> Parsed<(DivisionCode, Option<Position>)> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((division, position))
    }

    pub(crate) fn register_recipient(
        &self,
        mut request: pb::RegisterRecipientRequest,
    ) -> Parsed<(Asked, Option<Uuid>, Named)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let recipient = checks.present("recipient", request.recipient);
        let parts = recipient.and_then(|recipient| {
            checks.within("recipient", |checks| {
                let id = checks.maybe_id("recipient_id", &recipient.recipient_id);
                let named = named(checks, &recipient);
                Some((id?, named?))
            })
        });
        let (asked, (known, named)) = checks.all((asked, parts))?;
        Ok((asked, known, named))
    }

    pub(crate) fn list_recipients(
        &self,
        mut request: pb::ListRecipientsRequest,
    ) -> Parsed<Paged<recipients::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let inactive_too = request.include_inactive;
        let filter = division.map(|division| recipients::Filter {
            division,
            inactive_too,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListRecipients", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    fn position(&self, checks: &mut Checks, text: &str) -> Option<Option<Position>> {
        checks.position_in(
            &self.streams,
            "min_position",
            text,
            "must lie in the log of alerts, in the signals, or in the registry's log",
            "必须是预警日志、设备信号或台账日志的位置",
        )
    }
}

fn cause(
    checks: &mut Checks,
    kind: Option<AlertKind>,
    cause: Option<pb::raise_alert_request::Cause>,
) -> Option<Cause> {
    use pb::raise_alert_request::Cause::MissedVisit;
    let missed = kind == Some(AlertKind::VisitMissed);
    match cause {
        None => {
            checks.that(
                !missed,
                "missed_visit",
                "REQUIRED",
                "is required of a missed visit",
                "漏访预警须说明漏访期间",
            );
            Some(Cause::Request)
        }
        Some(MissedVisit(visit)) => {
            checks.that(
                missed || kind.is_none(),
                "missed_visit",
                "NOT_OF_THIS_KIND",
                "is of a missed visit alone",
                "仅适用于漏访预警",
            );
            checks.within("missed_visit", |checks| {
                let first = day(checks, "first_day", visit.first_day);
                let last = day(checks, "last_day", visit.last_day);
                let campaign = checks.maybe_id("campaign_id", &visit.campaign_id);
                checks.that(
                    first.zip(last).is_none_or(|(first, last)| first <= last),
                    "last_day",
                    "DAYS_INVALID",
                    "must not lie before the first day",
                    "不得早于起始日",
                );
                Some(Cause::MissedVisit {
                    first: first?,
                    last: last?,
                    campaign: campaign?,
                })
            })
        }
    }
}

fn named(checks: &mut Checks, recipient: &pb::Recipient) -> Option<Named> {
    let role = term::<RecipientRole>(checks, "role", recipient.role);
    checks.that(
        !matches!(
            role,
            Some(RecipientRole::EmergencyContact | RecipientRole::FireService)
        ),
        "role",
        "ROLE_NOT_REGISTERED",
        "is not registered here: contacts stand in the elder's file, and 119 is called by law",
        "紧急联系人以老年人档案为准，119 无需登记",
    );
    let division = checks.division("division_code", &recipient.division_code);
    let name = checks.string("name", &recipient.name, 1..=LONGEST_NAME);
    checks.count("channels", recipient.channels.len(), 1..=MOST_CHANNELS);
    let mut channels = Vec::new();
    for (way, place) in recipient.channels.iter().take(MOST_CHANNELS).zip(0..) {
        checks.within(&format!("channels[{place}]"), |checks| {
            let channel = term::<NoticeChannel>(checks, "channel", way.channel);
            checks.that(
                channel != Some(NoticeChannel::Record),
                "channel",
                "CHANNEL_UNSUITABLE",
                "reaches nobody",
                "该方式不能通知任何人",
            );
            let least = usize::from(channel != Some(NoticeChannel::Log));
            let address = checks.string("address", &way.address, least..=LONGEST_ADDRESS);
            channels.extend(channel.zip(address));
        });
    }
    Some(Named {
        role: role?,
        division: division?,
        active: recipient.active,
        name: name?,
        channels,
    })
}

pub(crate) fn device_id(checks: &mut Checks, field: &str, text: &str) -> Option<DeviceId> {
    checks.parsed(
        field,
        text.parse(),
        "DEVICE_ID_INVALID",
        "has 1 to 64 letters, digits, `-` and `_`",
        "应为 1 至 64 位字母、数字、“-”或“_”",
    )
}

pub(crate) fn term<T: WireTerm>(checks: &mut Checks, field: &str, number: i32) -> Option<T> {
    let term = T::from_wire(number);
    if term.is_none() {
        checks.unknown(field);
    }
    term
}

fn set<T: WireTerm>(checks: &mut Checks, field: &str, numbers: &[i32]) -> Option<Set<T>> {
    match set_from_wire(numbers) {
        Ok(set) => Some(set),
        Err(place) => {
            checks.unknown(&format!("{field}[{place}]"));
            None
        }
    }
}

fn day(checks: &mut Checks, field: &str, date: Option<types::Date>) -> Option<LocalDay> {
    let date = checks.present(field, date)?;
    let day = read_day(date);
    if day.is_none() {
        checks.refuse(
            field,
            "DATE_INVALID",
            "is no day of the calendar",
            "不是有效日期",
        );
    }
    day
}

fn page_of(size: &mut i32, token: &mut String) -> (i32, String) {
    (std::mem::take(size), std::mem::take(token))
}

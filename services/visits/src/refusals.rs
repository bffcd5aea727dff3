//! Refusals by the rules, as callers are told them in English and Chinese.

use civic::ElderId;
use service::{Refusal as Told, errors};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::week_plan::PlanId;
use crate::{campaign, elder_year, recording, visiting, visitor, week_plan};

/// There is no such elder, or none any more.
pub(crate) fn no_elder(elder: ElderId) -> Status {
    errors::not_found(
        "elder",
        elder.to_string(),
        "there is no such elder",
        "没有该老年人的档案",
    )
}

/// There is no such visitor.
pub(crate) fn no_visitor(visitor: Uuid) -> Status {
    errors::not_found(
        "visitor",
        visitor.to_string(),
        "there is no such visitor",
        "没有该探访人员",
    )
}

/// There is no such record.
pub(crate) fn no_record(record: Uuid) -> Status {
    errors::not_found(
        "record",
        record.to_string(),
        "there is no such record",
        "没有该探访记录",
    )
}

/// There is no such referral.
pub(crate) fn no_referral(referral: Uuid) -> Status {
    errors::not_found(
        "referral",
        referral.to_string(),
        "there is no such referral",
        "没有该转介",
    )
}

/// An elder lives in another county than the visitor works in.
pub(crate) fn elder_of_another_county(elder: ElderId) -> Status {
    Told::new(
        Code::FailedPrecondition,
        "ELDER_OF_ANOTHER_COUNTY",
        format!("elder {elder} lives in another county than the visitor"),
        format!("老年人 {elder} 与探访人员不在同一县（市、区）"),
    )
    .into()
}

/// A division can't have started that long ago: each of its weeks and months would be closed now.
pub(crate) fn visiting_too_early() -> Status {
    service::Violation::new(
        "on",
        "DAY_TOO_EARLY",
        "lies more than 400 days before today",
        "早于今日 400 天以上",
    )
    .into()
}

/// A record's id was used before, for another record.
pub(crate) fn record_id_reused() -> Status {
    Told::new(
        Code::InvalidArgument,
        "RECORD_ID_REUSED",
        "record_id: was used before for another record",
        "record_id：已用于另一条记录",
    )
    .into()
}

/// A record that the rules refuse.
pub(crate) fn of_recording(refusal: recording::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        recording::Refusal::ModeNotAllowed => (
            "MODE_NOT_ALLOWED",
            "the elder is not to be visited in this way on that day",
            "该老年人当日不适用此探访方式",
        ),
        recording::Refusal::ConsentRequired => (
            "CONSENT_REQUIRED",
            "a visit at home needs consent granted before it begins",
            "入户探访须事先征得同意",
        ),
        recording::Refusal::NotInScope => (
            "NOT_IN_SCOPE",
            "the elder was not in scope on that day",
            "该老年人当日不在探访范围内",
        ),
        recording::Refusal::VisitorUnknown => (
            "VISITOR_UNKNOWN",
            "not a visitor of the elder's county who is active on that day",
            "当日在该县没有此探访人员",
        ),
        recording::Refusal::TimeInvalid => (
            "TIME_INVALID",
            "the times of the visit cannot be",
            "探访时间不合理",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// An elder's year that refuses.
pub(crate) fn of_year(refusal: elder_year::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        elder_year::Refusal::RecordUnknown => (
            "RECORD_UNKNOWN",
            "there is no such record",
            "没有该探访记录",
        ),
        elder_year::Refusal::NotDoubtful => (
            "NOT_DOUBTFUL",
            "nothing about the record is in doubt",
            "该记录没有疑点",
        ),
        elder_year::Refusal::AlreadyDecided => (
            "ALREADY_DECIDED",
            "a supervisor has decided already: the first decision holds",
            "已有核实结论，以首次结论为准",
        ),
        elder_year::Refusal::ReferralUnknown => (
            "REFERRAL_UNKNOWN",
            "there is no such referral",
            "没有该转介",
        ),
        elder_year::Refusal::ReferralClosed => (
            "REFERRAL_CLOSED",
            "the referral has been closed",
            "该转介已办结",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// A visitor that refuses.
pub(crate) fn of_visitor(refusal: visitor::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        visitor::Refusal::Unknown => (
            "VISITOR_UNKNOWN",
            "there is no such visitor",
            "没有该探访人员",
        ),
        visitor::Refusal::AlreadyRegistered => (
            "ALREADY_REGISTERED",
            "the visitor is registered already",
            "该探访人员已登记",
        ),
        visitor::Refusal::CountyFixed => (
            "COUNTY_FIXED",
            "a visitor visits in one county: in another it is registered anew",
            "探访人员限于一个县，跨县须重新登记",
        ),
        visitor::Refusal::Retired => (
            "VISITOR_RETIRED",
            "the visitor has retired",
            "该探访人员已退出",
        ),
        visitor::Refusal::EndsBeforeStart => (
            "ENDS_BEFORE_START",
            "the last day lies before the first",
            "截止日早于起始日",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// There is no such campaign.
pub(crate) fn no_campaign(campaign: Uuid) -> Status {
    errors::not_found(
        "campaign",
        campaign.to_string(),
        "there is no such campaign",
        "没有该专项探访",
    )
}

/// A campaign that refuses.
pub(crate) fn of_campaign(refusal: campaign::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        campaign::Refusal::Unknown => (
            "CAMPAIGN_UNKNOWN",
            "there is no such campaign",
            "没有该专项探访",
        ),
        campaign::Refusal::AlreadyStarted => (
            "ALREADY_STARTED",
            "the campaign has been started already",
            "该专项探访已启动",
        ),
        campaign::Refusal::DaysInvalid => (
            "DAYS_INVALID",
            "first_day, last_day: the days must lie ahead, today included, and be 1 to 92",
            "first_day、last_day：起止日期不得早于今日，且为 1 至 92 天",
        ),
        campaign::Refusal::Over => (
            "CAMPAIGN_OVER",
            "the campaign's last day is over",
            "该专项探访已结束",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// A division's visiting that refuses.
pub(crate) fn of_visiting(refusal: visiting::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        visiting::Refusal::AlreadyStarted => (
            "ALREADY_STARTED",
            "the division has started visiting, on another day",
            "该区划已于其他日期启动探访",
        ),
        visiting::Refusal::NotStarted => (
            "NOT_STARTED",
            "the division has not started visiting",
            "该区划尚未启动探访",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// Nothing was planned for the week.
pub(crate) fn no_plan(plan: PlanId) -> Status {
    errors::not_found(
        "plan",
        plan.token(),
        "the week has not been planned",
        "该周尚未生成计划",
    )
}

/// A week that is over is neither planned nor changed.
pub(crate) fn week_over() -> Status {
    errors::failed_precondition("WEEK_OVER", "the week is over", "该周已结束")
}

/// The plan was changed while another was worked out from it.
pub(crate) fn plan_changed() -> Status {
    errors::aborted(
        "PLAN_CHANGED",
        "the plan was changed while the week was planned: plan it again",
        "计划在生成期间已被修改，请重新生成",
    )
}

/// A plan that refuses.
pub(crate) fn of_plan(refusal: week_plan::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        week_plan::Refusal::NotInPlan => (
            "NOT_IN_PLAN",
            "the plan says nothing of this elder: no visit is owed in the week, or it falls to another",
            "计划中没有该老年人：本周无探访任务，或已排在其他周",
        ),
        week_plan::Refusal::NoVisit => (
            "NO_VISIT_PLANNED",
            "no visit is planned that could be pinned",
            "没有可固定的探访安排",
        ),
        week_plan::Refusal::DayNotOpen => (
            "DAY_NOT_OPEN",
            "the day is no day from Monday to Friday of the week on which the visit is owed, or it is past",
            "该日不是本周可安排的工作日，或已过去",
        ),
        week_plan::Refusal::VisitorNotActive => (
            "VISITOR_NOT_ACTIVE",
            "the visitor is not active on that day",
            "该探访人员当日不在岗",
        ),
        week_plan::Refusal::ConsentRequired => (
            "CONSENT_REQUIRED",
            "a visit at home needs consent",
            "入户探访须征得同意",
        ),
        week_plan::Refusal::ModeNotAllowed => (
            "MODE_NOT_ALLOWED",
            "the visitor can't visit in any way that is open to the elder",
            "该探访人员没有适用于该老年人的探访方式",
        ),
        week_plan::Refusal::DayFull => (
            "DAY_FULL",
            "the visitor has a fifth of the weekly capacity on that day already",
            "该探访人员当日工作量已满",
        ),
        week_plan::Refusal::WeekFull => (
            "WEEK_FULL",
            "the visitor's weekly capacity is used up",
            "该探访人员本周工作量已满",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

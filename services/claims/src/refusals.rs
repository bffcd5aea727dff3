//! Refusals by the rules, as callers are told them in English and Chinese.

use civic::ElderId;
use service::errors::Refusal as Told;
use service::{Violation, errors};
use tier_policy::policy::Fault;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{caregiver, enrolment, fund, order, programme, provider, settlements};

/// There is no such elder, or none any more.
pub(crate) fn no_elder(elder: ElderId) -> Status {
    errors::not_found(
        "elder",
        elder.to_string(),
        "there is no such elder",
        "没有该老年人的档案",
    )
}

/// There is no such programme.
pub(crate) fn no_programme(code: &str) -> Status {
    errors::not_found(
        "programme",
        code,
        "there is no such programme",
        "没有该项目",
    )
}

/// There is no such version of a programme.
pub(crate) fn no_version(code: &str) -> Status {
    errors::not_found(
        "version",
        code,
        "the programme has no such version",
        "该项目没有此版本",
    )
}

/// There is no such provider.
pub(crate) fn no_provider(provider: &str) -> Status {
    errors::not_found(
        "provider",
        provider,
        "there is no such provider",
        "没有该服务机构",
    )
}

/// There is no such caregiver.
pub(crate) fn no_caregiver(caregiver: Uuid) -> Status {
    errors::not_found(
        "caregiver",
        caregiver.to_string(),
        "there is no such caregiver",
        "没有该护理人员",
    )
}

/// There is no such order.
pub(crate) fn no_order() -> Status {
    errors::not_found("order", "", "there is no such order", "没有该工单")
}

/// The order is another provider's than the one whose system calls. Nobody learns by it whether there is such an order.
pub(crate) fn another_provider() -> Status {
    errors::permission_denied(
        "PROVIDER_OUT_OF_REACH",
        "the caller is the system of another provider",
        "调用方是其他服务机构的系统",
    )
}

/// There is no such settlement.
pub(crate) fn no_settlement() -> Status {
    errors::not_found(
        "settlement",
        "",
        "there is no such settlement",
        "没有该结算单",
    )
}

/// The number of an order stands for another order of the provider.
pub(crate) fn order_id_reused() -> Status {
    Violation::new(
        "order.order_id",
        "ORDER_ID_REUSED",
        "stands for another order of this provider: give this one a number of its own",
        "该编号已用于本机构的另一工单，请换用新的编号",
    )
    .into()
}

/// The version that an order names is not the one that holds.
pub(crate) fn wrong_version() -> Status {
    Violation::new(
        "order.programme_version",
        "PROGRAMME_VERSION_INVALID",
        "is not the version that holds on the service day",
        "不是服务日适用的项目版本",
    )
    .into()
}

/// The definition of a programme is wrong.
pub(crate) fn of_definition(faults: &[Fault]) -> Status {
    let violations = faults.iter().map(|fault| {
        Violation::new(
            "definition",
            fault.reason,
            format!("line {}: {}", fault.line, fault.en),
            format!("第 {} 行：{}", fault.line, fault.zh),
        )
    });
    errors::invalid_argument(violations.collect())
}

/// A programme's rules refuse.
pub(crate) fn of_programme(refusal: programme::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        programme::Refusal::AnotherDivision => (
            "ANOTHER_DIVISION",
            "the programme is another division's: take another code",
            "该项目属于其他地区，请换用新的代码",
        ),
        programme::Refusal::HoldsEarlier => (
            "HOLDS_EARLIER",
            "a version holds from no earlier day than the one before",
            "新版本的生效日不得早于前一版本",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// An enrolment's rules refuse.
pub(crate) fn of_enrolment(refusal: enrolment::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        enrolment::Refusal::AlreadyEnrolled => (
            "ALREADY_ENROLLED",
            "the elder is enrolled on one of these days already",
            "该老年人在此期间已参保",
        ),
        enrolment::Refusal::Unknown => {
            return errors::not_found(
                "enrolment",
                "",
                "there is no such enrolment",
                "没有该参保记录",
            );
        }
        enrolment::Refusal::NotEarlier => not_earlier(),
        enrolment::Refusal::BeforeFirst => (
            "BEFORE_FIRST_DAY",
            "the day lies before the day before the first one",
            "日期早于起始日的前一天",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

fn not_earlier() -> (&'static str, &'static str, &'static str) {
    (
        "NOT_EARLIER",
        "it ends on that day or before already",
        "原终止日不晚于此日期",
    )
}

fn before_first() -> (&'static str, &'static str, &'static str) {
    (
        "BEFORE_FIRST_DAY",
        "the day lies before the first one",
        "日期早于起始日",
    )
}

/// A provider's rules refuse.
pub(crate) fn of_provider(refusal: provider::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        provider::Refusal::AlreadyContracted => (
            "ALREADY_CONTRACTED",
            "the provider has a contract for this programme on one of these days already",
            "该机构在此期间已有本项目合同",
        ),
        provider::Refusal::Unknown => {
            return errors::not_found("contract", "", "there is no such contract", "没有该合同");
        }
        provider::Refusal::AnotherDivision => (
            "ANOTHER_DIVISION",
            "the id stands for a provider of another division: take another id",
            "该编号是其他地区服务机构的编号，请换用新的编号",
        ),
        provider::Refusal::NotEarlier => not_earlier(),
        provider::Refusal::BeforeFirst => before_first(),
    };
    errors::failed_precondition(reason, en, zh)
}

/// A caregiver's rules refuse.
pub(crate) fn of_caregiver(id: Uuid, refusal: caregiver::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        caregiver::Refusal::Unknown => return no_caregiver(id),
        caregiver::Refusal::AlreadyRegistered => (
            "ALREADY_REGISTERED",
            "the caregiver is on the list already",
            "该护理人员已登记",
        ),
        caregiver::Refusal::NotEarlier => not_earlier(),
        caregiver::Refusal::BeforeFirst => before_first(),
    };
    errors::failed_precondition(reason, en, zh)
}

/// An order's rules refuse.
pub(crate) fn of_order(refusal: order::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        order::Refusal::Unknown => return no_order(),
        order::Refusal::AlreadySubmitted => return order_id_reused(),
        order::Refusal::NotAbnormal => (
            "NOT_ABNORMAL",
            "the order is not abnormal",
            "该工单不是异常工单",
        ),
        order::Refusal::AlreadyAppealed => (
            "ALREADY_APPEALED",
            "there was an appeal against this order already",
            "该工单已申诉过",
        ),
        order::Refusal::TooLate => (
            "APPEAL_TOO_LATE",
            "the time for appeals is over",
            "已超过申诉期限",
        ),
        order::Refusal::NotAppealed => (
            "NOT_APPEALED",
            "there is no appeal against this order",
            "该工单没有申诉",
        ),
        order::Refusal::AlreadyDecided => (
            "ALREADY_DECIDED",
            "somebody has decided the appeal already",
            "该申诉已有处理结果",
        ),
        order::Refusal::SamePerson => {
            return Told::new(
                Code::PermissionDenied,
                "SAME_PERSON",
                "whoever handed in the order or filed the appeal does not decide on it",
                "提交工单或申诉的人员不得审核该申诉",
            )
            .into();
        }
    };
    errors::failed_precondition(reason, en, zh)
}

/// A fund's rules refuse.
pub(crate) fn of_fund(refusal: fund::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        fund::Refusal::Overdrawn => (
            "FUND_OVERDRAWN",
            "the fund holds less than that",
            "基金余额不足",
        ),
        fund::Refusal::TooLarge => (
            "SUM_TOO_LARGE",
            "the sum can't be booked",
            "金额超出可记账范围",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// Rules of settlements refuse.
pub(crate) fn of_settlement(refusal: settlements::Refusal) -> Status {
    use settlements::Refusal as R;
    let (reason, en, zh) = match refusal {
        R::Unknown => return no_settlement(),
        R::HoldChanged => return errors::etag_mismatch(),
        R::NothingToSettle => (
            "NOTHING_TO_SETTLE",
            "nothing was approved in this month that is in no settlement yet",
            "该月没有未结算的工单",
        ),
        R::NotADraft => (
            "NOT_A_DRAFT",
            "the settlement is no draft any more",
            "该结算单已不是草稿",
        ),
        R::NotConfirmed => (
            "NOT_CONFIRMED",
            "the settlement is not confirmed, or paid already",
            "该结算单尚未确认或已支付",
        ),
        R::PaidBeforeConfirmed => (
            "PAID_BEFORE_CONFIRMED",
            "the settlement was not confirmed yet on the day of the payment",
            "支付日期早于结算单确认日期",
        ),
        R::NotPaid => (
            "NOT_PAID",
            "the settlement is not paid yet: draft it anew",
            "该结算单尚未支付，请重新生成草稿",
        ),
        R::TotalChanged => (
            "TOTAL_CHANGED",
            "the settlement's total is another one: read it again",
            "结算单金额与提交的不一致，请重新读取",
        ),
        R::OrderNotInIt => (
            "ORDER_NOT_IN_SETTLEMENT",
            "the order is not in this settlement",
            "该工单不在此结算单中",
        ),
        R::MoreThanPaid => (
            "MORE_THAN_PAID",
            "more would come back than was paid for the settlement's orders",
            "调减金额超过该结算单已支付的工单金额",
        ),
        R::MoreThanTakenBack => (
            "MORE_THAN_TAKEN_BACK",
            "more would be given back than adjustments about the same order, or about none, took back before",
            "调增金额超过此前就同一工单（或未指明工单）调减的金额",
        ),
        R::NotOnHold => (
            "NOT_ON_HOLD",
            "the order is not on hold",
            "该工单不在暂缓清单中",
        ),
        R::TooLarge => (
            "SUM_TOO_LARGE",
            "the sum is too large to count",
            "金额超出可计算范围",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

//! Refusals by the rules, as callers are told them in English and Chinese.

use civic::ElderId;
use service::errors;
use tonic::Status;
use uuid::Uuid;

use crate::agreement::Refusal;

/// There is no such elder, or none that the caller may see anything of: nobody learns which.
pub(crate) fn no_elder(elder: ElderId) -> Status {
    errors::not_found(
        "elder",
        elder.to_string(),
        "there is no such elder, or none that the caller may see anything of",
        "没有该老年人的档案，或调用方无权查看",
    )
}

/// There is no such agreement, or it is another department's.
pub(crate) fn no_agreement(agreement: Uuid) -> Status {
    errors::not_found(
        "agreement",
        agreement.to_string(),
        "there is no such agreement",
        "没有该共享协议",
    )
}

/// The department was not asked to erase what it holds of such an elder.
pub(crate) fn no_erasure(elder: ElderId) -> Status {
    errors::not_found(
        "erasure",
        elder.to_string(),
        "the department was not asked to erase what it holds of such an elder",
        "没有要求该部门删除该老年人信息的通知",
    )
}

/// The feeds end before the position after which somebody asks.
pub(crate) fn beyond_the_feeds() -> Status {
    errors::failed_precondition(
        "POSITION_BEYOND_FEEDS",
        "after_position lies beyond the end of the feeds, which were lost or put back to an earlier state: \
         read them from their beginning",
        "after_position 超出数据流末尾：数据流曾丢失或已恢复到较早状态，请从头重新读取",
    )
}

/// No head of the chain is signed yet.
pub(crate) fn no_audit_head() -> Status {
    errors::not_found(
        "audit_head",
        "",
        "no head of the chain is signed yet",
        "审计链尚无签名",
    )
}

/// An agreement's rules refuse.
pub(crate) fn of_agreement(agreement: Uuid, refusal: Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        Refusal::Unknown => return no_agreement(agreement),
        Refusal::AlreadyProposed => {
            return errors::already_exists(
                "agreement",
                agreement.to_string(),
                "ALREADY_PROPOSED",
                "this id stands for another agreement: take a new one",
                "该标识已用于另一份协议，请换用新的标识",
            );
        }
        Refusal::OwnProposal => {
            return errors::permission_denied(
                "OWN_PROPOSAL",
                "whoever proposed the agreement does not approve it",
                "拟定协议的人员不得批准该协议",
            );
        }
        Refusal::OwnSuspension => {
            return errors::permission_denied(
                "OWN_SUSPENSION",
                "whoever suspended the agreement does not lift the suspension",
                "中止协议的人员不得恢复该协议",
            );
        }
        Refusal::AlreadyInForce => (
            "ALREADY_IN_FORCE",
            "the agreement is in force already",
            "该协议已生效",
        ),
        Refusal::NotInForce => (
            "NOT_IN_FORCE",
            "the agreement is not in force",
            "该协议未生效",
        ),
        Refusal::Ended => (
            "AGREEMENT_ENDED",
            "the agreement is over for good",
            "该协议已终止",
        ),
        Refusal::Over => (
            "AGREEMENT_OVER",
            "the agreement's last day is over: propose another one",
            "该协议已过期，请另行拟定",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

//! Refusals by the rules, as callers are told them in English and Chinese.

use civic::ElderId;
use service::{Violation, errors};
use tonic::Status;
use uuid::Uuid;

use crate::alert_policy::{Fault, Why};
use crate::signal::DeviceId;
use crate::{absence, alert_line, device, recipient};

/// There is no such elder, or none any more.
pub(crate) fn no_elder(elder: ElderId) -> Status {
    errors::not_found(
        "elder",
        elder.to_string(),
        "there is no such elder",
        "没有该老年人的档案",
    )
}

/// There is no such device, or it watches no more.
pub(crate) fn no_device(device: &DeviceId) -> Status {
    errors::not_found(
        "device",
        device.to_string(),
        "there is no such device",
        "没有该设备",
    )
}

/// There is no such alert.
pub(crate) fn no_alert(alert: Uuid) -> Status {
    errors::not_found(
        "alert",
        alert.to_string(),
        "there is no such alert",
        "没有该预警",
    )
}

/// There is no such recipient.
pub(crate) fn no_recipient(recipient: Uuid) -> Status {
    errors::not_found(
        "recipient",
        recipient.to_string(),
        "there is no such recipient",
        "没有该通知对象",
    )
}

/// A device's rules refuse.
pub(crate) fn of_device(device: &DeviceId, refusal: device::Refusal) -> Status {
    match refusal {
        device::Refusal::Unknown => no_device(device),
        device::Refusal::AlreadyRegistered => errors::already_exists(
            "device",
            device.to_string(),
            "DEVICE_REGISTERED",
            "the device is registered: retire it first",
            "该设备已登记，请先停用",
        ),
    }
}

/// Somebody is away already, or is not.
pub(crate) fn of_absence(refusal: absence::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        absence::Refusal::AlreadyAway => (
            "ALREADY_AWAY",
            "the elder is marked away already",
            "该老年人已登记离家",
        ),
        absence::Refusal::NotAway => (
            "NOT_AWAY",
            "the elder is not marked away",
            "该老年人未登记离家",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// An alert's line refuses.
pub(crate) fn of_line(alert: Uuid, refusal: alert_line::Refusal) -> Status {
    let (reason, en, zh) = match refusal {
        alert_line::Refusal::Unknown => return no_alert(alert),
        alert_line::Refusal::AlreadyAcknowledged => (
            "ALREADY_ACKNOWLEDGED",
            "somebody has taken the alert on already",
            "该预警已有人响应",
        ),
        alert_line::Refusal::AlreadyResolved => {
            ("ALREADY_RESOLVED", "the alert is over", "该预警已处置完成")
        }
        alert_line::Refusal::OutcomeOfDevices => (
            "OUTCOME_OF_DEVICES",
            "only a device that is heard again ends an alert so",
            "仅设备恢复在线时自动解除",
        ),
    };
    errors::failed_precondition(reason, en, zh)
}

/// A recipient's rules refuse.
pub(crate) fn of_recipient(id: Uuid, refusal: recipient::Refusal) -> Status {
    match refusal {
        recipient::Refusal::Unknown => no_recipient(id),
        recipient::Refusal::AlreadyRegistered => errors::already_exists(
            "recipient",
            id.to_string(),
            "RECIPIENT_REGISTERED",
            "the recipient is registered already",
            "该通知对象已登记",
        ),
    }
}

/// Rules that can't be.
pub(crate) fn of_policy(fault: Fault) -> Status {
    let (reason, en, zh) = match fault.reason {
        Why::OutOfRange => (
            "OUT_OF_RANGE",
            "lies outside what is allowed",
            "超出允许范围",
        ),
        Why::LevelCount => ("LEVEL_COUNT", "has 1 to 8 levels", "应有 1 至 8 级"),
        Why::FirstNotAtOnce => (
            "FIRST_NOT_AT_ONCE",
            "the first level is at once",
            "首级须立即通知",
        ),
        Why::NotLater => (
            "LEVEL_NOT_LATER",
            "each level is later than the one before",
            "各级须依次延后",
        ),
        Why::NobodyTold => (
            "NOBODY_TOLD",
            "each level tells somebody",
            "每一级须有通知对象",
        ),
        Why::SomebodyMissing => (
            "SOMEBODY_MISSING",
            "leaves out somebody whom the rule has told at the first or the last level",
            "首级或末级缺少规定的通知对象",
        ),
        Why::NotTheirs => (
            "NOT_THEIRS",
            "tells somebody whose business this is not",
            "包含不应通知的对象",
        ),
        Why::ChannelUnsuitable => (
            "CHANNEL_UNSUITABLE",
            "contacts are told by VOICE, SMS or LOG, and by one at least",
            "紧急联系人只能以语音、短信或日志方式通知，且至少一种",
        ),
    };
    Violation::new(format!("policy.{}", fault.field), reason, en, zh).into()
}

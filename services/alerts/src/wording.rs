//! What people are told of an alert, in words and for machines; no more than each needs to help.

use chrono::{DateTime, Utc};
use civic::{AlertKind, RecipientRole, SHANGHAI};
use notices::Text;
use serde_json::{Value, json};

use crate::alert_line::{Cause, Raised};
use crate::signals::Place;
use crate::whom::Particulars;

/// What is told of one alert.
pub(crate) struct Told<'a> {
    /// The alert.
    pub(crate) raised: &'a Raised,
    /// Which level.
    pub(crate) level: u8,
    /// Whom it is about.
    pub(crate) elder: &'a Particulars,
    /// Where the device was that called, if it said so.
    pub(crate) place: Option<Place>,
}

impl Told<'_> {
    /// In words, for a role.
    pub(crate) fn text(&self, role: RecipientRole) -> Text {
        let raised = self.raised;
        let (when, village) = (local(raised.at), &self.elder.village);
        let (name_zh, name_en) = if self.elder.name.is_empty() {
            ("一位老年人", "an elder")
        } else {
            (self.elder.name.as_str(), self.elder.name.as_str())
        };
        let (kind_zh, kind_en) = (raised.kind.chinese(), english(raised.kind));
        let severity = raised.severity().chinese();
        let (mut zh, mut en) = (
            format!("【{severity}·{kind_zh}】{village}{name_zh}，{when}。"),
            format!("[{}] {kind_en}: {name_en}, {when}.", raised.severity()),
        );
        if goes_there(role) && !self.elder.address.is_empty() {
            zh.push_str(&format!("住址：{}。", self.elder.address));
            en.push_str(&format!(" Home: {}.", self.elder.address));
        }
        let (ask_zh, ask_en) = asked(raised.kind);
        zh.push_str(ask_zh);
        en.push(' ');
        en.push_str(ask_en);
        Text { zh, en }
    }

    /// For machines, for a role.
    pub(crate) fn data(&self, role: RecipientRole) -> Value {
        let raised = self.raised;
        let mut data = json!({
            "alert_id": raised.alert,
            "kind": raised.kind,
            "severity": raised.severity(),
            "level": self.level,
            "division": raised.village.map(|village| village.to_string()),
            "raised_at": raised.at.with_timezone(&SHANGHAI).to_rfc3339(),
            "role": role,
            "elder_id": raised.elder,
            "name": self.elder.name,
        });
        if let Some((device, kind)) = raised.cause.device() {
            data["device_id"] = json!(device);
            data["device_kind"] = json!(kind);
        }
        if goes_there(role) {
            data["address"] = json!(self.elder.address);
            if let Some(place) = self.place {
                data["latitude"] = json!(place.latitude);
                data["longitude"] = json!(place.longitude);
            }
        }
        data
    }
}

/// Several alerts of a village that are no emergency, in words.
pub(crate) fn gathered_text(kind: AlertKind, village: &str, raised: &[Raised]) -> Text {
    let many = raised.len();
    let kind_zh = kind.chinese();
    let mut zh = format!(
        "【{}·{kind_zh}】{village}共{many}件。",
        kind.severity().chinese()
    );
    let mut en = format!(
        "[{}] {} x {many} in {village}.",
        kind.severity(),
        english(kind)
    );
    let devices: Vec<String> = raised
        .iter()
        .filter_map(|raised| raised.cause.device())
        .map(|(device, _)| device.to_string())
        .take(20)
        .collect();
    if !devices.is_empty() {
        zh.push_str(&format!("设备：{}。", devices.join("、")));
        en.push_str(&format!(" Devices: {}.", devices.join(", ")));
    }
    let (ask_zh, ask_en) = asked(kind);
    zh.push_str(ask_zh);
    en.push(' ');
    en.push_str(ask_en);
    Text { zh, en }
}

/// Several alerts of a village, for machines: the maintainer needs no names.
pub(crate) fn gathered_data(level: u8, role: RecipientRole, raised: &[Raised]) -> Value {
    let first = raised.first();
    let alerts: Vec<Value> = raised
        .iter()
        .map(|raised| {
            let mut alert = json!({
                "alert_id": raised.alert,
                "raised_at": raised.at.with_timezone(&SHANGHAI).to_rfc3339(),
            });
            if let Some((device, kind)) = raised.cause.device() {
                alert["device_id"] = json!(device);
                alert["device_kind"] = json!(kind);
            }
            if role != RecipientRole::Maintainer {
                alert["elder_id"] = json!(raised.elder);
            }
            if let Cause::MissedVisit { first, last, .. } = raised.cause {
                alert["first_day"] = json!(first);
                alert["last_day"] = json!(last);
            }
            alert
        })
        .collect();
    json!({
        "alert_id": first.map(|raised| raised.alert),
        "kind": first.map(|raised| raised.kind),
        "severity": first.map(Raised::severity),
        "level": level,
        "division": first.and_then(|raised| raised.village).map(|village| village.to_string()),
        "role": role,
        "alerts": alerts,
    })
}

/// Who goes to the door, or sends somebody there, needs to know where it is.
fn goes_there(role: RecipientRole) -> bool {
    match role {
        RecipientRole::GridWorker
        | RecipientRole::VillageCommittee
        | RecipientRole::Town
        | RecipientRole::DutyCentre
        | RecipientRole::FireService => true,
        RecipientRole::EmergencyContact | RecipientRole::Maintainer => false,
    }
}

fn local(at: DateTime<Utc>) -> String {
    at.with_timezone(&SHANGHAI)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

fn english(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Sos => "call for help",
        AlertKind::Fire => "fire",
        AlertKind::GasLeak => "gas leak",
        AlertKind::Fall => "fall",
        AlertKind::Inactivity => "no sign of life",
        AlertKind::DeviceOffline => "device off line",
        AlertKind::DeviceFault => "device fault",
        AlertKind::VisitMissed => "missed visit",
    }
}

fn asked(kind: AlertKind) -> (&'static str, &'static str) {
    match kind {
        AlertKind::Sos
        | AlertKind::Fire
        | AlertKind::GasLeak
        | AlertKind::Fall
        | AlertKind::Inactivity => (
            "请立即联系老人并上门查看。",
            "Call at once, and look in on them.",
        ),
        AlertKind::DeviceOffline | AlertKind::DeviceFault => {
            ("请安排检修。", "Have it looked after.")
        }
        AlertKind::VisitMissed => ("请安排探访。", "Have them visited."),
    }
}

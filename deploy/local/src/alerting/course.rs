//! `alerts show`: the whole course of an alert, as it happened.

use proto::eldercare::alerts::v1::{
    self as pb, CourseEntry, GetAlertRequest, alert_raised::Cause, course_entry::Event,
    signal_joined,
};
use serde::Serialize;

use super::{Row, at};
use crate::{
    client::{Client, call},
    output::{Report, table},
    words::{labelled, name_of},
};

/// An alert with its course.
#[derive(Debug, Serialize)]
pub struct AlertCourse {
    /// As it stands.
    pub alert: Row,
    /// Where the device of the first signal was: latitude and longitude.
    pub position: Option<(f64, f64)>,
    /// What happened, in the order in which it was written.
    pub course: Vec<Entry>,
}

/// Something that happened.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// When it happened, local time.
    pub at: Option<String>,
    /// When it was written down.
    pub recorded_at: Option<String>,
    /// Who wrote it: a service or an officer.
    pub actor: String,
    /// What.
    pub event: &'static str,
    /// More of it, such as who was told and how.
    pub details: String,
}

/// The whole course of an alert.
///
/// # Errors
/// Alerts' refusal.
pub async fn show(client: &Client, alert: &str) -> anyhow::Result<AlertCourse> {
    let request = GetAlertRequest {
        alert_id: alert.to_owned(),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.alerts().get_alert(request).await
    })
    .await?;
    let position = answer.position;
    Ok(AlertCourse {
        alert: Row::of(&answer.alert.unwrap_or_default()),
        position: position.map(|place| (place.latitude, place.longitude)),
        course: answer.course.into_iter().map(Entry::of).collect(),
    })
}

impl Entry {
    fn of(entry: CourseEntry) -> Self {
        let recorded_at = at(entry.recorded_at);
        let (event, happened, details) = match entry.event {
            Some(event) => told(event),
            None => ("?", None, String::new()),
        };
        Self {
            at: at(happened).or_else(|| recorded_at.clone()),
            recorded_at,
            actor: entry.actor,
            event,
            details,
        }
    }
}

/// The event's name, its instant, and what more there is to say.
fn told(event: Event) -> (&'static str, Option<prost_types::Timestamp>, String) {
    match event {
        Event::Raised(raised) => {
            let cause = match raised.cause {
                Some(Cause::Signal(signal)) => of_signal(&signal),
                Some(Cause::Silence(silence)) => {
                    let since = at(silence.since).unwrap_or_default();
                    format!("{} silent since {since}", silence.device_id)
                }
                Some(Cause::MissedVisit(_)) => labelled("VISIT_MISSED"),
                Some(Cause::Request(_)) => "asked for 来电或他方请求".to_owned(),
                None => String::new(),
            };
            ("RAISED 产生", raised.raised_at, cause)
        }
        Event::Joined(joined) => {
            let cause = match joined.cause {
                Some(signal_joined::Cause::Signal(signal)) => of_signal(&signal),
                Some(signal_joined::Cause::MissedVisit(_)) => labelled("VISIT_MISSED"),
                Some(signal_joined::Cause::Request(_)) => "asked for 来电或他方请求".to_owned(),
                None => String::new(),
            };
            ("JOINED 并入", joined.at, cause)
        }
        Event::Noted(noted) => {
            let signal = noted.signal.as_ref().map(of_signal);
            ("NOTED 记录", noted.at, signal.unwrap_or_default())
        }
        Event::Escalated(escalated) => {
            let level = format!("level {}", escalated.level);
            ("ESCALATED 升级", escalated.at, level)
        }
        Event::NoticeSent(sent) => {
            let whom = whom(sent.level, sent.role, sent.channel, sent.attempt);
            ("NOTICE_SENT 通知", sent.at, whom)
        }
        Event::NoticeFailed(failed) => {
            let mut whom = whom(failed.level, failed.role, failed.channel, failed.attempt);
            whom = format!("{whom}: {}", failed.reason);
            if failed.given_up {
                whom.push_str(", given up 放弃");
            }
            ("NOTICE_FAILED 通知失败", failed.at, whom)
        }
        Event::Acknowledged(one) => ("ACKNOWLEDGED 响应", one.at, String::new()),
        Event::Assigned(one) => ("ASSIGNED 分派", one.at, one.recipient_id),
        Event::Dispatched(one) => ("DISPATCHED 派出", one.at, String::new()),
        Event::Arrived(one) => ("ARRIVED 到场", one.at, String::new()),
        Event::Resolved(one) => {
            let outcome = name_of::<pb::AlertOutcome>(one.outcome).unwrap_or("?");
            ("RESOLVED 处置", one.at, labelled(outcome))
        }
    }
}

fn of_signal(signal: &pb::SignalCause) -> String {
    let kind = name_of::<pb::SignalKind>(signal.signal_kind).unwrap_or("?");
    let device = name_of::<pb::DeviceKind>(signal.device_kind).unwrap_or("?");
    format!(
        "{} of {} {}",
        labelled(kind),
        labelled(device),
        signal.device_id
    )
}

fn whom(level: i32, role: i32, channel: i32, attempt: i32) -> String {
    let role = name_of::<pb::RecipientRole>(role).unwrap_or("?");
    let channel = name_of::<pb::NoticeChannel>(channel).unwrap_or("?");
    let again = match attempt {
        ..=1 => String::new(),
        _ => format!(", attempt {attempt}"),
    };
    format!(
        "level {level}: {} by {}{again}",
        labelled(role),
        labelled(channel)
    )
}

impl Report for AlertCourse {
    fn text(&self) -> String {
        let Row {
            kind,
            severity,
            stage,
            division_code,
            elder_id,
            ..
        } = &self.alert;
        let mut text = format!(
            "{} {} {} {division_code} {elder_id}",
            labelled(severity),
            labelled(kind),
            labelled(stage)
        );
        if let Some((latitude, longitude)) = self.position {
            text.push_str(&format!("\n位置 position {latitude:.6}, {longitude:.6}"));
        }
        let mut rows = table(["时间 at", "事件 event", "内容 what", "记录人 recorded by"]);
        for one in &self.course {
            rows.add_row([
                one.at.as_deref().unwrap_or_default(),
                one.event,
                &one.details,
                &one.actor,
            ]);
        }
        format!("{text}\n{rows}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_when_it_happened_what_and_by_whom() {
        let escalated = pb::AlertEscalated {
            alert_id: "a".to_owned(),
            level: 2,
            at: Some(prost_types::Timestamp {
                seconds: 1_731_263_147,
                nanos: 0,
            }),
        };
        let entry = Entry::of(CourseEntry {
            recorded_at: Some(prost_types::Timestamp {
                seconds: 1_731_263_150,
                nanos: 0,
            }),
            actor: "alerts".to_owned(),
            event: Some(Event::Escalated(escalated)),
        });
        assert_eq!(entry.at.as_deref(), Some("2024-11-11 02:25:47"));
        assert_eq!(entry.recorded_at.as_deref(), Some("2024-11-11 02:25:50"));
        assert_eq!(
            (entry.details.as_str(), entry.actor.as_str()),
            ("level 2", "alerts")
        );
    }

    #[test]
    fn who_was_told_is_told_with_the_way() {
        let role = pb::RecipientRole::DutyCentre.into();
        let text = whom(0, role, pb::NoticeChannel::Voice.into(), 3);
        for word in ["DUTY_CENTRE", "VOICE", "attempt 3"] {
            assert!(text.contains(word), "{text}");
        }
    }
}

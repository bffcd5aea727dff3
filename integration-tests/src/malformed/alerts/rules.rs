//! Malformed rules of alerts: by which nobody would be told in time, or somebody whose business it is not.

use ::alerts::{alert_policy, codec::write_policy};
use proto::eldercare::alerts::v1 as alerts;
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::{
    county,
    elders::VILLAGE,
    malformed::{Break, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn about_rules() -> Vec<Maker> {
    use alerts::*;
    vec![maker(
        method!("PublishAlertPolicy"),
        PublishAlertPolicyRequest {
            request_id: new_id(),
            division_code: county::COUNTY.to_owned(),
            policy: Some(write_policy(&alert_policy::AlertPolicy::default())),
        },
        asked!(PublishAlertPolicyRequest:
            "division_code" => |m, r| m.division_code = no_division(r),
            "a village" => |m, _| m.division_code = VILLAGE.to_owned(),
            "no policy" => |m, _| m.policy = None,
            "an empty policy" => |m, _| m.policy = Some(AlertPolicy::default()),
            "threshold" => |m, r| break_threshold(of(m), r),
            "notice_minute" => |m, r| of(m).notice_minute = no_minute(r),
            "levels" => |m, r| break_levels(of(m), r),
            "contact_channels" => |m, r| of(m).contact_channels = no_channels(r),
        ),
    )]
}

fn of(request: &mut alerts::PublishAlertPolicyRequest) -> &mut alerts::AlertPolicy {
    request.policy.as_mut().expect("there")
}

/// A time that is none, or longer than any may be.
fn no_span(random: &mut StdRng) -> Option<prost_types::Duration> {
    let (seconds, nanos) = *[
        (i64::MAX, 0),
        (i64::MIN, 0),
        (-1, 0),
        (3_600, -1),
        (3_600, 1_000_000_000),
        (31_536_000, 0),
    ]
    .choose(random)
    .expect("not empty");
    let span = prost_types::Duration { seconds, nanos };
    Some(span).filter(|_| random.random_ratio(5, 6))
}

fn break_threshold(policy: &mut alerts::AlertPolicy, random: &mut StdRng) {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    match random.random_range(0..7) {
        0 => policy.inactive_after = no_span(random),
        1 => policy.inactive_after = seconds(3_599),
        2 => policy.unheard_after = no_span(random),
        3 => policy.unheard_after = seconds(599),
        4 => policy.offline_after = no_span(random),
        5 => policy.offline_after = seconds(3_599),
        _ => policy.gather_low = no_span(random),
    }
}

/// No minute of a day.
fn no_minute(random: &mut StdRng) -> i32 {
    *[-1, 1_440, 65_536, 65_536 + 510, i32::MAX, i32::MIN]
        .choose(random)
        .expect("not empty")
}

/// Levels by which nobody is told, too late, or somebody whose business that is not.
fn break_levels(policy: &mut alerts::AlertPolicy, random: &mut StdRng) {
    use alerts::RecipientRole::{DutyCentre, EmergencyContact, FireService, Maintainer, Town};
    // A missed visit is no emergency: neither family nor 12349 hears of it.
    if random.random_ratio(1, 8) {
        let whom = if random.random() {
            EmergencyContact
        } else {
            DutyCentre
        };
        policy.notice[1].roles.push(whom.into());
        return;
    }
    let levels = match random.random_range(0..3) {
        0 => &mut policy.critical,
        1 => &mut policy.high,
        _ => &mut policy.notice,
    };
    match random.random_range(0..11) {
        0 => levels.clear(),
        1 => *levels = vec![levels[0].clone(); 9],
        2 => {
            levels[0].after = Some(prost_types::Duration {
                seconds: 1,
                nanos: 0,
            })
        }
        3 => levels[1].after = levels[0].after,
        4 => levels.reverse(),
        5 => levels[1].after = no_span(random),
        6 => levels[1].roles.clear(),
        7 => levels[1].roles.push(no_word(random)),
        8 => levels[1].roles.push(0),
        9 => levels[0].roles.push(
            if random.random() {
                Maintainer
            } else {
                FireService
            }
            .into(),
        ),
        // Who must be told at first is not.
        _ => levels[0].roles = vec![Town.into()],
    }
}

/// Ways by which no contact is told.
fn no_channels(random: &mut StdRng) -> Vec<i32> {
    use alerts::NoticeChannel::{Push, Record, Voice, Webhook};
    match random.random_range(0..4) {
        0 => Vec::new(),
        1 => vec![Voice.into(), no_word(random)],
        2 => vec![Voice.into(), 0],
        _ => [Push, Record, Webhook].map(i32::from).to_vec(),
    }
}

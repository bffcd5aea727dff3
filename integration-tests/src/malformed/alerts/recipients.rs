//! Malformed commands about who is told of alerts.

use proto::eldercare::alerts::v1 as alerts;
use rand::{Rng as _, rngs::StdRng};

use crate::{
    homes::a_recipient,
    malformed::{Break, Maker, maker, wrong_values::*},
};

/// Nobody who could be registered.
fn break_recipient(recipient: &mut alerts::Recipient, random: &mut StdRng) {
    use alerts::RecipientRole::{EmergencyContact, FireService};
    match random.random_range(0..6) {
        0 => recipient.role = no_word(random),
        1 => recipient.role = 0,
        // The elder's file names contacts, and 119 is called by law.
        2 => recipient.role = EmergencyContact.into(),
        3 => recipient.role = FireService.into(),
        4 => recipient.division_code = no_division(random),
        _ => recipient.name = no_name(random),
    }
}

/// No ways to reach anybody.
fn no_channels(random: &mut StdRng) -> Vec<alerts::RecipientChannel> {
    use alerts::NoticeChannel::{Log, Record, Sms};
    let way = |channel, address| alerts::RecipientChannel { channel, address };
    let phone = || "13600136000".to_owned();
    let broken = match random.random_range(0..7) {
        0 => return Vec::new(),
        1 => return vec![way(Log.into(), String::new()); 6],
        2 => way(no_word(random), phone()),
        3 => way(0, phone()),
        4 => way(Record.into(), phone()),
        5 => way(Sms.into(), String::new()),
        _ => way(Sms.into(), too_long(random)),
    };
    vec![way(Log.into(), String::new()), broken]
}

pub(super) fn about_recipients() -> Vec<Maker> {
    use alerts::*;
    vec![maker(
        method!("RegisterRecipient"),
        a_recipient(RecipientRole::GridWorker, "林网格"),
        asked!(RegisterRecipientRequest:
            "no recipient" => |m, _| m.recipient = None,
            "recipient_id" => |m, r| m.recipient.as_mut().expect("there").recipient_id = wrong_uuid(r),
            "recipient" => |m, r| break_recipient(m.recipient.as_mut().expect("there"), r),
            "channels" => |m, r| m.recipient.as_mut().expect("there").channels = no_channels(r),
        ),
    )]
}

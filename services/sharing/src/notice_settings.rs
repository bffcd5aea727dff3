//! Who is told when a dossier is opened beyond all agreements, and by which channels.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `sharing.notices.channels.…` | none configured | the ways to tell somebody (`notices::settings` has the table) |
//! | `sharing.notices.broken_glass` | empty | whom to tell: a list of `division`, `channel` and `address`; without a division of all |
//!
//! Of a broken glass all are told whose division is the elder's, or lies around it. A supervisor who is to be told in two
//! ways stands there twice. Where nobody is named, or LOG alone, a service says so at its start, and `measures` count it.

use anyhow::{Context as _, ensure};
use civic::{DivisionCode, NoticeChannel};
use notices::{ChannelSettings, Channels};
use serde::{Deserialize, Serialize};
use service::Secret;

/// Section `sharing.notices`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticeSettings {
    /// The ways to tell somebody.
    pub channels: ChannelSettings,
    /// Who is told of dossiers that were opened beyond all agreements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken_glass: Vec<NoticeRecipient>,
}

/// Somebody who answers for a division, and how they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeRecipient {
    /// The division, any level; none: all that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub division: Option<DivisionCode>,
    /// How.
    pub channel: NoticeChannel,
    /// Where: a URL, a telephone number, or the id of an application's user.
    pub address: Secret,
}

impl NoticeSettings {
    /// The channels.
    ///
    /// # Errors
    /// Where they can't be made, or somebody is to be told by one that is not there.
    pub(crate) fn open(&self) -> anyhow::Result<Channels> {
        let channels = Channels::new(&self.channels).context("`sharing.notices.channels`")?;
        for recipient in &self.broken_glass {
            let channel = recipient.channel;
            // What is on record alone is told to nobody.
            ensure!(
                channels.has(channel) && channel != NoticeChannel::Record,
                "`sharing.notices.broken_glass`: nothing serves the channel {channel}"
            );
        }
        Ok(channels)
    }

    /// How many are named who are told. Of what goes to LOG nobody hears who does not look.
    pub(crate) fn receivers(&self) -> u64 {
        let receivers = self.broken_glass.iter();
        let receivers = receivers.filter(|one| one.channel != NoticeChannel::Log);
        receivers.count() as u64
    }
}

impl NoticeRecipient {
    /// Whether they answer for an elder who lives there; none where nobody knows where.
    pub(crate) fn answers_for(&self, division: Option<&DivisionCode>) -> bool {
        match (&self.division, division) {
            (None, _) => true,
            (Some(own), Some(division)) => own.contains(division),
            (Some(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(channel: NoticeChannel) -> NoticeSettings {
        NoticeSettings {
            broken_glass: vec![NoticeRecipient {
                division: Some("350524".parse().unwrap()),
                channel,
                address: Secret::new("13811178935"),
            }],
            ..NoticeSettings::default()
        }
    }

    #[test]
    fn who_reads_a_log_is_no_receiver() {
        assert_eq!(NoticeSettings::default().receivers(), 0);
        assert_eq!(by(NoticeChannel::Log).receivers(), 0);
        assert_eq!(by(NoticeChannel::Sms).receivers(), 1);
    }

    #[test]
    fn whoever_has_no_division_answers_for_all() {
        let village = "350524100001".parse().unwrap();
        let elsewhere = "350525100001".parse().unwrap();
        let of_county = &by(NoticeChannel::Sms).broken_glass[0];
        assert!(of_county.answers_for(Some(&village)));
        assert!(!of_county.answers_for(Some(&elsewhere)) && !of_county.answers_for(None));
        let read = r#"{"channel": "SMS", "address": "13811178935"}"#;
        let of_all: NoticeRecipient = serde_json::from_str(read).unwrap();
        assert!(of_all.answers_for(Some(&elsewhere)) && of_all.answers_for(None));
    }

    #[test]
    fn whoever_is_to_be_told_needs_a_channel_that_reaches_somebody() {
        assert!(NoticeSettings::default().open().is_ok());
        for channel in [NoticeChannel::Sms, NoticeChannel::Record] {
            assert!(by(channel).open().is_err(), "{channel}");
        }
        let mut in_the_log = by(NoticeChannel::Sms);
        in_the_log.channels.log = true;
        assert!(in_the_log.open().is_ok());
    }

    #[test]
    fn addresses_are_not_shown() {
        let settings = by(NoticeChannel::Sms);
        let shown = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
        assert!(!shown.contains("13811178935"), "{shown}");
        let read = r#"{"broken_glass": [{"division": "350524", "channel": "SMS", "address": "13811178935"}]}"#;
        let read: NoticeSettings = serde_json::from_str(read).unwrap();
        assert_eq!(read.broken_glass, settings.broken_glass);
    }
}

//! Events of a campaign become wire bytes and back.

use elders::codec::write_day;
use elders::terms::WireTerm as _;
use elders::wire::{self, day, division, id, term};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::visits::v1 as pb;

use super::CONTEXT;
use crate::campaign::{self, Announced, Campaign, Selection};

impl Aggregate for Campaign {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "campaign";

    fn encode(event: &campaign::Event) -> RawEvent {
        match event {
            campaign::Event::Started(announced) => RawEvent::of(&pb::CampaignStarted {
                campaign_id: announced.campaign.to_string(),
                division_code: announced.division.to_string(),
                kind: announced.kind.wire(),
                name: announced.name.clone(),
                first_day: Some(write_day(announced.first)),
                last_day: Some(write_day(announced.last)),
                selection: Some(write_selection(&announced.selection)),
            }),
            campaign::Event::Ended { campaign, last } => RawEvent::of(&pb::CampaignEnded {
                campaign_id: campaign.to_string(),
                last_day: Some(write_day(*last)),
            }),
            campaign::Event::Closed {
                campaign,
                duties,
                missed,
            } => RawEvent::of(&pb::CampaignClosed {
                campaign_id: campaign.to_string(),
                duties: duties.cast_signed(),
                missed: missed.cast_signed(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<campaign::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::CampaignStarted::full_name() {
            let message: pb::CampaignStarted = wire::message(raw)?;
            let selection = message.selection.unwrap_or_default();
            Ok(campaign::Event::Started(Box::new(Announced {
                campaign: id(&message.campaign_id, "campaign_id")?,
                division: division(&message.division_code)?,
                kind: term(message.kind, "kind")?,
                name: message.name,
                first: day(message.first_day, "first_day")?,
                last: day(message.last_day, "last_day")?,
                selection: Selection {
                    tiers: selection.tiers,
                    condition: selection.condition,
                },
            })))
        } else if name == pb::CampaignEnded::full_name() {
            let message: pb::CampaignEnded = wire::message(raw)?;
            Ok(campaign::Event::Ended {
                campaign: id(&message.campaign_id, "campaign_id")?,
                last: day(message.last_day, "last_day")?,
            })
        } else if name == pb::CampaignClosed::full_name() {
            let message: pb::CampaignClosed = wire::message(raw)?;
            Ok(campaign::Event::Closed {
                campaign: id(&message.campaign_id, "campaign_id")?,
                duties: message.duties.cast_unsigned(),
                missed: message.missed.cast_unsigned(),
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

/// Whom a campaign is for, as a protobuf message.
#[must_use]
pub fn write_selection(selection: &Selection) -> pb::CampaignSelection {
    pb::CampaignSelection {
        tiers: selection.tiers.clone(),
        condition: selection.condition.clone(),
    }
}

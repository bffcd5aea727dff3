//! Requests about campaigns.

use civic::{CampaignKind, DivisionLevel, LocalDay};
use elders::terms::WireTerm as _;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Checks, Paged, Violation};
use tier_policy::condition::Condition;
use uuid::Uuid;

use super::{LISTS, Parse, Parsed, day, page_of};
use crate::campaign::{Announced, Selection};
use crate::campaigns::{self, Cursor, campaign_of};

/// The longest name, in characters.
const LONGEST_NAME: usize = 64;
/// The most tiers that are named.
const MOST_TIERS: usize = 10;

impl Parse {
    pub(crate) fn start_campaign(
        &self,
        mut request: pb::StartCampaignRequest,
    ) -> Parsed<(Asked, Announced)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let division = checks.division("division_code", &request.division_code);
        checks.that(
            division
                .is_none_or(|division| division.level().digits() >= DivisionLevel::County.digits()),
            "division_code",
            "DIVISION_TOO_LARGE",
            "a campaign is held by a county, a town or a village",
            "专项探访由县（市、区）、乡镇（街道）或村（社区）组织",
        );
        let kind = checks.known::<pb::CampaignKind>("kind", request.kind);
        let kind = kind.and_then(|kind| CampaignKind::from_wire(kind.into()));
        let name = checks.string("name", &request.name, 1..=LONGEST_NAME);
        let first = day(&mut checks, "first_day", request.first_day);
        let last = day(&mut checks, "last_day", request.last_day);
        let selection = request.selection.unwrap_or_default();
        let selection = checks.within("selection", |checks| selected(checks, selection));
        let (asked, division, kind, name, (first, last), selection) =
            checks.all((asked, division, kind, name, first.zip(last), selection))?;
        let announced = Announced {
            campaign: campaign_of(asked.request_id),
            division,
            kind,
            name,
            first,
            last,
            selection,
        };
        Ok((asked, announced))
    }

    pub(crate) fn end_campaign(
        &self,
        mut request: pb::EndCampaignRequest,
    ) -> Parsed<(Asked, Uuid)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let campaign = checks.id("campaign_id", &request.campaign_id);
        checks.all((asked, campaign))
    }

    pub(crate) fn list_campaigns(
        &self,
        mut request: pb::ListCampaignsRequest,
    ) -> Parsed<Paged<campaigns::Filter>> {
        let mut checks = Checks::new();
        let filter = checks
            .division("division_code", &request.division_code)
            .map(|division| campaigns::Filter {
                division,
                closed_too: request.include_closed,
            });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position: Option<Option<Position>> =
            self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = service::List::new("ListCampaigns", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }
}

fn selected(checks: &mut Checks, selection: pb::CampaignSelection) -> Option<Selection> {
    checks.count("tiers", selection.tiers.len(), 0..=MOST_TIERS)?;
    if !selection.condition.is_empty()
        && let Err(fault) = Condition::compile(&selection.condition)
    {
        checks.add(Violation::new(
            "condition",
            fault.reason(),
            fault.en(),
            fault.zh(),
        ));
        return None;
    }
    Some(Selection {
        tiers: selection.tiers,
        condition: selection.condition,
    })
}

/// The bytes of a cursor.
pub(crate) fn cursor_bytes((first, campaign): Cursor) -> Vec<u8> {
    let mut bytes = first.to_string().into_bytes();
    bytes.extend(campaign.as_bytes());
    bytes
}

/// The cursor of bytes; none where they are none.
pub(crate) fn cursor_of(bytes: &[u8]) -> Option<Cursor> {
    let (first, campaign) = bytes.split_last_chunk::<16>()?;
    let first: LocalDay = str::from_utf8(first).ok()?.parse().ok()?;
    Some((first, Uuid::from_bytes(*campaign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back() {
        let cursor = ("2024-12-20".parse().unwrap(), Uuid::from_u128(7));
        assert_eq!(cursor_of(&cursor_bytes(cursor)), Some(cursor));
        assert_eq!(cursor_of(b"anything"), None);
    }
}

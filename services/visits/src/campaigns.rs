//! Campaigns as callers start, end and list them.

use std::collections::BTreeSet;

use civic::{DivisionCode, LocalDay};
use elders::codec::write_day;
use elders::terms::WireTerm as _;
use eventlog::Position;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Caller, Checks, errors, paging};
use tier_policy::policy::Policy;
use tonic::Status;
use uuid::Uuid;

use crate::campaign::{Announced, Campaign, Command};
use crate::campaign_rows::{self, Kept};
use crate::codec::write_selection;
use crate::visits::Visits;
use crate::{policies_table, refusals};

/// Which campaigns are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) closed_too: bool,
}

/// The last campaign of a page, as the next one begins after it.
pub(crate) type Cursor = (LocalDay, Uuid);

/// The id of the campaign that a request starts: the same for ever, so that a retry starts none twice.
pub(crate) fn campaign_of(request_id: Uuid) -> Uuid {
    Uuid::new_v5(&request_id, b"campaign")
}

impl Visits {
    /// Starts a campaign.
    pub(crate) async fn start_campaign(
        &self,
        caller: &Caller,
        asked: Asked,
        announced: Announced,
    ) -> Result<(Uuid, Position), Status> {
        caller.may_here(&announced.division)?;
        self.tiers_are_known(&announced).await?;
        let campaign = announced.campaign;
        let context = asked.by(caller, self.clock.now(), Some(announced.division));
        let command = Command::Start {
            announced: Box::new(announced),
            today: self.today(),
        };
        let committed = self
            .campaigns
            .execute(&campaign.to_string(), &context, &command)
            .await
            .map_err(|error| service::not_executed(error, refusals::of_campaign))?;
        Ok((campaign, committed.position))
    }

    /// A tier that no policy has would select nobody, in silence.
    async fn tiers_are_known(&self, announced: &Announced) -> Result<(), Status> {
        if announced.selection.tiers.is_empty() {
            return Ok(());
        }
        let (policies, _) = policies_table::all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let of_policies = policies
            .iter()
            .flat_map(|published| &published.policy.tiers)
            .map(|tier| tier.name.as_str());
        let national = Policy::national();
        let known: BTreeSet<&str> = national
            .tiers
            .iter()
            .map(|tier| tier.name.as_str())
            .chain(of_policies)
            .collect();
        let mut checks = Checks::new();
        for (place, tier) in announced.selection.tiers.iter().enumerate() {
            checks.that(
                known.contains(tier.as_str()),
                &format!("selection.tiers[{place}]"),
                "TIER_UNKNOWN",
                "is no tier of any policy",
                "不是任何分级政策中的等级",
            );
        }
        checks.all(Some(()))
    }

    /// Ends a campaign today, or calls it off.
    pub(crate) async fn end_campaign(
        &self,
        caller: &Caller,
        asked: Asked,
        campaign: Uuid,
    ) -> Result<(LocalDay, Position), Status> {
        let id = campaign.to_string();
        let loaded = self.campaigns.load_newest(&id).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let Campaign::Started(started) = &loaded.state else {
            return Err(refusals::no_campaign(campaign));
        };
        caller.knows(&started.division, || refusals::no_campaign(campaign))?;
        let context = asked.by(caller, self.clock.now(), Some(started.division));
        let command = Command::End {
            campaign,
            today: self.today(),
        };
        let committed = self
            .campaigns
            .execute(&id, &context, &command)
            .await
            .map_err(|error| service::not_executed(error, refusals::of_campaign))?;
        match &committed.state.state {
            Campaign::Started(started) => Ok((started.last, committed.position)),
            Campaign::Unknown => Err(refusals::no_campaign(campaign)),
        }
    }

    /// A page of campaigns, and the cursor of the next page.
    pub(crate) async fn list_campaigns(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<(Vec<pb::Campaign>, Option<Cursor>), Status> {
        caller.may_here(&filter.division)?;
        let most = i64::from(size) + 1;
        let page =
            campaign_rows::page(&self.pool, &filter.division, filter.closed_too, after, most);
        let mut page = page.await.map_err(errors::of_database)?;
        let next = paging::cut(&mut page, size)
            .map(|last| (last.announced.first, last.announced.campaign));
        Ok((page.into_iter().map(told).collect(), next))
    }
}

fn told(kept: Kept) -> pb::Campaign {
    let announced = kept.announced;
    pb::Campaign {
        campaign_id: announced.campaign.to_string(),
        division_code: announced.division.to_string(),
        kind: announced.kind.wire(),
        first_day: Some(write_day(announced.first)),
        last_day: Some(write_day(announced.last)),
        selection: Some(write_selection(&announced.selection)),
        name: announced.name,
        closed: kept.closed,
        duties: kept.duties,
        missed: kept.missed,
    }
}

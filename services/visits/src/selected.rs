//! Whom a campaign selects.

use civic::{DivisionCode, ElderId, LocalDay, VillageCode};
use elders::FactsOnDay;
use sqlx::PgConnection;
use tier_policy::condition::{Condition, ConditionFault};
use tier_policy::facts_key::FactsKey;
use uuid::Uuid;

use crate::campaign::Announced;
use crate::facts_table;

/// How many elders' facts are read in one query.
const AT_ONCE: usize = 2_000;

/// A campaign's selection, ready to be asked.
#[derive(Debug)]
pub(crate) struct Selecting<'a> {
    announced: &'a Announced,
    condition: Option<Condition>,
}

impl<'a> Selecting<'a> {
    /// Of a campaign.
    ///
    /// # Errors
    /// Where its condition is none.
    pub(crate) fn of(announced: &'a Announced) -> Result<Self, ConditionFault> {
        let condition = announced.selection.condition.as_str();
        Ok(Self {
            announced,
            condition: match condition {
                "" => None,
                condition => Some(Condition::compile(condition)?),
            },
        })
    }

    /// Whether it selects somebody in scope who lives in this village and has this tier.
    pub(crate) fn selects(&self, village: &VillageCode, tier: &str, facts: &FactsOnDay) -> bool {
        let tiers = &self.announced.selection.tiers;
        self.announced.division.contains(&village.division())
            && (tiers.is_empty() || tiers.iter().any(|one| one == tier))
            && self.applies(facts)
    }

    /// A condition whose arithmetic fails for somebody selects nobody by that.
    fn applies(&self, facts: &FactsOnDay) -> bool {
        self.condition.as_ref().is_none_or(|condition| {
            FactsKey::of(facts).is_some_and(|key| condition.holds(key).unwrap_or(false))
        })
    }

    /// Everybody whom it selects in a division by all that is recorded, as of a day, in the order of ids.
    pub(crate) async fn everybody(
        &self,
        db: &mut PgConnection,
        division: &DivisionCode,
        on: LocalDay,
    ) -> Result<Vec<ElderId>, sqlx::Error> {
        let campaign = self.announced;
        let within = if division.contains(&campaign.division) {
            &campaign.division
        } else if campaign.division.contains(division) {
            division
        } else {
            return Ok(Vec::new());
        };
        if campaign.last < campaign.first {
            return Ok(Vec::new());
        }
        let elders: Vec<Uuid> = sqlx::query_scalar(
            "SELECT elder_id FROM visits_kept.span WHERE village >= $1 AND village < $2 AND from_day <= $3 \
             AND until_day > $3 AND (cardinality($4::text[]) = 0 OR tier = ANY($4)) ORDER BY elder_id",
        )
        .bind(within.as_str())
        .bind(within.beyond())
        .bind(on.date())
        .bind(&campaign.selection.tiers)
        .fetch_all(&mut *db)
        .await?;
        let elders: Vec<ElderId> = elders.into_iter().map(ElderId).collect();
        if self.condition.is_none() {
            return Ok(elders);
        }
        let mut selected = Vec::new();
        for some in elders.chunks(AT_ONCE) {
            let kept = facts_table::TABLE.of(&mut *db, some).await?;
            selected.extend(some.iter().filter(|elder| {
                let facts = kept.get(elder).and_then(|kept| kept.facts.as_ref());
                facts.is_some_and(|facts| self.applies(&facts.on(on)))
            }));
        }
        Ok(selected)
    }
}

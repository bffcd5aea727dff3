//! The read models that an operator has built anew or compared with the log: which there are, and what each is made from.

use std::sync::Arc;

use alerts::{
    board_table::BoardTable,
    elders_tables::{CARDS, FACTS},
};
use anyhow::Context as _;
use eventlog::EventLog;
use readmodel::{Error, Projection};
use sqlx::PgPool;
use tiering::{facts_table::FactsTable, tiers_table::TiersTable};
use visits::{book_table::BookTable, policies_table::PoliciesTable};

use crate::system::Services;

/// A read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadModel {
    /// Elders' files, of the registry.
    RegistryElders,
    /// Elders' facts, as tiering judges them.
    TieringFacts,
    /// Elders' tiers, and the policies.
    TieringTiers,
    /// Elders' facts, as visits are owed by them.
    VisitsElders,
    /// Elders' names and contacts, and the names of divisions, for worklists and forms.
    VisitsCards,
    /// The policies, as visits are owed by them.
    VisitsPolicies,
    /// Visitors, records, misses, referrals and campaigns.
    VisitsBook,
    /// Where elders live, as alerts need it.
    AlertsElders,
    /// Elders' names and contacts, and the names of divisions, for notices.
    AlertsCards,
    /// Devices, absences, alerts, rules and recipients.
    AlertsBoard,
    /// Elders' facts, as enrolments and orders are judged by them.
    ClaimsElders,
    /// Programmes, enrolments, providers, orders, settlements and funds.
    ClaimsBook,
    /// Elders' facts, and where they live by their days.
    SharingElders,
    /// Elders' names and contacts, for dossiers.
    SharingCards,
    /// Elders' tiers by their days.
    SharingTiers,
    /// Visits, and which were missed.
    SharingVisits,
    /// Alerts and how they went.
    SharingAlerts,
    /// Orders, enrolments and funds.
    SharingClaims,
    /// Agreements, and who looked at what.
    SharingBook,
}

/// What is done with a read model.
pub(crate) trait Task {
    /// What comes of it.
    type Done;

    /// Does it, with the database, the log and the fold of the read model.
    async fn on<P: Projection>(
        self,
        pool: &PgPool,
        log: Arc<dyn EventLog>,
        fold: P,
    ) -> Result<Self::Done, Error>;
}

impl ReadModel {
    const ALL: [Self; 19] = [
        Self::RegistryElders,
        Self::TieringFacts,
        Self::TieringTiers,
        Self::VisitsElders,
        Self::VisitsCards,
        Self::VisitsPolicies,
        Self::VisitsBook,
        Self::AlertsElders,
        Self::AlertsCards,
        Self::AlertsBoard,
        Self::ClaimsElders,
        Self::ClaimsBook,
        Self::SharingElders,
        Self::SharingCards,
        Self::SharingTiers,
        Self::SharingVisits,
        Self::SharingAlerts,
        Self::SharingClaims,
        Self::SharingBook,
    ];

    /// Its name, as `status` shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RegistryElders => registry::registry_elders::NAME,
            Self::TieringFacts => tiering::facts_table::NAME,
            Self::TieringTiers => tiering::tiers_table::NAME,
            Self::VisitsElders => visits::facts_table::NAME,
            Self::VisitsCards => visits::cards_table::NAME,
            Self::VisitsPolicies => visits::policies_table::NAME,
            Self::VisitsBook => visits::book_table::NAME,
            Self::AlertsElders => FACTS.name(),
            Self::AlertsCards => CARDS.name(),
            Self::AlertsBoard => alerts::board_table::NAME,
            Self::ClaimsElders => claims::facts_table::NAME,
            Self::ClaimsBook => claims::book_table::NAME,
            Self::SharingElders => sharing::elders_table::NAME,
            Self::SharingCards => sharing::cards_table::TABLE.name(),
            Self::SharingTiers => sharing::tiers_table::NAME,
            Self::SharingVisits => sharing::visits_table::NAME,
            Self::SharingAlerts => sharing::alerts_table::NAME,
            Self::SharingClaims => sharing::claims_table::NAME,
            Self::SharingBook => sharing::book_table::NAME,
        }
    }

    /// The read models of these names; all where none is named.
    ///
    /// # Errors
    /// A name that none has.
    pub(crate) fn chosen(names: &[String]) -> anyhow::Result<Vec<Self>> {
        if names.is_empty() {
            return Ok(Self::ALL.to_vec());
        }
        let find = |name: &String| {
            let known = Self::ALL.into_iter().find(|known| known.name() == name);
            known.with_context(|| {
                format!(
                    "there is no read model `{name}`; there are: {}",
                    Self::ALL.map(Self::name).join(", ")
                )
            })
        };
        names.iter().map(find).collect()
    }

    /// Does something with it.
    ///
    /// # Errors
    /// The task's.
    pub(crate) async fn with<T: Task>(
        self,
        services: &Services,
        task: T,
    ) -> Result<T::Done, Error> {
        let Services {
            registry,
            tiering,
            visits,
            alerts,
            claims,
            sharing,
        } = services;
        match self {
            Self::RegistryElders => {
                let fold = registry.projection();
                task.on(&registry.pool(), registry.log(), fold).await
            }
            Self::TieringFacts => {
                let facts = tiering.registry_log();
                task.on(&tiering.pool(), facts, FactsTable).await
            }
            Self::TieringTiers => task.on(&tiering.pool(), tiering.log(), TiersTable).await,
            Self::VisitsElders => {
                let (facts, fold) = (visits.registry_log(), visits::facts_table::TABLE);
                task.on(&visits.pool(), facts, fold).await
            }
            Self::VisitsCards => {
                let (facts, fold) = (visits.registry_log(), visits::cards_table::TABLE);
                task.on(&visits.pool(), facts, fold).await
            }
            Self::VisitsPolicies => {
                let policies = visits.tiering_log();
                task.on(&visits.pool(), policies, PoliciesTable).await
            }
            Self::VisitsBook => task.on(&visits.pool(), visits.log(), BookTable).await,
            Self::AlertsElders => task.on(&alerts.pool(), alerts.registry_log(), FACTS).await,
            Self::AlertsCards => task.on(&alerts.pool(), alerts.registry_log(), CARDS).await,
            Self::AlertsBoard => task.on(&alerts.pool(), alerts.log(), BoardTable).await,
            Self::ClaimsElders => {
                let (facts, fold) = (claims.registry_log(), claims::facts_table::TABLE);
                task.on(&claims.pool(), facts, fold).await
            }
            Self::ClaimsBook => {
                let fold = claims::book_table::BookTable;
                task.on(&claims.pool(), claims.log(), fold).await
            }
            Self::SharingElders => {
                let log = sharing.log_of_registry();
                task.on(&sharing.pool(), log, sharing::elders_table::EldersTable)
                    .await
            }
            Self::SharingCards => {
                let log = sharing.log_of_registry();
                task.on(&sharing.pool(), log, sharing::cards_table::TABLE)
                    .await
            }
            Self::SharingTiers => {
                let log = sharing.log_of_tiering();
                task.on(&sharing.pool(), log, sharing::tiers_table::TiersTable)
                    .await
            }
            Self::SharingVisits => {
                let log = sharing.log_of_visits();
                task.on(&sharing.pool(), log, sharing::visits_table::VisitsTable)
                    .await
            }
            Self::SharingAlerts => {
                let log = sharing.log_of_alerts();
                task.on(&sharing.pool(), log, sharing::alerts_table::AlertsTable)
                    .await
            }
            Self::SharingClaims => {
                let log = sharing.log_of_claims();
                task.on(&sharing.pool(), log, sharing::claims_table::ClaimsTable)
                    .await
            }
            Self::SharingBook => {
                let log = sharing.log();
                task.on(&sharing.pool(), log, sharing::book_table::BookTable)
                    .await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_own_name() {
        let names = ReadModel::ALL.map(|one| one.name().to_owned());
        assert_eq!(ReadModel::chosen(&names).unwrap(), ReadModel::ALL);
        assert_eq!(ReadModel::chosen(&[]).unwrap(), ReadModel::ALL);
        let refused = ReadModel::chosen(&["visits".to_owned()]).unwrap_err();
        assert!(refused.to_string().contains("visits_book"), "{refused}");
    }
}

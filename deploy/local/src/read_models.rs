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

use crate::{place::Place, stores::Stores};

/// Names all of them.
const ALL: &str = "all";

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

    /// The read models of these names; all where none is named, or `all` is.
    ///
    /// # Errors
    /// A name that none has.
    pub(crate) fn chosen(names: &[String]) -> anyhow::Result<Vec<Self>> {
        if names.is_empty() || names == [ALL] {
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

    /// The service in whose database it lies, and the one whose log it folds.
    pub(crate) fn lies(self) -> (&'static str, &'static str) {
        match self {
            Self::RegistryElders => ("registry", "registry"),
            Self::TieringFacts => ("tiering", "registry"),
            Self::TieringTiers => ("tiering", "tiering"),
            Self::VisitsElders | Self::VisitsCards => ("visits", "registry"),
            Self::VisitsPolicies => ("visits", "tiering"),
            Self::VisitsBook => ("visits", "visits"),
            Self::AlertsElders | Self::AlertsCards => ("alerts", "registry"),
            Self::AlertsBoard => ("alerts", "alerts"),
            Self::ClaimsElders => ("claims", "registry"),
            Self::ClaimsBook => ("claims", "claims"),
            Self::SharingElders | Self::SharingCards => ("sharing", "registry"),
            Self::SharingTiers => ("sharing", "tiering"),
            Self::SharingVisits => ("sharing", "visits"),
            Self::SharingAlerts => ("sharing", "alerts"),
            Self::SharingClaims => ("sharing", "claims"),
            Self::SharingBook => ("sharing", "sharing"),
        }
    }

    /// The logs and databases that some of them need.
    ///
    /// # Errors
    /// Settings that are missing or wrong, or servers that don't answer.
    pub(crate) async fn stores(place: &Place, some: &[Self]) -> anyhow::Result<Stores> {
        let services = some.iter().map(|one| one.lies().0).collect();
        let with_keys = some.contains(&Self::RegistryElders);
        place.stores(&services, with_keys).await
    }

    /// Does something with it.
    ///
    /// # Errors
    /// The task's, or a log or a database that is not there.
    pub(crate) async fn with<T: Task>(self, stores: &Stores, task: T) -> anyhow::Result<T::Done> {
        let (service, owner) = self.lies();
        let (pool, log) = (stores.pool(service)?, stores.log(service, owner).await?);
        let done = match self {
            Self::RegistryElders => task.on(&pool, log, stores.elders()?).await,
            Self::TieringFacts => task.on(&pool, log, FactsTable).await,
            Self::TieringTiers => task.on(&pool, log, TiersTable).await,
            Self::VisitsElders => task.on(&pool, log, visits::facts_table::TABLE).await,
            Self::VisitsCards => task.on(&pool, log, visits::cards_table::TABLE).await,
            Self::VisitsPolicies => task.on(&pool, log, PoliciesTable).await,
            Self::VisitsBook => task.on(&pool, log, BookTable).await,
            Self::AlertsElders => task.on(&pool, log, FACTS).await,
            Self::AlertsCards => task.on(&pool, log, CARDS).await,
            Self::AlertsBoard => task.on(&pool, log, BoardTable).await,
            Self::ClaimsElders => task.on(&pool, log, claims::facts_table::TABLE).await,
            Self::ClaimsBook => task.on(&pool, log, claims::book_table::BookTable).await,
            Self::SharingElders => {
                task.on(&pool, log, sharing::elders_table::EldersTable)
                    .await
            }
            Self::SharingCards => task.on(&pool, log, sharing::cards_table::TABLE).await,
            Self::SharingTiers => task.on(&pool, log, sharing::tiers_table::TiersTable).await,
            Self::SharingVisits => {
                task.on(&pool, log, sharing::visits_table::VisitsTable)
                    .await
            }
            Self::SharingAlerts => {
                task.on(&pool, log, sharing::alerts_table::AlertsTable)
                    .await
            }
            Self::SharingClaims => {
                task.on(&pool, log, sharing::claims_table::ClaimsTable)
                    .await
            }
            Self::SharingBook => task.on(&pool, log, sharing::book_table::BookTable).await,
        };
        Ok(done?)
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
        assert_eq!(
            ReadModel::chosen(&[ALL.to_owned()]).unwrap(),
            ReadModel::ALL
        );
        for one in ReadModel::ALL {
            let (service, _) = one.lies();
            assert!(one.name().starts_with(service), "{one:?}");
        }
        let refused = ReadModel::chosen(&["visits".to_owned()]).unwrap_err();
        assert!(refused.to_string().contains("visits_book"), "{refused}");
    }
}

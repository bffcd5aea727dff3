//! Whether every read model is as its log says.

use std::{collections::BTreeSet, fmt};

use alerts::{
    board_table::BoardTable,
    elders_tables::{CARDS, FACTS},
};
use readmodel::Differences;
use sharing::{
    alerts_table::AlertsTable, claims_table::ClaimsTable, elders_table::EldersTable,
    visits_table::VisitsTable,
};
use sqlx::PgPool;
use tiering::{facts_table::FactsTable, tiers_table::TiersTable};
use visits::{book_table::BookTable, policies_table::PoliciesTable};

use crate::{System, process::Part};

impl System {
    /// Rebuilds each read model aside and compares: none may differ from the log, and none may be left out.
    pub async fn verify(&self) {
        let registry = self.registry_parts().await;
        let (pool, log, files) = (registry.pool(), registry.log(), registry.projection());
        let found = [readmodel::verify(&pool, log, files, |_| {}).await];
        all_are_as_the_log_says(&pool, found).await;
        let tiering = self.tiering_parts().await;
        let (pool, facts, tiers) = (tiering.pool(), tiering.registry_log(), tiering.log());
        let found = [
            readmodel::verify(&pool, facts, FactsTable, |_| {}).await,
            readmodel::verify(&pool, tiers, TiersTable, |_| {}).await,
        ];
        all_are_as_the_log_says(&pool, found).await;
        if self.has(Part::Visits) {
            self.verify_visits().await;
        }
        if self.has(Part::Alerts) {
            self.verify_alerts().await;
        }
        if self.has(Part::Claims) {
            self.verify_claims().await;
        }
        if self.has(Part::Sharing) {
            self.verify_sharing().await;
        }
    }

    async fn verify_visits(&self) {
        let visits = self.visits_parts().await;
        let pool = visits.pool();
        let (facts, cards) = (visits::facts_table::TABLE, visits::cards_table::TABLE);
        let (of_registry, of_tiering) = (visits.registry_log(), visits.tiering_log());
        let found = [
            readmodel::verify(&pool, of_registry.clone(), facts, |_| {}).await,
            readmodel::verify(&pool, of_registry, cards, |_| {}).await,
            readmodel::verify(&pool, of_tiering, PoliciesTable, |_| {}).await,
            readmodel::verify(&pool, visits.log(), BookTable, |_| {}).await,
        ];
        all_are_as_the_log_says(&pool, found).await;
    }

    async fn verify_alerts(&self) {
        let alerts = self.alerts_parts().await;
        let (pool, of_registry) = (alerts.pool(), alerts.registry_log());
        let found = [
            readmodel::verify(&pool, of_registry.clone(), FACTS, |_| {}).await,
            readmodel::verify(&pool, of_registry, CARDS, |_| {}).await,
            readmodel::verify(&pool, alerts.log(), BoardTable, |_| {}).await,
        ];
        all_are_as_the_log_says(&pool, found).await;
    }

    async fn verify_claims(&self) {
        let claims = self.claims_parts().await;
        let (pool, facts) = (claims.pool(), claims::facts_table::TABLE);
        let found = [
            readmodel::verify(&pool, claims.registry_log(), facts, |_| {}).await,
            readmodel::verify(&pool, claims.log(), claims::book_table::BookTable, |_| {}).await,
        ];
        all_are_as_the_log_says(&pool, found).await;
    }

    async fn verify_sharing(&self) {
        let sharing = self.sharing_parts().await;
        let (pool, of_registry) = (sharing.pool(), sharing.log_of_registry());
        let (of_tiering, of_visits) = (sharing.log_of_tiering(), sharing.log_of_visits());
        let (of_alerts, of_claims) = (sharing.log_of_alerts(), sharing.log_of_claims());
        let cards = sharing::cards_table::TABLE;
        let found = [
            readmodel::verify(&pool, of_registry.clone(), EldersTable, |_| {}).await,
            readmodel::verify(&pool, of_registry, cards, |_| {}).await,
            readmodel::verify(&pool, of_tiering, sharing::tiers_table::TiersTable, |_| {}).await,
            readmodel::verify(&pool, of_visits, VisitsTable, |_| {}).await,
            readmodel::verify(&pool, of_alerts, AlertsTable, |_| {}).await,
            readmodel::verify(&pool, of_claims, ClaimsTable, |_| {}).await,
            readmodel::verify(&pool, sharing.log(), sharing::book_table::BookTable, |_| {}).await,
        ];
        all_are_as_the_log_says(&pool, found).await;
    }
}

/// No read model of a database differs from the log, and each that the service keeps there was compared.
async fn all_are_as_the_log_says<E: fmt::Debug, const N: usize>(
    pool: &PgPool,
    found: [Result<Differences, E>; N],
) {
    let (mut compared, mut furthest) = (BTreeSet::new(), 0);
    for differences in found {
        let differences = differences.unwrap();
        furthest = furthest.max(differences.position.sequence);
        assert!(
            differences.is_empty(),
            "a read model differs from the log: {differences:?}"
        );
        compared.insert(differences.projection);
    }
    // A log may be empty, but not all that a service reads.
    assert_ne!(furthest, 0, "nothing was compared");
    // Reactors have a checkpoint too, and no tables.
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT projection FROM readmodel.checkpoint JOIN pg_tables ON schemaname = projection",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(
        compared,
        kept.into_iter().collect(),
        "the read models that were compared, and those that are kept"
    );
}

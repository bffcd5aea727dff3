//! Who may be found: elders with active files, by what the read models of all services say of them.

use civic::{DivisionCode, ElderId, HelpStage, LocalDay};
use elder_tables::columns::place;
use elders::Facts;
use sqlx::{PgExecutor, Postgres, QueryBuilder};

use super::FindAsked;
use super::reach::Places;
use crate::{alerts_table, claims_table, elders_table, tiers_table, visits_table};

/// For how many days after its period a missed visit matters.
const MISSED_DAYS: i64 = 31;

/// The elders after one in the order of their ids, at most so many, of whom all holds that is asked, except categories:
/// these stand in the facts, day by day.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(super) async fn candidates(
    db: impl PgExecutor<'_>,
    places: &Places,
    asked: &FindAsked,
    after: Option<ElderId>,
    most: i64,
    today: LocalDay,
) -> Result<Vec<(ElderId, Facts)>, sqlx::Error> {
    let elders = elders_table::NAME;
    let mut query = QueryBuilder::<Postgres>::new("SELECT h.elder_id, e.facts FROM ");
    match places {
        Places::Everywhere => {
            query.push(format!("{elders}.home h"));
        }
        Places::Within(divisions) => {
            // These are disjoint, so that nobody is found twice.
            let low: Vec<String> = divisions.iter().map(DivisionCode::to_string).collect();
            let high: Vec<String> = divisions.iter().map(DivisionCode::beyond).collect();
            query
                .push("unnest(")
                .push_bind(low)
                .push("::text[], ")
                .push_bind(high)
                .push(format!(
                    "::text[]) AS place (low, high) \
                     JOIN {elders}.home h ON h.village >= place.low AND h.village < place.high"
                ));
        }
    }
    query
        .push(format!(
            " JOIN {elders}.elder e ON e.elder_id = h.elder_id WHERE h.from_day <= "
        ))
        .push_bind(today.date())
        .push(" AND (h.to_day IS NULL OR h.to_day > ")
        .push_bind(today.date())
        .push(")");
    if let Some(after) = after {
        query.push(" AND h.elder_id > ").push_bind(after.as_uuid());
    }
    if !asked.tiers.is_empty() {
        let tiers: Vec<String> = asked.tiers.iter().cloned().collect();
        query
            .push(format!(
                " AND EXISTS (SELECT FROM {}.spell s WHERE s.elder_id = h.elder_id AND s.tier = ANY(",
                tiers_table::NAME
            ))
            .push_bind(tiers)
            .push(") AND s.from_day <= ")
            .push_bind(today.date())
            .push(" AND (s.to_day IS NULL OR s.to_day > ")
            .push_bind(today.date())
            .push("))");
    }
    if let Some(since) = asked.not_visited_since {
        query
            .push(format!(
                " AND NOT EXISTS (SELECT FROM {}.record r WHERE r.elder_id = h.elder_id AND r.counted AND r.day >= ",
                visits_table::NAME
            ))
            .push_bind(since.date())
            .push(")");
    }
    if asked.open_alert {
        // The state stands there as a number, as in the index of open alerts.
        query.push(format!(
            " AND EXISTS (SELECT FROM {}.alert a WHERE a.elder_id = h.elder_id AND a.state <> {})",
            alerts_table::NAME,
            place(HelpStage::Resolved)
        ));
    }
    if asked.missed_visit {
        query
            .push(format!(
                " AND EXISTS (SELECT FROM {}.missed m WHERE m.elder_id = h.elder_id AND NOT m.met_late \
                 AND m.last_day >= ",
                visits_table::NAME
            ))
            .push_bind(today.plus_days(-MISSED_DAYS).date())
            .push(" AND m.last_day < ")
            .push_bind(today.date())
            .push(")");
    }
    if let Some(programme) = &asked.programme {
        query
            .push(format!(
                " AND EXISTS (SELECT FROM {}.enrolment n WHERE n.elder_id = h.elder_id AND n.programme = ",
                claims_table::NAME
            ))
            .push_bind(programme.clone())
            .push(" AND n.first_day <= ")
            .push_bind(today.date())
            .push(" AND n.last_day >= ")
            .push_bind(today.date())
            .push(")");
    }
    query.push(" ORDER BY h.elder_id LIMIT ").push_bind(most);
    // Planned each time: a village is gone through otherwise than a province.
    let rows = query.build().persistent(false).fetch_all(db).await?;
    let elders = rows.iter().map(elders_table::read_facts);
    let known = elders.filter_map(|read| {
        let known = read.map(|(elder, facts)| Some((elder, facts?)));
        known.transpose()
    });
    known.collect()
}

//! What the system says, in the form in which a data set expects it.

use std::collections::{BTreeMap, HashMap};

use civic::LocalDay;
use proto::eldercare::{
    registry::v1::{
        self as pb, Elder, GetStatisticsRequest, GetStatisticsResponse, ListDivisionsRequest,
    },
    tiering::v1::{CountTiersRequest, Interval, ListTiersRequest, Tier, TierCount},
    r#type::v1 as types,
};
use serde_json::{Map, Value, json};

use super::elders::{self, Directory};
use crate::{
    client::{Client, call},
    load::Imported,
    wire,
    words::{name_of, names_of},
};

/// Tiers on one page.
const PAGE: i32 = 5_000;

/// The survey as `expected/survey.json` has it.
pub fn survey(imported: &[Imported]) -> Value {
    let as_of = imported
        .iter()
        .find_map(|one| one.summary.as_of.and_then(wire::from_date));
    let files: Map<String, Value> = imported
        .iter()
        .map(|one| {
            let rows: Vec<Value> = one.rows.iter().map(row).collect();
            (
                one.file.clone(),
                json!({"counts": counts(&one.rows), "rows": rows}),
            )
        })
        .collect();
    let rows: Vec<pb::RowOutcome> = imported
        .iter()
        .flat_map(|one| one.rows.iter().cloned())
        .collect();
    json!({"as_of": as_of.map(|day| day.to_string()), "counts": counts(&rows), "files": files})
}

fn row(row: &pb::RowOutcome) -> Value {
    json!({
        "row": row.row,
        "outcome": name_of::<pb::SurveyOutcome>(row.outcome),
        "reason": name_of::<pb::SurveyRejection>(row.rejection),
        "warnings": names_of::<pb::SurveyWarning>(&row.warnings),
    })
}

/// Rows by outcome, reason and warning.
pub fn counts(rows: &[pb::RowOutcome]) -> Value {
    let (mut outcomes, mut reasons, mut warnings) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for row in rows {
        *outcomes
            .entry(name_of::<pb::SurveyOutcome>(row.outcome).unwrap_or("?"))
            .or_insert(0_u64) += 1;
        if let Some(reason) = name_of::<pb::SurveyRejection>(row.rejection) {
            *reasons.entry(reason).or_insert(0_u64) += 1;
        }
        for warning in names_of::<pb::SurveyWarning>(&row.warnings) {
            *warnings.entry(warning).or_insert(0_u64) += 1;
        }
    }
    let mut counts = Map::from_iter([("rows".to_owned(), json!(rows.len()))]);
    counts.extend(
        outcomes
            .into_iter()
            .map(|(outcome, rows)| (outcome.to_owned(), json!(rows))),
    );
    counts.insert("reasons".to_owned(), json!(reasons));
    counts.insert("warnings".to_owned(), json!(warnings));
    counts.into()
}

/// The names of a county's divisions by their codes.
///
/// # Errors
/// The call's.
pub async fn division_names(
    client: &Client,
    county: &str,
    min_position: &str,
) -> anyhow::Result<HashMap<String, String>> {
    let request = ListDivisionsRequest {
        division_code: county.to_owned(),
        min_position: min_position.to_owned(),
        ..ListDivisionsRequest::default()
    };
    let answer = call(request, async |request| {
        client.registry().list_divisions(request).await
    })
    .await?;
    Ok(answer
        .divisions
        .into_iter()
        .map(|division| (division.code, division.name))
        .collect())
}

/// The counts of a division, as the registry has them.
///
/// # Errors
/// The call's.
pub async fn statistics(
    client: &Client,
    division: &str,
    min_position: &str,
) -> anyhow::Result<GetStatisticsResponse> {
    let request = GetStatisticsRequest {
        division_code: division.to_owned(),
        min_position: min_position.to_owned(),
    };
    call(request, async |request| {
        client.registry().get_statistics(request).await
    })
    .await
}

fn by_value(counts: &[pb::Count]) -> Map<String, Value> {
    counts
        .iter()
        .map(|count| (count.value.clone(), json!(count.elders)))
        .collect()
}

/// The elders by status.
pub fn statuses(statistics: &GetStatisticsResponse) -> Value {
    by_value(&statistics.by_status).into()
}

/// The registry as `expected/registry.json` has it.
///
/// # Errors
/// Where a file lacks what every file has.
pub fn registry(
    statistics: &GetStatisticsResponse,
    elders: &[Elder],
    names: &HashMap<String, String>,
) -> anyhow::Result<Value> {
    let mut surveyed = Map::new();
    for elder in elders.iter().filter(|elder| elder.source == "SURVEY") {
        surveyed.insert(elder.id_number.clone(), elders::facts(elder)?);
    }
    let town = |count: &pb::Count| {
        (
            count.value.clone(),
            json!({"name": names.get(&count.value), "elders": count.elders}),
        )
    };
    // The data set writes "None" where the registry says NONE.
    let mut grades = by_value(&statistics.by_handicap_grade);
    if let Some(without) = grades.remove("NONE") {
        grades.insert("None".to_owned(), without);
    }
    Ok(json!({
        "total": statistics.elders,
        "by_source": by_value(&statistics.by_source),
        "by_sex": by_value(&statistics.by_sex),
        "with_a_category": elders.iter().filter(|elder| !elder.categories.is_empty()).count(),
        "by_category": by_value(&statistics.by_category),
        "by_assistance": by_value(&statistics.by_assistance),
        "by_capability": by_value(&statistics.by_capability),
        "by_grade": grades,
        "by_consent": by_value(&statistics.by_consent),
        "by_town": statistics.by_division.iter().map(town).collect::<Map<_, _>>(),
        "survey_elders": surveyed,
    }))
}

/// The tiers of a day as `expected/tiers-<date>.json` has them.
///
/// # Errors
/// The calls', or a tier of an elder whom the registry doesn't list.
pub(super) async fn tiers(
    client: &Client,
    county: &str,
    day: LocalDay,
    directory: &Directory,
    names: &HashMap<String, String>,
    min_position: &str,
) -> anyhow::Result<Value> {
    let request = CountTiersRequest {
        division_code: county.to_owned(),
        min_position: min_position.to_owned(),
    };
    let counts = call(request, async |request| {
        client.tiering().count_tiers(request).await
    })
    .await?;
    let of_tiers = |in_scope: i64, tiers: &[TierCount]| {
        let mut counts = Map::from_iter([("in_scope".to_owned(), json!(in_scope))]);
        counts.extend(
            tiers
                .iter()
                .map(|count| (count.tier.clone(), json!(count.elders))),
        );
        counts
    };
    let mut towns = Map::new();
    for town in &counts.divisions {
        let mut counts = of_tiers(town.in_scope, &town.tiers);
        counts.insert("name".to_owned(), json!(names.get(&town.division_code)));
        towns.insert(town.division_code.clone(), counts.into());
    }
    let mut elders = Map::new();
    for tier in list(client, county, min_position).await? {
        // Whom the registry doesn't list shows as a difference, under the file's id.
        let key = directory
            .id_number(&tier.elder_id)
            .unwrap_or(&tier.elder_id)
            .to_owned();
        let assignment = tier.assignment.unwrap_or_default();
        elders.insert(
            key,
            json!({
                "tier": assignment.tier,
                "reasons": assignment.reasons,
                "interval": name_of::<Interval>(assignment.interval),
                "modes": names_of::<types::VisitMode>(&assignment.modes),
            }),
        );
    }
    let reasons: Map<_, _> = counts
        .reasons
        .iter()
        .map(|count| (count.reason.clone(), json!(count.elders)))
        .collect();
    Ok(json!({
        "date": day.to_string(),
        "county": of_tiers(counts.in_scope, &counts.tiers),
        "reasons": reasons,
        "towns": towns,
        "elders": elders,
    }))
}

async fn list(client: &Client, county: &str, min_position: &str) -> anyhow::Result<Vec<Tier>> {
    let mut request = ListTiersRequest {
        division_code: county.to_owned(),
        page_size: PAGE,
        min_position: min_position.to_owned(),
        ..Default::default()
    };
    let mut tiers = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.tiering().list_tiers(request).await
        })
        .await?;
        tiers.extend(page.tiers);
        if page.next_page_token.is_empty() {
            return Ok(tiers);
        }
        request.page_token = page.next_page_token;
    }
}

//! What the system says of visits, in the form in which a data set expects it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use civic::{CalendarMonth, LocalDay};
use proto::eldercare::{
    r#type::v1::DivisionLevel,
    visits::v1::{
        Coverage, CoverageElders, DutyFilter, GetCoverageRequest, GetCoverageResponse,
        ListDutiesRequest, ListDutiesResponse,
    },
};
use serde_json::{Map, Value, json};
use tier_policy::policy::Interval;
use visits::period::Period;

use super::{elders::Directory, play_visits::Diary};
use crate::{
    client::{Client, call},
    county::County,
    wire,
};

/// Elders on one page.
const PAGE: i32 = 5_000;

/// The visits as `expected/visits.json` has them.
///
/// # Errors
/// The calls'.
pub(super) async fn visits(
    client: &Client,
    county: &County,
    diary: &Diary,
    directory: &Directory,
) -> anyhow::Result<Value> {
    let set = &county.set;
    let month = set
        .visits_month
        .context("the set names no month of visits")?;
    let coverage = coverage(client, &set.county, month, directory, &diary.last).await?;
    let mut missed = Map::new();
    if let (Some(start), Some(until)) = (set.visits_start_on, set.visits_evaluated_at) {
        for period in periods(start, LocalDay::of(until)) {
            let duties = duties(client, &set.county, period, directory, &diary.last).await?;
            missed.insert(period.to_string(), duties);
        }
    }
    Ok(json!({
        "month": month.to_string(),
        "totals": totals(diary),
        "coverage": coverage,
        "missed": missed,
        "records": diary.records,
    }))
}

/// The periods that a county owes visits in and that are over before a day.
fn periods(start: LocalDay, before: LocalDay) -> Vec<Period> {
    let mut periods = Vec::new();
    for interval in Interval::ALL {
        let mut period = Period::first_on_or_after(interval, start);
        while period.last_day() < before {
            periods.push(period);
            period = Period::first_on_or_after(interval, period.last_day().next());
        }
    }
    periods
}

/// Records by outcome, reason, doubt and decision.
fn totals(diary: &Diary) -> Value {
    let count = |of: &dyn Fn(&Value) -> Vec<String>| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for name in diary.records.values().flat_map(of) {
            *counts.entry(name).or_default() += 1;
        }
        counts
    };
    let text = |value: &Value| value.as_str().map(str::to_owned).into_iter().collect();
    let texts = |value: &Value| {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|one| one.as_str().map(str::to_owned))
            .collect()
    };
    let outcomes = count(&|record| text(&record["outcome"]));
    let decisions = count(&|record| text(&record["decision"]));
    let counted = outcomes.get("COUNTED").copied().unwrap_or_default();
    let confirmed = decisions.get("CONFIRM").copied().unwrap_or_default();
    let records = diary.records.len() as u64;
    let mut totals = json!({
        "lines": diary.lines,
        "records": records,
        "resubmitted": diary.lines - records.min(diary.lines),
        "counted_after_confirmations": counted + confirmed,
        "reasons": count(&|record| text(&record["reason"])),
        "doubts": count(&|record| texts(&record["doubts"])),
        "decisions": decisions,
    });
    for (outcome, records) in outcomes {
        totals[outcome] = json!(records);
    }
    totals
}

async fn coverage(
    client: &Client,
    county: &str,
    month: CalendarMonth,
    directory: &Directory,
    min_position: &str,
) -> anyhow::Result<Value> {
    let request = |by: DivisionLevel| GetCoverageRequest {
        division_code: county.to_owned(),
        month: month.to_string(),
        by: by.into(),
        min_position: min_position.to_owned(),
        ..Default::default()
    };
    let towns = get(client, request(DivisionLevel::Town)).await?;
    let villages = get(client, request(DivisionLevel::Village)).await?;
    let mut to_visit = Vec::new();
    let mut asked = GetCoverageRequest {
        elders: CoverageElders::ToVisit.into(),
        page_size: PAGE,
        ..request(DivisionLevel::Town)
    };
    loop {
        let page = get(client, asked.clone()).await?;
        let elders = page.elders.iter();
        to_visit.extend(elders.map(|elder| id_number(directory, &elder.elder_id)));
        if page.next_page_token.is_empty() {
            break;
        }
        asked.page_token = page.next_page_token;
    }
    let by_code = |figures: &[Coverage]| {
        let figures = figures
            .iter()
            .map(|one| (one.division_code.clone(), figure(one)));
        figures.collect::<Map<_, _>>()
    };
    let on = towns
        .on
        .and_then(wire::from_date)
        .context("coverage bears no day")?;
    Ok(json!({
        "on": on.to_string(),
        "county": towns.total.as_ref().map(figure),
        "towns": by_code(&towns.divisions),
        "villages": by_code(&villages.divisions),
        "to_visit": to_visit,
    }))
}

async fn get(client: &Client, request: GetCoverageRequest) -> anyhow::Result<GetCoverageResponse> {
    call(request, async |request| {
        client.visits().get_coverage(request).await
    })
    .await
}

fn figure(coverage: &Coverage) -> Value {
    json!({
        "in_scope": coverage.in_scope,
        "visited": coverage.visited,
        "coverage": coverage.coverage,
    })
}

async fn duties(
    client: &Client,
    county: &str,
    period: Period,
    directory: &Directory,
    min_position: &str,
) -> anyhow::Result<Value> {
    let list = async |filter: DutyFilter| {
        let mut request = ListDutiesRequest {
            division_code: county.to_owned(),
            period: period.to_string(),
            filter: filter.into(),
            page_size: PAGE,
            min_position: min_position.to_owned(),
            ..Default::default()
        };
        let mut elders = Vec::new();
        loop {
            let page: ListDutiesResponse = call(request.clone(), async |request| {
                client.visits().list_duties(request).await
            })
            .await?;
            let duties = page.duties.iter();
            elders.extend(duties.map(|duty| id_number(directory, &duty.elder_id)));
            if page.next_page_token.is_empty() {
                return anyhow::Ok((page, elders));
            }
            request.page_token = page.next_page_token;
        }
    };
    let (_, missed) = list(DutyFilter::Missed).await?;
    let (page, unmet) = list(DutyFilter::Unmet).await?;
    Ok(json!({
        "from": period.first_day().to_string(),
        "until": period.last_day().to_string(),
        "duties": page.owed,
        "missed_at_close_count": page.missed,
        "unmet_at_end_count": page.unmet,
        "missed_at_close": missed,
        "unmet_at_end": unmet,
    }))
}

/// Whom the registry doesn't list shows as a difference, under the file's id.
fn id_number(directory: &Directory, elder_id: &str) -> String {
    directory.id_number(elder_id).unwrap_or(elder_id).to_owned()
}

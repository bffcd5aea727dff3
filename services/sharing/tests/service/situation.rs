//! How things stand in a division, today and on a past day.

use proto::eldercare::sharing::v1 as pb;
use tonic::{Code, Status};

use crate::support::{
    COUNTY, EMPTY_TOWN, Ground, OTHER_COUNTY, OTHER_TOWN, OTHER_VILLAGE, Running, TOWN, at, date,
    doctor, officer, refused,
};

/// How things stand in a division, today where no day is named.
pub(crate) async fn situation(
    running: &Running,
    division: &str,
    on: Option<&str>,
) -> Result<pb::Situation, Status> {
    let request = pb::GetSituationRequest {
        division_code: division.to_owned(),
        day: on.and_then(date),
        min_position: String::new(),
    };
    let answer = running.client_of(&doctor()).get_situation(request).await?;
    Ok(answer.into_inner().situation.unwrap())
}

fn tiers(situation: &pb::Situation) -> Vec<(&str, i64)> {
    let tiers = situation.tiers.iter();
    tiers.map(|one| (one.tier.as_str(), one.elders)).collect()
}

#[tokio::test]
async fn a_situation_counts_elders_where_they_live_and_alerts_that_are_open() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (one, two) = (ground.elder().await, ground.elder().await);
    ground.tiered(one, "PRIORITY", "2024-02-01").await;
    ground.tiered(two, "SECONDARY", "2024-02-01").await;
    ground.tiered(two, "PRIORITY", "2024-02-20").await;
    ground.alerted(one, "2024-02-28 08:00").await;
    running.settled().await;

    let now = situation(&running, TOWN, None).await.unwrap();
    assert_eq!(now.elders, 2);
    assert_eq!(tiers(&now), [("PRIORITY", 2)]);
    let open: i64 = now.open_alerts.iter().map(|one| one.alerts).sum();
    assert_eq!(open, 1);
    assert_eq!(situation(&running, "350524", None).await.unwrap().elders, 2);

    let past = situation(&running, TOWN, Some("2024-02-10")).await.unwrap();
    assert_eq!(tiers(&past), [("PRIORITY", 1), ("SECONDARY", 1)]);
    assert_eq!(past.open_alerts, []);
    let before = situation(&running, TOWN, Some("2024-01-31")).await.unwrap();
    assert_eq!(tiers(&before), []);
    running.stop().await;
}

#[tokio::test]
async fn who_moves_is_counted_where_they_live_on_the_day() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    ground.tiered(elder, "PRIORITY", "2024-02-01").await;
    ground.moves(elder, OTHER_VILLAGE, "2024-02-15").await;
    running.settled().await;
    let of = async |town: &str, on: &str| {
        let told = situation(&running, town, Some(on)).await.unwrap();
        (told.elders, tiers(&told).len())
    };
    assert_eq!(of(TOWN, "2024-02-14").await, (1, 1));
    assert_eq!(of(OTHER_TOWN, "2024-02-14").await, (0, 0));
    assert_eq!(of(TOWN, "2024-02-15").await, (0, 0));
    assert_eq!(of(OTHER_TOWN, "2024-02-15").await, (1, 1));

    ground.is_erased(elder).await;
    running.settled().await;
    assert_eq!(of(OTHER_TOWN, "2024-02-15").await, (0, 0));
    running.stop().await;
}

#[tokio::test]
async fn a_situation_that_cannot_be_is_refused() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let outcome = situation(&running, TOWN, Some("2024-03-02")).await;
    assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument);
    let outcome = situation(&running, "1234567", None).await;
    assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument);
    let elsewhere = officer("viewer", "health", OTHER_COUNTY, &["viewer"]);
    let request = pb::GetSituationRequest {
        division_code: TOWN.to_owned(),
        ..Default::default()
    };
    let outcome = running.client_of(&elsewhere).get_situation(request).await;
    refused(outcome, Code::PermissionDenied, "DIVISION_OUT_OF_REACH");
    running.stop().await;
}

fn elders_by_tier(counts: &[(&str, i64)]) -> Vec<pb::TierCount> {
    let counts = counts.iter();
    let count = |&(tier, elders): &(&str, i64)| pb::TierCount {
        tier: tier.to_owned(),
        elders,
    };
    counts.map(count).collect()
}

/// Of how many: those met in the month of those in scope, duties met so far of those owed, duties missed last week of those closed.
/// And who was met this week.
fn visits(
    covered: (i64, i64),
    duties: (i64, i64),
    visited_elders: i64,
    missed: (i64, i64),
) -> Option<pb::VisitCoverage> {
    Some(pb::VisitCoverage {
        visited_elders,
        missed_duties: missed.0,
        closed_duties: missed.1,
        in_scope_elders: covered.1,
        covered_elders: covered.0,
        owed_duties: duties.1,
        met_duties: duties.0,
    })
}

fn open(counts: &[(&str, &str, i64)]) -> Vec<pb::OpenAlertCount> {
    let counts = counts.iter();
    let count = |&(severity, kind, alerts): &(&str, &str, i64)| pb::OpenAlertCount {
        severity: severity.to_owned(),
        kind: kind.to_owned(),
        alerts,
    };
    counts.map(count).collect()
}

/// How often something took place, and within how many seconds half of the times and nine times of ten.
fn delay([count, p50, p90]: [i64; 3]) -> Option<pb::DelayFigures> {
    let span = |seconds| (count > 0).then_some(prost_types::Duration { seconds, nanos: 0 });
    Some(pb::DelayFigures {
        count,
        p50: span(p50),
        p90: span(p90),
    })
}

fn responses(alerts: i64, taken_on: [i64; 3], arrived: [i64; 3]) -> Option<pb::ResponseTimes> {
    Some(pb::ResponseTimes {
        alerts,
        to_acknowledgement: delay(taken_on),
        to_arrival: delay(arrived),
    })
}

fn orders(counts: &[(&str, i64, i64)]) -> Vec<pb::OrderCount> {
    let counts = counts.iter();
    let count = |&(state, orders, amount_fen): &(&str, i64, i64)| pb::OrderCount {
        state: state.to_owned(),
        orders,
        amount_fen,
    };
    counts.map(count).collect()
}

fn fund(programme: &str, [came_in, reserved, paid, balance]: [i64; 4]) -> pb::FundFigures {
    pb::FundFigures {
        programme_code: programme.to_owned(),
        in_fen: came_in,
        reserved_fen: reserved,
        paid_fen: paid,
        balance_fen: balance,
    }
}

/// 100 000 and 50 000 fen came in; 35 000, 4 500 and 9 000 were reserved, of which 20 000 became 19 500 paid.
fn insurance() -> pb::FundFigures {
    fund("LTCI", [150_000, 28_500, 19_500, 130_500])
}

/// Before 50 000 came in, and before anything was reserved after the first 35 000.
fn insurance_then() -> pb::FundFigures {
    fund("LTCI", [100_000, 15_000, 19_500, 80_500])
}

/// Whoever lives in the county brings in the funds of three programmes, by an order or by being enrolled.
fn funds_of_the_county(insurance: pb::FundFigures) -> Vec<pb::FundFigures> {
    vec![
        fund("BATHS", [5_000, 0, 0, 5_000]),
        insurance,
        fund("MEALS", [30_000, 12_000, 0, 30_000]),
    ]
}

/// On the first of March. One elder has moved away, and one of those who stay was met only by a record that is confirmed.
/// Response times are of alerts since the first of February: 90 and 240 seconds, and one that nobody took on.
fn town_today() -> pb::Situation {
    pb::Situation {
        division_code: TOWN.to_owned(),
        day: date("2024-03-01"),
        elders: 2,
        tiers: elders_by_tier(&[("PRIORITY", 2)]),
        // In March nobody was met yet; this week one of the two was, and the mover before the move. A week and a campaign of
        // one elder are two duties, and two were met.
        visits: visits((0, 2), (1, 2), 2, (3, 5)),
        open_alerts: open(&[
            ("CRITICAL", "SOS", 1),
            ("HIGH", "INACTIVITY", 1),
            ("LOW", "DEVICE_OFFLINE", 1),
        ]),
        response_times: responses(3, [2, 90, 240], [2, 1_200, 1_500]),
        orders: orders(&[("WAITING", 1, 8_000), ("APPROVED", 1, 9_000)]),
        funds: vec![insurance()],
    }
}

/// With the other town: who moved there and was met in both counts once, and who died does not. Alerts of the other town were
/// taken on after 50 and 60 seconds, and somebody came to one of them, after 800.
fn county_today() -> pb::Situation {
    pb::Situation {
        division_code: COUNTY.to_owned(),
        day: date("2024-03-01"),
        elders: 3,
        tiers: elders_by_tier(&[("PRIORITY", 2), ("SECONDARY", 1)]),
        // The mover was met this morning, and owes a visit a month since all of the county visits.
        visits: visits((1, 3), (2, 3), 2, (4, 6)),
        open_alerts: open(&[
            ("CRITICAL", "SOS", 2),
            ("HIGH", "INACTIVITY", 1),
            ("LOW", "DEVICE_OFFLINE", 1),
        ]),
        response_times: responses(5, [4, 60, 240], [3, 1_200, 1_500]),
        orders: orders(&[("WAITING", 2, 12_000), ("APPROVED", 1, 9_000)]),
        funds: funds_of_the_county(insurance()),
    }
}

/// On the twentieth of February, a Tuesday. Nobody had taken on yet what was raised in its last minutes; in January an alert
/// was taken on after 30 seconds. An order was handed in and not judged, one was held half an hour before midnight, and one
/// appealed a minute before; what was paid on the day before was put on record two days later.
fn town_then() -> pb::Situation {
    pb::Situation {
        division_code: TOWN.to_owned(),
        day: date("2024-02-20"),
        elders: 3,
        tiers: elders_by_tier(&[("PRIORITY", 1), ("SECONDARY", 2)]),
        // Two were met in the month, one of them in the week that is owed; who is to be met once a month, and was not at home,
        // was not met.
        visits: visits((2, 3), (2, 3), 1, (2, 3)),
        open_alerts: open(&[
            ("CRITICAL", "FALL", 1),
            ("HIGH", "INACTIVITY", 1),
            ("LOW", "DEVICE_OFFLINE", 1),
        ]),
        response_times: responses(3, [2, 30, 90], [2, 600, 1_200]),
        orders: orders(&[
            ("WAITING", 1, 4_500),
            ("APPROVED", 1, 15_000),
            ("ABNORMAL", 1, 10_000),
            ("APPEALED", 1, 2_000),
            ("PAID", 1, 20_000),
        ]),
        funds: vec![insurance_then()],
    }
}

/// With the other town, where somebody lived, was met, and had missed a duty that was met late.
fn county_then() -> pb::Situation {
    pb::Situation {
        division_code: COUNTY.to_owned(),
        day: date("2024-02-20"),
        elders: 4,
        tiers: elders_by_tier(&[("GENERAL", 1), ("PRIORITY", 1), ("SECONDARY", 2)]),
        // The other town does not owe anything yet.
        visits: visits((3, 4), (2, 3), 2, (3, 4)),
        open_alerts: open(&[
            ("CRITICAL", "FIRE", 1),
            ("CRITICAL", "FALL", 1),
            ("HIGH", "INACTIVITY", 1),
            ("LOW", "DEVICE_OFFLINE", 1),
        ]),
        response_times: responses(4, [3, 50, 90], [3, 800, 1_200]),
        orders: orders(&[
            ("WAITING", 2, 16_500),
            ("APPROVED", 1, 15_000),
            ("ABNORMAL", 1, 10_000),
            ("APPEALED", 1, 2_000),
            ("PAID", 1, 20_000),
        ]),
        // Of the baths nobody had heard.
        funds: vec![insurance_then(), fund("MEALS", [30_000, 0, 0, 30_000])],
    }
}

/// Nobody lives there.
fn nothing(division: &str) -> pb::Situation {
    pb::Situation {
        division_code: division.to_owned(),
        day: date("2024-03-01"),
        visits: visits((0, 0), (0, 0), 0, (0, 0)),
        response_times: responses(0, [0; 3], [0; 3]),
        ..Default::default()
    }
}

#[tokio::test]
async fn all_figures_of_a_town_and_its_county_are_right_today_and_on_a_past_day() {
    let ground = Ground::at("2024-03-01 09:10");
    ground.county().await;
    let running = ground.start().await;
    let told = async |division: &str, on: Option<&str>| {
        let told = situation(&running, division, on).await;
        told.unwrap()
    };
    assert_eq!(told(TOWN, None).await, town_today());
    assert_eq!(told(COUNTY, None).await, county_today());
    assert_eq!(told(TOWN, Some("2024-02-20")).await, town_then());
    assert_eq!(told(COUNTY, Some("2024-02-20")).await, county_then());
    assert_eq!(told(EMPTY_TOWN, None).await, nothing(EMPTY_TOWN));
    // Who moved was met in either town.
    let moved_in = visits((1, 1), (1, 1), 1, (1, 1));
    assert_eq!(told(OTHER_TOWN, None).await.visits, moved_in);
    running.stop().await;
}

#[tokio::test]
async fn orders_and_money_are_those_of_the_end_of_the_day() {
    let ground = Ground::at("2024-03-01 09:10");
    ground.county().await;
    let running = ground.start().await;
    let told = async |division: &str, on: &str| {
        let told = situation(&running, division, Some(on)).await.unwrap();
        (told.orders, told.funds)
    };
    // What was done in January was not handed in yet.
    let of_the_new_year = fund("LTCI", [100_000, 0, 0, 100_000]);
    let new_year = (vec![], vec![of_the_new_year]);
    assert_eq!(told(TOWN, "2024-01-31").await, new_year);
    assert_eq!(told(TOWN, "2024-01-01").await, (vec![], vec![]));
    // The money goes out on the nineteenth, whenever that is put on record.
    let unpaid = orders(&[("APPROVED", 2, 35_000), ("ABNORMAL", 1, 2_000)]);
    let funds = vec![fund("LTCI", [100_000, 35_000, 0, 100_000])];
    assert_eq!(told(TOWN, "2024-02-18").await, (unpaid, funds));
    let paid = [
        ("APPROVED", 1, 15_000),
        ("ABNORMAL", 1, 2_000),
        ("PAID", 1, 20_000),
    ];
    let paid = (orders(&paid), vec![insurance_then()]);
    assert_eq!(told(TOWN, "2024-02-19").await, paid);
    // At the end of the month each order is somewhere else.
    let last = [
        ("WAITING", 1, 7_000),
        ("APPROVED", 3, 31_500),
        ("ABNORMAL", 1, 10_000),
        ("APPEALED", 1, 5_000),
        ("NOT_SETTLED", 1, 2_000),
        ("PAID", 1, 20_000),
    ];
    let funds = funds_of_the_county(fund("LTCI", [150_000, 19_500, 19_500, 130_500]));
    assert_eq!(told(COUNTY, "2024-02-29").await, (orders(&last), funds));
    running.stop().await;
}

#[tokio::test]
async fn of_somebody_who_is_erased_what_was_done_still_counts() {
    let ground = Ground::at("2024-03-01 09:10");
    let elder = ground.known_to_all().await;
    ground.visited(elder, &[at("2024-03-01 08:30")]).await;
    ground.ordered(elder, "B", "2024-03-01 08:00").await;
    let running = ground.start().await;
    let told = async || situation(&running, TOWN, None).await.unwrap();
    let before = told().await;
    assert_eq!((before.elders, before.tiers.len()), (1, 1));
    assert_eq!(before.visits, visits((1, 1), (0, 0), 1, (0, 0)));
    assert_eq!(before.orders, orders(&[("WAITING", 1, 20_000)]));

    ground.is_erased(elder).await;
    running.settled().await;
    let gone = pb::Situation {
        elders: 0,
        tiers: vec![],
        visits: visits((0, 0), (0, 0), 1, (0, 0)),
        ..before
    };
    assert_eq!(told().await, gone);
    running.stop().await;
}

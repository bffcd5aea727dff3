//! Elders found by what all services know of them: by whom, by what and where, cut, page by page, and on record.

use civic::ElderId;
use eventlog::RawEvent;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::visits::v1 as visits;
use sharing::look::Recorded;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::support::{
    CIVIL_AFFAIRS, COUNTY, Ground, OTHER_COUNTY, OTHER_VILLAGE, Running, TOWN, VILLAGE, at, date,
    doctor, fields, grant, guard, looks_at, officer, reader, refused, some_terms, terms, week,
};

/// Everybody.
fn all() -> pb::FindEldersRequest {
    pb::FindEldersRequest::default()
}

/// Those who live there.
fn within(divisions: &[&str]) -> pb::FindEldersRequest {
    pb::FindEldersRequest {
        division_codes: words(divisions),
        ..all()
    }
}

fn of_tier(tier: &str) -> pb::FindEldersRequest {
    pb::FindEldersRequest {
        tiers: words(&[tier]),
        ..all()
    }
}

fn with_open_alert() -> pb::FindEldersRequest {
    pb::FindEldersRequest {
        with_open_alert: true,
        ..all()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn ids(found: &pb::FindEldersResponse) -> Vec<String> {
    let elders = found.elders.iter();
    elders.map(|elder| elder.elder_id.clone()).collect()
}

fn in_order<const N: usize>(elders: [ElderId; N]) -> Vec<String> {
    let mut ids = elders.map(|elder| elder.to_string()).to_vec();
    ids.sort();
    ids
}

/// The fields of the request that nobody lets the caller search by.
#[track_caller]
fn not_granted(outcome: Result<pb::FindEldersResponse, Status>) -> Vec<String> {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    let fields = bad.field_violations.into_iter();
    fields.map(|one| one.field).collect()
}

/// A week's visit was missed.
async fn missed(ground: &Ground, elder: ElderId, monday: &str) {
    let missed = RawEvent::of(&visits::VisitMissed {
        elder_id: elder.to_string(),
        period: Some(week(monday)),
        tier: "PRIORITY".to_owned(),
        division_code: VILLAGE.to_owned(),
        blocked_by_consent: false,
    });
    ground.in_year(elder, vec![missed]).await;
}

/// The elder was met after all.
async fn met_late(ground: &Ground, elder: ElderId, monday: &str) {
    let met = RawEvent::of(&visits::DutyMet {
        elder_id: elder.to_string(),
        period: Some(week(monday)),
        late: true,
        ..Default::default()
    });
    ground.in_year(elder, vec![met]).await;
}

async fn found(running: &Running, request: pb::FindEldersRequest) -> Vec<String> {
    ids(&running.find(&reader(), request).await.unwrap())
}

#[tokio::test]
async fn civil_affairs_finds_by_all_that_services_know_and_sees_all_in_plain() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (known, plain) = (ground.known_to_all().await, ground.elder().await);
    let far = ground.elder_in(OTHER_VILLAGE).await;
    missed(&ground, known, "2024-02-19").await;
    let everybody = in_order([known, plain, far]);
    assert_eq!(found(&running, all()).await, everybody);
    assert_eq!(found(&running, within(&[COUNTY])).await, everybody);
    assert_eq!(
        found(&running, within(&[TOWN])).await,
        in_order([known, plain])
    );
    // Of nested divisions nobody is found twice.
    let nested = within(&[VILLAGE, TOWN, OTHER_VILLAGE]);
    assert_eq!(found(&running, nested).await, everybody);
    let only = in_order([known]);
    assert_eq!(found(&running, of_tier("PRIORITY")).await, only);
    assert!(found(&running, of_tier("SECONDARY")).await.is_empty());
    assert_eq!(found(&running, with_open_alert()).await, only);
    let since = |since: &str| pb::FindEldersRequest {
        not_visited_since: date(since),
        ..all()
    };
    assert_eq!(
        found(&running, since("2024-02-10")).await,
        in_order([plain, far])
    );
    assert_eq!(found(&running, since("2024-02-11")).await, everybody);
    let enrolled = |code: &str| pb::FindEldersRequest {
        programme_code: code.to_owned(),
        ..all()
    };
    assert_eq!(found(&running, enrolled("LTCI")).await, only);
    assert!(found(&running, enrolled("ALLOWANCE")).await.is_empty());
    let alone = |category: &str| pb::FindEldersRequest {
        categories: words(&[category]),
        ..all()
    };
    assert_eq!(found(&running, alone("LIVING_ALONE")).await, everybody);
    assert!(found(&running, alone("DISABLED")).await.is_empty());
    let was_missed = pb::FindEldersRequest {
        with_missed_visit: true,
        ..all()
    };
    assert_eq!(found(&running, was_missed).await, only);
    // What is said holds together.
    let together = pb::FindEldersRequest {
        division_codes: words(&[VILLAGE]),
        tiers: words(&["PRIORITY"]),
        categories: words(&["LIVING_ALONE", "EMPTY_NEST"]),
        not_visited_since: date("2024-02-26"),
        with_open_alert: true,
        with_missed_visit: true,
        programme_code: "LTCI".to_owned(),
        ..all()
    };
    let told = running.find(&reader(), together).await.unwrap();
    assert_eq!(ids(&told), only);
    assert!(told.agreement_ids.is_empty());
    let documents = &told.elders[0].documents;
    let products = documents.iter().map(|one| one.product.as_str());
    assert_eq!(products.collect::<Vec<_>>(), ["elder", "tier"]);
    assert_eq!(fields(&documents[0])["name"], "王秀英");
    assert_eq!(fields(&documents[1])["tier"], "PRIORITY");
    running.stop().await;
}

#[tokio::test]
async fn who_was_met_late_or_missed_long_ago_is_no_longer_missed() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (late, long_ago) = (ground.elder().await, ground.elder().await);
    let still = ground.elder().await;
    missed(&ground, late, "2024-02-19").await;
    met_late(&ground, late, "2024-02-19").await;
    // 31 days before the first of March is the 30th of January.
    missed(&ground, long_ago, "2024-01-22").await;
    missed(&ground, still, "2024-01-29").await;
    let was_missed = pb::FindEldersRequest {
        with_missed_visit: true,
        ..all()
    };
    assert_eq!(found(&running, was_missed).await, in_order([still]));
    running.stop().await;
}

#[tokio::test]
async fn who_is_found_is_who_lives_there_today() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (moving, erased) = (ground.elder().await, ground.elder().await);
    ground.moves(moving, OTHER_VILLAGE, "2024-03-10").await;
    ground.is_erased(erased).await;
    assert_eq!(found(&running, within(&[TOWN])).await, in_order([moving]));
    running.advance("2024-03-10 09:10");
    assert!(found(&running, within(&[TOWN])).await.is_empty());
    let there = within(&[OTHER_VILLAGE]);
    assert_eq!(found(&running, there).await, in_order([moving]));
    running.stop().await;
}

#[tokio::test]
async fn a_department_sees_what_it_is_granted_and_searches_by_no_more() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    ground.elder_in(OTHER_VILLAGE).await;
    let agreement = running
        .agreed(&terms(&[
            grant("elder", &["categories"], &["name"]),
            grant("tier", &["tier"], &[]),
        ]))
        .await;
    let told = running.find(&doctor(), of_tier("PRIORITY")).await.unwrap();
    assert_eq!(ids(&told), in_order([elder]));
    assert_eq!(told.agreement_ids, [agreement]);
    let documents = &told.elders[0].documents;
    assert_eq!(documents.len(), 2);
    assert_eq!(
        fields(&documents[0]),
        serde_json::json!({ "name": "王**", "categories": ["LIVING_ALONE"] })
    );
    assert_eq!(documents[0].masked, ["name"]);
    assert_eq!(
        fields(&documents[1]),
        serde_json::json!({ "tier": "PRIORITY" })
    );
    // Everybody of the county, since the agreement tells who lives there.
    let everybody = running.find(&doctor(), within(&[COUNTY])).await.unwrap();
    assert_eq!(everybody.elders.len(), 2);
    let asked = pb::FindEldersRequest {
        division_codes: words(&[TOWN]),
        tiers: words(&["PRIORITY"]),
        categories: words(&["LIVING_ALONE"]),
        not_visited_since: date("2024-02-26"),
        with_open_alert: true,
        with_missed_visit: true,
        programme_code: "LTCI".to_owned(),
        ..all()
    };
    assert_eq!(
        not_granted(running.find(&doctor(), asked).await),
        [
            "division_codes",
            "not_visited_since",
            "with_open_alert",
            "with_missed_visit",
            "programme_code",
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn without_an_agreement_a_department_finds_nobody() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    ground.known_to_all().await;
    let told = running.find(&doctor(), all()).await.unwrap();
    assert!(told.elders.is_empty() && told.next_page_token.is_empty());
    let outcome = running.find(&doctor(), with_open_alert()).await;
    assert_eq!(not_granted(outcome), ["with_open_alert"]);
    let outcome = running.find(&doctor(), within(&[TOWN])).await;
    assert_eq!(not_granted(outcome), ["division_codes"]);
    assert!(ground.looks().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn where_a_filter_is_not_granted_nobody_is_found_by_it() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (here, there) = (ground.elder().await, ground.elder_in(OTHER_VILLAGE).await);
    ground.alerted(here, "2024-02-28 08:00").await;
    ground.alerted(there, "2024-02-28 08:00").await;
    let county = running.agreed(&some_terms()).await;
    let in_town = pb::AgreementTerms {
        division_codes: words(&[TOWN]),
        ..terms(&[grant("alert", &["state"], &[])])
    };
    let town = running.agreed(&in_town).await;
    let told = running.find(&doctor(), with_open_alert()).await.unwrap();
    assert_eq!(ids(&told), in_order([here]));
    let mut both = vec![county.clone(), town];
    both.sort();
    assert_eq!(told.agreement_ids, both);
    // Not even the token of a page tells that there are others.
    let one = pb::FindEldersRequest {
        page_size: 1,
        ..with_open_alert()
    };
    let told = running.find(&doctor(), one).await.unwrap();
    assert_eq!((told.elders.len(), told.next_page_token.as_str()), (1, ""));
    let outcome = running.find(&doctor(), within(&[OTHER_VILLAGE])).await;
    assert_eq!(not_granted(outcome), ["division_codes"]);
    running.suspend_as(&guard(), &county).await.unwrap();
    let told = running.find(&doctor(), all()).await.unwrap();
    assert_eq!(ids(&told), in_order([here]));
    running.stop().await;
}

#[tokio::test]
async fn divisions_beyond_the_callers_reach_are_refused() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    ground.elder().await;
    running.agreed(&some_terms()).await;
    let town_doctor = officer("doctor", "health", TOWN, &["viewer"]);
    for (caller, division) in [
        (reader(), OTHER_COUNTY),
        (doctor(), OTHER_COUNTY),
        (town_doctor.clone(), COUNTY),
        (town_doctor.clone(), OTHER_VILLAGE),
    ] {
        let outcome = running.find(&caller, within(&[TOWN, division])).await;
        refused(outcome, Code::PermissionDenied, "DIVISION_OUT_OF_REACH");
    }
    // Of its own town everybody knows that who is found lives there.
    for request in [all(), within(&[TOWN])] {
        let told = running.find(&town_doctor, request).await.unwrap();
        assert_eq!(told.elders.len(), 1);
    }
    let elsewhere = officer("reader", CIVIL_AFFAIRS, OTHER_COUNTY, &["viewer"]);
    let told = running.find(&elsewhere, all()).await.unwrap();
    assert!(told.elders.is_empty());
    let everywhere = officer("reader", CIVIL_AFFAIRS, "*", &["viewer"]);
    let told = running.find(&everywhere, all()).await.unwrap();
    assert_eq!(told.elders.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn pages_follow_one_another_in_the_order_of_ids() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(ground.elder().await.to_string());
    }
    expected.sort();
    for categories in [vec![], words(&["LIVING_ALONE"])] {
        let mut request = pb::FindEldersRequest {
            page_size: 2,
            categories,
            ..all()
        };
        let (mut told, mut sizes) = (vec![], vec![]);
        loop {
            let page = running.find(&reader(), request.clone()).await.unwrap();
            sizes.push(page.elders.len());
            told.extend(ids(&page));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!((told, sizes), (expected.clone(), vec![2, 2, 1]));
        // Good for its own list only.
        let other = pb::FindEldersRequest {
            with_open_alert: true,
            ..request
        };
        let outcome = running.find(&reader(), other).await;
        assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument);
    }
    running.stop().await;
}

#[tokio::test]
async fn each_page_is_on_record_with_all_whom_it_told_of() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (one, other) = (ground.elder().await, ground.elder_in(OTHER_VILLAGE).await);
    let county = running.agreed(&some_terms()).await;
    let in_town = pb::AgreementTerms {
        division_codes: words(&[TOWN]),
        ..terms(&[grant("elder", &["name"], &["id_number"])])
    };
    let town = running.agreed(&in_town).await;
    running.find(&reader(), all()).await.unwrap();
    running.find(&doctor(), all()).await.unwrap();
    let looks = ground.looks().await;
    let [
        Recorded::Access(access),
        Recorded::Provided {
            look: by_county,
            agreements: of_county,
        },
        Recorded::Provided {
            look: by_both,
            agreements: of_both,
        },
    ] = &looks[..]
    else {
        panic!("{looks:?}");
    };
    assert_eq!(access.method, "FindElders");
    assert_eq!(access.at, at("2024-03-01 09:10"));
    let mut both = vec![one, other];
    both.sort();
    assert_eq!(access.elders, both);
    assert!(access.fields.contains(&"elder.name".to_owned()));
    // Who is told under other agreements is on record by itself.
    let id = |agreement: &str| agreement.parse::<Uuid>().unwrap();
    assert_eq!(
        (&by_county.elders[..], &of_county[..]),
        (&[other][..], &[id(&county)][..])
    );
    assert_eq!(by_county.fields, ["elder.name:masked"]);
    assert_eq!(by_both.elders, [one]);
    assert_eq!(of_both[..], [id(&county), id(&town)]);
    assert_eq!(by_both.fields, ["elder.id_number:masked", "elder.name"]);
    assert_eq!(by_both.purpose, "家庭医生签约");
    running.stop().await;
}

/// The fields that are on record of an elder by `FindElders`, the last page first.
async fn found_in_history(running: &Running, elder: ElderId) -> Vec<Vec<String>> {
    let everywhere = officer("auditor", CIVIL_AFFAIRS, "*", &["privacy_officer"]);
    let looks = running.history(&everywhere, looks_at(elder), 0).await;
    let looks = looks.unwrap().into_iter().map(|one| one.look.unwrap());
    let found = looks.filter(|look| look.method == "FindElders");
    found.map(|look| look.fields).collect()
}

#[tokio::test]
async fn of_each_elder_of_a_page_just_that_is_on_record_which_was_told_of_that_one() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (tiered, plain) = (ground.known_to_all().await, ground.elder().await);
    let far = ground.elder_in(OTHER_VILLAGE).await;
    // Of one town more is granted; of one elder there is less to tell.
    running
        .agreed(&terms(&[
            grant("elder", &["capability"], &["name"]),
            grant("tier", &["reasons"], &[]),
        ]))
        .await;
    let in_town = pb::AgreementTerms {
        division_codes: words(&[TOWN]),
        ..terms(&[grant("elder", &["address"], &[])])
    };
    running.agreed(&in_town).await;
    let found = running.find(&doctor(), all()).await.unwrap();
    assert_eq!(found.elders.len(), 3);
    let in_county = ["elder.capability", "elder.name:masked"];
    let in_town = [&["elder.address"][..], &in_county].concat();
    for (elder, expected) in [
        (far, in_county.to_vec()),
        (plain, in_town.clone()),
        (tiered, [&in_town[..], &["tier.reasons"]].concat()),
    ] {
        assert_eq!(found_in_history(&running, elder).await, [expected]);
    }
    // So it is with those who see all of everybody.
    running.find(&reader(), all()).await.unwrap();
    let [of_far, of_plain, of_tiered] = [
        found_in_history(&running, far).await[0].clone(),
        found_in_history(&running, plain).await[0].clone(),
        found_in_history(&running, tiered).await[0].clone(),
    ];
    assert_eq!(of_far, of_plain);
    assert!(!of_plain.contains(&"tier.reasons".to_owned()));
    let more = of_tiered.iter().filter(|one| !of_plain.contains(one));
    assert_eq!(more.collect::<Vec<_>>(), ["tier.reasons"]);
    running.stop().await;
}

//! Records: judged when they arrive, doubted by what was earlier in the log, decided by supervisors.

use civic::CapabilityLevel;
use elders::event::{Event, Spoken};
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;

use crate::support::{COUNTY, Ground, at, date, place, timestamp, visit};

#[tokio::test]
async fn a_record_counts_once_however_often_it_comes() {
    let ground = Ground::at("2024-10-08 12:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let record = visit(&visitor, elder, "2024-10-08 09:00");
    let first = running.send(&record).await.unwrap();
    assert_eq!(first.outcome(), pb::RecordOutcomeKind::Counted);
    let events = running.events().await;

    let second = running.send(&record).await.unwrap();
    assert!(second.repeated_record && !first.repeated_record);
    assert_eq!(
        (second.outcome, second.position),
        (first.outcome, first.position)
    );
    assert_eq!(running.events().await, events);
    assert_eq!(running.coverage("2024-10").await, "1/1");

    let mut other = record.clone();
    other.remarks.clear();
    assert_eq!(running.told(&other).await, "RECORD_ID_REUSED");
    let stranger = running.ground.weekly().await;
    let mut other = record;
    other.elder_id = stranger.to_string();
    assert_eq!(running.told(&other).await, "RECORD_ID_REUSED");
}

#[tokio::test]
async fn what_the_rules_refuse_leaves_no_trace() {
    let ground = Ground::at("2024-10-08 12:00");
    let (elder, young) = (
        ground.weekly().await,
        ground.elder("1980-01-01", CapabilityLevel::Mild).await,
    );
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let record = visit(&visitor, elder, "2024-10-08 09:00");
    let before = running.events().await;
    let with = |change: &dyn Fn(&mut pb::VisitRecord)| {
        let mut record = record.clone();
        change(&mut record);
        record
    };
    let phone = with(&|record| record.mode = types::VisitMode::Phone.into());
    assert_eq!(running.told(&phone).await, "MODE_NOT_ALLOWED");
    let out = with(&|record| record.elder_id = young.to_string());
    assert_eq!(running.told(&out).await, "NOT_IN_SCOPE");
    let nobody = with(&|record| record.visitor_id = Uuid::now_v7().to_string());
    assert_eq!(running.told(&nobody).await, "VISITOR_UNKNOWN");
    let early = with(&|record| record.end_time = Some(timestamp(at("2024-10-08 12:01"))));
    assert_eq!(running.told(&early).await, "TIME_INVALID");
    assert_eq!(running.events().await, before);

    let refused = Event::ConsentRefused(Spoken {
        by: None,
        at: Some(at("2024-10-08 08:00")),
    });
    running.ground.record(elder, &[refused]).await;
    assert_eq!(running.told(&record).await, "CONSENT_REQUIRED");
    let earlier = visit(&visitor, elder, "2024-10-08 07:00");
    assert_eq!(running.told(&earlier).await, "COUNTED");
}

#[tokio::test]
async fn doubts_rest_on_the_record_and_on_what_was_earlier() {
    let ground = Ground::at("2024-10-08 18:00");
    let (one, other) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let mut first = visit(&visitor, one, "2024-10-08 09:00");
    first.photo_hashes = vec![vec![7; 32].into()];
    assert_eq!(running.told(&first).await, "COUNTED");
    let overlap = visit(&visitor, other, "2024-10-08 09:20");
    assert_eq!(running.told(&overlap).await, "DOUBTFUL OVERLAP");
    let mut far = visit(&visitor, one, "2024-10-08 10:00");
    far.check_in = Some(place(900_000.0));
    far.end_time = Some(timestamp(at("2024-10-08 10:04")));
    let doubts = "DOUBTFUL IMPOSSIBLE_TRAVEL LOCATION_MISMATCH TOO_SHORT";
    assert_eq!(running.told(&far).await, doubts);
    let mut reused = visit(&visitor, one, "2024-10-08 15:00");
    reused.check_in = None;
    reused.photo_hashes = first.photo_hashes.clone();
    assert_eq!(running.told(&reused).await, "DOUBTFUL EVIDENCE_REUSED");
    // What comes again is answered as the first time.
    assert_eq!(running.told(&reused).await, "DOUBTFUL EVIDENCE_REUSED");
    assert_eq!(running.told(&first).await, "COUNTED");
}

#[tokio::test]
async fn a_doubtful_record_counts_once_a_supervisor_confirms_it() {
    let ground = Ground::at("2024-10-08 18:00");
    let (one, other) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let short = |elder, start: &str, end: &str| {
        let mut record = visit(&visitor, elder, start);
        record.end_time = Some(timestamp(at(end)));
        record
    };
    let confirmed = short(one, "2024-10-08 09:00", "2024-10-08 09:03");
    let rejected = short(other, "2024-10-08 11:00", "2024-10-08 11:03");
    for record in [&confirmed, &rejected] {
        assert_eq!(running.told(record).await, "DOUBTFUL TOO_SHORT");
    }
    assert_eq!(running.coverage("2024-10").await, "0/2");
    running.decide(&confirmed, true).await.unwrap();
    running.decide(&rejected, false).await.unwrap();
    assert_eq!(running.coverage("2024-10").await, "1/2");
    assert_eq!(
        running.decide(&confirmed, false).await,
        Err("ALREADY_DECIDED".to_owned())
    );
    assert_eq!(running.coverage("2024-10").await, "1/2");
    let listed = pb::ListDoubtfulRecordsRequest {
        division_code: COUNTY.to_owned(),
        include_decided: true,
        ..Default::default()
    };
    let listed = running.client().list_doubtful_records(listed).await;
    let states: Vec<_> = listed.unwrap().into_inner().records;
    let states: Vec<_> = states.iter().map(pb::DoubtfulRecord::state).collect();
    assert_eq!(
        states,
        [pb::RecordState::Confirmed, pb::RecordState::Rejected]
    );
}

#[tokio::test]
async fn a_lost_database_is_made_again_from_the_logs() {
    let ground = Ground::at("2024-10-08 18:00");
    let (one, other) = (ground.weekly().await, ground.monthly().await);
    let running = ground.start().await;
    running.start_visiting("2024-09-30").await;
    let visitor = running.visitor().await;
    let mut first = visit(&visitor, one, "2024-10-08 09:00");
    first.photo_hashes = vec![vec![7; 32].into()];
    let overlap = visit(&visitor, other, "2024-10-08 09:10");
    assert_eq!(running.told(&first).await, "COUNTED");
    assert_eq!(running.told(&overlap).await, "DOUBTFUL OVERLAP");
    running.advance("2024-10-14 09:00").await;
    let answers = (
        running.coverage("2024-10").await,
        running.duties("2024-W41").await,
        running.duties("2024-W40").await,
        running.events().await,
    );
    let (ground, _) = running.stop().await;

    let again = ground.start().await;
    let found = (
        again.coverage("2024-10").await,
        again.duties("2024-W41").await,
        again.duties("2024-W40").await,
        again.events().await,
    );
    assert_eq!(found, answers);
    // The ledger is whole again, too.
    let mut reused = visit(&visitor, one, "2024-10-12 09:00");
    reused.photo_hashes = first.photo_hashes.clone();
    assert_eq!(again.told(&reused).await, "DOUBTFUL EVIDENCE_REUSED");
    assert_eq!(again.told(&overlap).await, "DOUBTFUL OVERLAP");
}

#[tokio::test]
async fn an_elders_visits_and_a_visitors_figures_can_be_read() {
    let ground = Ground::at("2024-10-08 18:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let mut record = visit(&visitor, elder, "2024-10-08 09:00");
    record.findings = vec![pb::FoundProblem {
        kind: pb::FindingKind::HousingHazard.into(),
        note: "屋顶漏水".to_owned(),
    }];
    assert_eq!(running.told(&record).await, "COUNTED");
    running.settled().await;
    let mut client = running.client();
    let visits = client
        .get_elder_visits(pb::GetElderVisitsRequest {
            elder_id: elder.to_string(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner()
        .visits;
    let told = visits[0].record.as_ref().unwrap();
    assert_eq!(
        (told.remarks.as_str(), told.check_in),
        ("一切安好", record.check_in)
    );
    let figures = client
        .get_visitor_figures(pb::GetVisitorFiguresRequest {
            visitor_id: visitor.clone(),
            first_day: Some(date("2024-10-01")),
            last_day: Some(date("2024-10-31")),
            min_position: String::new(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (figures.visits, figures.elders, figures.minutes),
        (1, 1, 30)
    );
    let listed = pb::ListReferralsRequest {
        division_code: COUNTY.to_owned(),
        ..Default::default()
    };
    let referrals = client.list_referrals(listed.clone()).await.unwrap();
    let referral = referrals.into_inner().referrals.remove(0);
    assert_eq!(
        (referral.note.as_str(), referral.state()),
        ("屋顶漏水", pb::ReferralState::Open)
    );
    let close = pb::CloseReferralRequest {
        request_id: Uuid::now_v7().to_string(),
        referral_id: referral.referral_id,
        outcome: pb::ReferralOutcome::Solved.into(),
        min_position: String::new(),
    };
    client.close_referral(close).await.unwrap();
    running.settled().await;
    let referrals = client.list_referrals(listed).await.unwrap();
    assert_eq!(referrals.into_inner().referrals, []);
}

#[tokio::test]
async fn two_closed_doors_running_are_told_to_the_village() {
    let ground = Ground::at("2024-10-08 20:00");
    let (away, opened, once) = (
        ground.weekly().await,
        ground.weekly().await,
        ground.weekly().await,
    );
    let running = ground.start().await;
    let visitor = running.visitor().await;
    for (elder, start, at_home) in [
        (away, "2024-10-07 09:00", true),
        (away, "2024-10-08 09:00", false),
        (away, "2024-10-08 15:00", false),
        (opened, "2024-10-07 10:00", false),
        (opened, "2024-10-07 15:00", false),
        (opened, "2024-10-08 10:00", true),
        (once, "2024-10-08 11:00", false),
    ] {
        let mut record = visit(&visitor, elder, start);
        if !at_home {
            record.result = pb::VisitResult::NotAtHome.into();
        }
        running.send(&record).await.unwrap();
    }
    running.settled().await;
    let request = pb::ListClosedDoorsRequest {
        division_code: crate::support::VILLAGE.to_owned(),
        ..Default::default()
    };
    let told = running.client().list_closed_doors(request).await.unwrap();
    let doors = told.into_inner().doors;
    assert_eq!(doors.len(), 1);
    assert_eq!(doors[0].elder_id, away.to_string());
    let start = crate::support::at("2024-10-08 15:00");
    assert_eq!(doors[0].start_time, Some(crate::support::timestamp(start)));
}

//! Who works elsewhere learns nothing of an elder, a visitor, a record, a campaign or a referral by the id: each method answers
//! as for an id that nobody has heard of.

use std::sync::Arc;

use civic::ElderId;
use elders::event::Event;
use proto::eldercare::visits::v1 as pb;
use proto::eldercare::visits::v1::export_records_request::Whose;
use service::testing::{AskedFor, anybody_of, every_method_is_asked};
use uuid::Uuid;
use vault::{KeyRing, KeyStore as _, MemoryKeyStore, Mode, Vault, VaultOptions};

use crate::planned::{
    OTHER_TOWN, OTHER_VILLAGE, Person, TOWN, mark, monday, plan, skip, started, to, to_adjust,
    visitor,
};
use crate::support::{COUNTY, Client, Running, VILLAGE, at, date, reason, timestamp, visit};

/// The methods that name divisions, and RecordVisits, which tells of each record by itself.
const OTHERS: [&str; 12] = [
    "RegisterVisitor",
    "ListVisitors",
    "StartVisiting",
    "PlanWeek",
    "GetPlan",
    "RecordVisits",
    "ListDoubtfulRecords",
    "GetCoverage",
    "ListClosedDoors",
    "StartCampaign",
    "ListCampaigns",
    "ListReferrals",
];

/// Asks methods for something: `ask!(asked, client, get_plan: request, …)`.
macro_rules! ask {
    ($asked:ident, $client:ident, $($method:ident: $request:expr,)+) => {$(
        $asked.heard(stringify!($method), $client.$method($request).await);
    )+};
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// An elder: by what is told of one, by the plan, and by records and pairings of our own visitor. `known` is a record that
/// somebody else has sent.
async fn elder(
    client: &mut Client,
    elder: ElderId,
    ours: &str,
    known: &pb::VisitRecord,
) -> AskedFor {
    let mut asked = AskedFor::new(elder.to_string());
    let record = |record: pb::VisitRecord| pb::RecordVisitRequest {
        record: Some(record),
        min_position: String::new(),
    };
    let sent = pb::VisitRecord {
        elder_id: asked.id(),
        ..known.clone()
    };
    let altered = pb::VisitRecord {
        remarks: String::new(),
        ..sent.clone()
    };
    let pinned = to_adjust(elder, mark(pb::PlanMark::Pinned));
    let stale = pb::AdjustPlanRequest {
        etag: service::etag(1),
        ..to_adjust(elder, mark(pb::PlanMark::Released))
    };
    let visits = pb::GetElderVisitsRequest {
        elder_id: asked.id(),
        ..Default::default()
    };
    let export = pb::ExportRecordsRequest {
        whose: Some(Whose::ElderId(asked.id())),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-31")),
        min_position: String::new(),
    };
    let pair = pb::PairEldersRequest {
        request_id: new_id(),
        visitor_id: ours.to_owned(),
        elder_ids: vec![asked.id()],
        since: Some(date("2024-10-14")),
    };
    ask! {
        asked, client,
        get_elder_visits: visits,
        export_records: export,
        adjust_plan: pinned,
        adjust_plan: stale,
        adjust_plan: to_adjust(elder, to(ours, "2024-10-16", 0)),
        adjust_plan: to_adjust(elder, skip(pb::SkipReason::Away)),
        record_visit: record(visit(ours, elder, "2024-10-14 06:00")),
        record_visit: record(visit(&new_id(), elder, "2024-10-14 06:00")),
        record_visit: record(sent),
        record_visit: record(altered),
        pair_elders: pair,
    }
    asked
}

/// A visitor; `own` is an elder whom the caller knows.
async fn visitor_by_id(client: &mut Client, id: &str, own: ElderId) -> AskedFor {
    let mut asked = AskedFor::new(id);
    let update = |etag: &str| pb::UpdateVisitorRequest {
        request_id: new_id(),
        visitor: Some(pb::Visitor {
            visitor_id: id.to_owned(),
            phone: "1".to_owned(),
            etag: etag.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["phone".to_owned()],
        }),
    };
    let retire = pb::RetireVisitorRequest {
        request_id: new_id(),
        visitor_id: id.to_owned(),
        last_day: Some(date("2023-10-14")),
    };
    let pair = pb::PairEldersRequest {
        request_id: new_id(),
        visitor_id: id.to_owned(),
        elder_ids: vec![own.to_string()],
        since: Some(date("2024-10-14")),
    };
    let unpair = pb::UnpairEldersRequest {
        request_id: new_id(),
        visitor_id: id.to_owned(),
        elder_ids: vec![own.to_string()],
        last_day: Some(date("2024-10-14")),
    };
    let figures = pb::GetVisitorFiguresRequest {
        visitor_id: id.to_owned(),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-31")),
        min_position: String::new(),
    };
    let worklist = pb::GetWorklistRequest {
        visitor_id: id.to_owned(),
        day: Some(date("2024-10-15")),
        min_position: String::new(),
    };
    ask! {
        asked, client,
        update_visitor: update(""),
        update_visitor: update(&service::etag(1)),
        retire_visitor: retire,
        pair_elders: pair,
        unpair_elders: unpair,
        get_visitor_figures: figures,
        get_worklist: worklist,
    }
    asked
}

/// A record.
async fn record(client: &mut Client, id: &str) -> AskedFor {
    let mut asked = AskedFor::new(id);
    let confirm = pb::ConfirmRecordRequest {
        request_id: new_id(),
        record_id: id.to_owned(),
        min_position: String::new(),
    };
    let reject = pb::RejectRecordRequest {
        request_id: new_id(),
        record_id: id.to_owned(),
        min_position: String::new(),
    };
    ask! { asked, client, confirm_record: confirm, reject_record: reject, }
    asked
}

/// A campaign.
async fn campaign(client: &mut Client, id: &str) -> AskedFor {
    let mut asked = AskedFor::new(id);
    let end = pb::EndCampaignRequest {
        request_id: new_id(),
        campaign_id: id.to_owned(),
    };
    let duties = pb::ListDutiesRequest {
        division_code: TOWN.to_owned(),
        campaign_id: id.to_owned(),
        ..Default::default()
    };
    ask! { asked, client, end_campaign: end, list_duties: duties, }
    asked
}

/// A referral.
async fn referral(client: &mut Client, id: &str) -> AskedFor {
    let mut asked = AskedFor::new(id);
    let answer = pb::AnswerReferralRequest {
        request_id: new_id(),
        referral_id: id.to_owned(),
        answer: "已处理".to_owned(),
        min_position: String::new(),
    };
    let close = pb::CloseReferralRequest {
        request_id: new_id(),
        referral_id: id.to_owned(),
        outcome: pb::ReferralOutcome::Solved.into(),
        min_position: String::new(),
    };
    ask! { asked, client, answer_referral: answer, close_referral: close, }
    asked
}

/// A campaign of the other town, and the referral that came of a record there.
async fn things_of_elsewhere(running: &Running) -> (String, String) {
    let mut everybody = running.client();
    let start = pb::StartCampaignRequest {
        request_id: new_id(),
        division_code: OTHER_TOWN.to_owned(),
        kind: pb::CampaignKind::ExtremeWeather.into(),
        name: "寒潮专项".to_owned(),
        first_day: Some(date("2024-10-15")),
        last_day: Some(date("2024-10-16")),
        selection: None,
    };
    let campaign = everybody.start_campaign(start).await.unwrap();
    running.settled().await;
    let listed = pb::ListReferralsRequest {
        division_code: COUNTY.to_owned(),
        ..Default::default()
    };
    let referrals = everybody.list_referrals(listed).await.unwrap();
    let referral = referrals.into_inner().referrals.remove(0);
    (campaign.into_inner().campaign_id, referral.referral_id)
}

#[tokio::test]
async fn what_lies_elsewhere_is_as_unknown_as_what_never_was() {
    let ground = monday();
    let of_elsewhere = || Person {
        village: OTHER_VILLAGE,
        ..Person::default()
    };
    let own = Person::default().on(&ground).await;
    let there = of_elsewhere().on(&ground).await;
    let gone = of_elsewhere().on(&ground).await;
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(gone, std::slice::from_ref(&erasure)).await;
    let running = started(&ground).await;
    let ours = visitor(&running, VILLAGE, 20).await;
    let theirs = visitor(&running, OTHER_VILLAGE, 20).await;
    plan(&running, COUNTY).await;
    let mut kept = visit(&theirs, there, "2024-10-14 07:00");
    kept.end_time = Some(timestamp(at("2024-10-14 07:03")));
    kept.findings = vec![pb::FoundProblem {
        kind: pb::FindingKind::HousingHazard.into(),
        note: "屋顶漏水".to_owned(),
    }];
    assert_eq!(running.told(&kept).await, "DOUBTFUL TOO_SHORT");
    let (started, referred) = things_of_elsewhere(&running).await;
    let adjusting = to_adjust(there, skip(pb::SkipReason::Away));
    let mut everybody = running.client();
    everybody.adjust_plan(adjusting.clone()).await.unwrap();
    running.settled().await;
    let before = running.events().await;

    let client = &mut running.client_of(&anybody_of(TOWN));
    let nobody = ElderId(Uuid::now_v7());
    let unknown = elder(client, nobody, &ours, &kept).await;
    for one in [there, gone] {
        let told = elder(client, one, &ours, &kept).await;
        told.is_told_as(&unknown);
    }
    let no_visitor = visitor_by_id(client, &new_id(), own).await;
    let told = visitor_by_id(client, &theirs, own).await;
    told.is_told_as(&no_visitor);
    let no_record = record(client, &new_id()).await;
    let told = record(client, &kept.record_id).await;
    told.is_told_as(&no_record);
    let no_campaign = campaign(client, &new_id()).await;
    campaign(client, &started).await.is_told_as(&no_campaign);
    let no_referral = referral(client, &new_id()).await;
    referral(client, &referred).await.is_told_as(&no_referral);
    let asked = [
        &unknown,
        &no_visitor,
        &no_record,
        &no_campaign,
        &no_referral,
    ];
    every_method_is_asked("eldercare.visits.v1.VisitService", &asked, &OTHERS);
    in_a_stream(client, &[there, gone, nobody], &ours).await;

    // Nor does it help to know which requests others have made.
    let told = client.adjust_plan(adjusting.clone()).await;
    let mut repeated = AskedFor::new(there.to_string());
    repeated.heard("adjust_plan", told);
    let told = client.adjust_plan(to_adjust(nobody, mark(pb::PlanMark::Pinned)));
    let mut of_nobody = AskedFor::new(nobody.to_string());
    of_nobody.heard("adjust_plan", told.await);
    repeated.is_told_as(&of_nobody);
    assert_eq!(running.events().await, before);

    // Those who work there are answered again, whatever has become of the elder.
    ground.record(there, &[erasure]).await;
    running.settled().await;
    let mut theirs = running.client_of(&anybody_of(OTHER_TOWN));
    assert!(theirs.adjust_plan(adjusting).await.is_ok());
    let request = pb::RecordVisitRequest {
        record: Some(kept.clone()),
        min_position: String::new(),
    };
    let again = theirs.record_visit(request).await.unwrap().into_inner();
    assert!(again.outcome.unwrap().repeated_record);
    let told = elder(client, there, &ours, &kept).await;
    told.is_told_as(&unknown);
    assert_eq!(running.events().await, before);
}

#[tokio::test]
async fn the_key_of_an_elder_of_elsewhere_is_not_asked_for() {
    let mut ground = monday();
    let of_elsewhere = Person {
        village: OTHER_VILLAGE,
        ..Person::default()
    };
    let there = of_elsewhere.on(&ground).await;
    // Whoever asks for this key is told that it can't be had.
    let store = Arc::new(MemoryKeyStore::new());
    let broken = store.put(there.as_uuid(), 0, "no key".into());
    broken.await.unwrap();
    let ring = KeyRing::local_default(Mode::Local).unwrap();
    ground.vault = Vault::new(store, ring, VaultOptions::default());
    let running = started(&ground).await;
    let ours = visitor(&running, VILLAGE, 20).await;
    let told_in = async |town: &str| {
        let request = pb::RecordVisitRequest {
            record: Some(visit(&ours, there, "2024-10-14 07:00")),
            min_position: String::new(),
        };
        let mut client = running.client_of(&anybody_of(town));
        client.record_visit(request).await.unwrap_err()
    };
    assert_eq!(reason(&told_in(TOWN).await), "ELDER_NOT_FOUND");
    let told = told_in(OTHER_TOWN).await;
    assert_eq!(told.code(), tonic::Code::Unavailable);
}

/// Records in a stream: each is told the same, but for its own id.
async fn in_a_stream(client: &mut Client, elders: &[ElderId], visitor: &str) {
    let records = elders.iter().map(|elder| pb::RecordVisitsRequest {
        record: Some(visit(visitor, *elder, "2024-10-14 06:00")),
        min_position: String::new(),
    });
    let records: Vec<_> = records.collect();
    let answers = client.record_visits(tokio_stream::iter(records)).await;
    let mut answers = answers.unwrap().into_inner();
    let expected = pb::RecordOutcome {
        outcome: pb::RecordOutcomeKind::Invalid.into(),
        invalid_reason: "ELDER_NOT_FOUND".to_owned(),
        ..Default::default()
    };
    for _ in elders {
        let answer = answers.message().await.unwrap().unwrap();
        let told = pb::RecordOutcome {
            record_id: String::new(),
            ..answer.outcome.unwrap()
        };
        assert_eq!(told, expected);
    }
}

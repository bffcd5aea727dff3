//! The commands of visits, each of which is carried out once however often it is sent.

use integration_tests::{
    Setup, System, born, county, date, each_once, new_id, timestamp,
    visiting::{
        a_visit, a_visitor, are_answered_again, in_words, planned, record, start_visiting, visitor,
    },
};
use proto::eldercare::visits::v1::{
    self as pb, AdjustPlanRequest, AnswerReferralRequest, CloseReferralRequest,
    ConfirmRecordRequest, EndCampaignRequest, ListReferralsRequest, PairEldersRequest,
    PlanWeekRequest, RejectRecordRequest, RetireVisitorRequest, StartCampaignRequest,
    StartVisitingRequest, UnpairEldersRequest, UpdateVisitorRequest, VisitRecord, Visitor,
    adjust_plan_request::Adjustment,
};

use super::{Case, carried_out_once, crash, each_command_has_a_case, each_is_answered_as_before};

const WEEK: &str = "2024-W41";

/// What the commands are about.
struct Ground {
    visitor: String,
    elders: [String; 2],
    /// Two records of one elder in doubt.
    doubtful: [String; 2],
    /// Two findings of a third one.
    referrals: [String; 2],
    campaign: String,
}

/// A campaign of the town around the second week of October, to be started.
fn a_campaign(name: &str) -> StartCampaignRequest {
    StartCampaignRequest {
        request_id: new_id(),
        division_code: "350524100".to_owned(),
        kind: pb::CampaignKind::Festival.into(),
        name: name.to_owned(),
        first_day: Some(date("2024-10-09")),
        last_day: Some(date("2024-10-13")),
        selection: None,
    }
}

/// One case for each command, in an order in which all of them can be carried out.
fn cases(ground: &Ground) -> Vec<Case> {
    let request_id = new_id;
    let visitor_id = || ground.visitor.clone();
    let [one, other] = &ground.elders;
    let min_position = String::new;
    vec![
        case!(visits.register_visitor(a_visitor("周探访")), |other| {
            other.visitor.as_mut().unwrap().name = "周另外".to_owned();
        }),
        case!(
            visits.update_visitor(UpdateVisitorRequest {
                request_id: request_id(),
                visitor: Some(Visitor {
                    visitor_id: visitor_id(),
                    name: "周改名".to_owned(),
                    weekly_capacity: 50,
                    ..Visitor::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["name".to_owned(), "weekly_capacity".to_owned()],
                }),
            }),
            |other| other.visitor.as_mut().unwrap().weekly_capacity = 51
        ),
        case!(
            visits.pair_elders(PairEldersRequest {
                request_id: request_id(),
                visitor_id: visitor_id(),
                elder_ids: vec![one.clone(), other.clone()],
                since: Some(date("2024-09-01")),
            }),
            |other| other.elder_ids.truncate(1)
        ),
        case!(
            visits.unpair_elders(UnpairEldersRequest {
                request_id: request_id(),
                visitor_id: visitor_id(),
                elder_ids: vec![other.clone()],
                last_day: Some(date("2024-10-02")),
            }),
            |other| other.last_day = Some(date("2024-10-03"))
        ),
        case!(
            visits.start_visiting(StartVisitingRequest {
                request_id: request_id(),
                division_code: "350524100".to_owned(),
                on: Some(date("2024-09-30")),
            }),
            |other| other.on = Some(date("2024-10-07"))
        ),
        case!(
            visits.start_campaign(a_campaign("重阳节走访")),
            |other| { other.name = "中秋节走访".to_owned() }
        ),
        case!(visits.end_campaign(EndCampaignRequest {
            request_id: request_id(),
            campaign_id: ground.campaign.clone(),
        })),
        case!(
            visits.adjust_plan(AdjustPlanRequest {
                request_id: request_id(),
                week: WEEK.to_owned(),
                elder_id: one.clone(),
                adjustment: Some(Adjustment::Skip(pb::SkipReason::Away.into())),
                ..AdjustPlanRequest::default()
            }),
            |other| {
                let reason = pb::SkipReason::WayNotSafe.into();
                other.adjustment = Some(Adjustment::Skip(reason));
            }
        ),
        case!(
            visits.confirm_record(ConfirmRecordRequest {
                request_id: request_id(),
                record_id: ground.doubtful[0].clone(),
                min_position: min_position(),
            }),
            |other| other.record_id = ground.doubtful[1].clone()
        ),
        case!(
            visits.reject_record(RejectRecordRequest {
                request_id: request_id(),
                record_id: ground.doubtful[1].clone(),
                min_position: min_position(),
            }),
            |other| other.record_id = ground.doubtful[0].clone()
        ),
        case!(
            visits.answer_referral(AnswerReferralRequest {
                request_id: request_id(),
                referral_id: ground.referrals[0].clone(),
                answer: "已安排修缮".to_owned(),
                min_position: min_position(),
            }),
            |other| other.answer = "已另行安排".to_owned()
        ),
        case!(
            visits.close_referral(CloseReferralRequest {
                request_id: request_id(),
                referral_id: ground.referrals[1].clone(),
                outcome: pb::ReferralOutcome::Solved.into(),
                min_position: min_position(),
            }),
            |other| other.outcome = pb::ReferralOutcome::Declined.into()
        ),
        case!(
            visits.retire_visitor(RetireVisitorRequest {
                request_id: request_id(),
                visitor_id: visitor_id(),
                last_day: Some(date("2024-10-31")),
            }),
            |other| other.last_day = Some(date("2024-11-30"))
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_visits_is_carried_out_once_however_often_it_is_sent() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let elders = [
        system.register(born("1940-01-01", "周甲")).await,
        system.register(born("1941-01-01", "周乙")).await,
    ];
    let she = visitor(&system, "周网格").await;
    start_visiting(&system, "2024-09-30").await;
    system.advance_to("2024-10-03T12:00:00+08:00").await;
    let short = |elder: &String, hour: &str| {
        let mut visit = a_visit(&she, elder, &format!("2024-10-02T{hour}:00:00+08:00"));
        visit.end_time = Some(timestamp(&format!("2024-10-02T{hour}:03:00+08:00")));
        visit
    };
    let finding = |kind: pb::FindingKind| pb::FoundProblem {
        kind: kind.into(),
        note: "屋顶漏水".to_owned(),
    };
    let sent = [
        short(&elders[0], "09"),
        short(&elders[0], "10"),
        VisitRecord {
            findings: vec![
                finding(pb::FindingKind::HousingHazard),
                finding(pb::FindingKind::Medical),
            ],
            ..a_visit(&she, &elders[0], "2024-10-02T14:00:00+08:00")
        },
    ];
    let outcomes = record(&system, &sent, "").await.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(
        told,
        ["DOUBTFUL TOO_SHORT", "DOUBTFUL TOO_SHORT", "COUNTED"]
    );
    let referrals = ListReferralsRequest {
        division_code: county::COUNTY.to_owned(),
        min_position: outcomes[2].position.clone(),
        ..ListReferralsRequest::default()
    };
    let referrals = system.visits().list_referrals(referrals).await.unwrap();
    let referrals = referrals.into_inner().referrals;
    let plan = PlanWeekRequest {
        request_id: new_id(),
        division_code: county::COUNTY.to_owned(),
        week: WEEK.to_owned(),
        ..PlanWeekRequest::default()
    };
    let made = planned(system.visits(), &plan).await;
    let campaign = a_campaign("立冬走访");
    let campaign = system.visits().start_campaign(campaign).await.unwrap();
    let ground = Ground {
        campaign: campaign.into_inner().campaign_id,
        visitor: she,
        elders,
        doubtful: [0, 1].map(|place: usize| sent[place].record_id.clone()),
        referrals: [0, 1].map(|place: usize| referrals[place].referral_id.clone()),
    };
    let cases = cases(&ground);
    // Its answer comes in steps, and is compared below.
    let apart = ["plan_week"];
    each_command_has_a_case(&["eldercare.visits.v1.VisitService"], &cases, &apart);

    // Each at once after it was carried out.
    let answers = carried_out_once(&system, &cases).await;
    let all_as_before = async |system: &System| {
        each_is_answered_as_before(system, &cases, &answers).await;
        let before = system.written().await;
        assert_eq!(planned(system.visits(), &plan).await, made);
        let again = record(system, &sent, "").await.unwrap();
        are_answered_again(&again, &outcomes);
        let now = system.written().await;
        assert_eq!(now, before, "a retry wrote something");
    };
    // After everything else has happened to the same elders and visitors.
    all_as_before(&system).await;
    // After a crash.
    crash(&mut system).await;
    all_as_before(&system).await;
    let recorded = system.events::<pb::VisitRecorded>("visits").await;
    let recorded = each_once(recorded.into_iter().map(|event| event.record_id));
    assert_eq!(
        recorded,
        sent.into_iter().map(|sent| sent.record_id).collect()
    );
    system.verify().await;
}

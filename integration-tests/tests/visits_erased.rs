//! An erased elder in the books of visits: what was said at the door is unreadable for good, and nobody is sent there any more.

use integration_tests::{
    Setup, System, an_elder, born, county, date, id_number, new_id,
    on_disk::{backup, checkpoint, folders, holding, lying_about, tells},
    reason,
    secrets::Secrets,
    visiting::{self, a_visit, counted, in_words, record, start_visiting, visited, visitor},
};
use proto::eldercare::{
    registry::v1::{GetKeysRequest, RegisterElderRequest},
    r#type::v1::GeoPosition,
    visits::v1::{
        self as pb, AnswerReferralRequest, ExportRecordsRequest, GetElderVisitsRequest,
        GetWorklistRequest, ListDoubtfulRecordsRequest, ListReferralsRequest, PairEldersRequest,
        PlanWeekRequest, export_records_request::Whose, plan_entry::Planned,
    },
};
use tonic::Code;

/// Plans the coming week: the plan's position, and by whom and when an elder is seen.
async fn planned(system: &System, elder: &str, min_position: &str) -> (String, pb::PlannedVisit) {
    let plan = PlanWeekRequest {
        request_id: new_id(),
        division_code: county::COUNTY.to_owned(),
        week: "2024-W41".to_owned(),
        seed: 0,
        min_position: min_position.to_owned(),
    };
    let plan = visiting::planned(system.visits(), &plan).await;
    let mut entries = plan.entries.into_iter();
    let entry = entries.find(|entry| entry.elder_id == elder).unwrap();
    let Some(Planned::Visit(visit)) = entry.planned else {
        panic!("no visit is planned");
    };
    (plan.position, visit)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_at_the_door_of_an_erased_elder_is_nowhere() {
    let mut system = System::start_with(Setup {
        own_postgres: true,
        ..Setup::with_visits()
    })
    .await;
    let neighbour = system.register(born("1940-01-01", "邻居甲")).await;
    let person = RegisterElderRequest {
        id_number: id_number(integration_tests::day("1938-04-05"), 137),
        address: "梧桐巷三十七号后院".to_owned(),
        ..an_elder("欧阳望舒")
    };
    let (elder, known) = system.registered(person.clone()).await;
    let visitor_name = "诸葛探访";
    let she = visitor(&system, visitor_name).await;
    start_visiting(&system, "2024-09-30").await;
    let pair = PairEldersRequest {
        request_id: new_id(),
        visitor_id: she.clone(),
        elder_ids: vec![elder.clone(), neighbour.clone()],
        since: Some(date("2024-10-01")),
    };
    system.visits().pair_elders(pair.clone()).await.unwrap();

    // A visit with all that is personal, and one in doubt.
    system.advance_to("2024-10-03T12:00:00+08:00").await;
    let place = GeoPosition {
        latitude: 25.061_234_567_89,
        longitude: 118.187_654_321_09,
    };
    let mut first = a_visit(&she, &elder, "2024-10-02T09:00:00+08:00");
    first.remarks = "左耳听力弱，喜欢听南音".to_owned();
    first.check_in = Some(place);
    first.findings = vec![pb::FoundProblem {
        kind: pb::FindingKind::HousingHazard.into(),
        note: "阁楼木梯朽坏".to_owned(),
    }];
    let doubtful = a_visit(&she, &elder, "2024-10-02T14:00:00+08:00");
    let beside = a_visit(&she, &neighbour, "2024-10-02T13:45:00+08:00");
    let sent = [first.clone(), beside, doubtful.clone()];
    let outcomes = record(&system, &sent, &known).await.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(told, ["COUNTED", "COUNTED", "DOUBTFUL OVERLAP"]);
    let last = outcomes[2].position.clone();
    assert_eq!(visited(&system, &last).await, (2, 2));
    let referrals = |min_position: &str| ListReferralsRequest {
        division_code: county::COUNTY.to_owned(),
        min_position: min_position.to_owned(),
        ..ListReferralsRequest::default()
    };
    let found = system.visits().list_referrals(referrals("")).await;
    let referral = found.unwrap().into_inner().referrals.remove(0);
    assert_eq!(referral.note, "阁楼木梯朽坏");
    let answer = AnswerReferralRequest {
        request_id: new_id(),
        referral_id: referral.referral_id.clone(),
        answer: "已报镇村镇建设站".to_owned(),
        min_position: String::new(),
    };
    system
        .visits()
        .answer_referral(answer.clone())
        .await
        .unwrap();
    let (position, visit) = planned(&system, &elder, &last).await;
    let worklist = GetWorklistRequest {
        visitor_id: she.clone(),
        day: visit.day,
        min_position: position,
    };
    let list = system.visits().get_worklist(worklist.clone()).await;
    let (of_her, of_others): (Vec<_>, Vec<_>) = list
        .unwrap()
        .into_inner()
        .items
        .into_iter()
        .partition(|item| item.elder_id == elder);
    assert_eq!(of_her.len(), 1);
    assert_eq!(of_her[0].name, "欧阳望舒");
    let export = |whose| ExportRecordsRequest {
        whose: Some(whose),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-31")),
        min_position: String::new(),
    };
    let hers = export(Whose::ElderId(elder.clone()));
    assert!(system.visits().export_records(hers.clone()).await.is_ok());

    // The key as visits got it: it never lies on a disk.
    let asked = GetKeysRequest {
        elder_ids: vec![elder.clone()],
    };
    let keys = system.service().vault().get_keys(asked).await.unwrap();
    let key = keys.into_inner().keys.remove(0).key;
    checkpoint(&system).await;
    for folder in folders(&system) {
        assert!(
            !holding(&folder, |content| tells(content, "350524100001")).is_empty(),
            "the search does find what is there"
        );
    }

    let erased = system.erase(&elder).await;

    // Visits know no such elder any more, whatever is asked.
    let of_her = GetElderVisitsRequest {
        elder_id: elder.clone(),
        min_position: erased.clone(),
        ..GetElderVisitsRequest::default()
    };
    let refused = system.visits().get_elder_visits(of_her).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::NotFound, "ELDER_NOT_FOUND")
    );
    let refused = system.visits().export_records(hers).await.err().unwrap();
    assert_eq!(reason(&refused), "ELDER_NOT_FOUND");
    let again = PairEldersRequest {
        request_id: new_id(),
        ..pair.clone()
    };
    let refused = system.visits().pair_elders(again).await.unwrap_err();
    assert_eq!(reason(&refused), "ELDER_NOT_FOUND");
    let refused = system
        .visits()
        .answer_referral(AnswerReferralRequest {
            request_id: new_id(),
            ..answer
        })
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "ELDER_NOT_FOUND");
    let later = a_visit(&she, &elder, "2024-10-03T09:00:00+08:00");
    let outcomes = record(&system, &[later, first.clone()], &erased).await;
    let outcomes = outcomes.unwrap();
    assert_eq!(in_words(&outcomes[0]), "INVALID ELDER_NOT_FOUND");
    assert!(
        outcomes[1].repeated_record && in_words(&outcomes[1]) == "COUNTED",
        "what was kept before is answered as the first time"
    );

    // Nobody owes her a visit; of what was recorded nothing personal is told.
    assert_eq!(visited(&system, &erased).await, (1, 1));
    assert_eq!(
        counted(&system, "2024-W40", &erased).await,
        (1, 1, 0, 0, false)
    );
    let listed = system.visits().list_referrals(referrals(&erased)).await;
    let listed = listed.unwrap().into_inner().referrals;
    assert_eq!(listed.len(), 1, "the referral is kept, without its texts");
    assert_eq!(
        (
            &listed[0].referral_id,
            listed[0].note.as_str(),
            listed[0].answer.as_str()
        ),
        (&referral.referral_id, "", "")
    );
    let list = system.visits().get_worklist(worklist).await.unwrap();
    assert_eq!(list.into_inner().items, of_others, "she alone is left out");
    let in_doubt = ListDoubtfulRecordsRequest {
        division_code: county::COUNTY.to_owned(),
        min_position: erased.clone(),
        ..ListDoubtfulRecordsRequest::default()
    };
    let in_doubt = system.visits().list_doubtful_records(in_doubt).await;
    let in_doubt = in_doubt.unwrap().into_inner().records;
    assert_eq!(in_doubt.len(), 1, "what was doubted still waits");
    assert_eq!(
        (&in_doubt[0].record_id, in_doubt[0].doubts.as_slice()),
        (&doubtful.record_id, [pb::Doubt::Overlap.into()].as_slice())
    );
    system.settled().await;

    // Neither what was said nor the key is in any file, backup or log.
    let words = [
        "欧阳望舒",
        person.id_number.as_str(),
        &person.address,
        &first.remarks,
        "阁楼木梯朽坏",
        "已报镇村镇建设站",
        visitor_name,
        "13600136000",
    ];
    let degrees = [place.latitude, place.longitude];
    let secrets = Secrets::of(&words, &degrees, &[&key[..]]);
    assert_eq!(lying_about(&system, &secrets).await, Vec::<String>::new());
    let backup = backup(&system, system.visits_database());
    assert!(tells(&backup, &neighbour), "the backup holds the others");

    // The week closes without her, and the books are as the log says, also built anew.
    system.advance_to("2024-10-07T00:00:00+08:00").await;
    assert_eq!(counted(&system, "2024-W40", "").await, (1, 1, 0, 0, true));
    system.verify().await;
    system.kill().await;
    system.lose_databases().await;
    system.restart().await;
    system.settled().await;
    assert_eq!(
        counted(&system, "2024-W40", &erased).await,
        (1, 1, 0, 0, true)
    );
    let outcomes = record(&system, &[first, doubtful], "").await.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(told, ["COUNTED", "DOUBTFUL OVERLAP"]);
    system.verify().await;
}

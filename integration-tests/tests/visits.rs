//! From an elder's file to a week of visits: who is owed one, what phones send, what is planned, who was missed, what is printed.

use std::io::Cursor;

use calamine::Reader as _;
use futures::TryStreamExt as _;
use integration_tests::{
    Setup, System, an_elder, born, county, date, new_id, timestamp,
    visiting::{
        a_visit, are_answered_again, counted, coverage, duties, in_words, planned, record,
        start_visiting, visited, visitor,
    },
};
use proto::eldercare::{
    registry::v1::{RecordConsentRequest, RegisterElderRequest, SetContactsRequest},
    r#type::v1::{
        Capability, CapabilityLevel, ConsentGiver, ConsentState, Contact, GeoPosition, VisitMode,
    },
    visits::v1::{
        self as pb, AnswerReferralRequest, CloseReferralRequest, ConfirmRecordRequest, DutyFilter,
        ExportRecordsRequest, GetElderVisitsRequest, GetPlanRequest, GetVisitorFiguresRequest,
        GetWorklistRequest, ListClosedDoorsRequest, ListDutiesRequest, ListReferralsRequest,
        PairEldersRequest, PlanWeekRequest, StartCampaignRequest, export_records_request::Whose,
        plan_entry::Planned,
    },
};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

/// Four elders of one village: three owed a visit each week, of whom one has not been asked for consent and can be
/// visited at home alone, and one owed a visit each month.
struct People {
    neighbour: String,
    forgotten: String,
    unasked: String,
    monthly: String,
    /// All are known from here on.
    position: String,
}

impl People {
    async fn of(system: &System) -> Self {
        let neighbour = system.register(born("1940-03-01", "林阿婆")).await;
        let forgotten = system.register(born("1941-05-02", "林阿公")).await;
        let moderate = Capability {
            level: CapabilityLevel::Moderate.into(),
            ..an_elder("").capability.unwrap()
        };
        let unasked = RegisterElderRequest {
            capability: Some(moderate),
            consent: None,
            ..born("1939-08-08", "林未问")
        };
        let unasked = system.register(unasked).await;
        let (monthly, position) = system.registered(an_elder("林康健")).await;
        Self {
            neighbour,
            forgotten,
            unasked,
            monthly,
            position,
        }
    }
}

/// The text cells of a workbook.
fn cells(workbook: Vec<u8>) -> Vec<String> {
    let mut book = calamine::Xlsx::new(Cursor::new(workbook)).unwrap();
    let sheets = book.worksheets();
    let cells = sheets.iter().flat_map(|(_, sheet)| sheet.cells());
    cells
        .filter_map(|(_, _, cell)| calamine::DataType::get_string(cell).map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_of_visits_from_the_first_record_to_who_was_missed() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let people = People::of(&system).await;
    let she = visitor(&system, "王网格").await;
    start_visiting(&system, "2024-09-30").await;
    assert_eq!(visited(&system, &people.position).await, (0, 4));
    assert_eq!(counted(&system, "2024-W40", "").await, (3, 0, 3, 0, false));

    // A phone that was off line: of each record what became of it, in their order.
    system.advance_to("2024-10-03T12:00:00+08:00").await;
    let mut first = a_visit(&she, &people.neighbour, "2024-10-02T09:00:00+08:00");
    first.remarks = "屋后水管漏水".to_owned();
    first.check_in = Some(GeoPosition {
        latitude: 25.061,
        longitude: 118.187,
    });
    first.findings = vec![pb::FoundProblem {
        kind: pb::FindingKind::HousingHazard.into(),
        note: "厨房电线老化".to_owned(),
    }];
    let mut short = a_visit(&she, &people.monthly, "2024-10-02T10:00:00+08:00");
    short.end_time = Some(timestamp("2024-10-02T10:03:00+08:00"));
    let early = a_visit(&she, &people.unasked, "2024-10-02T11:00:00+08:00");
    let mut wrong = a_visit(&she, &people.neighbour, "2024-10-02T14:00:00+08:00");
    wrong.photo_hashes = vec![vec![1; 31].into()];
    let mut closed = a_visit(&she, &people.forgotten, "2024-10-02T15:00:00+08:00");
    closed.result = pb::VisitResult::NotAtHome.into();
    let sent = [
        first.clone(),
        short.clone(),
        early,
        wrong,
        closed,
        first.clone(),
    ];
    let outcomes = record(&system, &sent, &people.position).await.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(
        told,
        [
            "COUNTED",
            "DOUBTFUL TOO_SHORT",
            "REFUSED CONSENT_REQUIRED",
            "INVALID DIGEST_LENGTH photo_hashes[0]",
            "NOT_MET",
            "COUNTED",
        ]
    );
    assert!(outcomes[5].repeated_record && outcomes[5].position == outcomes[0].position);

    // Consent is granted in the registry; a record that names its position is judged by it.
    let consent = RecordConsentRequest {
        request_id: new_id(),
        elder_id: people.unasked.clone(),
        state: ConsentState::Granted.into(),
        by: ConsentGiver::Elder.into(),
        at: Some(timestamp("2024-10-03T08:00:00+08:00")),
        ..RecordConsentRequest::default()
    };
    let consent = system.registry().record_consent(consent).await.unwrap();
    let consented = consent.into_inner().committed.unwrap().position;
    let welcome = a_visit(&she, &people.unasked, "2024-10-03T10:00:00+08:00");
    let outcome = record(&system, &[welcome], &consented).await.unwrap();
    assert_eq!(in_words(&outcome[0]), "COUNTED");

    // Who names the last position sees all of it, in figures and by elder.
    let last = outcome[0].position.clone();
    assert_eq!(visited(&system, &last).await, (2, 4));
    let to_visit = coverage(&system, &last).await.elders;
    let to_visit: Vec<_> = to_visit.iter().map(|one| one.elder_id.as_str()).collect();
    let mut expected = [people.forgotten.as_str(), &people.monthly];
    expected.sort_unstable();
    assert_eq!(to_visit, expected);
    let confirm = ConfirmRecordRequest {
        request_id: new_id(),
        record_id: short.record_id.clone(),
        min_position: last,
    };
    let confirmed = system.visits().confirm_record(confirm).await.unwrap();
    let confirmed = confirmed.into_inner().position;
    assert_eq!(visited(&system, &confirmed).await, (3, 4));
    assert_eq!(
        counted(&system, "2024-W40", &confirmed).await,
        (3, 2, 1, 0, false)
    );
    let visits = GetElderVisitsRequest {
        elder_id: people.neighbour.clone(),
        min_position: confirmed.clone(),
        ..GetElderVisitsRequest::default()
    };
    let visits = system.visits().get_elder_visits(visits).await.unwrap();
    let visits = visits.into_inner().visits;
    assert_eq!(visits.len(), 1);
    let told = visits[0].record.as_ref().unwrap();
    assert_eq!(
        (told.remarks.as_str(), told.check_in),
        (first.remarks.as_str(), first.check_in)
    );
    let figures = GetVisitorFiguresRequest {
        visitor_id: she.clone(),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-31")),
        min_position: confirmed,
    };
    let figures = system.visits().get_visitor_figures(figures).await.unwrap();
    let figures = figures.into_inner();
    assert_eq!(
        (
            figures.visits,
            figures.elders,
            figures.minutes,
            figures.doubtful
        ),
        (3, 3, 63, 0)
    );

    // What was found goes to a department, and comes to an end.
    let found = |include_closed, min_position: &str| ListReferralsRequest {
        division_code: county::COUNTY.to_owned(),
        include_closed,
        min_position: min_position.to_owned(),
        ..ListReferralsRequest::default()
    };
    let referrals = system.visits().list_referrals(found(false, "")).await;
    let referral = referrals.unwrap().into_inner().referrals.remove(0);
    assert_eq!(
        (referral.note.as_str(), referral.referred_to.as_str()),
        ("厨房电线老化", "urban_management")
    );
    let of = |department: &str| ListReferralsRequest {
        referred_to: department.to_owned(),
        ..found(false, "")
    };
    for (department, referrals) in [("urban_management", 1), ("health", 0)] {
        let listed = system.visits().list_referrals(of(department)).await;
        assert_eq!(listed.unwrap().into_inner().referrals.len(), referrals);
    }
    let answer = AnswerReferralRequest {
        request_id: new_id(),
        referral_id: referral.referral_id.clone(),
        answer: "本周安排电工".to_owned(),
        min_position: String::new(),
    };
    system.visits().answer_referral(answer).await.unwrap();
    let close = CloseReferralRequest {
        request_id: new_id(),
        referral_id: referral.referral_id,
        outcome: pb::ReferralOutcome::Solved.into(),
        min_position: String::new(),
    };
    let closed = system.visits().close_referral(close).await.unwrap();
    let closed = closed.into_inner().position;
    let left = system.visits().list_referrals(found(false, &closed)).await;
    assert_eq!(left.unwrap().into_inner().referrals, []);
    let all = system.visits().list_referrals(found(true, "")).await;
    let all = all.unwrap().into_inner().referrals;
    assert_eq!(
        (all[0].answer.as_str(), all[0].state()),
        ("本周安排电工", pb::ReferralState::Closed)
    );

    // Annex 2 bears the names that the registry keeps, and the visitor's.
    let export = ExportRecordsRequest {
        whose: Some(Whose::DivisionCode(county::COUNTY.to_owned())),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-31")),
        min_position: closed,
    };
    let pieces = system.visits().export_records(export).await.unwrap();
    let book = pieces
        .into_inner()
        .try_fold(Vec::new(), |mut book, piece| async move {
            book.extend_from_slice(&piece.chunk);
            Ok(book)
        });
    let printed = cells(book.await.unwrap()).join("\n");
    for text in ["林阿婆", "林未问", "林康健", "王网格", "屋后水管漏水"] {
        assert!(printed.contains(text), "{text} is not printed");
    }
    assert!(!printed.contains("林阿公"), "nobody has seen him");

    // The week closes by the clock alone: of three duties one was missed.
    system.advance_to("2024-10-07T00:00:00+08:00").await;
    assert_eq!(counted(&system, "2024-W40", "").await, (3, 2, 1, 1, true));
    let missed = duties(&system, "2024-W40", DutyFilter::Missed, "").await;
    let missed: Vec<_> = missed
        .duties
        .iter()
        .map(|duty| (duty.elder_id.as_str(), duty.tier.as_str(), duty.missed))
        .collect();
    assert_eq!(missed, [(people.forgotten.as_str(), "PRIORITY", true)]);
    let told = system.events::<pb::VisitMissed>("visits").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].elder_id, people.forgotten);

    // A record that comes late meets it late; that it was missed stays.
    let late = a_visit(&she, &people.forgotten, "2024-10-05T09:00:00+08:00");
    let outcome = record(&system, &[late], "").await.unwrap();
    assert_eq!(
        counted(&system, "2024-W40", &outcome[0].position).await,
        (3, 3, 0, 1, true)
    );
    assert_eq!(system.events::<pb::VisitMissed>("visits").await.len(), 1);
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_week_tells_each_visitor_whom_to_see_and_where() {
    let system = System::start_with(Setup::with_visits()).await;
    let people = People::of(&system).await;
    let contacts = SetContactsRequest {
        request_id: new_id(),
        elder_id: people.neighbour.clone(),
        contacts: vec![Contact {
            name: "林小满".to_owned(),
            relation: "女".to_owned(),
            phone: "13959951234".to_owned(),
            ..Contact::default()
        }],
        ..SetContactsRequest::default()
    };
    let contacts = system.registry().set_contacts(contacts).await.unwrap();
    let known = contacts.into_inner().committed.unwrap().position;
    let (paired, other) = (
        visitor(&system, "王网格").await,
        visitor(&system, "李志愿").await,
    );
    start_visiting(&system, "2024-09-30").await;
    let pair = PairEldersRequest {
        request_id: new_id(),
        visitor_id: paired.clone(),
        elder_ids: vec![people.neighbour.clone()],
        since: Some(date("2024-10-01")),
    };
    let position = system.visits().pair_elders(pair).await.unwrap();
    let position = position.into_inner().position;
    let waits = GetPlanRequest {
        division_code: county::COUNTY.to_owned(),
        week: "2024-W41".to_owned(),
        min_position: position,
        ..GetPlanRequest::default()
    };
    let none = system.visits().get_plan(waits.clone()).await.unwrap_err();
    assert_eq!(none.code(), tonic::Code::NotFound, "nothing is planned yet");

    let plan = PlanWeekRequest {
        request_id: new_id(),
        division_code: county::COUNTY.to_owned(),
        week: "2024-W41".to_owned(),
        seed: 7,
        min_position: known,
    };
    let made = planned(system.visits(), &plan).await;
    let again = planned(system.visits(), &plan).await;
    assert_eq!(again, made, "a retry is answered with the plan");
    let of = |elder: &str| {
        let mut entries = made.entries.iter();
        let entry = entries.find(|entry| entry.elder_id == elder).unwrap();
        entry.planned.clone().unwrap()
    };
    let Planned::Visit(visit) = of(&people.neighbour) else {
        panic!("no visit is planned");
    };
    assert_eq!(visit.visitor_id, paired, "the pairing holds");
    assert!(
        matches!(of(&people.unasked), Planned::Talk(_)),
        "without consent there is a talk about it"
    );
    let stored = system.visits().get_plan(waits).await.unwrap().into_inner();
    assert_eq!(stored.entries.len(), made.entries.len());

    // The list of the day tells name, address and contact, to the one who goes alone.
    let worklist = |visitor: &str| GetWorklistRequest {
        visitor_id: visitor.to_owned(),
        day: visit.day,
        min_position: made.position.clone(),
    };
    let hers = system.visits().get_worklist(worklist(&paired)).await;
    let hers = hers.unwrap().into_inner().items;
    let stop = hers.iter().find(|item| item.elder_id == people.neighbour);
    let stop = stop.unwrap();
    assert_eq!(
        (stop.name.as_str(), stop.address.as_str(), stop.place),
        ("林阿婆", "新民街8号", visit.place)
    );
    assert_eq!(stop.contacts[0].phone, "13959951234");
    assert_ne!(stop.mode(), VisitMode::Unspecified);
    let others = system.visits().get_worklist(worklist(&other)).await;
    let others = others.unwrap().into_inner().items;
    assert!(others.iter().all(|item| item.elder_id != people.neighbour));
    system.verify().await;
}

/// What visits keep beside their read models and make again from the logs: the ledger, who is owed what on which
/// days, and how many were visited.
async fn kept(system: &System) -> Vec<String> {
    let mut connection = sqlx::PgConnection::connect(system.visits_database())
        .await
        .unwrap();
    let mut rows = Vec::new();
    // The year before the first start is counted from that on, wherever it lies.
    let tables = [
        ("entry", ""),
        ("photo", ""),
        ("span", ""),
        ("visited", ""),
        ("coverage", "WHERE month >= '2024-01-01'"),
    ];
    for (table, these) in tables {
        let statement = format!(
            "SELECT kept::text FROM visits_kept.{table} AS kept {these} ORDER BY kept::text"
        );
        let found = sqlx::query(AssertSqlSafe(statement))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        rows.extend(
            found
                .iter()
                .map(|row| format!("{table} {}", row.get::<String, _>(0))),
        );
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_databases_of_visits_come_back_from_the_logs() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let people = People::of(&system).await;
    let she = visitor(&system, "王网格").await;
    start_visiting(&system, "2024-09-30").await;
    system.advance_to("2024-10-03T12:00:00+08:00").await;
    let mut first = a_visit(&she, &people.neighbour, "2024-10-02T09:00:00+08:00");
    first.photo_hashes = vec![vec![7; 32].into()];
    let overlap = a_visit(&she, &people.monthly, "2024-10-02T09:10:00+08:00");
    let mut reused = a_visit(&she, &people.forgotten, "2024-10-02T15:00:00+08:00");
    reused.photo_hashes = first.photo_hashes.clone();
    let sent = [first, overlap, reused];
    let outcomes = record(&system, &sent, &people.position).await.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(
        told,
        ["COUNTED", "DOUBTFUL OVERLAP", "DOUBTFUL EVIDENCE_REUSED"]
    );
    // A campaign in which nobody is visited, and a door that stays closed.
    let campaign = StartCampaignRequest {
        request_id: new_id(),
        division_code: county::COUNTY.to_owned(),
        kind: pb::CampaignKind::Festival.into(),
        name: "重阳节走访".to_owned(),
        first_day: Some(date("2024-10-09")),
        last_day: Some(date("2024-10-11")),
        selection: Some(pb::CampaignSelection {
            tiers: vec!["PRIORITY".to_owned()],
            condition: String::new(),
        }),
    };
    let campaign = system.visits().start_campaign(campaign).await.unwrap();
    let campaign_id = campaign.into_inner().campaign_id;
    let closed = ["2024-10-02T16:00:00+08:00", "2024-10-03T09:00:00+08:00"].map(|start| {
        let mut closed = a_visit(&she, &people.forgotten, start);
        closed.result = pb::VisitResult::NotAtHome.into();
        closed
    });
    let outcomes_of_closed = record(&system, &closed, "").await.unwrap();
    assert!(
        outcomes_of_closed
            .iter()
            .all(|one| in_words(one) == "NOT_MET")
    );
    system.advance_to("2024-11-01T00:00:00+08:00").await;
    let answers = async |system: &System| {
        let mut answers = Vec::new();
        for filter in [DutyFilter::Unspecified, DutyFilter::Missed] {
            let request = ListDutiesRequest {
                division_code: county::COUNTY.to_owned(),
                campaign_id: campaign_id.clone(),
                filter: filter.into(),
                ..ListDutiesRequest::default()
            };
            let told = system.visits().list_duties(request).await.unwrap();
            answers.push(told.into_inner());
        }
        for period in ["2024-W40", "2024-W41", "2024-W43", "2024-10"] {
            answers.push(duties(system, period, DutyFilter::Unspecified, "").await);
            answers.push(duties(system, period, DutyFilter::Missed, "").await);
        }
        let doors = ListClosedDoorsRequest {
            division_code: county::COUNTY.to_owned(),
            ..ListClosedDoorsRequest::default()
        };
        let doors = system.visits().list_closed_doors(doors).await.unwrap();
        (answers, doors.into_inner().doors, kept(system).await)
    };
    let before = answers(&system).await;
    assert!(!before.2.is_empty() && before.0.iter().all(|told| told.closed));
    assert_eq!((before.0[0].owed, before.0[1].missed), (3, 3));
    let doors: Vec<_> = before.1.iter().map(|door| &door.elder_id).collect();
    assert_eq!(doors, [&people.forgotten]);
    let written = system.last_sequence("visits").await;

    system.kill().await;
    system.lose_databases().await;
    system.restart().await;
    system.settled().await;
    assert_eq!(answers(&system).await, before);
    assert_eq!(
        system.last_sequence("visits").await,
        written,
        "nothing new happened"
    );
    // The same records are answered as the first time.
    let again = record(&system, &sent, "").await.unwrap();
    are_answered_again(&again, &outcomes);
    system.verify().await;
}

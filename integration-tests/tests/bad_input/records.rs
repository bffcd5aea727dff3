//! Records of visits that are none or that the rules refuse, in a stream among good ones: each has its outcome, and the good
//! ones are kept.

use bytes::Bytes;
use integration_tests::{
    Setup, System, an_elder, born, date, each_once,
    malformed::{self, Known},
    new_id,
    process::Part,
    reason,
    visiting::{a_visit, a_visitor, in_words, record, visitor},
};
use prost::Message as _;
use proto::eldercare::visits::v1::{
    RecordOutcome, RecordOutcomeKind, RecordVisitsRequest, RecordVisitsResponse,
    RegisterVisitorRequest, RetireVisitorRequest, VisitRecord, VisitRecorded, Visitor,
};
use rand::{SeedableRng as _, rngs::StdRng};
use tonic::Status;

use super::{NO_MESSAGES, is_typed, still_works};

const STREAM: &str = "/eldercare.visits.v1.VisitService/RecordVisits";

/// Records that are none, in one stream.
const RECORDS: usize = 3_000;

/// After so many of them comes a good one.
const BETWEEN: usize = 100;

/// Sends bytes as a stream of records: the outcomes, and why it ended if it did not end well.
async fn stream(system: &System, messages: Vec<Bytes>) -> (Vec<RecordOutcome>, Option<Status>) {
    let channel = system.officer().channel(Part::Visits);
    let (answers, end) = super::stream::<RecordVisitsResponse>(channel, STREAM, messages).await;
    let outcomes = answers.into_iter().map(|answer| answer.outcome.unwrap());
    (outcomes.collect(), end)
}

fn message(record: &VisitRecord) -> Bytes {
    let request = RecordVisitsRequest {
        record: Some(record.clone()),
        min_position: String::new(),
    };
    request.encode_to_vec().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_records_of_a_stream_have_an_outcome_each_and_the_good_ones_are_kept() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let known = Known {
        elder: system.register(an_elder("林一")).await,
        other: system.register(an_elder("林二")).await,
        visitor: visitor(&system, "王一").await,
        policy: "",
    };
    let before = system.written().await;
    let maker = malformed::records(&known);
    let mut random = StdRng::seed_from_u64(20_241_001);
    let mut messages = Vec::new();
    let mut wrong = Vec::new();
    while wrong.len() < RECORDS {
        // What is broken below the fields ends the stream, and is told below.
        let malformed = maker(&mut random);
        if !malformed.names_fields {
            continue;
        }
        messages.extend(malformed.messages);
        wrong.push(Some(malformed.wrong));
        if wrong.len() % BETWEEN == 0 {
            let minute = wrong.len() / BETWEEN;
            let start = format!(
                "2024-09-30T{:02}:{:02}:00+08:00",
                minute / 2,
                minute % 2 * 30
            );
            messages.push(message(&a_visit(&known.visitor, &known.elder, &start)));
            wrong.push(None);
        }
    }
    let (outcomes, end) = stream(&system, messages).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(outcomes.len(), wrong.len(), "each record has an outcome");
    for (outcome, wrong) in outcomes.iter().zip(&wrong) {
        let Some(wrong) = wrong else {
            assert_eq!(in_words(outcome), "COUNTED");
            continue;
        };
        assert_eq!(outcome.outcome(), RecordOutcomeKind::Invalid, "{wrong}");
        assert!(
            !outcome.invalid_reason.is_empty() && !outcome.invalid_field.is_empty(),
            "{wrong}: {outcome:?}"
        );
        assert!(outcome.position.is_empty(), "{wrong}: it left a trace");
    }
    let good = u64::try_from(wrong.iter().filter(|wrong| wrong.is_none()).count()).unwrap();
    let mut after = system.written().await;
    after.visits -= good;
    assert_eq!(after, before, "a malformed record wrote something");

    // Bytes that are no message end the stream, after the outcomes of what came before them.
    let good = a_visit(&known.visitor, &known.elder, "2024-09-29T09:00:00+08:00");
    let never = a_visit(&known.visitor, &known.elder, "2024-09-29T10:00:00+08:00");
    for broken in NO_MESSAGES {
        let sent = vec![message(&good), Bytes::from_static(broken), message(&never)];
        let (outcomes, end) = stream(&system, sent).await;
        let told: Vec<_> = outcomes.iter().map(in_words).collect();
        assert_eq!(told, ["COUNTED"]);
        let end = end.expect("the stream is refused");
        is_typed(&end, "bytes that are no message");
        assert_eq!(reason(&end), "MESSAGE_MALFORMED");
    }
    // A stream of nothing at all is none that is wrong.
    assert!(matches!(stream(&system, vec![]).await, (none, None) if none.is_empty()));
    let recorded = system.events::<VisitRecorded>("visits").await;
    let recorded = each_once(recorded.into_iter().map(|event| event.record_id));
    assert!(recorded.contains(&good.record_id));
    assert!(!recorded.contains(&never.record_id));
    still_works(&mut system).await;
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_cannot_be_are_told_why_one_by_one() {
    let system = System::start_with(Setup::with_visits()).await;
    let elder = system.register(an_elder("林阿公")).await;
    let young = system.register(born("1980-01-01", "林年轻")).await;
    let erased = system.register(an_elder("林已删")).await;
    let position = system.erase(&erased).await;
    let she = visitor(&system, "王网格").await;
    let elsewhere = RegisterVisitorRequest {
        visitor: Some(Visitor {
            home_division_code: "350525".to_owned(),
            ..a_visitor("王邻县").visitor.unwrap()
        }),
        ..a_visitor("王邻县")
    };
    let elsewhere = system.visits().register_visitor(elsewhere).await;
    let elsewhere = elsewhere.unwrap().into_inner().visitor_id;
    let retired = visitor(&system, "王退出").await;
    let retire = RetireVisitorRequest {
        request_id: new_id(),
        visitor_id: retired.clone(),
        last_day: Some(date("2024-09-15")),
    };
    system.visits().retire_visitor(retire).await.unwrap();
    system.settled().await;
    let before = system.written().await;

    let good = |start: &str| a_visit(&she, &elder, start);
    let by = |visitor: &str| a_visit(visitor, &elder, "2024-09-30T10:00:00+08:00");
    let with = |change: &dyn Fn(&mut VisitRecord)| {
        let mut record = good("2024-09-30T10:00:00+08:00");
        change(&mut record);
        record
    };
    let twice = good("2024-09-30T16:00:00+08:00");
    let sent = [
        good("2024-09-30T08:00:00+08:00"),
        with(&|record| record.elder_id = erased.clone()),
        with(&|record| record.elder_id = new_id()),
        with(&|record| record.elder_id = young.clone()),
        by(&elsewhere),
        by(&retired),
        by(&new_id()),
        with(&|record| {
            record.end_time = Some(integration_tests::timestamp("2024-09-30T09:59:00+08:00"))
        }),
        good("2024-10-01T09:00:01+08:00"),
        good("2024-08-02T08:59:59+08:00"),
        twice.clone(),
        VisitRecord {
            remarks: "又一次".to_owned(),
            ..twice
        },
    ];
    let outcomes = record(&system, &sent, &position).await.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(
        told,
        [
            "COUNTED",
            "INVALID ELDER_NOT_FOUND",
            "INVALID ELDER_NOT_FOUND",
            "REFUSED NOT_IN_SCOPE",
            "REFUSED VISITOR_UNKNOWN",
            "REFUSED VISITOR_UNKNOWN",
            "REFUSED VISITOR_UNKNOWN",
            "REFUSED TIME_INVALID",
            "REFUSED TIME_INVALID",
            "REFUSED TIME_INVALID",
            "COUNTED",
            "INVALID RECORD_ID_REUSED",
        ]
    );
    let mut after = system.written().await;
    after.visits -= 2;
    assert_eq!(after, before, "what was refused left a trace");
    system.verify().await;
}

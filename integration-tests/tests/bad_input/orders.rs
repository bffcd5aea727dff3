//! Orders and enrolments that are none or that the rules refuse, in a stream among good ones: each has its outcome, and the
//! good ones are kept.

use bytes::Bytes;
use integration_tests::{
    Setup, System, Written, an_elder, born,
    claiming::{
        PRICE, PROGRAMME, a_person, a_programme, an_enrolment, an_order, enrol, enrolled,
        enrolment_in_words, fund, in_words, programme, provider, submit, submit_alone,
    },
    date, each_once,
    malformed::{self, Known},
    new_id,
    process::Part,
    reason, timestamp, wrong_fields,
};
use prost::Message as _;
use proto::eldercare::{
    claims::v1::{
        EnrolPersonsRequest, EnrolPersonsResponse, Enrolment, EnrolmentOutcomeKind, OrderSubmitted,
        PersonEnrolled, ServiceOrder, SubmitOrdersRequest, SubmitOrdersResponse,
    },
    registry::v1::{RecordDeathRequest, RegisterElderRequest},
    r#type::v1::GeoPosition,
};
use rand::{SeedableRng as _, rngs::StdRng};
use tonic::Status;

use super::{NO_MESSAGES, is_typed, still_works, stream};

const SUBMIT: &str = "/eldercare.claims.v1.ClaimsService/SubmitOrders";
const ENROL: &str = "/eldercare.claims.v1.ClaimsService/EnrolPersons";

/// Orders that are none, in one stream, and enrolments.
const ORDERS: usize = 3_000;
const ENROLMENTS: usize = 1_000;

/// After so many of them comes a good one.
const BETWEEN: usize = 100;

fn message(order: &ServiceOrder) -> Bytes {
    let request = SubmitOrdersRequest {
        order: Some(order.clone()),
        min_position: String::new(),
    };
    request.encode_to_vec().into()
}

fn enrolment_message(enrolment: &Enrolment) -> Bytes {
    let request = EnrolPersonsRequest {
        enrolment: Some(enrolment.clone()),
        min_position: String::new(),
    };
    request.encode_to_vec().into()
}

/// Sends bytes as a stream of orders: the outcomes, and why it ended if it did not end well.
async fn hand_in(
    system: &System,
    messages: Vec<Bytes>,
) -> (Vec<SubmitOrdersResponse>, Option<Status>) {
    stream(system.officer().channel(Part::Claims), SUBMIT, messages).await
}

/// The same of enrolments.
async fn hand_in_enrolments(
    system: &System,
    messages: Vec<Bytes>,
) -> (Vec<EnrolPersonsResponse>, Option<Status>) {
    stream(system.officer().channel(Part::Claims), ENROL, messages).await
}

/// Nothing but the log of claims was written.
fn others_are_as_before(after: Written, before: Written) {
    let claims = before.claims;
    assert_eq!(Written { claims, ..after }, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_orders_of_a_stream_have_an_outcome_each_and_the_good_ones_are_kept() {
    let mut system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let she = provider(&system, "P01").await;
    let mut elders = Vec::new();
    for name in ["林一", "林二", "林三"] {
        elders.push(enrolled(&system, name).await);
    }
    let known = Known {
        elder: elders[0].clone(),
        other: elders[1].clone(),
        visitor: String::new(),
        policy: "",
    };
    let before = system.written().await;
    let maker = malformed::orders(&known);
    let mut random = StdRng::seed_from_u64(20_241_001);
    let mut messages = Vec::new();
    let mut wrong = Vec::new();
    let mut good = Vec::new();
    while wrong.len() < ORDERS {
        // What is broken below the fields ends the stream, and is told below.
        let malformed = maker(&mut random);
        if !malformed.names_fields {
            continue;
        }
        messages.extend(malformed.messages);
        wrong.push(Some(malformed.wrong));
        if wrong.len() % BETWEEN == 0 {
            let number = good.len();
            let day = 2 + number / 3;
            let start = format!("2024-09-{day:02}T{:02}:00:00+08:00", 8 + number % 3 * 3);
            let name = format!("good {number}");
            let elder = &elders[number % elders.len()];
            good.push(an_order(["P01", &name], &she, elder, &start));
            messages.push(message(&good[number]));
            wrong.push(None);
        }
    }
    let (outcomes, end) = hand_in(&system, messages).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(outcomes.len(), wrong.len(), "each order has an outcome");
    for (outcome, wrong) in outcomes.iter().zip(&wrong) {
        let Some(wrong) = wrong else {
            assert_eq!(in_words(outcome), "APPROVED");
            continue;
        };
        assert_eq!(outcome.standing, None, "{wrong}");
        assert!(
            !outcome.invalid_reason.is_empty() && !outcome.invalid_field.is_empty(),
            "{wrong}: {outcome:?}"
        );
        assert!(outcome.position.is_empty(), "{wrong}: it left a trace");
    }
    let submitted = system.events::<OrderSubmitted>("claims").await;
    let submitted = each_once(submitted.into_iter().map(|event| event.order_id));
    let sent = good.iter().map(|order| order.order_id.clone());
    assert_eq!(submitted, sent.collect());
    others_are_as_before(system.written().await, before);
    let count = i64::try_from(good.len()).unwrap();
    assert_eq!(fund(&system, "").await, [0, count * PRICE, 0, 0]);

    // Bytes that are no message end the stream, after the outcomes of what came before them.
    let never = an_order(
        ["P01", "never"],
        &she,
        &elders[0],
        "2024-09-29T08:00:00+08:00",
    );
    for broken in NO_MESSAGES {
        let sent = vec![
            message(&good[0]),
            Bytes::from_static(broken),
            message(&never),
        ];
        let (outcomes, end) = hand_in(&system, sent).await;
        let told: Vec<_> = outcomes.iter().map(in_words).collect();
        assert_eq!(told, ["APPROVED"]);
        let end = end.expect("the stream is refused");
        is_typed(&end, "bytes that are no message");
        assert_eq!(reason(&end), "MESSAGE_MALFORMED");
    }
    // A stream of nothing at all is none that is wrong.
    assert!(matches!(hand_in(&system, vec![]).await, (none, None) if none.is_empty()));
    let submitted = system.events::<OrderSubmitted>("claims").await;
    assert_eq!(submitted.len(), good.len());
    still_works(&mut system).await;
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_enrolments_of_a_stream_have_an_outcome_each_and_the_good_ones_are_kept() {
    let mut system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let known = Known {
        elder: system.register(a_person("林一")).await,
        other: String::new(),
        visitor: String::new(),
        policy: "",
    };
    let maker = malformed::enrolments(&known);
    let mut random = StdRng::seed_from_u64(20_241_001);
    let mut messages = Vec::new();
    let mut wrong = Vec::new();
    let mut good = Vec::new();
    while wrong.len() < ENROLMENTS {
        let malformed = maker(&mut random);
        if !malformed.names_fields {
            continue;
        }
        messages.extend(malformed.messages);
        wrong.push(Some(malformed.wrong));
        if wrong.len() % BETWEEN == 0 {
            let elder = system.register(a_person("林好人")).await;
            good.push(an_enrolment(PROGRAMME, &elder));
            messages.push(enrolment_message(good.last().unwrap()));
            wrong.push(None);
        }
    }
    let before = system.written().await;
    let (outcomes, end) = hand_in_enrolments(&system, messages).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(outcomes.len(), wrong.len(), "each enrolment has an outcome");
    for (outcome, wrong) in outcomes.iter().zip(&wrong) {
        let Some(wrong) = wrong else {
            assert_eq!(enrolment_in_words(outcome), "ENROLLED");
            continue;
        };
        assert_eq!(outcome.outcome(), EnrolmentOutcomeKind::Invalid, "{wrong}");
        assert!(
            !outcome.reason.is_empty() && !outcome.field.is_empty(),
            "{wrong}: {outcome:?}"
        );
        assert!(outcome.position.is_empty(), "{wrong}: it left a trace");
    }
    let enrolled = system.events::<PersonEnrolled>("claims").await;
    let enrolled = each_once(enrolled.into_iter().map(|event| event.enrolment_id));
    let sent = good.iter().map(|one| one.enrolment_id.clone());
    assert_eq!(enrolled, sent.collect());
    others_are_as_before(system.written().await, before);
    for broken in NO_MESSAGES {
        let sent = vec![enrolment_message(&good[0]), Bytes::from_static(broken)];
        let (outcomes, end) = hand_in_enrolments(&system, sent).await;
        let told: Vec<_> = outcomes.iter().map(enrolment_in_words).collect();
        assert_eq!(told, ["ENROLLED"]);
        let end = end.expect("the stream is refused");
        is_typed(&end, "bytes that are no message");
        assert_eq!(reason(&end), "MESSAGE_MALFORMED");
    }
    still_works(&mut system).await;
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_cannot_be_are_told_why_one_by_one() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let she = provider(&system, "P01").await;
    let other = provider(&system, "P02").await;
    let elder = enrolled(&system, "林阿婆").await;
    let erased = enrolled(&system, "林已删").await;
    let position = system.erase(&erased).await;
    let written = system.events::<OrderSubmitted>("claims").await;
    assert_eq!(written, []);

    let good = |number: &str, start: &str| an_order(["P01", number], &she, &elder, start);
    let with = |number: &str, change: &dyn Fn(&mut ServiceOrder)| {
        let mut order = good(number, "2024-09-20T08:00:00+08:00");
        change(&mut order);
        order
    };
    let sent = [
        good("1", "2024-09-19T08:00:00+08:00"),
        with("2", &|order| order.elder_id = erased.clone()),
        with("3", &|order| order.elder_id = new_id()),
        with("4", &|order| order.programme_code = "HOMECARE".to_owned()),
        with("5", &|order| order.programme_version = 2),
        with("6", &|order| {
            order.programme_version = 1;
            order.check_in_at = Some(timestamp("2023-12-31T08:00:00+08:00"));
            order.check_out_at = Some(timestamp("2023-12-31T10:00:00+08:00"));
        }),
        with("7", &|order| {
            order.check_out_at = Some(timestamp("2024-09-20T07:59:00+08:00"));
        }),
        good("8", "2024-10-01T09:00:01+08:00"),
        with("9", &|order| order.evidence[0].hash = vec![7; 7].into()),
        with("10", &|order| {
            order.check_in = Some(GeoPosition {
                latitude: f64::NAN,
                longitude: 118.18,
            });
        }),
        // What is well formed is judged: nobody of these is on the provider's list, nor is the provider known.
        with("11", &|order| order.caregiver_id = new_id()),
        with("12", &|order| {
            order.caregiver_id = other.clone();
            order.check_in_at = Some(timestamp("2024-09-21T08:00:00+08:00"));
            order.check_out_at = Some(timestamp("2024-09-21T10:00:00+08:00"));
        }),
        an_order(["P99", "1"], &she, &elder, "2024-09-22T08:00:00+08:00"),
        ServiceOrder {
            programme_version: 1,
            ..good("14", "2024-09-23T08:00:00+08:00")
        },
    ];
    let outcomes = submit(system.claims(), &sent, &position).await.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(
        told,
        [
            "APPROVED",
            "INVALID ELDER_NOT_FOUND",
            "INVALID ELDER_NOT_FOUND",
            "INVALID PROGRAMME_NOT_FOUND",
            "INVALID PROGRAMME_VERSION_INVALID order.programme_version",
            "INVALID PROGRAMME_VERSION_INVALID order.programme_version",
            "INVALID TIMES_INVALID order.check_out_at",
            "INVALID IN_THE_FUTURE order.check_in_at",
            "INVALID HASH_INVALID order.evidence.hash",
            "INVALID POSITION_OUT_OF_RANGE order.check_in",
            "ABNORMAL_OPEN PROVIDER_INVALID",
            "ABNORMAL_OPEN PROVIDER_INVALID",
            "ABNORMAL_OPEN PROVIDER_INVALID",
            "APPROVED",
        ]
    );
    // Alone each is told the same, with texts in both languages, and leaves no trace.
    let before = system.written().await;
    for (order, outcome) in sent.iter().zip(&outcomes) {
        if outcome.standing.is_some() {
            continue;
        }
        let refused = submit_alone(system.claims(), order).await.unwrap_err();
        is_typed(&refused, &order.order_id);
        // A stream tells the first thing that is wrong, as there is room for one.
        let fields = wrong_fields(&refused);
        let first = fields.first().map_or("", String::as_str);
        assert_eq!(first, outcome.invalid_field);
        if fields.len() < 2 {
            assert_eq!(reason(&refused), outcome.invalid_reason);
        }
    }
    // Under a number that is taken, what is wrong with an order is told too, and nothing of the other one.
    for order in &sent[1..6] {
        let taken = ServiceOrder {
            order_id: "1".to_owned(),
            ..order.clone()
        };
        let refused = submit_alone(system.claims(), &taken).await.unwrap_err();
        assert_ne!(reason(&refused), "ORDER_ID_REUSED", "{refused}");
    }
    assert_eq!(system.written().await, before);
    let submitted = system.events::<OrderSubmitted>("claims").await;
    assert_eq!(submitted.len(), 5);
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persons_who_cannot_be_enrolled_are_told_why_one_by_one() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let mut of_a_neighbour = a_programme("NEIGHBOUR");
    of_a_neighbour.division_code = "350525".to_owned();
    let defined = system.claims().define_programme(of_a_neighbour).await;
    defined.unwrap();
    let enrolled = enrolled(&system, "林已保").await;
    let healthy = system.register(an_elder("林健康")).await;
    let child = RegisterElderRequest {
        handicap_grade: 1,
        categories: vec![],
        ..born("2019-06-01", "林小")
    };
    let child = system.register(child).await;
    let gone = system.register(a_person("林已故")).await;
    let death = RecordDeathRequest {
        request_id: new_id(),
        elder_id: gone.clone(),
        on: Some(date("2023-12-30")),
        ..RecordDeathRequest::default()
    };
    system.registry().record_death(death).await.unwrap();
    let erased = system.register(a_person("林已删")).await;
    let position = system.erase(&erased).await;
    let before = system.events::<PersonEnrolled>("claims").await.len();
    let with = |elder: &str, change: &dyn Fn(&mut Enrolment)| {
        let mut enrolment = an_enrolment(PROGRAMME, elder);
        change(&mut enrolment);
        enrolment
    };
    let sent = [
        an_enrolment(PROGRAMME, &child),
        an_enrolment(PROGRAMME, &enrolled),
        an_enrolment(PROGRAMME, &healthy),
        an_enrolment(PROGRAMME, &gone),
        an_enrolment(PROGRAMME, &erased),
        an_enrolment(PROGRAMME, &new_id()),
        an_enrolment("HOMECARE", &enrolled),
        an_enrolment("NEIGHBOUR", &enrolled),
        with(&enrolled, &|one| one.first_day = Some(date("2023-12-01"))),
    ];
    let outcomes = enrol(system.claims(), &sent, &position).await.unwrap();
    let told: Vec<_> = outcomes.iter().map(enrolment_in_words).collect();
    assert_eq!(
        told,
        [
            "ENROLLED",
            "REFUSED ALREADY_ENROLLED",
            "REFUSED NOT_ELIGIBLE",
            "REFUSED NOT_ALIVE_OR_PRESENT",
            "INVALID ELDER_NOT_FOUND",
            "INVALID ELDER_NOT_FOUND",
            "INVALID PROGRAMME_NOT_FOUND",
            "REFUSED OUTSIDE_DIVISION",
            "REFUSED PROGRAMME_NOT_IN_FORCE",
        ]
    );
    let after = system.events::<PersonEnrolled>("claims").await.len();
    assert_eq!(after, before + 1);
    system.verify().await;
}

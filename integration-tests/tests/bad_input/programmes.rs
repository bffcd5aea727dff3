//! Definitions of programmes that are wrong: each is told by its line, in words of both languages, and nothing is defined.

use integration_tests::{
    Setup, System,
    claiming::{DEFINITION, PROGRAMME, a_programme, programme},
    reason,
};
use proto::eldercare::claims::v1::{
    DefineProgrammeRequest, GetProgrammeRequest, ListProgrammesRequest, ProgrammeDefined,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{is_typed, still_works};

/// What of the definition is replaced by what, the line at which that is wrong, and the reason.
const WRONG: [(&str, &str, u32, &str); 39] = [
    ("name: 长期护理险", "name: ' '", 1, "TEXT_INVALID"),
    ("2024-01-01", "2024-02-30", 2, "DAY_INVALID"),
    ("2024-01-01", "1 January 2024", 2, "DAY_INVALID"),
    ("premium_fen: 0", "premium_fen: -1", 3, "OUT_OF_RANGE"),
    (
        "premium_fen: 0",
        "premium_fen: 100000001",
        3,
        "OUT_OF_RANGE",
    ),
    (
        "premium_fen: 0",
        "premium_fen: 9223372036854775808",
        3,
        "DEFINITION_UNPARSABLE",
    ),
    (
        "premium_fen: 0",
        "premium_fen: 0.5",
        3,
        "DEFINITION_UNPARSABLE",
    ),
    (
        "premium_fen: 0",
        "premium_yuan: 300",
        3,
        "DEFINITION_UNPARSABLE",
    ),
    ("rule: HANDICAP_1_2", "rule: handicap", 5, "NAME_INVALID"),
    (
        "enrolment:\n",
        "enrolment:\n  - rule: HANDICAP_1_2\n    when: age > 1\n",
        7,
        "RULE_REPEATED",
    ),
    (
        "when: handicap_grade in [1, 2]",
        "when: handicap_grade in [",
        6,
        "CONDITION_UNPARSABLE",
    ),
    (
        "when: handicap_grade in [1, 2]",
        "when: income < 1000",
        6,
        "UNKNOWN_VARIABLE",
    ),
    (
        "when: handicap_grade in [1, 2]",
        "when: age + 1",
        6,
        "CONDITION_NOT_BOOL",
    ),
    ("source: 安溪县长期护理险", "source: ''", 7, "TEXT_INVALID"),
    ("services: 12", "services: -1", 12, "OUT_OF_RANGE"),
    ("services: 12", "services: 527041", 12, "OUT_OF_RANGE"),
    (
        "services: 12",
        "services: 12\n  minutes: 2880",
        12,
        "QUOTA_INVALID",
    ),
    ("quota:\n  services: 12", "quota: {}", 11, "QUOTA_INVALID"),
    (
        "least_minutes: 120",
        "least_minutes: -120",
        13,
        "OUT_OF_RANGE",
    ),
    (
        "least_minutes: 120",
        "least_minutes: 1441",
        13,
        "OUT_OF_RANGE",
    ),
    (
        "fen_a_service: 20000",
        "fen_a_service: -20000",
        15,
        "OUT_OF_RANGE",
    ),
    (
        "fen_a_service: 20000",
        "fen_a_service: 100000001",
        15,
        "OUT_OF_RANGE",
    ),
    (
        "fen_a_service: 20000",
        "fen_a_service: 9223372036854775807",
        15,
        "OUT_OF_RANGE",
    ),
    (
        "fen_a_service: 20000",
        "fen_an_hour: -1",
        15,
        "OUT_OF_RANGE",
    ),
    (
        "fen_a_service: 20000",
        "fen_a_service: 1\n  fen_an_hour: 1",
        15,
        "PRICE_INVALID",
    ),
    (
        "price:\n  fen_a_service: 20000",
        "price: {}",
        14,
        "PRICE_INVALID",
    ),
    ("BATHING: 助浴", "VITAL_SIGNS: 助浴", 17, "ITEM_REPEATED"),
    ("BATHING: 助浴", "bathing: 助浴", 17, "NAME_INVALID"),
    ("BATHING: 助浴", "BATHING: ''", 17, "TEXT_INVALID"),
    (
        "ALL_BASE_AND_ONE_OPTIONAL",
        "ANYTHING",
        19,
        "ITEMS_RULE_UNKNOWN",
    ),
    (
        "evidence: {VIDEO: 1}",
        "evidence: {AUDIO: 1}",
        20,
        "EVIDENCE_UNKNOWN",
    ),
    (
        "evidence: {VIDEO: 1}",
        "evidence: {VIDEO: 51}",
        20,
        "OUT_OF_RANGE",
    ),
    (
        "evidence: {VIDEO: 1}",
        "evidence: {VIDEO: -1}",
        20,
        "OUT_OF_RANGE",
    ),
    (
        "submission_days: 30",
        "submission_days: -30",
        21,
        "OUT_OF_RANGE",
    ),
    (
        "submission_days: 30",
        "submission_days: 3651",
        21,
        "OUT_OF_RANGE",
    ),
    ("appeal_days: 15", "appeal_days: -1", 22, "OUT_OF_RANGE"),
    (
        "appeal_days: 15",
        "appeal_days: 15\nappeal_days: 16",
        23,
        "DEFINITION_UNPARSABLE",
    ),
    (
        "appeal_days: 15",
        "appeal_days: &days 15\nname_again: *days",
        22,
        "DEFINITION_UNPARSABLE",
    ),
    (
        "appeal_days: 15",
        "appeal_days: 15\n---\nname: 又一个",
        23,
        "DEFINITION_UNPARSABLE",
    ),
];

async fn refused(system: &System, definition: String) -> Status {
    let request = DefineProgrammeRequest {
        definition: definition.clone(),
        ..a_programme("OTHER")
    };
    let defined = system.claims().define_programme(request).await;
    defined.expect_err(&definition)
}

/// What is wrong with a definition: the line and the reason of each fault, which is told in English and Chinese.
fn faults(refused: &Status) -> Vec<(u32, String)> {
    let bad = refused.get_details_bad_request().unwrap();
    let faults = bad.field_violations.into_iter().map(|fault| {
        assert_eq!(fault.field, "definition");
        let line = fault.description.strip_prefix("line ").unwrap();
        let (line, _) = line.split_once(": ").unwrap();
        let zh = fault.localized_message.unwrap();
        assert_eq!(zh.locale, "zh-CN");
        assert!(zh.message.starts_with(&format!("第 {line} 行：")), "{zh:?}");
        (line.parse().unwrap(), fault.reason)
    });
    faults.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_that_are_wrong_are_told_where() {
    let mut system = System::start_with(Setup::with_claims()).await;
    let before = system.written().await;
    let mut told = Vec::new();
    let mut expected = Vec::new();
    for (right, wrong, line, reason) in WRONG {
        assert!(DEFINITION.contains(right), "{right}");
        let status = refused(&system, DEFINITION.replacen(right, wrong, 1)).await;
        is_typed(&status, wrong);
        assert_eq!(status.code(), Code::InvalidArgument, "{wrong}: {status}");
        let first = faults(&status).swap_remove(0);
        told.push((wrong, first));
        expected.push((wrong, (line, reason.to_owned())));
    }
    assert_eq!(told, expected);
    // All that is wrong is told at once, by line.
    let all_wrong = DEFINITION
        .replace("least_minutes: 120", "least_minutes: -1")
        .replace("appeal_days: 15", "appeal_days: -1")
        .replace("2024-01-01", "soon");
    let all_wrong = refused(&system, all_wrong).await;
    assert_eq!(reason(&all_wrong), "INVALID_REQUEST");
    let lines = faults(&all_wrong).into_iter().map(|(line, _)| line);
    assert_eq!(lines.collect::<Vec<_>>(), [2, 13, 22]);
    assert_eq!(system.written().await, before);
    still_works(&mut system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_may_not_follow_is_refused_and_the_one_before_holds() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let before = system.written().await;
    let earlier = DefineProgrammeRequest {
        definition: DEFINITION.replace("2024-01-01", "2023-12-31"),
        ..a_programme(PROGRAMME)
    };
    let of_a_neighbour = DefineProgrammeRequest {
        division_code: "350525".to_owned(),
        definition: DEFINITION.replace("services: 12", "services: 13"),
        ..a_programme(PROGRAMME)
    };
    for (request, expected) in [
        (earlier, "HOLDS_EARLIER"),
        (of_a_neighbour, "ANOTHER_DIVISION"),
    ] {
        let refused = system.claims().define_programme(request).await;
        let refused = refused.unwrap_err();
        is_typed(&refused, expected);
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, expected)
        );
    }
    assert_eq!(system.written().await, before);
    let defined = system.events::<ProgrammeDefined>("claims").await;
    assert_eq!(defined.len(), 1);
    let newest = GetProgrammeRequest {
        programme_code: PROGRAMME.to_owned(),
        ..GetProgrammeRequest::default()
    };
    let newest = system.claims().get_programme(newest).await.unwrap();
    let newest = newest.into_inner().programme.unwrap();
    assert_eq!((newest.version, newest.units_a_year), (1, 12));
    let list = ListProgrammesRequest::default();
    let listed = system.claims().list_programmes(list).await.unwrap();
    assert_eq!(listed.into_inner().programmes, [newest]);
}

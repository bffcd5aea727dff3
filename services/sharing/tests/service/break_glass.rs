//! In an emergency a supervisor opens a whole dossier, says why, and answers for it.

use civic::ElderId;
use eventlog::Fault;
use proto::eldercare::sharing::v1 as pb;
use sharing::codec::purpose;
use sharing::look::Recorded;
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    CIVIL_AFFAIRS, COUNTY, FAR_VILLAGE, Ground, OTHER_COUNTY, at, break_glass_request, callers,
    doctor, in_full, in_words, looks_at, looks_by, officer, reader, refused,
};

/// A supervisor of the hospitals, to whom no agreement grants anything.
fn supervisor() -> service::Claims {
    officer("supervisor", "health", COUNTY, &["supervisor"]).purpose("急救")
}

#[tokio::test]
async fn a_supervisor_of_any_department_opens_a_whole_dossier() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let outcome = running.dossier(&supervisor(), elder).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    let request = break_glass_request(elder);
    let told = running.break_glass(&supervisor(), request).await.unwrap();
    let dossier = told.dossier.unwrap();
    let whole = running.dossier(&reader(), elder).await.unwrap();
    assert_eq!(dossier, whole);
    assert_eq!(in_words(&dossier).len(), 6);
    assert!(dossier.agreement_ids.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn the_reason_is_on_record_sealed_under_the_key_of_the_elder() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let request = break_glass_request(elder);
    let told = running.break_glass(&supervisor(), request.clone()).await;
    let told = told.unwrap();
    let broken = ground.broken().await;
    let [broken] = &broken[..] else {
        panic!("{broken:?}");
    };
    assert_eq!(broken.look.caller, "officer:supervisor");
    assert_eq!(broken.look.department, "health");
    assert_eq!(broken.look.purpose, "急救");
    assert_eq!(broken.look.method, "BreakGlass");
    assert_eq!(broken.look.at, at("2024-03-01 09:10"));
    assert_eq!(broken.look.elders, [elder]);
    assert_eq!(
        broken.look.fields,
        [
            "elder.address",
            "elder.assistance",
            "elder.birth_date",
            "elder.capability",
            "elder.categories",
            "elder.contacts",
            "elder.handicap_grade",
            "elder.id_number",
            "elder.name",
            "elder.observations",
            "enrolment.basis",
            "tier.reasons",
            "visit.findings",
            "visit.remarks",
        ]
    );
    let key = ground.vault.key(elder.as_uuid()).await.unwrap();
    let sealed_for = purpose::BREAK_GLASS_REASON;
    let opened = key.open(sealed_for, elder.as_uuid(), &broken.reason);
    assert_eq!(opened.unwrap().text, request.reason);
    // Nowhere in plain.
    let records = ground.records().await;
    let [record] = &records[..] else {
        panic!("{records:?}");
    };
    let words = request.reason.as_bytes();
    let mut bytes = record.events[0].data.windows(words.len());
    assert!(!bytes.any(|some| some == words));
    assert_eq!(told.position, format!("SHARING:{}", record.sequence));
    assert_eq!(record.subject.id(), elder.to_string());
    // And nowhere at all once the elder is erased.
    ground.is_erased(elder).await;
    assert!(ground.vault.key(elder.as_uuid()).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn nobody_but_a_supervisor_breaks_the_glass() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let others = [
        "viewer",
        "clerk",
        "administrator",
        "operator",
        "privacy_officer",
    ];
    let system = service::Claims::system("his", "health")
        .division(COUNTY)
        .role("supervisor");
    for caller in [
        officer("other", "health", COUNTY, &others),
        officer("other", CIVIL_AFFAIRS, COUNTY, &others),
        system,
    ] {
        let request = break_glass_request(elder);
        let outcome = running.break_glass(&caller, request).await;
        refused(outcome, Code::PermissionDenied, "ACTION_NOT_PERMITTED");
    }
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_reason_has_ten_characters_at_least() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let because = |reason: &str| pb::BreakGlassRequest {
        reason: reason.to_owned(),
        ..break_glass_request(elder)
    };
    for (reason, why) in [
        ("", "REQUIRED"),
        ("          ", "REQUIRED"),
        ("老人昏迷需联系家属", "TOO_SHORT"),
        ("  老人昏迷需联系家属  ", "TOO_SHORT"),
    ] {
        let outcome = running.break_glass(&supervisor(), because(reason)).await;
        refused(outcome, Code::InvalidArgument, why);
    }
    let long = because(&"急".repeat(1_001));
    let outcome = running.break_glass(&supervisor(), long).await;
    refused(outcome, Code::InvalidArgument, "TOO_LONG");
    assert_eq!(ground.written().await, 0);
    let enough = because("老人昏迷急需联系家属");
    running.break_glass(&supervisor(), enough).await.unwrap();
    let most = because(&"急".repeat(1_000));
    running.break_glass(&supervisor(), most).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_retry_is_told_again_and_each_telling_goes_on_record() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let request = break_glass_request(elder);
    let first = running.break_glass(&supervisor(), request.clone()).await;
    let again = running.break_glass(&supervisor(), request.clone()).await;
    let (first, again) = (first.unwrap(), again.unwrap());
    assert_eq!(first.dossier, again.dossier);
    assert_ne!(first.position, again.position);
    // Whoever sends it, it is they who are on record.
    let other = officer("other", "health", COUNTY, &["supervisor"]);
    running.break_glass(&other, request.clone()).await.unwrap();
    let broken = ground.broken().await;
    let callers: Vec<&str> = broken
        .iter()
        .map(|broken| broken.look.caller.as_str())
        .collect();
    assert_eq!(callers[0], callers[1]);
    assert_eq!(callers[2], "officer:other");
    assert_eq!(broken.len(), 3);
    for other in [
        pb::BreakGlassRequest {
            reason: "家属要求查看全部资料".to_owned(),
            ..request.clone()
        },
        pb::BreakGlassRequest {
            newest: 200,
            ..request.clone()
        },
    ] {
        let outcome = running.break_glass(&supervisor(), other).await;
        refused(outcome, Code::InvalidArgument, "REQUEST_ID_REUSED");
    }
    assert_eq!(ground.broken().await.len(), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_lost_answer_of_the_log_doubles_no_look() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    for (count, fault) in (1..).zip([Fault::AfterWriting, Fault::BeforeWriting]) {
        ground.memory.fail_next(fault);
        let request = break_glass_request(elder);
        running.break_glass(&supervisor(), request).await.unwrap();
        assert_eq!(ground.broken().await.len(), count, "{fault:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_the_log_does_not_take_is_not_told() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    // As often as the append is tried.
    for _ in 0..3 {
        ground.memory.fail_next(Fault::BeforeWriting);
    }
    let request = break_glass_request(elder);
    let refused = running.break_glass(&supervisor(), request).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn the_glass_of_whom_there_is_not_or_who_lives_elsewhere_is_not_broken() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let there = ground.elder().await;
    let unknown = ElderId(Uuid::now_v7());
    let erased = ground.known_to_all().await;
    ground.is_erased(erased).await;
    let elsewhere = officer("supervisor", "health", OTHER_COUNTY, &["supervisor"]);
    let mut texts = Vec::new();
    for (caller, elder) in [
        (supervisor(), unknown),
        (supervisor(), erased),
        (elsewhere.clone(), there),
        (elsewhere, unknown),
    ] {
        let request = break_glass_request(elder);
        let refused = running.break_glass(&caller, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
        texts.push(in_full(&refused, &elder.to_string()));
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_broken_glass_stands_in_the_histories_of_elder_and_caller() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let request = break_glass_request(elder);
    let told = running.break_glass(&supervisor(), request).await.unwrap();
    let everywhere = officer("auditor", CIVIL_AFFAIRS, "*", &["privacy_officer"]);
    for request in [looks_at(elder), looks_by("officer:supervisor")] {
        let looks = running.history(&everywhere, request, 0).await.unwrap();
        assert_eq!(callers(&looks), ["officer:supervisor"]);
        assert_eq!(looks[0].kind(), pb::LookKind::BreakGlass);
        assert_eq!(looks[0].position, told.position);
        assert!(looks[0].agreement_ids.is_empty());
    }
    // Whoever broke it sees no more than before by the ordinary way.
    let outcome = running.dossier(&doctor(), elder).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    running.stop().await;
}

#[tokio::test]
async fn why_the_glass_was_broken_is_told_to_those_who_may_review_and_that_goes_on_record() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let request = break_glass_request(elder);
    let reason = request.reason.clone();
    running.break_glass(&supervisor(), request).await.unwrap();
    running.dossier(&reader(), elder).await.unwrap();
    let reasons = |looks: &[pb::RecordedLook]| {
        let reasons = looks.iter().map(|one| one.reason.clone());
        reasons.collect::<Vec<_>>()
    };
    // Neither those who read files, nor whoever broke it: none of them has it on record.
    let auditor = officer("auditor", CIVIL_AFFAIRS, "*", &["privacy_officer"]);
    for caller in [reader(), auditor.clone()] {
        let looks = running.history(&caller, looks_at(elder), 0).await;
        assert_eq!(reasons(&looks.unwrap()), ["", ""]);
    }
    let own = looks_by("officer:supervisor");
    let looks = running.history(&supervisor(), own, 0).await.unwrap();
    assert_eq!(reasons(&looks), [""]);
    let all = ground.looks().await;
    let mut fields = all.iter().flat_map(|one| &one.look().fields);
    assert!(fields.all(|one| one != "break_glass.reason"));
    // Those who answer for it.
    let reviewer = officer("reviewer", CIVIL_AFFAIRS, COUNTY, &["supervisor"]);
    running.advance("2024-03-01 09:20");
    let looks = running.history(&reviewer, looks_at(elder), 0).await;
    let looks = looks.unwrap();
    assert_eq!(callers(&looks), ["officer:reader", "officer:supervisor"]);
    assert_eq!(reasons(&looks), ["", reason.as_str()]);
    let all = ground.looks().await;
    let Recorded::Access(look) = all.last().unwrap() else {
        panic!("{all:?}");
    };
    assert_eq!(look.caller, "officer:reviewer");
    assert_eq!(look.method, "GetAccessHistory");
    assert_eq!(look.address, "127.0.0.1");
    assert_eq!(look.at, at("2024-03-01 09:20"));
    assert_eq!(look.elders, [elder]);
    assert_eq!(look.fields, ["access.history", "break_glass.reason"]);
    let looks = running.history_in_full(&auditor, looks_at(elder), 0).await;
    assert_eq!(callers(&looks.unwrap())[0], "officer:reviewer");
    // Of somebody who was erased it is told to nobody.
    ground.is_erased(elder).await;
    let everywhere = officer(
        "head",
        CIVIL_AFFAIRS,
        "*",
        &["supervisor", "privacy_officer"],
    );
    let looks = running.history(&everywhere, looks_at(elder), 0).await;
    assert_eq!(reasons(&looks.unwrap()), ["", ""]);
    running.stop().await;
}

#[tokio::test]
async fn no_reason_is_on_record_as_told_that_is_not_and_who_reviews_elsewhere_is_told_none() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.dossier(&reader(), elder).await.unwrap();
    let reviewer = officer("reviewer", CIVIL_AFFAIRS, COUNTY, &["supervisor"]);
    let looks = running.history(&reviewer, looks_at(elder), 0).await;
    assert_eq!(callers(&looks.unwrap()), ["officer:reader"]);
    // Who reviews elsewhere, and only reads here.
    let request = break_glass_request(elder);
    running.break_glass(&reviewer, request).await.unwrap();
    ground.moves(elder, FAR_VILLAGE, "2024-03-01").await;
    let own = looks_by("officer:reviewer");
    let looks = running.history(&reviewer, own, 0).await.unwrap();
    assert_eq!(looks[0].reason, "");
    let all = ground.looks().await;
    let histories = all.iter().map(Recorded::look);
    let histories = histories.filter(|look| look.method == "GetAccessHistory");
    let told: Vec<_> = histories.map(|look| look.fields.join(" ")).collect();
    assert_eq!(told, ["access.history", "access.history"]);
    running.stop().await;
}

//! Who has looked at whose data: of an elder and of a caller, by days, in pages, for nobody else's eyes, and itself on record.

use std::collections::BTreeSet;

use civic::ElderId;
use eventlog::Fault;
use futures::future::join_all;
use proto::eldercare::sharing::v1 as pb;
use sharing::look::{Look, Recorded};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    CIVIL_AFFAIRS, Ground, OTHER_COUNTY, at, break_glass_request, callers, date, doctor,
    dossier_request, look, looks_at, looks_by, officer, reader, refused, some_terms, timestamp,
};

/// May see what anybody has looked at.
fn auditor() -> service::Claims {
    officer("auditor", CIVIL_AFFAIRS, "*", &["privacy_officer"])
}

#[tokio::test]
async fn a_history_tells_who_looked_by_what_right_what_for_and_what_they_saw() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&some_terms()).await;
    running.dossier(&reader(), elder).await.unwrap();
    running.advance("2024-03-01 09:20");
    running.dossier(&doctor(), elder).await.unwrap();
    running.advance("2024-03-01 09:30");
    let supervisor = officer("supervisor", "health", "350524", &["supervisor"]);
    let request = break_glass_request(elder);
    running.break_glass(&supervisor, request).await.unwrap();
    let looks = running
        .history(&reader(), looks_at(elder), 0)
        .await
        .unwrap();
    assert_eq!(
        callers(&looks),
        ["officer:supervisor", "officer:doctor", "officer:reader"]
    );
    let kinds: Vec<_> = looks.iter().map(pb::RecordedLook::kind).collect();
    let of = [
        pb::LookKind::BreakGlass,
        pb::LookKind::Provided,
        pb::LookKind::Access,
    ];
    assert_eq!(kinds, of);
    let provided = looks[1].clone();
    assert_eq!(provided.agreement_ids, [agreement]);
    let mut look = provided.look.unwrap();
    // Where the peer called from.
    assert_eq!(std::mem::take(&mut look.address), "127.0.0.1");
    assert_eq!(
        look,
        pb::Look {
            caller: "officer:doctor".to_owned(),
            department: "health".to_owned(),
            purpose: "家庭医生签约".to_owned(),
            method: "GetDossier".to_owned(),
            address: String::new(),
            at: timestamp(at("2024-03-01 09:20")),
            elder_ids: vec![elder.to_string()],
            fields: vec!["elder.name:masked".to_owned()],
        }
    );
    running.stop().await;
}

#[tokio::test]
async fn the_history_of_a_caller_names_all_elders_and_that_of_an_elder_no_other() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (elder, other) = (ground.elder().await, ground.elder().await);
    let both = look("officer:reader", &[elder, other], "2024-02-10 09:00");
    ground.looked(&[Recorded::Access(both)]).await;
    running.dossier(&reader(), other).await.unwrap();
    let of_elders = |looks: &[pb::RecordedLook]| {
        let looks = looks.iter().map(|one| one.look.clone().unwrap());
        looks.map(|look| look.elder_ids).collect::<Vec<_>>()
    };
    let (elder_id, other_id) = (elder.to_string(), other.to_string());
    let own = looks_by("officer:reader");
    let looks = running.history(&reader(), own, 0).await.unwrap();
    assert_eq!(
        of_elders(&looks),
        [
            vec![other_id.clone()],
            vec![elder_id.clone(), other_id.clone()]
        ]
    );
    let looks = running.history(&reader(), looks_at(elder), 0).await;
    assert_eq!(of_elders(&looks.unwrap()), [vec![elder_id]]);
    let looks = running.history(&reader(), looks_at(other), 0).await;
    let alone = vec![other_id];
    assert_eq!(of_elders(&looks.unwrap()), [alone.clone(), alone]);
    running.stop().await;
}

#[tokio::test]
async fn looks_of_one_record_are_told_one_by_one_and_pages_may_end_among_them() {
    let ground = Ground::at("2024-03-01 09:10");
    let elder = ground.elder().await;
    let other = ground.elder().await;
    let mut expected = Vec::new();
    for record in 0..3 {
        let mut looks = Vec::new();
        for place in 0..4 {
            let caller = format!("officer:{record}-{place}");
            // Each second one is at somebody else.
            let whose = if place % 2 == 0 { elder } else { other };
            let look = look(&caller, &[whose], "2024-02-10 09:00");
            looks.push(Recorded::Access(look));
            if whose == elder {
                expected.push(caller);
            }
        }
        ground.looked(&looks).await;
    }
    expected.reverse();
    let running = ground.start().await;
    for size in [0, 1, 2, 4, 5] {
        let looks = running.history(&reader(), looks_at(elder), size).await;
        assert_eq!(callers(&looks.unwrap()), expected, "{size}");
    }
    running.stop().await;
}

#[tokio::test]
async fn of_many_dossiers_at_once_each_has_its_look() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&some_terms()).await;
    let (reading, healing) = (running.client_of(&reader()), running.client_of(&doctor()));
    let asked = (0..64).map(|number| {
        let mut client = if number % 2 == 0 {
            reading.clone()
        } else {
            healing.clone()
        };
        async move { client.get_dossier(dossier_request(elder)).await }
    });
    let mut positions = BTreeSet::new();
    for told in join_all(asked).await {
        positions.insert(told.unwrap().into_inner().position);
    }
    assert_eq!(ground.looks().await.len(), 64);
    let looks = running
        .history(&reader(), looks_at(elder), 7)
        .await
        .unwrap();
    assert_eq!(looks.len(), 64);
    // Each answer says where it is on record.
    let recorded: BTreeSet<_> = looks.iter().map(|look| look.position.clone()).collect();
    assert_eq!(recorded, positions);
    for caller in ["officer:reader", "officer:doctor"] {
        let request = looks_by(caller);
        let looks = running.history(&auditor(), request, 5).await.unwrap();
        assert_eq!(looks.len(), 32, "{caller}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_history_may_be_bounded_by_days() {
    let ground = Ground::at("2024-03-01 09:10");
    let elder = ground.elder().await;
    for (caller, when) in [
        ("a", "2024-01-31 23:59"),
        ("b", "2024-02-01 00:00"),
        ("c", "2024-02-02 23:59"),
        ("d", "2024-02-03 00:00"),
    ] {
        let look = look(caller, &[elder], when);
        ground.looked(&[Recorded::Access(look)]).await;
    }
    let running = ground.start().await;
    for (first, last, expected) in [
        (None, None, &["d", "c", "b", "a"][..]),
        (date("2024-02-01"), None, &["d", "c", "b"]),
        (None, date("2024-02-02"), &["c", "b", "a"]),
        (date("2024-02-01"), date("2024-02-02"), &["c", "b"]),
        (date("2024-02-03"), date("2024-02-03"), &["d"]),
        (date("2024-02-04"), date("2024-02-29"), &[]),
    ] {
        let days = format!("{first:?} to {last:?}");
        let request = pb::GetAccessHistoryRequest {
            first_day: first,
            last_day: last,
            ..looks_at(elder)
        };
        let looks = running.history(&reader(), request, 2).await.unwrap();
        assert_eq!(callers(&looks), expected, "{days}");
    }
    let request = pb::GetAccessHistoryRequest {
        last_day: date("2024-02-01"),
        ..looks_by("b")
    };
    let looks = running.history(&auditor(), request, 0).await.unwrap();
    assert_eq!(callers(&looks), ["b"]);
    running.stop().await;
}

#[tokio::test]
async fn of_an_erased_elder_those_who_read_files_everywhere_learn_who_looked() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.dossier(&reader(), elder).await.unwrap();
    ground.is_erased(elder).await;
    running.settled().await;
    let unknown = ElderId(Uuid::now_v7());
    for (whose, looks) in [(elder, 1), (unknown, 0)] {
        let outcome = running.history(&reader(), looks_at(whose), 0).await;
        refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
        let told = running.history(&auditor(), looks_at(whose), 0).await;
        assert_eq!(told.unwrap().len(), looks);
    }
    // What somebody has looked at stays on record.
    let own = looks_by("officer:reader");
    let looks = running.history(&reader(), own, 0).await.unwrap();
    assert_eq!(looks.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_history_is_for_those_who_read_files_of_the_division() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.dossier(&reader(), elder).await.unwrap();
    let elsewhere = officer("reader", CIVIL_AFFAIRS, OTHER_COUNTY, &["viewer"]);
    let outcome = running.history(&elsewhere, looks_at(elder), 0).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    // What others look at may lie anywhere.
    let other = looks_by("officer:other");
    let outcome = running.history(&reader(), other.clone(), 0).await;
    refused(outcome, Code::PermissionDenied, "DIVISION_OUT_OF_REACH");
    let looks = running.history(&auditor(), other, 0).await.unwrap();
    assert!(looks.is_empty());
    // One's own looks everybody may see, of whatever department, and no file by them.
    let own = looks_by("officer:doctor");
    assert_eq!(running.history(&doctor(), own, 0).await.unwrap(), []);
    let outcome = running.history(&doctor(), looks_at(elder), 0).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    running.stop().await;
}

/// The looks at histories that are on record, in their order: who, and whose.
async fn at_histories(ground: &Ground) -> Vec<(String, Vec<ElderId>)> {
    let looks = ground.looks().await.into_iter();
    let looks = looks.filter_map(|one| match one {
        Recorded::Access(look) if look.method == "GetAccessHistory" => Some(look),
        Recorded::Access(_) | Recorded::Provided { .. } => None,
    });
    looks
        .map(|look| {
            assert_eq!(look.fields, ["access.history"]);
            (look.caller, look.elders)
        })
        .collect()
}

#[tokio::test]
async fn who_reads_a_history_stands_in_it_from_then_on_once_for_each_time() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.dossier(&reader(), elder).await.unwrap();
    running.advance("2024-03-01 09:20");
    let mut expected = vec!["officer:reader".to_owned()];
    for caller in [reader(), auditor(), auditor()] {
        let looks = running.history_in_full(&caller, looks_at(elder), 0).await;
        assert_eq!(callers(&looks.unwrap()), expected);
        expected.insert(0, format!("officer:{}", caller.sub));
    }
    // Further pages go on with what is older.
    let looks = running
        .history_in_full(&auditor(), looks_at(elder), 2)
        .await;
    let looks = looks.unwrap();
    assert_eq!(callers(&looks), expected);
    assert_eq!(looks[0].kind(), pb::LookKind::Access);
    let mut look = looks[0].look.clone().unwrap();
    assert_eq!(std::mem::take(&mut look.address), "127.0.0.1");
    assert_eq!(
        look,
        pb::Look {
            caller: "officer:auditor".to_owned(),
            department: "civil_affairs".to_owned(),
            purpose: "test".to_owned(),
            method: "GetAccessHistory".to_owned(),
            address: String::new(),
            at: timestamp(at("2024-03-01 09:20")),
            elder_ids: vec![elder.to_string()],
            fields: vec!["access.history".to_owned()],
        }
    );
    running.stop().await;
}

#[tokio::test]
async fn the_history_of_a_caller_is_on_record_for_each_elder_whom_it_names() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut elders = vec![ground.elder().await, ground.elder().await];
    elders.sort();
    let both = look("officer:doctor", &elders, "2024-02-10 09:00");
    ground.looked(&[Recorded::Access(both)]).await;
    let expected = ("officer:doctor".to_owned(), elders.clone());
    for count in 1..=2 {
        let own = looks_by("officer:doctor");
        running.history(&doctor(), own, 1).await.unwrap();
        // The second time there are two looks, one on each page.
        let expected = vec![expected.clone(); [1, 3][count - 1]];
        assert_eq!(at_histories(&ground).await, expected);
    }
    for elder in elders {
        let looks = running
            .history_in_full(&auditor(), looks_at(elder), 0)
            .await;
        let looks = looks.unwrap().into_iter().map(|one| one.look.unwrap());
        let told: Vec<_> = looks.map(|look| look.fields.join(" ")).collect();
        let at_history = "access.history";
        assert_eq!(told, [at_history, at_history, at_history, "elder.name"]);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_history_that_names_nobody_or_is_refused_is_not_on_record() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    for (caller, request) in [
        (reader(), looks_at(elder)),
        (auditor(), looks_at(ElderId(Uuid::now_v7()))),
        (doctor(), looks_by("officer:doctor")),
    ] {
        let looks = running.history_in_full(&caller, request, 0).await;
        assert_eq!(looks.unwrap(), []);
    }
    let seen = look("officer:somebody", &[elder], "2024-02-10 09:00");
    ground.looked(&[Recorded::Access(seen)]).await;
    let written = ground.written().await;
    let outcome = running.history(&doctor(), looks_at(elder), 0).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    let asked = looks_by("officer:somebody");
    let outcome = running.history(&reader(), asked, 0).await;
    refused(outcome, Code::PermissionDenied, "DIVISION_OUT_OF_REACH");
    assert_eq!(ground.written().await, written);
    running.stop().await;
}

#[tokio::test]
async fn a_history_that_the_log_does_not_take_is_not_told() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    running.dossier(&reader(), elder).await.unwrap();
    for (fault, on_record) in [(Fault::BeforeWriting, 0), (Fault::AfterWriting, 1)] {
        ground.memory.fail_next(fault);
        let outcome = running.history(&reader(), looks_at(elder), 0).await;
        assert_eq!(outcome.unwrap_err().code(), Code::Unavailable);
        assert_eq!(at_histories(&ground).await.len(), on_record);
    }
    let looks = running.history(&reader(), looks_at(elder), 0).await;
    assert_eq!(callers(&looks.unwrap()), ["officer:reader"]);
    running.stop().await;
}

#[tokio::test]
async fn a_page_ends_before_its_answer_is_larger_than_a_message_may_be() {
    let ground = Ground::at("2024-03-01 09:10");
    let elder = ground.elder().await;
    let seen = Recorded::Access(Look {
        purpose: "x".repeat(10_000),
        ..look("officer:reader", &[elder], "2024-02-10 09:00")
    });
    for _ in 0..10 {
        ground.looked(&vec![seen.clone(); 50]).await;
    }
    let running = ground.start().await;
    let mut client = running.client_of(&reader());
    let mut request = pb::GetAccessHistoryRequest {
        page_size: 500,
        ..looks_at(elder)
    };
    let mut sizes = Vec::new();
    loop {
        let page = client.get_access_history(request.clone()).await.unwrap();
        let page = page.into_inner();
        sizes.push(page.looks.len());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    // Five megabytes come in two answers, of which one holds four at most.
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (2, 500));
    assert!(sizes[0] > 300, "{sizes:?}");
    running.stop().await;
}

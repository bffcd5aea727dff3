//! Whatever dies when, what is granted and what is on record stays the same.

use civic::ElderId;
use eventlog::{NewRecord, RawEvent, Subject};
use proto::eldercare::sharing::v1 as pb;
use service::Claims;
use tonic::Code;

use crate::situation::situation;
use crate::support::{
    CIVIL_AFFAIRS, COUNTY, Ground, Running, TOWN, approver, break_glass_request, callers, date,
    doctor, grant, guard, id, in_words, looks_at, looks_by, officer, proposer, reader, refused,
    some_terms, terms,
};

fn supervisor() -> Claims {
    officer("supervisor", CIVIL_AFFAIRS, COUNTY, &["supervisor"])
}

/// All that is answered about agreements, elders and looks of the first of March, and how things stand today and stood before.
async fn answers(running: &Running, elders: &[ElderId]) -> Vec<String> {
    running.settled().await;
    let mut told = Vec::new();
    for caller in [reader(), doctor()] {
        let listed = running
            .client_of(&caller)
            .list_agreements(pb::ListAgreementsRequest::default())
            .await;
        let agreements = listed.unwrap().into_inner().agreements;
        told.push(format!("{agreements:?}"));
        for agreement in agreements {
            let one = running.agreement(&caller, &agreement.agreement_id).await;
            told.push(format!("{:?}", one.unwrap()));
        }
        for elder in elders {
            // Each look stands elsewhere.
            let dossier = running.dossier(&caller, *elder).await;
            told.push(format!("{:?}", dossier.map_err(|status| status.code())));
        }
    }
    let days = |request: pb::GetAccessHistoryRequest| pb::GetAccessHistoryRequest {
        last_day: date("2024-03-01"),
        ..request
    };
    for elder in elders {
        let looks = running.history(&reader(), days(looks_at(*elder)), 2).await;
        told.push(format!("{:?}", looks.map_err(|status| status.code())));
    }
    let own = days(looks_by("officer:reader"));
    let looks = running.history(&reader(), own, 2).await.unwrap();
    assert!(!looks.is_empty());
    told.push(format!("{looks:?}"));
    for division in [TOWN, COUNTY] {
        for on in [None, Some("2024-03-01"), Some("2024-02-20")] {
            let stands = situation(running, division, on).await.unwrap();
            assert!(!stands.orders.is_empty() && !stands.funds.is_empty());
            told.push(format!("{stands:?}"));
        }
    }
    told
}

#[tokio::test]
async fn without_its_database_sharing_gives_the_same_answers() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elders = [
        ground.known_to_all().await,
        ground.elder().await,
        ground.known_to_all().await,
    ];
    let [elder, other, erased] = elders;
    ground.county().await;
    running.agreed(&some_terms()).await;
    let suspended = terms(&[grant("elder", &["address"], &[])]);
    let suspended = running.agreed(&suspended).await;
    for whose in elders {
        running.dossier(&reader(), whose).await.unwrap();
        running.dossier(&doctor(), whose).await.unwrap();
    }
    running.suspend_as(&guard(), &suspended).await.unwrap();
    let ended = running.agreed(&some_terms()).await;
    running.end_as(&guard(), &ended).await.unwrap();
    running.propose(&some_terms()).await.unwrap();
    let request = break_glass_request(other);
    running.break_glass(&supervisor(), request).await.unwrap();
    running.dossier(&reader(), elder).await.unwrap();
    ground.is_erased(erased).await;
    running.advance("2024-03-02 09:10");
    let before = answers(&running, &elders).await;
    let (ground, database) = running.stop().await;

    // With its database first, and then without.
    let running = ground.start_on(database).await;
    assert_eq!(answers(&running, &elders).await, before);
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(answers(&running, &elders).await, before);
    running.stop().await;
}

#[tokio::test]
async fn retries_after_a_restart_on_an_empty_database_are_answered_as_before() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let propose = pb::ProposeAgreementRequest {
        request_id: id(),
        terms: Some(some_terms()),
    };
    let approve = pb::ApproveAgreementRequest {
        request_id: id(),
        agreement_id: propose.request_id.clone(),
    };
    let suspend = pb::SuspendAgreementRequest {
        request_id: id(),
        agreement_id: propose.request_id.clone(),
        reason: "LEAK".to_owned(),
    };
    let end = pb::EndAgreementRequest {
        request_id: id(),
        agreement_id: propose.request_id.clone(),
        reason: "NO_NEED".to_owned(),
    };
    let broken = break_glass_request(elder);
    let all = async |running: &Running| {
        let mut client = running.client_of(&proposer());
        let mut told = Vec::new();
        let proposed = client.propose_agreement(propose.clone()).await.unwrap();
        told.push(proposed.into_inner().position);
        let mut approving = running.client_of(&approver());
        let approved = approving.approve_agreement(approve.clone()).await.unwrap();
        told.push(approved.into_inner().position);
        let suspended = client.suspend_agreement(suspend.clone()).await.unwrap();
        told.push(suspended.into_inner().position);
        let ended = client.end_agreement(end.clone()).await.unwrap();
        told.push(ended.into_inner().position);
        told
    };
    let first = all(&running).await;
    let written = ground.written().await;
    running
        .break_glass(&supervisor(), broken.clone())
        .await
        .unwrap();
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(all(&running).await, first);
    assert_eq!(ground.written().await, written + 1);
    // What is told again is on record again.
    running.break_glass(&supervisor(), broken).await.unwrap();
    assert_eq!(ground.written().await, written + 2);
    let other = pb::EndAgreementRequest {
        reason: "LAW".to_owned(),
        ..end.clone()
    };
    let outcome = running.client_of(&proposer()).end_agreement(other).await;
    refused(outcome, Code::InvalidArgument, "REQUEST_ID_REUSED");
    running.stop().await;
}

#[tokio::test]
async fn looks_of_processes_that_are_no_more_stay_on_record() {
    let mut ground = Ground::at("2024-03-01 09:10");
    let elder = ground.known_to_all().await;
    for count in 1..=3 {
        let running = ground.start().await;
        running.dossier(&reader(), elder).await.unwrap();
        let looks = running.history(&reader(), looks_at(elder), 0).await;
        assert_eq!(callers(&looks.unwrap()).len(), count);
        (ground, _) = running.stop().await;
    }
    // Each wrote under a name of its own.
    let records = ground.records().await;
    let mut subjects: Vec<_> = records.iter().map(|one| one.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    assert_eq!(subjects.len(), 3);
}

#[tokio::test]
async fn two_processes_at_once_record_all_that_they_tell() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let other = ground.start().await;
    for _ in 0..3 {
        running.dossier(&reader(), elder).await.unwrap();
        other.dossier(&reader(), elder).await.unwrap();
    }
    for process in [&running, &other] {
        let looks = process.history(&reader(), looks_at(elder), 0).await;
        assert_eq!(looks.unwrap().len(), 6);
    }
    // What one has suspended, the other tells nobody once it has seen it.
    let agreement = running.agreed(&some_terms()).await;
    let told = other.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*", "tier: tier"]);
    running.suspend_as(&guard(), &agreement).await.unwrap();
    let outcome = other.dossier(&doctor(), elder).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn records_that_cannot_be_read_stop_nothing() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let name = format!("eldercare.sharing.looks.{}", id());
    ground.memory.write_unreadable(&name, "no record");
    // Of each log an event that this version does not know, and one that is no event at all.
    let subject = |context: &str, aggregate: &str| Subject::new(context, aggregate, &id()).unwrap();
    for (log, subject, event) in [
        (
            &ground.logs.tiering,
            subject("tiering", "tier"),
            "TierAssigned",
        ),
        (
            &ground.logs.alerts,
            subject("alerts", "line"),
            "AlertRaised",
        ),
        (
            &ground.logs.claims,
            subject("claims", "order"),
            "OrderSubmitted",
        ),
        (
            &ground.logs.own,
            subject("sharing", "looks"),
            "AccessRecorded",
        ),
        (
            &ground.logs.own,
            subject("sharing", "agreement"),
            "AgreementProposed",
        ),
    ] {
        let context = subject.context().to_owned();
        let named = |name: &str| format!("eldercare.{context}.v1.{name}");
        let garbage = NewRecord {
            subject,
            expected: 0,
            metadata: ground.metadata(),
            events: vec![
                RawEvent {
                    event_type: named("SomethingElse"),
                    data: Default::default(),
                },
                RawEvent {
                    event_type: named(event),
                    data: vec![0xff_u8; 9].into(),
                },
            ],
        };
        log.append(garbage).await.unwrap();
    }
    running.agreed(&some_terms()).await;
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*", "tier: tier"]);
    let parked: i64 = sqlx::query_scalar("SELECT count(*) FROM readmodel.parked")
        .fetch_one(&running.app.pool())
        .await
        .unwrap();
    assert_eq!(parked, 11);
    // Without the database too.
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*", "tier: tier"]);
    let looks = running.history(&reader(), looks_at(elder), 0).await;
    assert_eq!(looks.unwrap().len(), 2);
    running.stop().await;
}

//! The chain over our log: signed each hour, given out, and proved by nothing but that and the public key.

use eventlog::Fault;
use proto::eldercare::sharing::v1 as pb;
use service::Claims;
use sharing::audit_chain::{self, public_key, verify};
use sharing::look::{Look, Recorded};
use tonic::Code;

use crate::support::{
    CIVIL_AFFAIRS, Ground, Running, at, callers, look, looks_at, looks_by, officer, reader, refused,
};

fn operator() -> Claims {
    officer("operator", "platform", "*", &["operator"])
}

async fn head(running: &Running) -> Result<pb::GetAuditHeadResponse, tonic::Status> {
    let request = pb::GetAuditHeadRequest {};
    let answer = running.client_of(&operator()).get_audit_head(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn exported(running: &Running, first_sequence: i64) -> Vec<pb::AuditRecord> {
    let request = pb::ExportAuditRequest { first_sequence };
    let answers = running.client_of(&operator()).export_audit(request).await;
    let mut answers = answers.unwrap().into_inner();
    let mut records = Vec::new();
    while let Some(some) = answers.message().await.unwrap() {
        records.extend(some.records);
    }
    records
}

#[tokio::test]
async fn the_head_of_the_chain_is_signed_each_hour_and_proves_every_record() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.settled().await;
    running.dossier(&reader(), elder).await.unwrap();
    running.settled().await;
    refused(head(&running).await, Code::NotFound, "AUDIT_HEAD_NOT_FOUND");

    running.advance("2024-03-01 10:00");
    running.settled().await;
    let first = head(&running).await.unwrap();
    running.dossier(&reader(), elder).await.unwrap();
    running.advance("2024-03-01 11:30");
    running.settled().await;
    let second = head(&running).await.unwrap();
    let through = |head: &pb::GetAuditHeadResponse| head.head.as_ref().unwrap().sequence;
    assert!(through(&second) > through(&first));

    let records = exported(&running, 0).await;
    let key = public_key(&second.public_key).unwrap();
    let newest = second.head.as_ref().unwrap();
    let newest = (
        newest.sequence.cast_unsigned(),
        newest.head.as_ref().try_into().unwrap(),
    );
    let verified = verify(&records, &[key], Some(newest)).unwrap();
    assert_eq!(verified.records, records.len() as u64);
    assert_eq!(verified.signed_heads, 2);
    // What was written on the way is what went out, and nobody can take one look away.
    for place in 0..records.len() - 1 {
        let mut without = records.clone();
        without.remove(place);
        let found = verify(&without, &[key], Some(newest)).unwrap_err();
        assert_eq!(found.sequence, place as u64 + 1);
    }
    // The first export is on record, and so in the second one.
    let rest = exported(&running, 3).await;
    let (rest, first_export) = rest.split_at(records.len() - 2);
    assert_eq!(rest, &records[2..]);
    assert_eq!(first_export.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_hour_in_which_nothing_came_is_not_signed_again() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.settled().await;
    running.dossier(&reader(), elder).await.unwrap();
    running.advance("2024-03-01 10:00");
    running.settled().await;
    let signed = ground.written().await;
    running.advance("2024-03-01 15:00");
    running.settled().await;
    assert_eq!(ground.written().await, signed);
    running.stop().await;
}

#[tokio::test]
async fn whoever_has_the_log_given_out_says_what_for_and_is_on_record() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let silent = Claims::officer("operator", "platform")
        .division("*")
        .role("operator");
    let request = pb::ExportAuditRequest { first_sequence: 0 };
    let outcome = running.client_of(&silent).export_audit(request).await;
    let outcome = outcome.map(|_| ());
    refused(outcome, Code::PermissionDenied, "PURPOSE_REQUIRED");
    assert_eq!(ground.written().await, 0);

    // What is on record is what is told after it.
    assert!(exported(&running, 0).await.is_empty());
    let all = ground.looks().await;
    let [Recorded::Access(told)] = &all[..] else {
        panic!("{all:?}");
    };
    assert_eq!(told.caller, "officer:operator");
    assert_eq!(told.department, "platform");
    assert_eq!(told.purpose, "test");
    assert_eq!(told.method, "ExportAudit");
    assert_eq!(told.address, "127.0.0.1");
    assert_eq!(told.at, at("2024-03-01 09:10"));
    assert!(told.elders.is_empty());
    assert_eq!(told.fields, ["access.history"]);
    let auditor = officer("auditor", CIVIL_AFFAIRS, "*", &["viewer"]);
    let looks = running.history(&auditor, looks_by("officer:operator"), 0);
    assert_eq!(callers(&looks.await.unwrap()), ["officer:operator"]);

    // Where the log does not take that, nothing is told.
    ground.memory.fail_next(Fault::BeforeWriting);
    let request = pb::ExportAuditRequest { first_sequence: 0 };
    let outcome = running.client_of(&operator()).export_audit(request).await;
    let outcome = outcome.map(|_| ());
    assert_eq!(outcome.unwrap_err().code(), Code::Unavailable);
    running.stop().await;
}

#[tokio::test]
async fn the_chain_is_the_same_after_the_loss_of_the_database() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.settled().await;
    running.dossier(&reader(), elder).await.unwrap();
    running.advance("2024-03-01 10:00");
    running.settled().await;
    running.dossier(&reader(), elder).await.unwrap();
    let (ground, _) = running.stop().await;

    let running = ground.start().await;
    running.advance("2024-03-01 11:00");
    running.settled().await;
    let records = exported(&running, 0).await;
    let newest = head(&running).await.unwrap();
    let key = public_key(&newest.public_key).unwrap();
    let verified = verify(&records, &[key], None).unwrap();
    assert_eq!(verified.signed_heads, 2);
    assert_eq!(
        audit_chain::signed_head(records.last().unwrap()),
        newest.head
    );
    running.stop().await;
}

#[tokio::test]
async fn looks_that_mix_their_elders_are_read_and_chained_as_ever() {
    let ground = Ground::at("2024-03-01 09:10");
    let elders = [ground.elder().await, ground.known_to_all().await];
    // As they were written once: all elders of a page, and all that was told of any of them.
    let mixed = Look {
        method: "FindElders".to_owned(),
        fields: vec!["elder.name".to_owned(), "tier.reasons".to_owned()],
        ..look("officer:reader", &elders, "2024-02-10 09:00")
    };
    ground.looked(&[Recorded::Access(mixed)]).await;
    let running = ground.start().await;
    running
        .find(&reader(), pb::FindEldersRequest::default())
        .await
        .unwrap();
    for (elder, fields) in elders.into_iter().zip([1, 2]) {
        let looks = running.history(&reader(), looks_at(elder), 0).await;
        let looks = looks.unwrap().into_iter().map(|one| one.look.unwrap());
        let of_tiers = looks.filter(|look| look.fields.contains(&"tier.reasons".to_owned()));
        assert_eq!(of_tiers.count(), fields);
    }
    running.advance("2024-03-01 10:00");
    running.settled().await;
    let records = exported(&running, 0).await;
    let head = head(&running).await.unwrap();
    let key = public_key(&head.public_key).unwrap();
    let verified = verify(&records, &[key], None).unwrap();
    assert_eq!(verified.records, records.len() as u64);
    assert_eq!(verified.signed_heads, 1);
    running.stop().await;
}

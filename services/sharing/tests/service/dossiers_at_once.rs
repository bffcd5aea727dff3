//! Dossiers that many ask for at the same time: each is its own, one that can't be read is nobody else's trouble, and nobody is told
//! by what has ended.

use chrono::TimeDelta;
use civic::ElderId;
use futures::future::{join, join_all};
use proto::eldercare::sharing::v1 as pb;
use tonic::Code;

use crate::support::{
    Ground, Running, approver, at, doctor, dossier_request, guard, keys, reader, refused,
    some_terms,
};

/// How often others ask meanwhile, and how many at once.
const ROUNDS: usize = 60;
const AT_ONCE: usize = 8;

/// Elders with one visit, two visits, and so on, the newest first.
async fn visited(ground: &Ground, elders: i64) -> Vec<(ElderId, Vec<String>)> {
    let mut all = Vec::new();
    for number in 1..=elders {
        let elder = ground.elder().await;
        let first = at("2024-01-01 09:00");
        let starts: Vec<_> = (0..number)
            .map(|hour| first + TimeDelta::hours(hour))
            .collect();
        let mut visits = ground.visited(elder, &starts).await;
        visits.reverse();
        all.push((elder, visits));
    }
    all
}

fn newest(elder: ElderId, newest: i32) -> pb::GetDossierRequest {
    pb::GetDossierRequest {
        newest,
        ..dossier_request(elder)
    }
}

#[tokio::test]
async fn each_is_told_of_whom_they_asked_and_a_row_at_fault_troubles_nobody_else() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let all = visited(&ground, 12).await;
    running.settled().await;
    let (broken, _) = all[7];
    sqlx::query("UPDATE sharing_visits.record SET mode = 99 WHERE elder_id = $1")
        .bind(broken.as_uuid())
        .execute(&running.app.pool())
        .await
        .unwrap();
    let who = reader();
    let asked = all.iter().flat_map(|(elder, visits)| {
        // Of the same elder more and less at once.
        [1, 5, 20].map(|most| (*elder, visits, most))
    });
    let asking = asked.map(async |(elder, visits, most)| {
        let told = running.ask(&who, newest(elder, most)).await;
        (elder, visits, most, told)
    });
    for (elder, visits, most, told) in join_all(asking).await {
        if elder == broken {
            assert_eq!(told.unwrap_err().code(), Code::Internal);
            continue;
        }
        let told = told.unwrap();
        let most = visits.len().min(usize::try_from(most).unwrap());
        assert_eq!(told.elder_id, elder.to_string());
        assert_eq!(keys(&told, "elder"), [elder.to_string()]);
        assert_eq!(keys(&told, "visit"), visits[..most]);
    }
    // What was told is on record, and what was not is not.
    assert_eq!(ground.looks().await.len(), 11 * 3);
    running.stop().await;
}

/// Others ask for an elder all the time.
async fn others_ask(running: &Running, elder: ElderId) {
    let who = doctor();
    for _ in 0..ROUNDS {
        let all = (0..AT_ONCE).map(|_| running.ask(&who, dossier_request(elder)));
        // Who is told depends on the moment.
        join_all(all).await;
    }
}

#[tokio::test]
async fn what_is_suspended_grants_nothing_at_once_however_many_ask_meanwhile() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&some_terms()).await;
    let who = doctor();
    let suspending = async {
        for _ in 0..5 {
            running.suspend_as(&guard(), &agreement).await.unwrap();
            let outcome = running.ask(&who, dossier_request(elder)).await;
            refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
            let approved = running.approve_as(&approver(), &agreement).await;
            let request = pb::GetDossierRequest {
                min_position: approved.unwrap(),
                ..dossier_request(elder)
            };
            running.ask(&who, request).await.unwrap();
        }
    };
    join(suspending, others_ask(&running, elder)).await;
    running.stop().await;
}

//! `dossier`: officers of a department ask for dossiers of a city's elders under an agreement, each on record before it is told,
//! beside callers who have one answer from the database and then one publish acknowledged.

use std::{sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{self, consumer::pull};
use backing_services::Syncing;
use futures::StreamExt as _;
use proto::eldercare::sharing::v1::{
    GetDossierRequest, GetDossierResponse, sharing_service_client::SharingServiceClient,
};
use serde_json::{Value, json};

use crate::{
    bench::{
        Ground, Measured,
        agreed::{self, DEPARTMENT, OFFICER},
        callers::{self, Latencies},
        logs::Logs,
        people::{COUNTY, Person},
        processes::Spent,
        raw,
        service::Role,
        stage::Stage,
    },
    client::{Channel, Client},
    departments,
    output::Step,
};

/// The elders of the city.
const ELDERS: usize = 380_000;

/// How many officers ask at once, and how often all of them do.
const CALLERS: usize = 64;
const CALLS: usize = 40_000;

/// Elders who are asked for one after the other lie so far apart: a prime, so that each has their turn.
const APART: u64 = 7_919;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut stage = Stage::set(ground, "dossier", Syncing::EveryTwoMinutes).await?;
    let elders = ground.scaled(ELDERS) as u64;
    let logs = Logs::filled(&stage, elders, ground.progress).await?;
    let registry = stage.start(Role::Registry).await?;
    stage.become_peer("sharing", &registry.endpoint()).await?;
    stage.set_clock(agreed::NOW)?;
    let step = ground.progress.begin("read by the service", 0);
    let since = Instant::now();
    let served = stage.start(Role::Sharing).await?;
    let reading = since.elapsed().as_secs_f64();
    step.done("");
    let clients = agreed::clients(&stage, &served)?;
    let agreement = agreed::agree(&clients[0], products()).await?;
    let feeding = fed(ground, &stage).await?;
    // What the database would do by itself by and by.
    sqlx::raw_sql("VACUUM ANALYZE")
        .execute(&mut stage.database().await?)
        .await?;

    let asking = Asking {
        officers: agreed::officers(&clients)?,
        elders,
    };
    let one = asking.ask(0).await?;
    let documents = documents(&one, &agreement)?;
    let sample = raw::samples(&stage, &[("SHARING", "eldercare.sharing.looks.")]).await?;
    let sample = sample.first().context("no look is on record")?;
    let looks_before = looks(&stage, &clients[0], &agreement, &one).await?;
    let (warm, count) = (ground.scaled(CALLS) / 10, ground.scaled(CALLS));
    let all = warm + count;
    let step = ground.progress.begin("GetDossier", all as u64);
    let processes = [
        ("service_processor_us", &served),
        ("registry_processor_us", &registry),
    ];
    let before = Spent::so_far(&stage, &processes);
    let latencies = asking.drive(&agreement, warm, count, &step).await?;
    let spent = Spent::so_far(&stage, &processes);
    step.done(&format!("p99 {:.2} ms", latencies.permille(990)));
    let last = asking.ask(all + 1).await?;
    let on_record = looks(&stage, &clients[0], &agreement, &last).await? - looks_before;
    ensure!(
        on_record == i64::try_from(all + 1)?,
        "{on_record} looks are on record, of {} dossiers",
        all + 1
    );

    let step = ground
        .progress
        .begin("SELECT 1, and a bare publish", all as u64);
    let limit = raw::selects_on_record(&stage, sample, CALLERS, warm, count, &step).await?;
    step.done(&format!("p99 {:.2} ms", limit.permille(990)));
    let (peak, rss) = (served.peak_rss(), served.rss());
    served.stop().await?;
    registry.stop().await?;
    let measured = Measured::new("dossier", latencies.permille(990), "ms (p99)")
        .limit_at_least(limit.permille(990))
        .latencies(&latencies)
        .peak(peak)
        .with("limit_is", "SELECT 1 and a bare publish of as many callers")
        .with_rounded("limit_p50_ms", limit.permille(500))
        .with_rounded("calls_per_second", latencies.rate())
        .with_rounded("limit_calls_per_second", limit.rate())
        .with("callers", CALLERS)
        .with("calls", count)
        .with("elders", elders)
        .with("events", logs.all())
        .with("documents_of_one", documents)
        .with("rss_mib", rss.map(|bytes| bytes >> 20))
        .with_rounded("seconds_to_read_the_logs", reading)
        .with_rounded("seconds_until_feeds_tell_what_there_is", feeding);
    let measured = stage.note(spent.since(&before, all, measured));
    stage.strike().await;
    Ok(vec![measured])
}

/// What is granted: something of everything, of names and telephones the masks.
fn products() -> Value {
    json!({
        "elder": {
            "name": "masked",
            "sex": "plain",
            "age": "plain",
            "capability": "plain",
            "address": "masked",
            "contacts": "masked",
        },
        "tier": { "tier": "plain", "since": "plain", "reasons": "plain" },
        "visit": {
            "start_time": "plain",
            "mode": "plain",
            "result": "plain",
            "findings": "plain",
            "remarks": "plain",
        },
        "alert": { "kind": "plain", "severity": "plain", "raised_at": "plain", "state": "plain" },
        "order": { "service_day": "plain", "state": "plain", "amount": "plain" },
        "enrolment": {
            "programme_code": "plain",
            "first_day": "plain",
            "last_day": "plain",
            "units_used": "plain",
        },
    })
}

/// Waits until all feeds of the agreement have told what there is, so that they don't do so while officers ask; in how many
/// seconds.
async fn fed(ground: &Ground, stage: &Stage) -> anyhow::Result<f64> {
    let step = ground.progress.begin("feeds tell what there is", 0);
    let since = Instant::now();
    let server = jetstream::new(stage.nats_client().await?);
    let config = pull::OrderedConfig {
        filter_subject: format!("feed.{DEPARTMENT}.*.{COUNTY}.FeedCaughtUp"),
        ..pull::OrderedConfig::default()
    };
    let consumer = server.create_consumer_on_stream(config, "FEEDS").await?;
    let mut told = consumer.messages().await?;
    let feeds = products().as_object().map_or(0, serde_json::Map::len);
    for _ in 0..feeds {
        told.next().await.context("FEEDS can't be followed")??;
    }
    step.done(&format!("{feeds} feeds"));
    Ok(since.elapsed().as_secs_f64())
}

/// How many looks of the officer are on record, once the one of this answer is.
async fn looks(
    stage: &Stage,
    client: &Client,
    agreement: &str,
    with: &GetDossierResponse,
) -> anyhow::Result<i64> {
    // It waits for what has just been told.
    departments::agreement(client, agreement, &with.position).await?;
    let looks: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sharing_book.look WHERE caller LIKE '%:' || $1::text AND kind = 'PROVIDED'",
    )
    .bind(OFFICER)
    .fetch_one(&mut stage.database().await?)
    .await?;
    Ok(looks)
}

/// How many documents an answer tells.
fn documents(answer: &GetDossierResponse, agreement: &str) -> anyhow::Result<usize> {
    let dossier = answer.dossier.as_ref().context("no dossier")?;
    ensure!(
        dossier.agreement_ids == [agreement] && !dossier.documents.is_empty(),
        "an elder's dossier has {} documents, by the agreements {:?}",
        dossier.documents.len(),
        dossier.agreement_ids
    );
    Ok(dossier.documents.len())
}

/// Officers who ask for one elder after the other.
#[derive(Debug, Clone)]
struct Asking {
    /// One for each connection.
    officers: Vec<SharingServiceClient<Channel>>,
    elders: u64,
}

impl Asking {
    /// Asks for the elder of this number.
    async fn ask(&self, number: usize) -> anyhow::Result<GetDossierResponse> {
        let elder = Person(number as u64 * APART % self.elders);
        let mut officer = self.officers[number % self.officers.len()].clone();
        let request = GetDossierRequest {
            elder_id: elder.id().to_string(),
            ..GetDossierRequest::default()
        };
        Ok(officer.get_dossier(request).await?.into_inner())
    }

    /// Has all callers ask, each for other elders.
    async fn drive(
        &self,
        agreement: &str,
        warm: usize,
        count: usize,
        step: &Step,
    ) -> anyhow::Result<Latencies> {
        let (asking, agreement) = (Arc::new(self.clone()), Arc::<str>::from(agreement));
        callers::drive(CALLERS, warm, count, step, move |_, number| {
            let (asking, agreement) = (Arc::clone(&asking), Arc::clone(&agreement));
            async move {
                let answer = asking.ask(1 + number).await?;
                documents(&answer, &agreement)?;
                Ok(())
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn everybody_is_asked_for_before_anybody_is_again() {
        for elders in [256, 3_800, ELDERS as u64] {
            let asked: HashSet<u64> = (0..elders).map(|number| number * APART % elders).collect();
            assert_eq!(asked.len() as u64, elders);
        }
    }
}

//! The rows follow from the log alone: in whatever batches it is read, and past records that the program does not know.

use std::{collections::HashMap, sync::Arc};

use crate::support::{self, Running, another, get, register, request_id, wang_xiuying};
use backing_services::testing::fresh_database;
use civic::ElderId;
use elders::{Event, codec, event::Merge, purpose, testing as generated};
use eventlog::{EventLog, MemoryLog, Metadata, NewRecord, Position, RawEvent, Subject};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use proto::eldercare::registry::v1 as pb;
use readmodel::Settings;
use registry::{
    divisions::{Division, Divisions, Publish},
    duplicate::{self, Duplicate, Pair},
    registry_elders::RegistryElders,
};
use service::testing::{anybody_of, carry_out, rows_of};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;
use vault::{BlindIndex, KeyRing, MemoryKeyStore, Mode, Vault, VaultOptions};

fn metadata(time: &str) -> Metadata {
    Metadata {
        id: Uuid::now_v7(),
        time: support::instant(time),
        actor: "system:test".to_owned(),
        request_id: Uuid::now_v7(),
        request_digest: [7; 16],
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        division: None,
        traceparent: None,
        answers: None,
        purpose: None,
    }
}

fn vault() -> Vault {
    let ring = KeyRing::local_default(Mode::Local).unwrap();
    Vault::new(
        Arc::new(MemoryKeyStore::new()),
        ring,
        VaultOptions::default(),
    )
}

/// What may be asked of a pair of files.
fn pair_command(pair: Pair) -> impl Strategy<Value = duplicate::Command> {
    let merge = Merge {
        surviving: pair.elder,
        merged: pair.other,
        reason: "ONE_PERSON".into(),
    };
    select(vec![
        duplicate::Command::Report(pair, "SAME_HOME".into()),
        duplicate::Command::Dismiss("TWO_PERSONS".into()),
        duplicate::Command::Merge(merge.clone()),
        duplicate::Command::Unmerge(merge),
    ])
}

/// A county's table with so many towns, whose names are of this edition.
fn county_table(county: &str, towns: usize, edition: u8) -> Publish {
    let division = |code: String| Division {
        name: format!("{code} {edition}"),
        code: code.parse().unwrap(),
    };
    let towns = (0..towns).map(|town| division(format!("{county}{}", 100 + town)));
    let county = std::iter::once(division(county.to_owned()));
    Publish(county.chain(towns).collect())
}

/// What is recorded between the files' own records.
#[derive(Default)]
struct Others {
    pairs: HashMap<Pair, Duplicate>,
    counties: HashMap<&'static str, Divisions>,
}

impl Others {
    /// Goes on with a pair or with a county's table now and then.
    async fn go_on(
        &mut self,
        (log, runner): (&dyn EventLog, &mut TestRunner),
        step: usize,
        pair: Option<Pair>,
    ) {
        let metadata = metadata(&format!("2024-11-01T10:{:02}:00+08:00", step % 60));
        if let Some(pair) = pair.filter(|_| step.is_multiple_of(3)) {
            let command = pair_command(pair).new_tree(runner).unwrap().current();
            let state = self.pairs.entry(pair).or_default();
            let id = pair.id().to_string();
            carry_out(log, (id.as_str(), state), metadata, &command).await;
        } else if step.is_multiple_of(7) {
            let table = (select(vec!["350524", "350525"]), 0..5_usize, 0..3_u8);
            let (county, towns, edition) = table.new_tree(runner).unwrap().current();
            let table = county_table(county, towns, edition);
            let state = self.counties.entry(county).or_default();
            carry_out(log, (county, state), metadata, &table).await;
        }
    }
}

/// A log of some elders' files, their events mixed as they come, with those of pairs and divisions among them.
async fn log_of_elders(
    vault: &Vault,
    elders: usize,
    changes: usize,
    seed: [u8; 32],
) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new("REGISTRY"));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut last = vec![0; elders];
    let mut others = Others::default();
    let persons: Vec<ElderId> = (0..elders)
        .map(|number| ElderId(Uuid::from_u128(0x8000 + number as u128)))
        .collect();
    for step in 0..elders * changes {
        // Each elder comes first once, then all in turns of another stride.
        let which = if step < elders {
            step
        } else {
            step * 7 % elders
        };
        let (person, first) = (persons[which], step < elders);
        let key = vault.create(person.as_uuid()).await.unwrap();
        let name = |name: String| {
            let identity = pb::Identity {
                name,
                id_number: String::new(),
            };
            key.seal(purpose::IDENTITY, person.as_uuid(), &identity)
        };
        let event = if first {
            generated::registered()
                .prop_map(|one| Event::Registered(Box::new(one)))
                .boxed()
        } else {
            generated::change().boxed()
        };
        let mut event = event.new_tree(&mut runner).unwrap().current();
        let neighbours = Pair::of(person, persons[(which + 1) % elders]);
        others.go_on((&*log, &mut runner), step, neighbours).await;
        if let Event::Registered(registered) = &mut event {
            registered.elder = person;
            registered.identity = name(format!("甲{which}"));
            registered.identity_claim = format!("k1-{which}");
        } else if let Event::IdentityCorrected(corrected) = &mut event {
            corrected.identity = name(format!("乙{step}"));
        } else if matches!(event, Event::Erased { .. }) && step % 5 > 0 {
            // Erasures are rare, or nobody would be left.
            continue;
        }
        let record = NewRecord {
            subject: Subject::new("registry", "elder", &person.to_string()).unwrap(),
            expected: last[which],
            metadata: metadata("2024-11-01T09:00:00+08:00"),
            events: vec![codec::encode(&event)],
        };
        last[which] = log.append(record).await.unwrap();
    }
    log
}

/// All rows of all tables of the read model, filled in batches of this size.
async fn rows(log: &Arc<dyn EventLog>, vault: &Vault, settings: Settings) -> Vec<String> {
    let pool = PgPool::connect(&fresh_database().await).await.unwrap();
    let index = BlindIndex::local_default(Mode::Local).unwrap();
    let vault = vault.clone();
    let make = move || RegistryElders::new(vault.clone(), index.clone());
    rows_of(&pool, log, settings, make).await
}

#[tokio::test]
async fn the_rows_are_the_same_in_batches_of_any_size() {
    let vault = vault();
    let log = log_of_elders(&vault, 40, 12, [42; 32]).await;
    let bulk_from = u64::MAX;
    let batches = |live_records| Settings {
        live_records,
        bulk_from,
        ..Settings::default()
    };
    let one_by_one = rows(&log, &vault, batches(1)).await;
    assert!(one_by_one.len() > 80, "elders and their facts");
    for table in ["division", "duplicate", "elder", "erased", "fact"] {
        let of_table = format!("{table} ");
        let filled = one_by_one.iter().any(|row| row.starts_with(&of_table));
        assert!(filled, "{table} is put to the test");
    }
    let in_bulk = Settings {
        bulk_from: 0,
        rebuild_records: 50,
        ..Settings::default()
    };
    for settings in [batches(7), batches(10_000), in_bulk] {
        let others = rows(&log, &vault, settings.clone()).await;
        let missing: Vec<_> = one_by_one
            .iter()
            .filter(|row| !others.contains(row))
            .collect();
        let extra: Vec<_> = others
            .iter()
            .filter(|row| !one_by_one.contains(row))
            .collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{settings:?}: {missing:#?} {extra:#?}"
        );
    }
}

proptest! {
    // Each case fills two databases.
    #![proptest_config(Config { cases: 4, max_shrink_iters: 8, ..Config::default() })]

    #[test]
    fn any_log_in_batches_of_any_size_gives_the_same_rows(
        seed in any::<[u8; 32]>(),
        elders in 1..25_usize,
        changes in 1..15_usize,
        live_records in 2..80_usize,
        rebuild_records in 2..80_usize,
        in_bulk in any::<bool>(),
    ) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (one_by_one, others) = tokio.block_on(async {
            let vault = vault();
            let log = log_of_elders(&vault, elders, changes, seed).await;
            let single = Settings { live_records: 1, bulk_from: u64::MAX, ..Settings::default() };
            let bulk_from = if in_bulk { 0 } else { u64::MAX };
            let batches = Settings { live_records, rebuild_records, bulk_from, ..Settings::default() };
            (rows(&log, &vault, single).await, rows(&log, &vault, batches).await)
        });
        prop_assert_eq!(one_by_one, others);
    }
}

#[tokio::test]
async fn an_event_of_an_unknown_type_is_parked_and_stops_nothing_else() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, position) = register(&mut client, wang_xiuying()).await;
    let position: Position = position.parse().unwrap();
    let unknown = NewRecord {
        subject: Subject::new("registry", "elder", &elder_id).unwrap(),
        expected: position.sequence,
        metadata: metadata("2024-11-01T09:00:00+08:00"),
        events: vec![RawEvent {
            event_type: "eldercare.registry.v1.ElderEnnobled".to_owned(),
            data: Vec::new().into(),
        }],
    };
    running.log.append(unknown).await.unwrap();
    let (other, position) = register(&mut client, another(3)).await;
    assert_eq!(get(&mut client, &other, &position).await.name, "陈建国3");
    assert_eq!(get(&mut client, &elder_id, "").await.name, "王秀英");
    let parked = readmodel::parked::list(&running.pool, None, 0, 10)
        .await
        .unwrap();
    let parked: Vec<_> = parked
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    assert_eq!(parked, ["eldercare.registry.v1.ElderEnnobled"]);

    // The history tells of it, and of the past what can be read.
    let history = pb::GetElderHistoryRequest {
        elder_id: elder_id.clone(),
        ..pb::GetElderHistoryRequest::default()
    };
    let changes = client.get_elder_history(history).await.unwrap();
    let changes = changes.into_inner().changes;
    let told: Vec<_> = changes
        .iter()
        .map(|change| {
            (
                change.event.as_str(),
                change.unreadable,
                change.fields.len(),
            )
        })
        .collect();
    assert_eq!((told[0].0, told[0].1), ("ElderRegistered", false));
    assert_eq!(told[1..], [("ElderEnnobled", true, 0)]);
    assert_eq!(changes[1].actor, "system:test");
    let as_of = pb::GetElderRequest {
        elder_id: elder_id.clone(),
        as_of: support::timestamp("2024-11-01T09:00:00+08:00"),
        ..pb::GetElderRequest::default()
    };
    let known_then = client.get_elder(as_of).await.unwrap().into_inner().elder;
    assert_eq!(known_then.unwrap().name, "王秀英");

    // What a newer program has decided about the file, this one can't know: it decides nothing on top.
    let running = running.restart().await;
    let mut client = running.client();
    let grade = |elder_id: &str| pb::RecordHandicapRequest {
        request_id: request_id(),
        elder_id: elder_id.to_owned(),
        grade: 1,
        ..pb::RecordHandicapRequest::default()
    };
    let status = client.record_handicap(grade(&elder_id)).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(client.record_handicap(grade(&other)).await.is_ok());
    running.verify().await;
}

#[tokio::test]
async fn of_the_past_the_log_tells_also_where_a_row_cannot_be_read() {
    let running = Running::new().await;
    let (elder_id, position) = register(&mut running.client(), wang_xiuying()).await;
    get(&mut running.client(), &elder_id, &position).await;
    let history = pb::GetElderHistoryRequest {
        elder_id: elder_id.clone(),
        ..pb::GetElderHistoryRequest::default()
    };
    let then = pb::GetElderRequest {
        elder_id,
        as_of: support::timestamp("2024-11-01T09:00:00+08:00"),
        ..pb::GetElderRequest::default()
    };
    let mut here = running.clients.of(&anybody_of("350524100"));
    let mut elsewhere = running.clients.of(&anybody_of("350524101"));
    for disturbance in [
        "UPDATE registry_elders.elder SET file = '\\xff'",
        "ALTER TABLE registry_elders.elder RENAME TO away",
    ] {
        let disturbed = sqlx::query(disturbance).execute(&running.pool).await;
        disturbed.unwrap();
        let changes = here.get_elder_history(history.clone()).await.unwrap();
        assert_eq!(changes.into_inner().changes.len(), 1);
        let told = here.get_elder(then.clone()).await.unwrap();
        assert_eq!(told.into_inner().elder.unwrap().name, "王秀英");
        let refused = [
            elsewhere.get_elder_history(history.clone()).await.map(drop),
            elsewhere.get_elder(then.clone()).await.map(drop),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().code(), Code::NotFound);
        }
    }
}

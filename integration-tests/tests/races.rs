//! Sixty-four callers at once: on one elder each change happens once, of one ID number there is one elder, of one id one record.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use integration_tests::{Setup, System, an_elder, day, new_id, reason, survey, visiting};
use proto::eldercare::{
    registry::v1::{
        GetElderRequest, ImportSurveyRequest, ListDivisionsRequest, RecordCircumstanceRequest,
        RecordObservationRequest, RegisterElderRequest, SearchEldersRequest,
        import_survey_request::Part,
    },
    r#type::v1::{Circumstance, CircumstanceKind, Observation},
    visits::v1::{RecordOutcome, VisitRecord, VisitRecorded},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

const CALLERS: usize = 64;

/// One caller's change.
#[derive(Clone)]
enum Change {
    Circumstance(RecordCircumstanceRequest),
    Observation(RecordObservationRequest),
}

impl Change {
    /// The change of the caller of a number: no two are alike.
    fn of(caller: usize, elder_id: &str) -> Self {
        let request_id = new_id();
        let elder_id = elder_id.to_owned();
        let on = eldercare::wire::date(day("2024-01-01").plus_days(i64::try_from(caller).unwrap()));
        if caller % 4 == 3 {
            // An observation and its end in turn, since what holds already is not recorded again.
            return Self::Observation(RecordObservationRequest {
                request_id,
                elder_id,
                observation: Observation::MobilityImpaired.into(),
                on: Some(on),
                ended: caller % 8 == 7,
                ..RecordObservationRequest::default()
            });
        }
        Self::Circumstance(RecordCircumstanceRequest {
            request_id,
            elder_id,
            circumstance: Some(Circumstance {
                kind: CircumstanceKind::PoorHealth.into(),
                first_day: Some(on),
                last_day: Some(on),
                ..Circumstance::default()
            }),
            ..RecordCircumstanceRequest::default()
        })
    }

    fn request_id(&self) -> &str {
        match self {
            Self::Circumstance(request) => &request.request_id,
            Self::Observation(request) => &request.request_id,
        }
    }

    async fn send(&self, system: &System) -> Result<bool, Status> {
        let mut registry = system.registry();
        let committed = match self {
            Self::Circumstance(request) => {
                registry
                    .record_circumstance(request.clone())
                    .await?
                    .into_inner()
                    .committed
            }
            Self::Observation(request) => {
                registry
                    .record_observation(request.clone())
                    .await?
                    .into_inner()
                    .committed
            }
        };
        Ok(committed.unwrap().changed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_on_one_elder_each_is_heard_once() {
    let system = System::start().await;
    let elder_id = system.register(an_elder("王秀英")).await;
    let changes: Vec<_> = (0..CALLERS)
        .map(|caller| Change::of(caller, &elder_id))
        .collect();
    let changed = join_all(changes.iter().map(async |change| {
        loop {
            match change.send(&system).await {
                Ok(changed) => return changed,
                // Lost against too many others: the same request again.
                Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
            }
        }
    }))
    .await;

    let history = system.changes(&elder_id).await;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &history {
        *times.entry(&change.request_id).or_default() += 1;
    }
    for (change, changed) in changes.iter().zip(&changed) {
        // Whether an observation changes anything depends on which came first; a circumstance always does.
        let heard = times.get(change.request_id()).copied().unwrap_or_default();
        assert_eq!(heard, usize::from(*changed));
        assert!(*changed || matches!(change, Change::Observation(_)));
    }
    let written = changed.iter().filter(|changed| **changed).count();
    assert_eq!(
        history.len(),
        1 + written,
        "registered once, and each change once"
    );
    assert_eq!(
        system
            .records_of("registry", "elder", &elder_id)
            .await
            .len(),
        1 + written
    );

    let last = history.last().unwrap().position.clone();
    let get = GetElderRequest {
        elder_id,
        min_position: last,
        ..GetElderRequest::default()
    };
    let elder = system
        .registry()
        .get_elder(get)
        .await
        .unwrap()
        .into_inner()
        .elder
        .unwrap();
    assert_eq!(elder.circumstances.len(), CALLERS / 4 * 3);
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_that_wait_for_their_turn_hold_up_nobody_on_their_connection() {
    let system = System::start().await;
    let (uploads, waiting): (Vec<_>, Vec<_>) = (0..8)
        .map(|_| {
            let (upload, pieces) = tokio::sync::mpsc::channel(2);
            for part in [
                Part::Options(survey::options()),
                Part::Chunk(vec![7; 1 << 20].into()),
            ] {
                upload
                    .try_send(ImportSurveyRequest { part: Some(part) })
                    .unwrap();
            }
            let mut registry = system.registry();
            let importing =
                async move { registry.import_survey(ReceiverStream::new(pieces)).await };
            (upload, tokio::spawn(importing))
        })
        .unzip();
    // All calls of the officer go by one connection.
    let mut registry = system.registry();
    for _ in 0..100 {
        let answer = registry.list_divisions(ListDivisionsRequest::default());
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
        let divisions = answer
            .expect("an upload holds the connection")
            .unwrap()
            .into_inner()
            .divisions;
        assert!(!divisions.is_empty());
    }
    drop(uploads);
    for import in waiting {
        let refused = import
            .await
            .unwrap()
            .unwrap()
            .into_inner()
            .message()
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "WORKBOOK_NOT_XLSX");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_registrations_of_one_id_number_one_wins() {
    let system = System::start().await;
    let number = an_elder("赵国强").id_number;
    let before = system.last_sequence("registry").await;
    let outcomes = join_all((0..CALLERS).map(async |caller| {
        let elder = RegisterElderRequest {
            id_number: number.clone(),
            ..an_elder(&format!("赵国{caller}"))
        };
        system.registry().register_elder(elder).await
    }))
    .await;
    let mut registered = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(answer) => registered.push(answer.into_inner()),
            Err(status) => {
                assert_eq!(status.code(), Code::AlreadyExists, "{status}");
                assert_eq!(reason(&status), "ID_NUMBER_REGISTERED");
            }
        }
    }
    assert_eq!(registered.len(), 1, "exactly one wins");
    let winner = registered.remove(0);
    assert_eq!(
        system.last_sequence("registry").await,
        before + 2,
        "the elder's record and the claim, and no more"
    );

    let search = SearchEldersRequest {
        id_number: number,
        min_position: winner.committed.unwrap().position,
        ..SearchEldersRequest::default()
    };
    assert_eq!(system.ids_found(search).await, [winner.elder_id]);

    // The losers left no key behind.
    let vault = system.jetstream().await.get_stream("VAULT").await.unwrap();
    assert_eq!(
        vault.get_info().await.unwrap().state.messages,
        1,
        "one elder, one key"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_with_one_record_of_a_visit_one_record_comes() {
    let system = System::start_with(Setup::with_visits()).await;
    let (elder, known) = system.registered(an_elder("孙秀英")).await;
    let visitor = visiting::visitor(&system, "王网格").await;
    let record = visiting::a_visit(&visitor, &elder, "2024-10-01T08:00:00+08:00");
    let before = system.last_sequence("visits").await;
    let send =
        async |record: &VisitRecord| visiting::record_alone(system.visits(), record, &known).await;
    let same = join_all((0..CALLERS).map(|_| send(&record))).await;
    let same: Vec<RecordOutcome> = same.into_iter().map(Result::unwrap).collect();
    assert!(
        same.iter()
            .all(|one| visiting::in_words(one) == "COUNTED" && one.position == same[0].position)
    );
    let first = same.iter().filter(|one| !one.repeated_record);
    assert_eq!(first.count(), 1, "one call wrote it, the others were told");

    // Under one id records of different content: one wins, the others are told that the id is taken.
    let contested = visiting::a_visit(&visitor, &elder, "2024-10-01T08:30:00+08:00");
    let others = (0..CALLERS).map(|caller| VisitRecord {
        remarks: format!("记录{caller}"),
        ..contested.clone()
    });
    let others: Vec<_> = others.collect();
    let outcomes = join_all(others.iter().map(send)).await;
    let (kept, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(kept.len(), 1, "exactly one wins");
    for refusal in refused {
        let status = refusal.unwrap_err();
        assert_eq!(reason(&status), "RECORD_ID_REUSED", "{status}");
    }
    let recorded = system.events::<VisitRecorded>("visits").await;
    let recorded: Vec<_> = recorded
        .iter()
        .map(|event| event.record_id.as_str())
        .collect();
    assert_eq!(
        recorded,
        [record.record_id.as_str(), contested.record_id.as_str()]
    );
    assert_eq!(system.last_sequence("visits").await, before + 2);
    system.verify().await;
}

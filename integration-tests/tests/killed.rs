//! The service, the log's server or the database's is killed in the middle of an import: nothing told is lost, nothing is doubled.

use std::collections::HashMap;

use eventlog::Record;
use integration_tests::{
    Imported, Setup, System, asked_to_wait, each_once, import, importing, is_passing, survey,
    workbook,
};
use proto::eldercare::registry::v1::{
    BatchGetEldersRequest, ImportSurveyOptions, ImportSurveyResponse, RowOutcome, SurveyOutcome,
    import_survey_response::Part,
};
use tonic::{Status, Streaming};

/// Rows of the workbook: several times as many as are concluded together.
const ROWS: u32 = 2_500;

/// After so many outcomes the blow falls: not yet half of the workbook.
const HEARD: usize = 900;

/// An import of which `heard` has come so far.
struct Hearing {
    answers: Streaming<ImportSurveyResponse>,
    heard: Vec<RowOutcome>,
}

impl Hearing {
    /// Begins an import, and hears outcomes until `HEARD` are there.
    async fn half(system: &System, options: &ImportSurveyOptions, book: &[u8]) -> Self {
        let answers = importing(&mut system.registry(), options.clone(), book)
            .await
            .unwrap();
        let mut hearing = Self {
            answers,
            heard: Vec::new(),
        };
        while hearing.heard.len() < HEARD {
            assert!(hearing.next().await.unwrap(), "there is more to come");
        }
        hearing
    }

    /// Hears the next message; false at the end.
    async fn next(&mut self) -> Result<bool, Status> {
        let Some(message) = self.answers.message().await? else {
            return Ok(false);
        };
        match message.part {
            Some(Part::Row(row)) => self.heard.push(row),
            Some(Part::Progress(_) | Part::Summary(_)) | None => {}
        }
        Ok(true)
    }

    /// Hears what is still told after the blow: to the end, or until the call fails in a way that asks for a retry.
    async fn rest(mut self) -> Vec<RowOutcome> {
        loop {
            match self.next().await {
                Ok(true) => {}
                Ok(false) => return self.heard,
                Err(status) => {
                    assert!(is_passing(&status), "{status}");
                    return self.heard;
                }
            }
        }
    }
}

/// Sends the same import until it goes through, as a client does whose call failed.
async fn retried(system: &System, options: &ImportSurveyOptions, book: &[u8]) -> Imported {
    for _ in 0..100 {
        match import(&mut system.registry(), options.clone(), book).await {
            Ok(imported) => return imported,
            Err(status) => asked_to_wait(&status).await,
        }
    }
    panic!("the import does not go through")
}

/// What holds after the blow: everything heard before is there, every row is there, and nothing twice.
async fn nothing_lost_and_nothing_doubled(
    system: &System,
    heard: &[RowOutcome],
    imported: &Imported,
) {
    assert_eq!(imported.rows.len(), ROWS as usize);
    let rows: HashMap<i32, &RowOutcome> = imported.rows.iter().map(|row| (row.row, row)).collect();
    for row in heard {
        assert_eq!(row.outcome(), SurveyOutcome::Accepted);
        assert_eq!(rows[&row.row], row, "a row ends as it was told before");
    }
    let elders = each_once(imported.elders(SurveyOutcome::Accepted));
    assert_eq!(
        elders.len(),
        ROWS as usize,
        "each row is an elder of its own, accepted in the very try that wrote it"
    );
    system.settled().await;

    let position = &imported.summary.position;
    let statistics = system.statistics(position).await;
    assert_eq!(statistics.elders, i64::from(ROWS));
    let count = system.tiers_counted(position).await;
    assert_eq!(count.in_scope, i64::from(ROWS));
    for some in elders.iter().cloned().collect::<Vec<_>>().chunks(1_000) {
        let batch = BatchGetEldersRequest {
            elder_ids: some.to_vec(),
            ..BatchGetEldersRequest::default()
        };
        let batch = system
            .registry()
            .batch_get_elders(batch)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            batch.elders.len(),
            some.len(),
            "each can be read, and its personal data opened"
        );
        assert!(
            batch
                .elders
                .iter()
                .all(|elder| !elder.name.is_empty() && !elder.id_number.is_empty())
        );
    }

    // The log itself: one registration and one claim for each elder, one tier.
    let of = |records: &[Record], aggregate: &str| {
        let subjects = records.iter().map(|record| &record.subject);
        let of_it = subjects.filter(|subject| subject.aggregate() == aggregate);
        each_once(of_it.map(|subject| subject.id().to_owned()))
    };
    let registry = system.records("registry").await;
    assert_eq!(of(&registry, "elder"), elders);
    assert_eq!(of(&registry, "identity").len(), ROWS as usize);
    let tiering = system.records("tiering").await;
    assert_eq!(of(&tiering, "tier"), elders);
    let vault = system.jetstream().await.get_stream("VAULT").await.unwrap();
    assert_eq!(
        vault.get_info().await.unwrap().state.messages,
        u64::from(ROWS),
        "each elder has one key"
    );
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_takes_up_an_import_where_it_was() {
    let mut system = System::start().await;
    let (options, book) = (survey::options(), workbook::of_elders(0, ROWS));
    let hearing = Hearing::half(&system, &options, &book).await;
    system.kill().await;
    let heard = hearing.rest().await;
    let written = system.records("registry").await.len();
    assert!(
        written < 2 * ROWS as usize,
        "the blow came too late to prove anything: {written} records"
    );
    system.restart().await;
    let imported = retried(&system, &options, &book).await;
    nothing_lost_and_nothing_doubled(&system, &heard, &imported).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_log_server_loses_nothing_that_was_told() {
    let mut system = System::start().await;
    let (options, book) = (survey::options(), workbook::of_elders(0, ROWS));
    let hearing = Hearing::half(&system, &options, &book).await;
    system.nats().kill().await;
    let restarting = async { system.nats().restart().await.unwrap() };
    let (heard, ()) = tokio::join!(hearing.rest(), restarting);
    assert!(system.is_running(), "a service outlives its log's server");
    let imported = retried(&system, &options, &book).await;
    nothing_lost_and_nothing_doubled(&system, &heard, &imported).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_loses_nothing_that_was_told() {
    let mut system = System::start_with(Setup {
        own_postgres: true,
        ..Setup::default()
    })
    .await;
    let (options, book) = (survey::options(), workbook::of_elders(0, ROWS));
    let hearing = Hearing::half(&system, &options, &book).await;
    system.postgres().kill().await;
    let restarting = async { system.postgres().restart().await.unwrap() };
    let (heard, ()) = tokio::join!(hearing.rest(), restarting);
    assert!(
        system.is_running(),
        "a service outlives its database's server"
    );
    let imported = retried(&system, &options, &book).await;
    nothing_lost_and_nothing_doubled(&system, &heard, &imported).await;
}

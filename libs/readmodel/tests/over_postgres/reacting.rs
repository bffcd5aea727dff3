//! A reactor acts once on each event, however often it is killed, and after the loss of its database.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use eventlog::{AppendError, EventLog, MemoryLog, Position, Record, Subject};
use readmodel::{
    ApplyError, Parked, Reactor, ReactorRunner, Settings, last_answered, reaction_request_id,
};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Dice, Writer, database, record, soon};

/// Answers each entry with a record of its own stream, as a service's command would: known requests append nothing.
struct Answering {
    own: Arc<dyn EventLog>,
}

#[async_trait]
impl Reactor for Answering {
    fn name(&self) -> &'static str {
        "on_entry"
    }

    async fn react(
        &mut self,
        _: &mut PgConnection,
        records: &[Record],
    ) -> Result<Vec<Parked>, ApplyError> {
        for source in records {
            let position = Position {
                stream: "SOURCE".to_owned(),
                sequence: source.sequence,
            };
            let subject =
                Subject::new("own", "answer", &format!("s{}", source.sequence % 7)).unwrap();
            let request_id = reaction_request_id(self.name(), &position, 0);
            let unavailable = |_| ApplyError::Unavailable("log");
            let known = self
                .own
                .read(&subject, 0)
                .await
                .map_err(|_| ApplyError::Unavailable("log"))?;
            if known
                .iter()
                .any(|known| known.metadata.request_id == request_id)
            {
                continue;
            }
            let mut answer = record(
                subject,
                known.last().map_or(0, |last| last.sequence),
                "own.Answered",
            );
            answer.metadata.request_id = request_id;
            answer.metadata.answers = Some(position);
            self.own
                .append(answer)
                .await
                .map_err(|error: AppendError| unavailable(error))?;
        }
        Ok(vec![])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_handled_twice_acts_once() {
    let source = Writer::to(Arc::new(MemoryLog::new("SOURCE")));
    let own: Arc<dyn EventLog> = Arc::new(MemoryLog::new("OWN"));
    let mut dice = Dice::new();
    source.add_many(300, 10).await;
    let mut reached = 0;
    // Each time the database is a new one: the checkpoint is lost.
    for _ in 0..3 {
        let pool = database().await;
        for _ in 0..8 {
            let settings = Settings {
                live_records: dice.roll(20) as usize + 1,
                ..Settings::default()
            };
            let answering = Arc::clone(&own);
            let runner = ReactorRunner::new(
                pool.clone(),
                Arc::clone(&source.log),
                Arc::clone(&own),
                move || Answering {
                    own: Arc::clone(&answering),
                },
            )
            .with_settings(settings);
            let follower = runner.follower();
            let running = tokio::spawn(runner.run(CancellationToken::new()));
            reached = (reached + dice.roll(15)).min(300);
            let target = Position {
                stream: "SOURCE".to_owned(),
                sequence: reached,
            };
            follower.wait_for(&target, soon()).await.unwrap();
            for _ in 0..dice.roll(100) {
                tokio::task::yield_now().await;
            }
            running.abort();
            let _ = running.await;
        }
    }
    let pool = database().await;
    let answering = Arc::clone(&own);
    let runner = ReactorRunner::new(
        pool.clone(),
        Arc::clone(&source.log),
        Arc::clone(&own),
        move || Answering {
            own: Arc::clone(&answering),
        },
    );
    let follower = runner.follower();
    let _running = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(
        runner.run(CancellationToken::new()),
    ));
    let end = source.add(1).await;
    follower.wait_for(&end, soon()).await.unwrap();

    assert_eq!(
        own.last_sequence().await.unwrap(),
        end.sequence,
        "one answer for each event"
    );
    let mut answered = HashSet::new();
    for number in 0..7 {
        let subject = Subject::new("own", "answer", &format!("s{number}")).unwrap();
        for answer in own.read(&subject, 0).await.unwrap() {
            assert!(
                answered.insert(answer.metadata.answers.unwrap().sequence),
                "answered twice"
            );
        }
    }
    assert_eq!(
        last_answered(own.as_ref(), "on_entry", "SOURCE")
            .await
            .unwrap(),
        end.sequence
    );
    assert_eq!(
        last_answered(own.as_ref(), "another", "SOURCE")
            .await
            .unwrap(),
        0
    );
}

//! Requests and aggregates brought together: decided once, on the newest state, however often and late they come.

use std::sync::Arc;

use async_trait::async_trait;
use decider::Decider as _;
use eventlog::{
    ExecuteError, Fault, KnownRequest, Loaded, Position, Repository, RequestDigest, SnapshotError,
    Snapshots,
};
use futures::future::join_all;

use crate::{
    bench::{Bench, over_every_log_of, request},
    tally::{Command, OverTheLimit, Tally, count},
};

over_every_log_of!("testing" =>
    a_command_is_decided_and_written,
    a_repeated_request_is_answered_as_at_first_however_late,
    a_request_id_serves_one_request_only,
    a_decision_without_events_leaves_no_trace,
    a_refusal_rests_on_the_newest_state,
    nothing_to_do_rests_on_the_newest_state,
    a_stale_memory_is_put_right,
    what_was_written_past_it_is_taken_into_memory,
    writers_in_many_processes_all_get_their_turn,
    duplicates_at_the_same_moment_count_once,
    a_lost_answer_is_found_out,
    a_wrong_snapshot_is_put_right,
    a_snapshot_is_read_on_from_the_log,
    a_decision_that_needs_the_outside_may_wait_for_it,
    an_unreadable_history_is_not_decided_on,
    an_id_that_was_thought_new_is_looked_up_when_it_is_not,
);

fn tallies(bench: &Bench) -> Repository<Tally> {
    Repository::new(Arc::clone(&bench.log))
}

/// As another process, or this one after a restart, would see them.
async fn tallies_elsewhere(bench: &Bench) -> Repository<Tally> {
    Repository::new(bench.opened_again().await)
}

async fn a_command_is_decided_and_written(bench: Bench) {
    let tallies = tallies(&bench);
    let first = tallies.execute("a", &request(), &count(2)).await.unwrap();
    assert_eq!(first.position, Position::new(bench.log.stream(), 1));
    assert_eq!(
        (first.version, first.repeated, first.changed),
        (1, false, true)
    );
    assert_eq!(first.state.state, Tally { total: 2 });

    let second = tallies.execute("a", &request(), &count(3)).await.unwrap();
    assert_eq!((second.version, second.state.state.total), (2, 5));
    assert_eq!(
        tallies_elsewhere(&bench).await.load("a").await.unwrap(),
        second.state
    );
}

async fn a_repeated_request_is_answered_as_at_first_however_late(bench: Bench) {
    let here = tallies(&bench);
    let requests: Vec<_> = (0..5).map(|_| request()).collect();
    for request in &requests {
        here.execute("a", request, &count(1)).await.unwrap();
    }
    for tallies in [here, tallies_elsewhere(&bench).await] {
        for (number, request) in requests.iter().enumerate() {
            let again = tallies.execute("a", request, &count(1)).await.unwrap();
            assert!(again.repeated && again.changed);
            assert_eq!(again.version, number as u64 + 1);
            assert_eq!(again.position.sequence, number as u64 + 1);
            assert_eq!(again.state.state.total, 5);
        }
    }
    assert_eq!(bench.log.last_sequence().await, Ok(5));
}

async fn a_request_id_serves_one_request_only(bench: Bench) {
    let first = request();
    tallies(&bench)
        .execute("a", &first, &count(1))
        .await
        .unwrap();
    // The key of digests was changed since: it is known by the one under the former key.
    let mut retried = first.clone();
    retried.request_digest = RequestDigest::new([9; 16], [first.request_digest.recorded()]);
    for tallies in [tallies(&bench), tallies_elsewhere(&bench).await] {
        let again = tallies.execute("a", &retried, &count(1)).await.unwrap();
        assert!(again.repeated);
    }
    let mut other = first.clone();
    other.request_digest = [8; 16].into();
    for tallies in [tallies(&bench), tallies_elsewhere(&bench).await] {
        let refused = tallies.execute("a", &other, &count(2)).await.err();
        assert_eq!(refused, Some(ExecuteError::RequestIdReused));
    }
    assert_eq!(bench.log.last_sequence().await, Ok(1));
}

async fn a_decision_without_events_leaves_no_trace(bench: Bench) {
    let tallies = tallies(&bench);
    let nothing = tallies
        .execute("a", &request(), &Command::Reach(0))
        .await
        .unwrap();
    assert_eq!(
        (nothing.version, nothing.changed, nothing.repeated),
        (0, false, false)
    );
    tallies.execute("a", &request(), &count(4)).await.unwrap();
    let nothing = tallies
        .execute("a", &request(), &Command::Reach(4))
        .await
        .unwrap();
    assert_eq!(
        (nothing.version, nothing.position.sequence, nothing.changed),
        (1, 1, false)
    );
    assert_eq!(bench.log.last_sequence().await, Ok(1));
}

async fn a_refusal_rests_on_the_newest_state(bench: Bench) {
    let (here, elsewhere) = (tallies(&bench), tallies_elsewhere(&bench).await);
    let limit = |more, limit| Command::Count { more, limit };
    here.execute("a", &request(), &count(9)).await.unwrap();
    // What is in memory here would refuse a retry of what was accepted elsewhere a moment ago.
    let accepted = request();
    let first = elsewhere
        .execute("a", &accepted, &limit(1, 10))
        .await
        .unwrap();
    let again = here.execute("a", &accepted, &limit(1, 10)).await.unwrap();
    assert_eq!((again.repeated, again.position), (true, first.position));
    let refused = here.execute("a", &request(), &limit(1, 10)).await.err();
    assert_eq!(refused, Some(ExecuteError::Refused(OverTheLimit)));
    assert_eq!(bench.log.last_sequence().await, Ok(2));
}

async fn nothing_to_do_rests_on_the_newest_state(bench: Bench) {
    let (here, elsewhere) = (tallies(&bench), tallies_elsewhere(&bench).await);
    here.execute("a", &request(), &count(4)).await.unwrap();
    elsewhere.execute("a", &request(), &count(4)).await.unwrap();
    let nothing = here
        .execute("a", &request(), &Command::Reach(4))
        .await
        .unwrap();
    assert_eq!((nothing.version, nothing.state.state.total), (2, 8));
}

async fn a_stale_memory_is_put_right(bench: Bench) {
    let (here, elsewhere) = (tallies(&bench), tallies_elsewhere(&bench).await);
    for _ in 0..3 {
        here.execute("a", &request(), &count(1)).await.unwrap();
        elsewhere.execute("a", &request(), &count(1)).await.unwrap();
    }
    assert_eq!(
        here.load("a").await.unwrap().sequence,
        5,
        "what is in memory may be stale"
    );
    assert_eq!(here.load_newest("a").await.unwrap().state.total, 6);
}

async fn what_was_written_past_it_is_taken_into_memory(bench: Bench) {
    let tallies = tallies(&bench);
    tallies.execute("a", &request(), &count(2)).await.unwrap();
    let elsewhere = tallies_elsewhere(&bench).await;
    let past = elsewhere.execute("a", &request(), &count(3)).await.unwrap();
    let newest = past.state.requests().last().copied().unwrap();
    let events = Tally { total: 2 }.decide(&count(3)).unwrap();
    // Told of the wrong record before, it keeps what it has.
    tallies.written("a", 7, &events, newest).unwrap();
    assert_eq!(tallies.load("a").await.unwrap().state.total, 2);
    tallies.written("a", 1, &events, newest).unwrap();
    assert_eq!(tallies.load("a").await.unwrap(), past.state);
    // What is not in memory is read when it is asked for.
    tallies.written("b", 0, &events, newest).unwrap();
    assert!(tallies.load("b").await.unwrap().is_new());
}

async fn writers_in_many_processes_all_get_their_turn(bench: Bench) {
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(tallies_elsewhere(&bench).await);
    }
    let writers = (0..64).map(|number| {
        let tallies = processes[number % processes.len()].clone();
        tokio::spawn(async move {
            tallies
                .execute("a", &request(), &count(1))
                .await
                .unwrap()
                .version
        })
    });
    let mut versions: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=64).collect::<Vec<_>>());
    assert_eq!(tallies(&bench).load("a").await.unwrap().state.total, 64);
}

async fn duplicates_at_the_same_moment_count_once(bench: Bench) {
    let (here, elsewhere) = (tallies(&bench), tallies_elsewhere(&bench).await);
    let requests: Vec<_> = (0..16).map(|_| request()).collect();
    let answers = join_all(requests.iter().flat_map(|request| {
        [&here, &elsewhere, &here, &elsewhere].map(|tallies| {
            let (tallies, request) = (tallies.clone(), request.clone());
            tokio::spawn(async move { tallies.execute("a", &request, &count(1)).await.unwrap() })
        })
    }))
    .await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    for copies in answers.chunks(4) {
        assert!(
            copies
                .iter()
                .all(|copy| copy.position == copies[0].position)
        );
        assert_eq!(copies.iter().filter(|copy| !copy.repeated).count(), 1);
    }
    assert_eq!(bench.log.last_sequence().await, Ok(16));
}

async fn a_lost_answer_is_found_out(bench: Bench) {
    for (number, fault) in [Fault::AfterWriting, Fault::BeforeWriting]
        .into_iter()
        .enumerate()
    {
        if !bench.fail_next(fault) {
            // The crash tests lose real answers.
            return;
        }
        let id = format!("tally-{number}");
        let found = tallies(&bench)
            .execute(&id, &request(), &count(3))
            .await
            .unwrap();
        assert_eq!(
            (found.version, found.state.state.total),
            (number as u64 + 1, 3)
        );
        assert!(found.changed);
        assert_eq!(bench.log.last_sequence().await, Ok(number as u64 + 1));
    }
    // A log that never answers is given up on, and the outcome left open.
    for _ in 0..10 {
        bench.fail_next(Fault::BeforeWriting);
    }
    let given_up = tallies(&bench)
        .execute("b", &request(), &count(1))
        .await
        .err();
    assert!(matches!(given_up, Some(ExecuteError::Unavailable(_))));
}

struct Kept(Loaded<Tally>);

#[async_trait]
impl Snapshots<Tally> for Kept {
    async fn load(&self, _id: &str) -> Result<Option<Loaded<Tally>>, SnapshotError> {
        Ok(Some(self.0.clone()))
    }
}

async fn a_snapshot_is_read_on_from_the_log(bench: Bench) {
    let requests = [request(), request(), request()];
    for request in &requests {
        tallies(&bench)
            .execute("a", request, &count(1))
            .await
            .unwrap();
    }
    // It knows the first two, and says of them what the log would not, so that it shows where the state comes from.
    let known = requests[..2]
        .iter()
        .zip(1..)
        .map(|(request, sequence)| KnownRequest {
            id: request.request_id,
            sequence,
            digest: request.request_digest.recorded(),
        });
    let kept = Kept(Loaded::new(Tally { total: 1_002 }, 2, known));
    let tallies = tallies(&bench).with_snapshots(Arc::new(kept));
    assert_eq!(tallies.load("a").await.unwrap().state.total, 1_002);
    // The third request too, of which the snapshot knows nothing: its append is refused, and the log's tail is read.
    for (number, request) in requests.iter().enumerate().rev() {
        let again = tallies.execute("a", request, &count(1)).await.unwrap();
        assert_eq!((again.repeated, again.version), (true, number as u64 + 1));
    }
    assert_eq!(tallies.load_newest("a").await.unwrap().state.total, 1_003);
    let next = tallies.execute("a", &request(), &count(1)).await.unwrap();
    assert_eq!((next.version, next.state.state.total), (4, 1_004));
}

async fn a_wrong_snapshot_is_put_right(bench: Bench) {
    tallies(&bench)
        .execute("a", &request(), &count(1))
        .await
        .unwrap();
    // As after the restoration of an older log beside a newer database.
    let kept = Kept(Loaded::new(Tally { total: 900 }, 77, []));
    let tallies = tallies(&bench).with_snapshots(Arc::new(kept));
    let committed = tallies.execute("a", &request(), &count(1)).await.unwrap();
    assert_eq!((committed.version, committed.state.state.total), (2, 2));
}

async fn a_decision_that_needs_the_outside_may_wait_for_it(bench: Bench) {
    let (here, elsewhere) = (tallies(&bench), tallies_elsewhere(&bench).await);
    here.execute("a", &request(), &count(1)).await.unwrap();
    elsewhere.execute("a", &request(), &count(1)).await.unwrap();
    let asked = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let asking = Arc::clone(&asked);
    // On a task of its own, as in a server: the future can be sent to another thread.
    let committed = tokio::spawn(async move {
        let deciding = |tally: Arc<Loaded<Tally>>| {
            asking.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                tally.state.clone().decide_to_double()
            }
        };
        here.execute_with("a", &request(), deciding).await
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!(committed.state.state.total, 4);
    assert_eq!(
        asked.load(std::sync::atomic::Ordering::Relaxed),
        2,
        "once on the stale state"
    );
}

impl Tally {
    fn decide_to_double(self) -> Result<Vec<crate::tally::Event>, OverTheLimit> {
        Ok(vec![crate::tally::Event::Counted(self.total)])
    }
}

async fn an_unreadable_history_is_not_decided_on(bench: Bench) {
    let subject = Repository::<Tally>::subject("a").unwrap();
    let broken = bench.write_unreadable(subject.as_str(), b"\xff").await;
    let refused = tallies(&bench)
        .execute("a", &request(), &count(1))
        .await
        .err();
    match refused {
        Some(ExecuteError::Unreadable {
            subject: of,
            sequence,
            ..
        }) => assert_eq!((of, sequence), (subject, broken)),
        other => panic!("{other:?}"),
    }
    let mut unknown = bench.record("b", 0);
    unknown.subject = Repository::<Tally>::subject("b").unwrap();
    bench.log.append(unknown).await.unwrap();
    let refused = tallies(&bench)
        .execute("b", &request(), &count(1))
        .await
        .err();
    assert!(matches!(refused, Some(ExecuteError::Unreadable { .. })));
    let refused = tallies(&bench)
        .execute("b.*", &request(), &count(1))
        .await
        .err();
    assert!(matches!(refused, Some(ExecuteError::Invalid(_))));
}

async fn an_id_that_was_thought_new_is_looked_up_when_it_is_not(bench: Bench) {
    let first = request();
    tallies(&bench)
        .execute("a", &first, &count(1))
        .await
        .unwrap();
    let elsewhere = tallies_elsewhere(&bench).await;
    elsewhere.assume_new("a").unwrap();
    assert!(elsewhere.load("a").await.unwrap().is_new());
    let there = elsewhere.load_if_there("a").await.unwrap();
    assert!(there.request(first.request_id).is_some());
    assert!(elsewhere.load_if_there("b").await.unwrap().is_new());

    let elsewhere = tallies_elsewhere(&bench).await;
    elsewhere.assume_new("a").unwrap();
    assert!(
        elsewhere
            .execute("a", &first, &count(1))
            .await
            .unwrap()
            .repeated
    );
    elsewhere.assume_new("a").unwrap();
    assert_eq!(
        elsewhere
            .execute("a", &request(), &count(1))
            .await
            .unwrap()
            .state
            .state
            .total,
        2
    );
}

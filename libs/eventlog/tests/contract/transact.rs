//! Decisions that span aggregates: an elder and the claim to its number stand or fall together.

use std::sync::Arc;

use decider::Decider as _;
use eventlog::{ExecuteError, Fault, Repository};
use futures::future::join_all;

use crate::{
    bench::{Bench, over_every_log_of, request},
    tally::{Change, Claim, Event, Taken, Tally, count},
};

over_every_log_of!("testing" =>
    an_elder_and_its_claim_are_written_together,
    of_many_who_claim_the_same_one_gets_it,
    a_repeated_request_is_answered_from_the_first_aggregate,
    a_stale_second_aggregate_is_read_again,
    a_refusal_rests_on_the_newest_state_of_all,
    the_id_of_the_next_may_come_from_the_first,
    a_lost_answer_of_a_group_is_found_out,
    a_request_must_leave_its_mark_on_the_first_aggregate,
);

#[derive(Clone)]
struct Register {
    elders: Repository<Tally>,
    claims: Repository<Claim>,
}

impl Register {
    fn of(log: Arc<dyn eventlog::EventLog>) -> Self {
        Self {
            elders: Repository::new(Arc::clone(&log)),
            claims: Repository::new(log),
        }
    }

    async fn register(
        &self,
        elder: &str,
        number: &str,
        request: &eventlog::CommandContext,
    ) -> Result<eventlog::Committed<Tally>, ExecuteError<Taken>> {
        self.elders
            .transact(elder, request, |unit, held| async move {
                let claim = unit.load(&self.claims, number).await?;
                let claimed = claim
                    .state
                    .decide(&Change::Claimed(elder.to_owned()))
                    .map_err(ExecuteError::Refused)?;
                unit.record(held, vec![Event::Counted(1)]);
                unit.record(claim, claimed);
                Ok(())
            })
            .await
    }
}

async fn an_elder_and_its_claim_are_written_together(bench: Bench) {
    let register = Register::of(Arc::clone(&bench.log));
    let committed = register
        .register("elder", "number", &request())
        .await
        .unwrap();
    assert_eq!(
        (committed.version, committed.changed),
        (2, true),
        "the first aggregate's record is the last"
    );
    let elsewhere = Register::of(bench.opened_again().await);
    for seen in [&register, &elsewhere] {
        assert_eq!(
            seen.claims
                .load("number")
                .await
                .unwrap()
                .state
                .holder
                .as_deref(),
            Some("elder")
        );
        assert_eq!(seen.elders.load("elder").await.unwrap().state.total, 1);
    }
    let taken = register
        .register("another", "number", &request())
        .await
        .err();
    assert_eq!(taken, Some(ExecuteError::Refused(Taken)));
    assert!(register.elders.load("another").await.unwrap().is_new());
}

async fn of_many_who_claim_the_same_one_gets_it(bench: Bench) {
    let here = Register::of(Arc::clone(&bench.log));
    let elsewhere = Register::of(bench.opened_again().await);
    let claimants = (0..64).map(|number| {
        let register = if number % 2 == 0 {
            here.clone()
        } else {
            elsewhere.clone()
        };
        // Tasks, as in a server: the future can be sent to another thread.
        tokio::spawn(async move {
            register
                .register(&format!("elder-{number}"), "number", &request())
                .await
        })
    });
    let results: Vec<_> = join_all(claimants)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        assert_eq!(refused, ExecuteError::Refused(Taken));
    }
    assert_eq!(bench.log.last_sequence().await, Ok(2));
}

async fn a_repeated_request_is_answered_from_the_first_aggregate(bench: Bench) {
    let register = Register::of(Arc::clone(&bench.log));
    let first = request();
    let committed = register.register("elder", "number", &first).await.unwrap();
    for seen in [register, Register::of(bench.opened_again().await)] {
        let again = seen.register("elder", "number", &first).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.position, committed.position);
        let mut other = first.clone();
        other.request_digest = [9; 16].into();
        assert_eq!(
            seen.register("elder", "other", &other).await.err(),
            Some(ExecuteError::RequestIdReused)
        );
    }
    assert_eq!(bench.log.last_sequence().await, Ok(2));
}

async fn a_stale_second_aggregate_is_read_again(bench: Bench) {
    let here = Register::of(Arc::clone(&bench.log));
    let elsewhere = Register::of(bench.opened_again().await);
    assert!(here.claims.load("number").await.unwrap().is_new());
    // Claimed and released elsewhere: here it still seems never to have been claimed.
    for change in [Change::Claimed("someone".to_owned()), Change::Released] {
        elsewhere
            .claims
            .execute("number", &request(), &change)
            .await
            .unwrap();
    }
    here.register("elder", "number", &request()).await.unwrap();
    assert_eq!(
        here.claims
            .load("number")
            .await
            .unwrap()
            .state
            .holder
            .as_deref(),
        Some("elder")
    );
}

async fn a_refusal_rests_on_the_newest_state_of_all(bench: Bench) {
    let here = Register::of(Arc::clone(&bench.log));
    let elsewhere = Register::of(bench.opened_again().await);
    here.register("elder", "number", &request()).await.unwrap();
    elsewhere
        .claims
        .execute("number", &request(), &Change::Released)
        .await
        .unwrap();
    // What is in memory here says that it is taken.
    here.register("another", "number", &request())
        .await
        .unwrap();
}

async fn the_id_of_the_next_may_come_from_the_first(bench: Bench) {
    let register = &Register::of(Arc::clone(&bench.log));
    register
        .register("elder", "number-1", &request())
        .await
        .unwrap();
    let corrected = register
        .elders
        .transact::<Taken, _, _>("elder", &request(), |unit, elder| async move {
            let old = unit
                .load(&register.claims, &format!("number-{}", elder.state.total))
                .await?;
            let new = unit.load(&register.claims, "number-2").await?;
            let released = old
                .state
                .decide(&Change::Released)
                .map_err(ExecuteError::Refused)?;
            let claimed = new
                .state
                .decide(&Change::Claimed("elder".to_owned()))
                .map_err(ExecuteError::Refused)?;
            unit.record(old, released);
            unit.record(new, claimed);
            unit.record(elder, vec![Event::Counted(1)]);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!((corrected.version, corrected.state.state.total), (5, 2));
    assert_eq!(
        register.claims.load("number-1").await.unwrap().state.holder,
        None
    );
    assert_eq!(
        register
            .claims
            .load("number-2")
            .await
            .unwrap()
            .state
            .holder
            .as_deref(),
        Some("elder")
    );
    // Nothing that is not newest is in memory: the next decision on each needs no second attempt.
    register
        .elders
        .execute("elder", &request(), &count(1))
        .await
        .unwrap();
}

async fn a_lost_answer_of_a_group_is_found_out(bench: Bench) {
    for (number, fault) in [Fault::AfterWriting, Fault::BeforeWriting]
        .into_iter()
        .enumerate()
    {
        if !bench.fail_next(fault) {
            return;
        }
        let register = &Register::of(Arc::clone(&bench.log));
        let (elder, number) = (format!("elder-{number}"), format!("number-{number}"));
        let found = register
            .register(&elder, &number, &request())
            .await
            .unwrap();
        assert!(found.changed);
        assert_eq!(found.state.state.total, 1);
        assert_eq!(bench.log.last_sequence().await, Ok(found.version));
        assert_eq!(
            register
                .claims
                .load_newest(&number)
                .await
                .unwrap()
                .state
                .holder,
            Some(elder)
        );
    }
}

async fn a_request_must_leave_its_mark_on_the_first_aggregate(bench: Bench) {
    let register = &Register::of(Arc::clone(&bench.log));
    let refused = register
        .elders
        .transact::<Taken, _, _>("elder", &request(), |unit, _elder| async move {
            let claim = unit.load(&register.claims, "number").await?;
            unit.record(claim, vec![Change::Claimed("elder".to_owned())]);
            Ok(())
        })
        .await
        .err();
    assert!(matches!(refused, Some(ExecuteError::Invalid(_))));
    let refused = register
        .elders
        .transact::<Taken, _, _>("elder", &request(), |unit, _elder| async move {
            unit.load(&register.elders, "elder").await?;
            Ok(())
        })
        .await
        .err();
    assert!(
        matches!(refused, Some(ExecuteError::Invalid(_))),
        "loaded twice"
    );
    assert_eq!(bench.log.last_sequence().await, Ok(0));
}

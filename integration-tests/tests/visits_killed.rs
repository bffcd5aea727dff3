//! Visits, the log's server or the database's is killed while a phone sends its records, or while a week closes: what was
//! told is there once, and everybody is decided once.

use std::collections::BTreeSet;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use futures::{StreamExt as _, stream};
use integration_tests::{
    Setup, System, an_elder, asked_to_wait, at, each_once, import, is_passing,
    process::Part,
    reason, survey,
    visiting::{
        a_visit, a_visitor, are_answered_again, counted, coverage_of, in_words, messages, record,
        start_visiting, visited, visitor,
    },
    workbook,
};
use proto::eldercare::{
    simulation::v1::AdvanceClockRequest,
    r#type::v1::VisitMode,
    visits::v1::{
        DutyMet, PeriodClosed, RecordDoubted, RecordOutcome, RecordVisitsResponse, VisitMissed,
        VisitRecord, VisitRecorded,
    },
};
use tokio::sync::oneshot;
use tonic::{Code, Status, Streaming};

/// Elders of the village, visitors, and records of each visitor.
const ELDERS: usize = 60;
const VISITORS: usize = 10;
const EACH: usize = 150;

/// So many records are under way when the blow falls. The phone holds the others back until then.
const SENT: usize = 1_000;

/// After so many outcomes it falls.
const HEARD: usize = 200;

const _: () = assert!(0 < HEARD && HEARD < SENT && SENT < VISITORS * EACH);

/// A visitor's visits of one day.
const A_DAY: usize = 5;

/// A county whose elders were visited for a month, and the records of it that phones still hold.
struct Month {
    system: System,
    records: Vec<VisitRecord>,
}

impl Month {
    async fn before_the_blow(setup: Setup) -> Self {
        let setup = Setup {
            as_of: at("2024-08-31T09:00:00+08:00"),
            ..setup
        };
        let mut system = System::start_with(setup).await;
        let mut elders = Vec::with_capacity(ELDERS);
        for number in 0..ELDERS {
            elders.push(system.register(an_elder(&format!("林{number}"))).await);
        }
        let mut visitors = Vec::with_capacity(VISITORS);
        for number in 0..VISITORS {
            visitors.push(visitor(&system, &format!("王{number}")).await);
        }
        system.advance_to("2024-10-01T09:00:00+08:00").await;
        let mut records = Vec::with_capacity(VISITORS * EACH);
        for number in 0..EACH {
            for (place, visitor) in visitors.iter().enumerate() {
                let elder = &elders[(place * (ELDERS / VISITORS) + number) % ELDERS];
                let day = integration_tests::day("2024-09-01")
                    .plus_days(i64::try_from(number / A_DAY).unwrap());
                let hour = 8 + number % A_DAY;
                // Some begin before the one before them has ended.
                let hour = if is_in_doubt(number) {
                    format!("{:02}:20", hour - 1)
                } else {
                    format!("{hour:02}:00")
                };
                records.push(a_visit(visitor, elder, &format!("{day}T{hour}:00+08:00")));
            }
        }
        Self { system, records }
    }

    /// What becomes of the record at a place.
    fn expected(place: usize) -> &'static str {
        if is_in_doubt(place / VISITORS) {
            "DOUBTFUL OVERLAP"
        } else {
            "COUNTED"
        }
    }

    /// Sends all records until all of them are answered, as a phone does whose call failed.
    async fn retried(&self) -> Vec<RecordOutcome> {
        for _ in 0..100 {
            match record(&self.system, &self.records, "").await {
                Ok(outcomes) => return outcomes,
                Err(status) => asked_to_wait(&status).await,
            }
        }
        panic!("the records do not go through")
    }

    /// The blow has fallen in the middle: the log holds what was told, and nothing of what the phone still holds back.
    async fn is_half_recorded(&self) {
        let recorded = self.system.events::<VisitRecorded>("visits").await.len();
        assert!(
            (HEARD..=SENT).contains(&recorded),
            "the blow fell at the wrong moment: {recorded} records were in the log"
        );
    }

    /// What holds after the blow: each record is there once, as it was told, and in doubt where it must be.
    async fn nothing_lost_and_nothing_doubled(&self, heard: &[RecordOutcome]) {
        let Self { system, records } = self;
        let outcomes = self.retried().await;
        assert_eq!(outcomes.len(), records.len());
        for (place, (outcome, record)) in outcomes.iter().zip(records).enumerate() {
            assert_eq!(outcome.record_id, record.record_id);
            assert_eq!(in_words(outcome), Self::expected(place), "record {place}");
        }
        // A phone's records are answered in the order in which it sends them.
        are_answered_again(&outcomes[..heard.len()], heard);

        // The log itself: one event for each record, and one for each doubt.
        let all: BTreeSet<&String> = records.iter().map(|record| &record.record_id).collect();
        let doubtful = records.iter().zip(0..);
        let doubtful = doubtful.filter(|(_, place)| is_in_doubt(place / VISITORS));
        let doubtful: BTreeSet<&String> = doubtful.map(|(record, _)| &record.record_id).collect();
        assert!(!doubtful.is_empty());
        let recorded = system.events::<VisitRecorded>("visits").await;
        let recorded = each_once(recorded.iter().map(|event| &event.record_id));
        assert_eq!(recorded, all);
        let doubted = system.events::<RecordDoubted>("visits").await;
        let doubted = each_once(doubted.iter().map(|event| &event.record_id));
        assert_eq!(doubted, doubtful);
        system.settled().await;
        let september = coverage_of(system, "2024-09").await;
        let everybody = i64::try_from(ELDERS).unwrap();
        assert_eq!(
            (september.visited, september.in_scope),
            (everybody, everybody)
        );
        assert_eq!(visited(system, "").await, (0, everybody));
        system.verify().await;
    }
}

/// Whether the visit of a number overlaps with the one before it.
fn is_in_doubt(number: usize) -> bool {
    number % 10 == 4
}

/// A phone in the middle of sending, of whose records `heard` are answered so far.
struct Sending {
    answers: Streaming<RecordVisitsResponse>,
    heard: Vec<RecordOutcome>,
    go_on: oneshot::Sender<()>,
}

impl Sending {
    /// Sends a part, and hears outcomes until `HEARD` are there.
    async fn half(system: &System, records: &[VisitRecord]) -> Self {
        let (first, rest) = records.split_at(SENT);
        let (go_on, struck) = oneshot::channel();
        let rest = messages(rest, "");
        let rest = stream::once(async move {
            let _ = struck.await;
            stream::iter(rest)
        });
        let sent = stream::iter(messages(first, "")).chain(rest.flatten());
        let answers = system.visits().record_visits(sent).await.unwrap();
        let mut sending = Self {
            answers: answers.into_inner(),
            heard: Vec::new(),
            go_on,
        };
        while sending.heard.len() < HEARD {
            let outcome = next(&mut sending.answers).await.unwrap();
            sending.heard.push(outcome.expect("there is more to come"));
        }
        assert!(!sending.go_on.is_closed(), "nothing is held back");
        sending
    }

    /// Sends the rest and hears what is still told after the blow: to the end, or until the call fails in a way that asks
    /// for a retry.
    async fn rest(self) -> Vec<RecordOutcome> {
        let Self {
            mut answers,
            mut heard,
            go_on,
        } = self;
        // The phone's side may be gone with the connection.
        let _ = go_on.send(());
        loop {
            match next(&mut answers).await {
                Ok(Some(outcome)) => heard.push(outcome),
                Ok(None) => return heard,
                Err(status) => {
                    assert!(is_passing(&status), "{status}");
                    return heard;
                }
            }
        }
    }
}

/// The next outcome; none at the end.
async fn next(
    answers: &mut Streaming<RecordVisitsResponse>,
) -> Result<Option<RecordOutcome>, Status> {
    let answer = answers.message().await?;
    Ok(answer.map(|answer| answer.outcome.expect("each answer has an outcome")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_visits_keep_each_record_that_was_told_once() {
    let mut month = Month::before_the_blow(Setup::with_visits()).await;
    let sending = Sending::half(&month.system, &month.records).await;
    month.system.kill_one(Part::Visits).await;
    month.is_half_recorded().await;
    let heard = sending.rest().await;
    assert!(
        (HEARD..=SENT).contains(&heard.len()),
        "what was held back was answered by nobody"
    );
    month.system.restart_one(Part::Visits).await;
    month.nothing_lost_and_nothing_doubled(&heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_log_server_loses_no_record_that_was_told() {
    let mut month = Month::before_the_blow(Setup::with_visits()).await;
    let sending = Sending::half(&month.system, &month.records).await;
    month.system.nats().kill().await;
    let restarting = async { month.system.nats().restart().await.unwrap() };
    let (heard, ()) = tokio::join!(sending.rest(), restarting);
    assert!(month.system.is_running(), "visits outlive the log's server");
    month.nothing_lost_and_nothing_doubled(&heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_loses_no_record_that_was_told() {
    let setup = Setup {
        own_postgres: true,
        ..Setup::with_visits()
    };
    let mut month = Month::before_the_blow(setup).await;
    let sending = Sending::half(&month.system, &month.records).await;
    month.system.postgres().kill().await;
    month.is_half_recorded().await;
    let restarting = async { month.system.postgres().restart().await.unwrap() };
    let (heard, ()) = tokio::join!(sending.rest(), restarting);
    assert!(
        month.system.is_running(),
        "visits outlive the database's server"
    );
    month.nothing_lost_and_nothing_doubled(&heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_registry_is_away_visits_say_so_and_lose_nothing() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let (seen, unseen) = (
        system.register(an_elder("林甲")).await,
        system.register(an_elder("林乙")).await,
    );
    let she = visitor(&system, "王网格").await;
    system.settled().await;
    let visit =
        |elder: &str, hour: u32| a_visit(&she, elder, &format!("2024-10-01T{hour:02}:00:00+08:00"));
    let first = visit(&seen, 6);
    let outcomes = record(&system, std::slice::from_ref(&first), "").await;
    assert_eq!(in_words(&outcomes.unwrap()[0]), "COUNTED");
    let written = system.last_sequence("visits").await;

    // Nobody is there to give keys that were not given before: what needs one is to be sent again.
    system.kill_one(Part::Elders).await;
    let away = record(&system, &[visit(&unseen, 7)], "").await.unwrap_err();
    let register = system.visits().register_visitor(a_visitor("李志愿")).await;
    for status in [away, register.unwrap_err()] {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(!reason(&status).is_empty(), "{status}");
    }
    assert_eq!(system.last_sequence("visits").await, written);
    // What needs none, or one that is remembered, goes on.
    let second = visit(&seen, 8);
    let outcomes = record(&system, &[first.clone(), second.clone()], "").await;
    let outcomes = outcomes.unwrap();
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(told, ["COUNTED", "COUNTED"]);
    assert_eq!(visited(&system, &outcomes[1].position).await, (1, 2));

    system.kill_one(Part::Visits).await;
    system.restart().await;
    let sent = [first, second, visit(&unseen, 7)];
    let outcomes = record(&system, &sent, "").await.unwrap();
    assert!(outcomes.iter().all(|one| in_words(one) == "COUNTED"));
    assert_eq!(visited(&system, &outcomes[2].position).await, (2, 2));
    assert_eq!(
        system.events::<VisitRecorded>("visits").await.len(),
        sent.len()
    );
    system.verify().await;
}

/// Elders who are owed a visit each week, more than are settled together.
const OWED: u32 = 1_500;

/// Of these visited.
const SEEN: usize = 300;

/// So many of them at the most are decided before the blow: the log has no room for more.
const DECIDED: i64 = 500;

/// Lets the log of visits grow by so many records and no more, as on a full disk; `None` gives it room again.
async fn give_room(system: &System, more: Option<i64>) {
    let server = system.jetstream().await;
    let stream = server.get_stream("VISITS").await.unwrap();
    let info = stream.cached_info();
    let written = i64::try_from(info.state.messages).unwrap();
    let config = Config {
        max_messages: more.map_or(-1, |more| written + more),
        discard: more.map_or(DiscardPolicy::Old, |_| DiscardPolicy::New),
        ..info.config.clone()
    };
    server.update_stream(config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_that_are_killed_while_a_week_closes_decide_each_duty_once() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let book = workbook::of_elders(0, OWED);
    let imported = import(&mut system.registry(), survey::options(), &book)
        .await
        .unwrap();
    let elders: Vec<String> = imported
        .rows
        .iter()
        .map(|row| row.elder_id.clone())
        .collect();
    assert_eq!(elders.len(), OWED as usize);
    start_visiting(&system, "2024-09-30").await;
    let mut visitors = Vec::with_capacity(VISITORS);
    for number in 0..VISITORS {
        visitors.push(visitor(&system, &format!("王{number}")).await);
    }
    system.advance_to("2024-10-04T18:00:00+08:00").await;
    let seen = elders.iter().take(SEEN).enumerate().map(|(place, elder)| {
        let start = format!(
            "2024-10-0{}T{:02}:00:00+08:00",
            1 + place / VISITORS % 4,
            8 + place / VISITORS / 4
        );
        let mut call = a_visit(&visitors[place % VISITORS], elder, &start);
        call.mode = VisitMode::Phone.into();
        call
    });
    let seen: Vec<_> = seen.collect();
    let outcomes = record(&system, &seen, &imported.summary.position).await;
    let outcomes = outcomes.unwrap();
    assert!(outcomes.iter().all(|one| in_words(one) == "COUNTED"));

    // The clock of visits is moved over the end of the week, and the blow falls when duties are decided: not all of them,
    // however late it falls, since the log has no room for that.
    let mut decisions = {
        let log = system.log("visits").await;
        let last = log.last_sequence().await.unwrap();
        log.subscribe(last).await.unwrap()
    };
    give_room(&system, Some(DECIDED)).await;
    let mut clock = system.officer().simulation(Part::Visits);
    let to = Some(integration_tests::timestamp("2024-10-07T00:00:00+08:00"));
    let moving = tokio::spawn(async move { clock.advance_clock(AdvanceClockRequest { to }).await });
    assert!(decisions.next().await.unwrap().is_ok());
    system.kill_one(Part::Visits).await;
    assert!(moving.await.unwrap().is_err(), "the blow came too late");
    give_room(&system, None).await;
    let decided = system.events::<VisitMissed>("visits").await.len()
        + system.events::<DutyMet>("visits").await.len();
    assert!(
        0 < decided && decided < OWED as usize,
        "the blow came at the wrong moment: {decided} were decided"
    );

    system.advance_to("2024-10-07T00:00:00+08:00").await;
    system.restart_one(Part::Visits).await;
    system.settled().await;
    let missed = system.events::<VisitMissed>("visits").await;
    assert_eq!(missed.len(), OWED as usize - SEEN);
    let met = system.events::<DutyMet>("visits").await;
    assert!(met.iter().all(|met| !met.late));
    let missed = missed.iter().map(|missed| &missed.elder_id);
    let decided = each_once(missed.chain(met.iter().map(|met| &met.elder_id)));
    assert_eq!(decided, elders.iter().collect(), "everybody is decided");
    let closed = system.events::<PeriodClosed>("visits").await;
    assert_eq!(closed.len(), 1);
    let (owed, seen) = (i64::from(OWED), i64::try_from(SEEN).unwrap());
    assert_eq!((closed[0].duties, closed[0].missed), (owed, owed - seen));
    assert_eq!(
        counted(&system, "2024-W40", "").await,
        (owed, seen, owed - seen, owed - seen, true)
    );
    system.verify().await;
}

//! Orders on their way over a stream: each is seen to get the verdict that it must have, and how long that took.

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use eventlog::Position;
use proto::eldercare::claims::v1 as pb;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use super::{
    care::{Desk, Roster, STREAMS, Scope, Service},
    people::day,
};
use crate::client::Client;

/// How often it is looked at whether the next orders of a stream at a pace are due.
const PULSE: Duration = Duration::from_millis(5);

/// An order, and what must become of it.
#[derive(Debug)]
pub(super) struct Order {
    /// The order.
    pub(super) order: pb::ServiceOrder,
    /// The one code that applies; none: it must be approved.
    pub(super) code: Option<pb::OrderCode>,
}

/// The verdicts of a stream.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// When each came, and how long after the order was sent.
    pub(super) came: Vec<(Instant, Duration)>,
    /// The sequence of the last order in the log.
    pub(super) last: u64,
}

/// How a stream sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How many orders wait for their verdicts at once.
    pub(super) waiting: usize,
    /// How many orders a second are sent, where not as many as are answered.
    pub(super) a_second: Option<f64>,
}

/// Hands in orders over one stream.
pub(super) async fn hand_in(
    client: &Client,
    orders: impl IntoIterator<Item = Order>,
    pace: Pace,
) -> anyhow::Result<Verdicts> {
    let (sender, receiver) = mpsc::channel(pace.waiting);
    let coming = futures::stream::unfold(receiver, |mut receiver| async move {
        let request: Option<pb::SubmitOrdersRequest> = receiver.recv().await;
        request.map(|request| (request, receiver))
    });
    let answers = client.claims().submit_orders(coming).await?;
    let (mut answers, mut orders) = (answers.into_inner(), orders.into_iter());
    let (mut sender, mut sent) = (Some(sender), 0.0);
    let (mut waiting, mut verdicts) = (VecDeque::new(), Verdicts::default());
    let began = Instant::now();
    let mut pulse = tokio::time::interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = |sent: f64| {
            let due = pace
                .a_second
                .map(|a_second| began.elapsed().as_secs_f64() * a_second);
            due.is_none_or(|due| sent < due)
        };
        while waiting.len() < pace.waiting
            && due(sent)
            && let Some(open) = &sender
        {
            let Some(Order { order, code }) = orders.next() else {
                sender = None;
                break;
            };
            waiting.push_back((Instant::now(), order.order_id.clone(), code));
            let request = pb::SubmitOrdersRequest {
                order: Some(order),
                min_position: String::new(),
            };
            if open.send(request).await.is_err() {
                // Why the stream has ended is told in place of the next verdict.
                sender = None;
                break;
            }
            sent += 1.0;
        }
        if sender.is_none() && waiting.is_empty() {
            return Ok(verdicts);
        }
        tokio::select! {
            answer = answers.message(), if !waiting.is_empty() => {
                let answer = answer?.context("an order without an outcome")?;
                let (since, number, code) = waiting.pop_front().context("more outcomes than orders")?;
                check(&answer, &number, code)?;
                let now = Instant::now();
                verdicts.came.push((now, now - since));
                let position: Position = answer.position.parse()?;
                verdicts.last = verdicts.last.max(position.sequence);
            }
            _ = pulse.tick(), if sender.is_some() => {}
        }
    }
}

fn check(
    answer: &pb::SubmitOrdersResponse,
    number: &str,
    code: Option<pb::OrderCode>,
) -> anyhow::Result<()> {
    let state = match code {
        None => pb::OrderState::Approved,
        Some(_) => pb::OrderState::AbnormalOpen,
    };
    let codes: Vec<i32> = code.into_iter().map(i32::from).collect();
    let standing = answer.standing.as_ref();
    let as_it_must = standing.is_some_and(|standing| {
        standing.state() == state && standing.codes == codes && standing.order_id == number
    });
    ensure!(
        as_it_must && !answer.repeated_order,
        "order {number}, which must be {} with the codes {codes:?}, was answered so: {answer:?}",
        state.as_str_name()
    );
    Ok(())
}

/// The week of services of which a steady stream tells, and when it is told.
const MONDAY: &str = "2024-10-21";
pub(super) const NOW: &str = "2024-10-28T08:00:00+08:00";
const DAYS: u64 = 7;

/// A caregiver is with somebody for half of each hour, from eight o'clock on.
const HOURS: u64 = 12;
const FIRST_HOUR: i64 = 8;
const MINUTES: i64 = 30;

/// One order of so many is of a service that was too short, as in Yiwu about one of so many is abnormal.
const ONE_SHORT_OF: u64 = 21;
const SHORT: i64 = 20;

/// Who is there for a steady stream: for so many caregivers a week is long enough.
pub(super) const SCOPE: Scope = Scope {
    providers: 40,
    caregivers_each: 100,
    elders_each: 3,
    strangers_each: 0,
};

/// The orders of a stream, one after the other, until the week is over.
#[derive(Debug)]
struct Steady {
    roster: Arc<Roster>,
    stream: u64,
    next: u64,
}

impl Iterator for Steady {
    type Item = Order;

    fn next(&mut self) -> Option<Order> {
        let scope = self.roster.scope;
        // All caregivers of the stream in turn, and then their next services.
        let caregivers = (scope.caregivers() / STREAMS) as u64;
        let (slot, place) = (self.next / caregivers, self.next % caregivers);
        if slot >= DAYS * HOURS {
            return None;
        }
        let on = day(MONDAY).plus_days((slot / HOURS).cast_signed());
        let hour = FIRST_HOUR + (slot % HOURS).cast_signed();
        let streams = STREAMS as u64;
        let number = self.next * streams + self.stream;
        self.next += 1;
        let caregiver = usize::try_from(place * streams + self.stream).ok()?;
        let elder = usize::try_from(slot).ok()? % scope.elders_each;
        let short = number.is_multiple_of(ONE_SHORT_OF);
        let service = Service {
            number,
            caregiver,
            elder: scope.elder(caregiver, elder),
            start: on.start() + TimeDelta::hours(hour),
            minutes: if short { SHORT } else { MINUTES },
        };
        Some(Order {
            order: self.roster.order(&service),
            code: short.then_some(pb::OrderCode::DurationShort),
        })
    }
}

/// Orders that come over some streams at once.
#[derive(Debug)]
pub(super) struct Flow(JoinSet<anyhow::Result<Verdicts>>);

impl Flow {
    /// Begins to hand in orders over all streams, for as long as `goes_on` says.
    pub(super) fn begin(
        desk: &Desk,
        pace: Pace,
        goes_on: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Self {
        let mut streams = JoinSet::new();
        for (stream, client) in (0..).zip(&desk.clients) {
            let steady = Steady {
                roster: Arc::clone(&desk.roster),
                stream,
                next: 0,
            };
            let (client, goes_on) = (client.clone(), goes_on.clone());
            streams.spawn(async move {
                let orders = steady.take_while(|_| goes_on());
                hand_in(&client, orders, pace).await
            });
        }
        Self(streams)
    }

    /// Waits until the first stream fails, or ends because it has no more orders.
    pub(super) async fn ends(&mut self) -> anyhow::Error {
        match self.0.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => error.into(),
            Some(Ok(Ok(_))) | None => anyhow::anyhow!("there are not orders enough"),
        }
    }

    /// The verdicts of all streams when they have ended.
    pub(super) async fn verdicts(mut self) -> anyhow::Result<Verdicts> {
        let mut all = Verdicts::default();
        while let Some(ended) = self.0.join_next().await {
            let Verdicts { came, last } = ended??;
            all.came.extend(came);
            all.last = all.last.max(last);
        }
        Ok(all)
    }
}

impl Verdicts {
    /// The delays of those that came in a span of time.
    pub(super) fn within(&self, span: Range<Instant>) -> Vec<Duration> {
        let within = self.came.iter().filter(|(at, _)| span.contains(at));
        within.map(|(_, delay)| *delay).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::{bench::care::MINUTES_A_YEAR, wire};

    #[test]
    fn in_a_steady_stream_nothing_overlaps_and_nobody_uses_up_the_year() {
        let scope = Scope {
            providers: STREAMS,
            caregivers_each: 2,
            ..SCOPE
        };
        let roster = Arc::new(Roster::made_up(scope));
        let orders = (0..STREAMS as u64).flat_map(|stream| Steady {
            roster: Arc::clone(&roster),
            stream,
            next: 0,
        });
        let (mut numbers, mut used) = (HashSet::new(), HashMap::new());
        let mut ends: HashMap<String, i64> = HashMap::new();
        let told: i64 = chrono::DateTime::parse_from_rfc3339(NOW)
            .unwrap()
            .timestamp();
        let mut short = 0;
        for Order { order, code } in orders {
            let at = |time: Option<prost_types::Timestamp>| {
                time.and_then(wire::from_timestamp).unwrap().timestamp()
            };
            let (start, end) = (at(order.check_in_at), at(order.check_out_at));
            let before = ends.insert(order.caregiver_id, end);
            assert!(before.is_none_or(|before| before <= start) && end <= told);
            assert!(numbers.insert(order.order_id));
            *used.entry(order.elder_id).or_default() += (end - start) / 60;
            short += usize::from(code.is_some());
        }
        assert_eq!(numbers.len(), scope.caregivers() * 7 * 12);
        assert!(short * 20 < numbers.len() && short * 22 > numbers.len());
        assert!(
            used.values()
                .all(|minutes: &i64| *minutes <= MINUTES_A_YEAR)
        );
    }
}

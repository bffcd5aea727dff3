//! Plays a data set on a simulated clock through the system's APIs, and compares what comes out with what is expected.

pub mod alerts_figures;
pub mod claims_figures;
pub mod compare;
mod elders;
pub mod figures;
mod play_changes;
mod play_claims;
mod play_signals;
mod play_visits;
pub mod report;
pub mod timeline;
mod visits_figures;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use civic::LocalDay;
use serde_json::Value;

use crate::{
    client::Client,
    county::{County, PROGRAMMES, VISITORS},
    load::{self, FailedLine, Imported, Reached},
    output::Progress,
};
use elders::Directory;
use play_claims::Ledger;
use play_signals::Homes;
use play_visits::Diary;
use timeline::{Happening, Moment};

/// What came out of playing a data set.
#[derive(Debug, Default)]
pub struct Played {
    /// The survey workbooks.
    pub imported: Vec<Imported>,
    /// How many residents were registered.
    pub residents: u64,
    /// How many changes were played.
    pub changes: u64,
    /// Lines that the system refused.
    pub failed: Vec<FailedLine>,
    /// The survey, as `expected/survey.json` has it.
    pub survey: Value,
    /// The registry after survey and residents and before the changes, as `expected/registry.json` has it.
    pub registry: Option<Value>,
    /// The elders by status at the end of a day.
    pub statuses: BTreeMap<LocalDay, Value>,
    /// The tiers at the end of a day, as `expected/tiers-<date>.json` has them.
    pub tiers: BTreeMap<LocalDay, Value>,
    /// The visits, as `expected/visits.json` has them.
    pub visits: Option<Value>,
    /// The alerts.
    pub alerts: Option<alerts_figures::Alerts>,
    /// The service orders and funds.
    pub claims: Option<claims_figures::Claims>,
}

/// Something that is read from the system when the clock comes to its instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    /// The registry as a whole.
    Registry,
    /// The elders by status.
    Statuses(LocalDay),
    /// The tiers.
    Tiers(LocalDay),
    /// Coverage, duties and what became of records.
    Visits,
    /// Alerts, and how fast help came.
    Alerts(DateTime<Utc>),
    /// What became of orders and where the money went, on that day; everything is settled and paid for it.
    Claims(LocalDay),
}

/// What comes next on the clock: what happens at an instant comes before what is read at it.
#[derive(Debug)]
enum Step {
    Play(Box<Happening>),
    Read(Reading),
}

/// How far a data set is played.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// What happened up to this instant was played before; `None`: nothing was.
    pub after: Option<DateTime<Utc>>,
    /// Until this instant; `None`: to the end.
    pub until: Option<DateTime<Utc>>,
    /// Whether figures are read on the way.
    pub reads: bool,
}

impl Extent {
    /// Everything, with all figures.
    pub fn whole() -> Self {
        Self {
            after: None,
            until: None,
            reads: true,
        }
    }
}

/// Plays a data set: divisions, survey and residents at once, then everything dated in its order.
///
/// # Errors
/// A data set that can't be read, or a system that doesn't answer. Lines that the system refuses are in the answer.
pub async fn play(
    client: &Client,
    county: &County,
    extent: Extent,
    progress: Progress,
) -> anyhow::Result<Played> {
    let moments = timeline::read(county)?;
    let mut stage = Stage {
        client,
        county,
        reached: Reached::default(),
        directory: Directory::default(),
        names: HashMap::new(),
        diary: Diary::default(),
        homes: Homes::default(),
        ledger: Ledger::of(&moments),
    };
    let mut played = Played::default();

    if extent.after.is_none() {
        let divisions = county.divisions()?;
        load::divisions(
            client,
            divisions.request_id,
            divisions.what,
            &mut stage.reached,
        )
        .await?;
        stage.names =
            figures::division_names(client, &county.set.county, &stage.reached.min_position())
                .await?;
        played.imported = load::surveys(client, county, &mut stage.reached, progress).await?;
        played.survey = figures::survey(&played.imported);
        (played.residents, played.failed) =
            load::residents(client, county, &mut stage.reached, progress).await?;
    }
    stage.meet_elders().await?;
    // Also where a part was played before: who is registered already is answered again.
    let claims = stage.ledger.begin(client, county);
    played.failed.extend(claims.await?);
    if extent.after.is_none() {
        let min_position = stage.reached.min_position();
        let directory = &mut stage.directory;
        let enrolled = stage
            .ledger
            .enrol(client, county, directory, &min_position, progress);
        played.failed.extend(enrolled.await?);
    }
    let visitors = stage
        .diary
        .begin(client, county, &mut stage.directory, progress);
    played.failed.extend(visitors.await?);

    let steps = steps(county, moments, extent);
    let bar = progress.begin("时间线 playing what happened", steps.len() as u64);
    for (at, step) in steps {
        client.advance_to(at).await?;
        match step {
            Step::Play(happening) => stage.play(*happening, &mut played).await?,
            Step::Read(reading) => stage.read(reading, &mut played).await?,
        }
        bar.advance(1);
    }
    if let Some(until) = extent.until {
        client.advance_to(until).await?;
    }
    bar.done(&format!("{} changes", played.changes));
    Ok(played)
}

/// Everything dated and everything to be read, in the order of the clock.
fn steps(county: &County, moments: Vec<Moment>, extent: Extent) -> Vec<(DateTime<Utc>, Step)> {
    let last_moment = |day: LocalDay| day.end() - TimeDelta::milliseconds(1);
    let mut readings = Vec::new();
    if extent.reads {
        let first_change = moments.iter().find(|moment| match moment.what {
            Happening::Change(_) => true,
            Happening::Visit(_)
            | Happening::Confirmation(_)
            | Happening::Devices(..)
            | Happening::Signals(..)
            | Happening::Away(_)
            | Happening::Back(..)
            | Happening::Response(_)
            | Happening::Orders(..)
            | Happening::Appeal(_)
            | Happening::Decision(_) => false,
        });
        let before_changes = first_change.map_or_else(
            || last_moment(county.set.import_as_of),
            |change| change.at - TimeDelta::milliseconds(1),
        );
        readings.push((before_changes, Reading::Registry));
        for day in &county.set.tier_dates {
            readings.push((last_moment(*day), Reading::Statuses(*day)));
            readings.push((last_moment(*day), Reading::Tiers(*day)));
        }
        if let Some(at) = county.set.visits_evaluated_at {
            readings.push((at, Reading::Visits));
        }
        if let Some(at) = county.set.alerts_evaluated_at {
            readings.push((at, Reading::Alerts(at)));
        }
        if let Some(day) = county.set.claims_as_of.filter(|_| county.has(PROGRAMMES)) {
            readings.push((last_moment(day), Reading::Claims(day)));
        }
    }
    let mut steps: Vec<_> = moments
        .into_iter()
        .map(|moment| (moment.at, Step::Play(Box::new(moment.what))))
        .collect();
    steps.extend(
        readings
            .into_iter()
            .map(|(at, reading)| (at, Step::Read(reading))),
    );
    steps.retain(|(at, _)| {
        extent.after.is_none_or(|after| *at > after)
            && extent.until.is_none_or(|until| *at <= until)
    });
    // Stable: what happens at one instant stays in its order, and before what is read then.
    steps.sort_by_key(|(at, step)| {
        (
            *at,
            match step {
                Step::Play(_) => None,
                Step::Read(reading) => Some(*reading),
            },
        )
    });
    together(steps)
}

/// Orders that follow each other are handed in together.
fn together(steps: Vec<(DateTime<Utc>, Step)>) -> Vec<(DateTime<Utc>, Step)> {
    let mut joined: Vec<(DateTime<Utc>, Step)> = Vec::with_capacity(steps.len());
    for (at, step) in steps {
        let step = match (joined.last_mut(), step) {
            (Some((until, Step::Play(before))), Step::Play(next)) => match before.join(*next) {
                None => {
                    *until = at;
                    continue;
                }
                Some(next) => Step::Play(Box::new(next)),
            },
            (_, step) => step,
        };
        joined.push((at, step));
    }
    joined
}

struct Stage<'a> {
    client: &'a Client,
    county: &'a County,
    reached: Reached,
    directory: Directory,
    names: HashMap<String, String>,
    diary: Diary,
    homes: Homes,
    ledger: Ledger,
}

impl Stage<'_> {
    /// Thousands of elders are enrolled and served, paired and visited: asking for each by its number would take longer
    /// than for all at once.
    async fn meet_elders(&mut self) -> anyhow::Result<()> {
        if !self.county.has(PROGRAMMES) && !self.county.has(VISITORS) {
            return Ok(());
        }
        let (county, min_position) = (&self.county.set.county, self.reached.min_position());
        let elders = elders::all(self.client, county, &min_position).await?;
        elders.iter().for_each(|elder| self.directory.add(elder));
        Ok(())
    }

    async fn play(&mut self, happening: Happening, played: &mut Played) -> anyhow::Result<()> {
        match happening {
            Happening::Change(change) => {
                match play_changes::play(self.client, &mut self.directory, &change).await? {
                    Ok(position) => {
                        self.reached.see(&position);
                        played.changes += 1;
                    }
                    Err(line) => played.failed.push(line),
                }
            }
            Happening::Visit(visit) => {
                let outcome =
                    self.diary
                        .record(self.client, self.county, &mut self.directory, &visit);
                played.failed.extend(outcome.await?);
            }
            Happening::Confirmation(decision) => {
                let outcome = self.diary.decide(self.client, self.county, &decision);
                played.failed.extend(outcome.await?);
            }
            Happening::Devices(_, devices) => {
                let (client, county) = (self.client, self.county);
                let registered = self
                    .homes
                    .register(client, county, &mut self.directory, &devices);
                played.failed.extend(registered.await?);
            }
            Happening::Signals(_, lines) => {
                let heard = self.homes.hear(self.client, &lines);
                played.failed.extend(heard.await?);
            }
            Happening::Away(line) => {
                let (client, county) = (self.client, self.county);
                let away = play_signals::away(client, county, &mut self.directory, &line, false);
                played.failed.extend(away.await?);
            }
            Happening::Back(_, line) => {
                let (client, county) = (self.client, self.county);
                let back = play_signals::away(client, county, &mut self.directory, &line, true);
                played.failed.extend(back.await?);
            }
            Happening::Response(line) => {
                let (client, county) = (self.client, self.county);
                let done = self
                    .homes
                    .respond(client, county, &mut self.directory, &line);
                played.failed.extend(done.await?);
            }
            Happening::Orders(_, lines) => {
                let (client, county) = (self.client, self.county);
                let min_position = self.reached.min_position();
                let submitted =
                    self.ledger
                        .submit(client, county, &mut self.directory, &lines, &min_position);
                played.failed.extend(submitted.await?);
            }
            Happening::Appeal(line) => {
                let filed = self.ledger.appeal(self.client, &line);
                played.failed.extend(filed.await?);
            }
            Happening::Decision(line) => {
                let decided = self.ledger.decide(self.client, &line);
                played.failed.extend(decided.await?);
            }
        }
        Ok(())
    }

    async fn read(&mut self, reading: Reading, played: &mut Played) -> anyhow::Result<()> {
        let (client, county, min_position) = (
            self.client,
            &self.county.set.county,
            self.reached.min_position(),
        );
        match reading {
            Reading::Registry => {
                let elders = elders::all(client, county, &min_position).await?;
                elders.iter().for_each(|elder| self.directory.add(elder));
                let statistics = figures::statistics(client, county, &min_position).await?;
                played.registry = Some(figures::registry(&statistics, &elders, &self.names)?);
            }
            Reading::Statuses(day) => {
                let statistics = figures::statistics(client, county, &min_position).await?;
                played.statuses.insert(day, figures::statuses(&statistics));
            }
            Reading::Tiers(day) => {
                let tiers = figures::tiers(
                    client,
                    county,
                    day,
                    &self.directory,
                    &self.names,
                    &min_position,
                )
                .await?;
                played.tiers.insert(day, tiers);
            }
            Reading::Visits => {
                let visits =
                    visits_figures::visits(client, self.county, &self.diary, &self.directory)
                        .await?;
                played.visits = Some(visits);
            }
            Reading::Alerts(at) => {
                let (homes, directory) = (&self.homes, &self.directory);
                let alerts = alerts_figures::alerts(client, self.county, homes, directory, at);
                played.alerts = Some(alerts.await?);
            }
            Reading::Claims(day) => {
                let claims = claims_figures::claims(client, self.county, &self.ledger, day);
                played.claims = Some(claims.await?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> County {
        County::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/anxi")).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn readings(extent: Extent) -> Vec<(String, Reading)> {
        let county = sample();
        let steps = steps(&county, timeline::read(&county).unwrap(), extent);
        let reading = |(at, step): &(DateTime<Utc>, Step)| match step {
            Step::Read(reading) => Some((at.to_rfc3339(), *reading)),
            Step::Play(_) => None,
        };
        steps.iter().filter_map(reading).collect()
    }

    #[test]
    fn the_registry_is_read_before_the_first_change_and_tiers_at_the_end_of_their_day() {
        let day = |text: &str| text.parse::<LocalDay>().unwrap();
        let found = readings(Extent::whole());
        assert_eq!(
            found[0],
            (
                "2024-09-22T02:16:38.999+00:00".to_owned(),
                Reading::Registry
            )
        );
        assert_eq!(
            found[2],
            (
                "2024-10-01T15:59:59.999+00:00".to_owned(),
                Reading::Tiers(day("2024-10-01"))
            )
        );
        let last = "2024-11-19T15:59:59.999+00:00".to_owned();
        let of_last_day = [
            Reading::Statuses(day("2024-11-19")),
            Reading::Tiers(day("2024-11-19")),
            Reading::Claims(day("2024-11-19")),
        ];
        assert_eq!(
            found[found.len() - 3..],
            of_last_day.map(|reading| (last.clone(), reading))
        );
        let evaluated = ("2024-10-31T16:00:00+00:00".to_owned(), Reading::Visits);
        assert!(found.contains(&evaluated));
        let evaluated = at("2024-11-18T00:00:00+08:00");
        let evaluated = (evaluated.to_rfc3339(), Reading::Alerts(evaluated));
        assert!(found.contains(&evaluated));
        assert_eq!(found.len(), 10);
    }

    #[test]
    fn a_set_without_programmes_reads_nothing_of_claims() {
        let folder = tempfile::tempdir().unwrap();
        let sample = sample();
        for file in ["set.json", "divisions.csv"] {
            std::fs::copy(sample.folder().join(file), folder.path().join(file)).unwrap();
        }
        let county = County::open(folder.path()).unwrap();
        assert!(county.set.claims_as_of.is_some());
        let steps = steps(&county, timeline::read(&county).unwrap(), Extent::whole());
        let reads_claims = |(_, step): &(DateTime<Utc>, Step)| match step {
            Step::Read(reading) => matches!(reading, Reading::Claims(_)),
            Step::Play(_) => true,
        };
        assert!(!steps.iter().any(reads_claims));
    }

    /// What is played of orders, appeals and decisions, in its order: orders that are handed in together, then each.
    fn of_claims(steps: &[(DateTime<Utc>, Step)]) -> Vec<(DateTime<Utc>, Vec<String>)> {
        let told = |(at, step): &(DateTime<Utc>, Step)| {
            let Step::Play(happening) = step else {
                return None;
            };
            let what = match happening.as_ref() {
                Happening::Orders(_, lines) => lines
                    .iter()
                    .map(|line| line.what.order_id.clone())
                    .collect(),
                Happening::Appeal(line) => vec![format!("appeal {}", line.what.order_id)],
                Happening::Decision(line) => vec![format!("decision {}", line.what.order_id)],
                Happening::Change(_)
                | Happening::Visit(_)
                | Happening::Confirmation(_)
                | Happening::Devices(..)
                | Happening::Signals(..)
                | Happening::Away(_)
                | Happening::Back(..)
                | Happening::Response(_) => return None,
            };
            Some((*at, what))
        };
        steps.iter().filter_map(told).collect()
    }

    #[test]
    fn orders_of_a_day_are_handed_in_together_and_stay_in_their_order() {
        let county = sample();
        let steps = steps(&county, timeline::read(&county).unwrap(), Extent::whole());
        let played = of_claims(&steps);
        let handed_in: Vec<_> = played
            .iter()
            .flat_map(|(_, what)| what)
            .filter(|what| !what.contains(' '))
            .collect();
        assert_eq!(handed_in.len(), 12_265);
        assert!(handed_in.is_sorted());
        let orders = county.orders().unwrap();
        let submitted: HashMap<_, _> = orders
            .iter()
            .map(|line| (&line.what.order_id, line.what.submitted_at))
            .collect();
        let together = played.iter().filter(|(_, what)| !what[0].contains(' '));
        let together: Vec<_> = together.collect();
        for (at, orders) in &together {
            assert_eq!(submitted[orders.last().unwrap()], *at);
            let days = orders.iter().map(|order| LocalDay::of(submitted[order]));
            assert!(days.into_iter().all(|day| day == LocalDay::of(*at)));
        }
        // Until visits and signals come between them the orders of a day go over few streams.
        let visits = county.set.visits_start_on.unwrap().start();
        let streams = together.iter().filter(|(at, _)| *at < visits);
        assert!(streams.count() < 1_000);
    }

    #[test]
    fn an_appeal_between_two_orders_parts_them() {
        let county = sample();
        let steps = steps(&county, timeline::read(&county).unwrap(), Extent::whole());
        let played = of_claims(&steps);
        let place = |name: &str| {
            let mut played = played.iter();
            played.position(|(_, what)| what.iter().any(|one| one == name))
        };
        for line in county.appeals().unwrap() {
            let appeal = place(&format!("appeal {}", line.what.order_id)).unwrap();
            assert!(place(&line.what.order_id).unwrap() < appeal);
            let at = played[appeal].0;
            assert_eq!(at, line.what.appealed_at);
        }
        for line in county.decisions().unwrap() {
            let decision = place(&format!("decision {}", line.what.order_id));
            let appeal = place(&format!("appeal {}", line.what.order_id));
            assert!(appeal < decision);
        }
    }

    #[test]
    fn a_part_that_ends_within_a_day_holds_the_orders_until_then() {
        let county = sample();
        let moments = timeline::read(&county).unwrap();
        let played = |after: Option<&str>, until: Option<&str>| {
            let extent = Extent {
                after: after.map(at),
                until: until.map(at),
                reads: false,
            };
            let played = of_claims(&steps(&county, moments.clone(), extent)).into_iter();
            played.flat_map(|(_, what)| what).collect::<Vec<_>>()
        };
        let noon = Some("2024-03-05T12:00:00+08:00");
        let (before, after) = (played(None, noon), played(noon, None));
        assert!(!before.is_empty() && !after.is_empty());
        assert_eq!([before, after].concat(), played(None, None));
    }

    #[test]
    fn what_happens_on_the_day_is_played_before_its_tiers_are_read() {
        let county = sample();
        let steps = steps(&county, timeline::read(&county).unwrap(), Extent::whole());
        assert!(steps.is_sorted_by_key(|(at, _)| *at));
        let until = "2024-10-15T00:00:00+08:00".parse().unwrap();
        let extent = Extent {
            after: None,
            until: Some(until),
            reads: false,
        };
        let before = super::steps(&county, timeline::read(&county).unwrap(), extent);
        assert!(!before.is_empty() && before.iter().all(|(at, _)| *at <= until));
    }
}

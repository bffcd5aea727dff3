//! Patterns that a supervisor should look into (疑点线索): found in orders as they were handed in, whatever became of them. They
//! refuse nothing by themselves.

use std::collections::{BTreeMap, BTreeSet};

use civic::{DivisionCode, ElderId, GeoPosition, LocalDay};
use elders::codec::write_day;
use eventlog::Repository;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::eldercare::claims::v1 as pb;
use service::{Caller, errors, person_keys};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::book_table::NAME;
use crate::claims::{Claims, check_in};
use crate::order::{Order, Submitted};

/// The most orders that are looked through at once.
const MOST: usize = 50_000;
/// How many are read from the log at once.
const AT_ONCE: usize = 128;
/// The most orders that are named.
const NAMED: usize = 100;
/// By which method patterns are told.
const METHOD: &str = "ListSuspicions";
/// What is looked at of an elder, by the places of an order.
const PLACES: &[&str] = &["order.check_in_position"];
/// What is told of an elder whose order is named.
const NAMES: &[&str] = &["order.provider_id", "order.order_id"];
/// The minutes of a day.
const DAY: i64 = 24 * 60;
/// A spot is so many degrees wide, some 20 m.
const SPOT_DEGREES: f64 = 0.000_2;
/// Who checks in so near to home is where he should be.
const AT_HOME_METRES: i64 = 100;
/// Fewer check-ins on a spot, or services of a caregiver, are no pattern.
const A_PATTERN: usize = 10;
/// Nor are those of fewer elders.
const SEVERAL_ELDERS: usize = 5;

/// Which orders are looked through.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) provider: Option<String>,
    pub(crate) first: LocalDay,
    pub(crate) last: LocalDay,
}

/// An order as patterns are looked for.
#[derive(Clone, Debug)]
struct Case {
    provider: String,
    number: String,
    elder: ElderId,
    caregiver: Uuid,
    day: LocalDay,
    minutes: i64,
    /// The least length, where a version of the programme holds on that day.
    least_minutes: Option<i64>,
    /// Where it began, if it can be told, and it was not at home.
    away_from_home: Option<GeoPosition>,
}

/// By what suspicions are ordered, which is also what each is about.
type About = (i32, String, Option<Uuid>, Option<LocalDay>);

impl Claims {
    /// The patterns in the orders of some days.
    pub(crate) async fn suspicions(
        &self,
        caller: &Caller,
        filter: &Filter,
    ) -> Result<Vec<pb::Suspicion>, Status> {
        caller.may_where_asked(&filter.division)?;
        let statement = format!(
            "SELECT order_key FROM {NAME}.service_order WHERE day BETWEEN $1 AND $2 AND village >= $3 AND village < $4 \
             AND ($5::text IS NULL OR provider_id = $5) ORDER BY sequence LIMIT $6"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.first.date())
            .bind(filter.last.date())
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.provider.as_deref())
            .bind(i64::try_from(MOST + 1).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        if rows.len() > MOST {
            return Err(errors::failed_precondition(
                "TOO_MANY_ORDERS",
                "these days hold more orders than are looked through at once: ask for fewer days or one provider",
                "该期间工单过多，请缩短期间或指定机构",
            ));
        }
        let keys = rows.iter().map(|row| row.try_get(0));
        let keys: Vec<Uuid> = keys
            .collect::<Result<_, sqlx::Error>>()
            .map_err(errors::of_database)?;
        let orders: Vec<Option<Submitted>> = stream::iter(keys)
            .map(|key| self.submitted(key))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut cases = Vec::with_capacity(orders.len());
        let orders: Vec<Submitted> = orders.into_iter().flatten().collect();
        let persons: BTreeSet<Uuid> = orders.iter().map(|order| order.elder.as_uuid()).collect();
        let persons: Vec<Uuid> = persons.into_iter().collect();
        let keys = self.keys.vault.keys(&persons).await;
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let codes: BTreeSet<String> = orders.iter().map(|one| one.programme.clone()).collect();
        let programmes = self.programmes_of(codes).await?;
        for order in orders {
            let at_home = order.facts.metres_from_home;
            let away = at_home.is_none_or(|metres| metres > AT_HOME_METRES);
            let person = order.elder.as_uuid();
            let key = keys.get(&person).filter(|_| away);
            let place = key.and_then(|key| check_in(&order, key));
            let known = programmes.get(&order.programme);
            let version = known.and_then(|known| known.version(order.version));
            let version = version.filter(|_| order.version != 0);
            cases.push(Case {
                day: order.day(),
                minutes: (order.check_out_at - order.check_in_at).num_minutes(),
                provider: order.provider,
                number: order.number,
                elder: order.elder,
                caregiver: order.caregiver,
                least_minutes: version.map(|(_, definition)| definition.least_minutes),
                away_from_home: place,
            });
        }
        let suspicions = suspect(&cases);
        put_on_record(caller, &cases, &suspicions).await?;
        Ok(suspicions)
    }

    async fn submitted(&self, key: Uuid) -> Result<Option<Submitted>, Status> {
        let subject = Repository::<Order>::subject(&key.to_string());
        let subject = subject.map_err(|error| errors::internal(&error))?;
        let records = self.own.read(&subject, 0).await;
        let records = records.map_err(|error| service::not_loaded(error.into()))?;
        Ok(records.first().and_then(Submitted::of))
    }
}

/// Puts on record whose orders had their places opened, whatever came of it, and whose are named.
async fn put_on_record(
    caller: &Caller,
    cases: &[Case],
    suspicions: &[pb::Suspicion],
) -> Result<(), Status> {
    let names = suspicions.iter().flat_map(|one| &one.names);
    let names: BTreeSet<(&str, &str)> = names
        .map(|name| (name.provider_id.as_str(), name.order_id.as_str()))
        .collect();
    let (mut opened, mut named) = (BTreeSet::new(), BTreeSet::new());
    for case in cases {
        if case.away_from_home.is_some() {
            opened.insert(case.elder);
        }
        if names.contains(&(case.provider.as_str(), case.number.as_str())) {
            named.insert(case.elder);
        }
    }
    caller.told(METHOD, &opened, PLACES).await?;
    caller.told(METHOD, &named, NAMES).await
}

/// The patterns in these orders, by kind, provider, caregiver and day.
fn suspect(cases: &[Case]) -> Vec<pb::Suspicion> {
    let mut found: BTreeMap<About, (Vec<&Case>, i64)> = BTreeMap::new();
    for ((provider, caregiver, day), of_day) in grouped(cases, |case| {
        Some((case.provider.clone(), case.caregiver, case.day))
    }) {
        let minutes = of_day.iter().map(|case| case.minutes).sum();
        if minutes > DAY {
            let kind = pb::SuspicionKind::HoursOfADay.into();
            found.insert(
                (kind, provider, Some(caregiver), Some(day)),
                (of_day, minutes),
            );
        }
    }
    let mut spots: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    for ((provider, _), on_spot) in
        grouped(cases, |case| Some((case.provider.clone(), spot(case)?)))
    {
        let elders: BTreeSet<ElderId> = on_spot.iter().map(|case| case.elder).collect();
        if on_spot.len() >= A_PATTERN && elders.len() >= SEVERAL_ELDERS {
            spots.entry(provider).or_default().extend(on_spot);
        }
    }
    for (provider, on_spots) in spots {
        let kind = pb::SuspicionKind::OneSpot.into();
        found.insert((kind, provider, None, None), (on_spots, 0));
    }
    for ((provider, caregiver), of_caregiver) in grouped(cases, |case| {
        case.least_minutes
            .map(|_| (case.provider.clone(), case.caregiver))
    }) {
        let all = of_caregiver.len();
        let just_enough = of_caregiver
            .into_iter()
            .filter(|case| case.least_minutes == Some(case.minutes));
        let just_enough: Vec<&Case> = just_enough.collect();
        if all >= A_PATTERN && just_enough.len() * 10 >= all * 9 {
            let kind = pb::SuspicionKind::LeastLength.into();
            let of = i64::try_from(all).unwrap_or(i64::MAX);
            found.insert((kind, provider, Some(caregiver), None), (just_enough, of));
        }
    }
    let suspicions = found.into_iter();
    suspicions
        .map(
            |((kind, provider, caregiver, day), (orders, measure))| pb::Suspicion {
                kind,
                provider_id: provider,
                caregiver_id: caregiver.map_or_else(String::new, |id| id.to_string()),
                day: day.map(write_day),
                orders: i64::try_from(orders.len()).unwrap_or(i64::MAX),
                measure,
                names: orders
                    .iter()
                    .take(NAMED)
                    .map(|case| pb::OrderName {
                        provider_id: case.provider.clone(),
                        order_id: case.number.clone(),
                    })
                    .collect(),
            },
        )
        .collect()
}

fn grouped<K: Ord>(cases: &[Case], key: impl Fn(&Case) -> Option<K>) -> BTreeMap<K, Vec<&Case>> {
    let mut groups: BTreeMap<K, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        if let Some(key) = key(case) {
            groups.entry(key).or_default().push(case);
        }
    }
    groups
}

/// The spot of a check-in away from home.
fn spot(case: &Case) -> Option<(i64, i64)> {
    let place = case.away_from_home.as_ref()?;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "degrees lie between -180 and 180"
    )]
    let cell = |degrees: f64| (degrees / SPOT_DEGREES).round() as i64;
    Some((cell(place.latitude()), cell(place.longitude())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(number: usize) -> Case {
        Case {
            provider: "P01".to_owned(),
            number: format!("O{number}"),
            elder: ElderId(Uuid::from_u128(number as u128)),
            caregiver: Uuid::from_u128(1_000),
            day: "2024-03-01".parse().unwrap(),
            minutes: 121 + i64::try_from(number % 40).unwrap(),
            least_minutes: Some(120),
            away_from_home: None,
        }
    }

    fn kinds(cases: &[Case]) -> Vec<i32> {
        suspect(cases).iter().map(|one| one.kind).collect()
    }

    #[test]
    fn nobody_serves_for_more_hours_than_a_day_has() {
        let day = |minutes| {
            let cases: Vec<Case> = (0..3)
                .map(|number| Case {
                    minutes,
                    ..case(number)
                })
                .collect();
            kinds(&cases)
        };
        assert_eq!(day(480), Vec::<i32>::new());
        assert_eq!(day(481), [i32::from(pb::SuspicionKind::HoursOfADay)]);
    }

    #[test]
    fn check_ins_of_several_elders_do_not_sit_on_one_spot_away_from_home() {
        let on_spot = |elders: usize| {
            let cases: Vec<Case> = (0..10)
                .map(|number| Case {
                    elder: ElderId(Uuid::from_u128((number % elders) as u128)),
                    caregiver: Uuid::from_u128(number as u128),
                    away_from_home: GeoPosition::new(25.0, 118.0).ok(),
                    ..case(number)
                })
                .collect();
            kinds(&cases)
        };
        assert_eq!(on_spot(4), Vec::<i32>::new());
        assert_eq!(on_spot(5), [i32::from(pb::SuspicionKind::OneSpot)]);
    }

    #[test]
    fn services_that_take_just_the_least_length_are_a_pattern_from_nine_of_ten_on() {
        let services = |just_enough: usize| {
            let cases: Vec<Case> = (0..10)
                .map(|number| Case {
                    day: "2024-03-01"
                        .parse::<LocalDay>()
                        .unwrap()
                        .plus_days(number as i64),
                    minutes: if number < just_enough { 120 } else { 121 },
                    ..case(number)
                })
                .collect();
            suspect(&cases)
        };
        assert!(services(8).is_empty());
        let found = services(9);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].orders, found[0].measure), (9, 10));
    }
}

//! The sample county as input for the planner: its elders, visitors and pairings, for any week.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use civic::{CalendarMonth, ElderId, GeoPosition, IsoWeek, LocalDay, Set, VillageCode, VisitMode};
use serde::Deserialize;
use visit_planning::{
    Centres, Duty, Interval, MonthlyDuty, Visitor, VisitorIndex, Week, Workday, due_in_week,
};

#[derive(Deserialize)]
struct Registry {
    survey_elders: BTreeMap<String, SurveyElder>,
}

#[derive(Deserialize)]
struct SurveyElder {
    division_code: VillageCode,
    position: Option<(f64, f64)>,
    consent: String,
}

#[derive(Deserialize)]
struct Tiers {
    elders: BTreeMap<String, Tier>,
}

#[derive(Deserialize)]
struct Tier {
    interval: String,
    modes: Set<VisitMode>,
}

#[derive(Deserialize)]
struct Resident {
    division_code: VillageCode,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

#[derive(Deserialize)]
struct VisitorRow {
    visitor_id: String,
    county: String,
    // As text: the reader of the table takes a code of digits for a number.
    home_village: String,
    weekly_capacity: u16,
    modes: String,
    active_from: LocalDay,
    active_until: Option<LocalDay>,
}

#[derive(Deserialize)]
struct PairingRow {
    visitor_id: String,
    id_number: String,
}

/// The county as the sample data have it.
pub(crate) struct County {
    elders: BTreeMap<String, SurveyElder>,
    tiers: BTreeMap<String, Tier>,
    visitors: Vec<VisitorRow>,
    pairings: Vec<PairingRow>,
    centres: Centres,
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/local/data/anxi")
        .join(name)
}

fn json<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

fn rows<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let mut reader = csv::Reader::from_path(file(name)).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn position(latitude: Option<f64>, longitude: Option<f64>) -> Option<GeoPosition> {
    GeoPosition::new(latitude?, longitude?).ok()
}

impl SurveyElder {
    fn home(&self) -> Option<GeoPosition> {
        let (latitude, longitude) = self.position?;
        position(Some(latitude), Some(longitude))
    }
}

impl County {
    /// Reads the sample's files.
    pub(crate) fn read() -> Self {
        let elders = json::<Registry>("expected/registry.json").survey_elders;
        let residents = std::fs::read_to_string(file("residents.ndjson")).unwrap();
        let residents = residents.lines().filter_map(|line| {
            let resident: Resident = serde_json::from_str(line).unwrap();
            let home = position(resident.latitude, resident.longitude)?;
            Some((resident.division_code, home))
        });
        let surveyed = elders
            .values()
            .filter_map(|elder| Some((elder.division_code, elder.home()?)));
        Self {
            centres: residents.chain(surveyed).collect(),
            elders,
            tiers: json::<Tiers>("expected/tiers-2024-10-01.json").elders,
            visitors: rows("visitors.csv"),
            pairings: rows("pairings.csv"),
        }
    }

    /// The weekly duties and the week's share of October's, of the elders of some villages, as if nobody had been visited yet.
    pub(crate) fn october(&self, week: &str, holds: impl Fn(VillageCode) -> bool) -> Week {
        let (week, month) = (week.parse().unwrap(), "2024-10".parse().unwrap());
        let active: Vec<&VisitorRow> = self
            .visitors
            .iter()
            .filter(|visitor| visitor.is_active(week))
            .collect();
        let (weekly, monthly) = self.duties(week, &active, holds);
        let share = share(week, month, &monthly);
        Week {
            duties: weekly.into_iter().chain(share).collect(),
            visitors: active.into_iter().map(|row| self.visitor(row)).collect(),
            seed: 2024,
        }
    }

    fn duties(
        &self,
        week: IsoWeek,
        active: &[&VisitorRow],
        holds: impl Fn(VillageCode) -> bool,
    ) -> (Vec<Duty>, Vec<Duty>) {
        let mut paired: BTreeMap<&str, BTreeSet<VisitorIndex>> = BTreeMap::new();
        let index: BTreeMap<&str, VisitorIndex> = active
            .iter()
            .zip(0..)
            .map(|(visitor, at)| (visitor.visitor_id.as_str(), VisitorIndex(at)))
            .collect();
        for pairing in &self.pairings {
            if let Some(visitor) = index.get(pairing.visitor_id.as_str()) {
                let of_elder = paired.entry(&pairing.id_number).or_default();
                of_elder.insert(*visitor);
            }
        }
        let in_scope = self.tiers.iter().enumerate();
        let duties = in_scope.filter_map(|(number, (id, tier))| {
            let elder = &self.elders[id];
            let village = elder.division_code;
            let pairings = paired.get(id.as_str()).into_iter().flatten().copied();
            holds(village).then(|| Duty {
                elder: ElderId(uuid::Uuid::from_u128(number as u128)),
                village,
                position: elder
                    .home()
                    .unwrap_or_else(|| self.centres.of(village).unwrap()),
                modes: tier.modes,
                home_consent: elder.consent == "GRANTED",
                interval: if tier.interval == "WEEKLY" {
                    Interval::Weekly
                } else {
                    Interval::Monthly
                },
                days: Workday::between(week, week.first_day(), week.last_day()),
                pairings: pairings.collect(),
                usual: None,
                pin: None,
                minutes: 30,
            })
        });
        duties.partition(|duty| duty.interval == Interval::Weekly)
    }

    fn visitor(&self, row: &VisitorRow) -> Visitor {
        let modes = row.modes.split('|');
        let village = row.home_village.parse().unwrap();
        Visitor {
            village,
            position: self.centres.of(village).unwrap(),
            weekly_capacity: row.weekly_capacity,
            modes: modes
                .map(|name| VisitMode::from_name(name).unwrap())
                .collect(),
            days: Set::all(),
        }
    }
}

impl VisitorRow {
    fn is_active(&self, week: IsoWeek) -> bool {
        // Two of the list are of another county.
        self.county == "350524"
            && self.active_from <= week.first_day()
            && self.active_until.is_none_or(|last| last >= week.last_day())
    }
}

/// The duties of the month that fall to the week, on the days that lie in both.
fn share(week: IsoWeek, month: CalendarMonth, monthly: &[Duty]) -> Vec<Duty> {
    let unmet: Vec<MonthlyDuty> = monthly
        .iter()
        .map(|duty| MonthlyDuty {
            elder: duty.elder,
            village: duty.village,
            visitor: duty.pairings.first().copied(),
            last_visited: None,
            planned: false,
        })
        .collect();
    let share = due_in_week(week, month, week.first_day(), &unmet);
    let due = share.duties.into_iter().map(|at| Duty {
        days: share.days,
        ..monthly[at].clone()
    });
    due.collect()
}

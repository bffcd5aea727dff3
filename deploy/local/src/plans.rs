//! `visits plan` and `visits worklist`: a division's week as it is planned, and a visitor's day in the order of the route.

use std::collections::{BTreeMap, BTreeSet};

use civic::LocalDay;
use proto::eldercare::{
    r#type::v1 as types,
    visits::v1::{
        GetPlanRequest, GetWorklistRequest, LoadSpread, PlanEntry, PlanFigures, PlanReport,
        PlanWeekRequest, SkipReason, UnplannedReason, plan_entry::Planned,
        plan_week_response::Step,
    },
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    client::{Client, call, in_words},
    output::{Progress, Report, number, table},
    wire,
    words::{labelled, name_of},
};

/// Entries on one page.
const PAGE: i32 = 5_000;

/// The plan of a division's week.
#[derive(Debug, Serialize)]
pub struct WeekPlan {
    /// The division.
    pub division_code: String,
    /// The week.
    pub week: String,
    /// How good it is; null where it was made before.
    pub report: Option<Quality>,
    /// Visits by visitor, day and place, talks at the end of each day, then what is not planned.
    pub entries: Vec<Entry>,
}

/// How good a plan is, and what going to the nearest each time would come to.
#[derive(Debug, Serialize)]
pub struct Quality {
    /// The plan.
    pub plan: Figures,
    /// Each visit to the nearest visitor who has time.
    pub nearest_visitor: Figures,
    /// Given to nobody, and no later week can make up for it.
    pub weekly_unassigned: i32,
    /// Elders who see another visitor than before.
    pub visitors_changed: i32,
    /// How the work is spread.
    pub load: Option<Spread>,
}

/// What plans are compared by, in this order; less is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Figures {
    /// Visits given to nobody.
    pub unassigned: i32,
    /// Visits of paired elders given to somebody else.
    pub pairings_broken: i32,
    /// Visits given to a visitor from another village.
    pub other_village: i32,
    /// Metres from door to door and back.
    pub travel_metres: i64,
}

/// How the work is spread, in visits out of the capacity.
#[derive(Debug, Serialize)]
pub struct Spread {
    /// Visitors without any visit.
    pub idle: i32,
    /// Visitors whose capacity is used up.
    pub full: i32,
    /// The middle visitor's share, in percent.
    pub median_percent: f64,
    /// Nine of ten visitors have at most this share, in percent.
    pub ninth_decile_percent: f64,
    /// The largest share, in percent.
    pub most_percent: f64,
    /// The standard deviation, in percent.
    pub deviation_percent: f64,
    /// Visits on each day, Monday to Friday.
    pub by_day: Vec<i32>,
}

/// What a plan says of one elder.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The elder.
    pub elder_id: String,
    /// The village.
    pub division_code: String,
    /// VISIT, TALK, UNPLANNED or SKIPPED.
    pub planned: &'static str,
    /// Who goes.
    pub visitor_id: Option<String>,
    /// On which day.
    pub day: Option<String>,
    /// The place in the day.
    pub place: Option<i32>,
    /// How.
    pub mode: Option<&'static str>,
    /// Whether a person decided it.
    pub pinned: bool,
    /// Why nobody goes.
    pub reason: Option<&'static str>,
}

/// A visitor's day.
#[derive(Debug, Serialize)]
pub struct Worklist {
    /// The visitor.
    pub visitor_id: String,
    /// The day.
    pub day: String,
    /// Whom to see, in the order of the route.
    pub items: Vec<Item>,
    /// How many more there are outside one's own divisions.
    pub elsewhere: i32,
}

/// A visit or talk of a day.
#[derive(Debug, Serialize)]
pub struct Item {
    /// The place in the day.
    pub place: i32,
    /// The elder.
    pub elder_id: String,
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
    /// The village.
    pub division_code: String,
    /// How; null for a talk about consent.
    pub mode: Option<&'static str>,
    /// Whom to call, in this order.
    pub contacts: Vec<Contact>,
    /// Wanted services.
    pub wanted_services: Vec<&'static str>,
}

/// Somebody to call.
#[derive(Debug, Serialize)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Relation to the elder.
    pub relation: String,
    /// Telephone.
    pub phone: String,
}

/// Plans a division's week.
///
/// # Errors
/// Visits' refusal.
pub async fn plan(
    client: &Client,
    division: &str,
    week: &str,
    seed: u64,
    progress: Progress,
) -> anyhow::Result<WeekPlan> {
    let request = PlanWeekRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: division.to_owned(),
        week: week.to_owned(),
        seed,
        min_position: String::new(),
    };
    let refused = |status: tonic::Status| in_words(&status);
    let bar = progress.begin("周计划 planning the week", 0);
    let mut steps = client
        .visits()
        .plan_week(request)
        .await
        .map_err(refused)?
        .into_inner();
    let mut report = None;
    while let Some(told) = steps.message().await.map_err(refused)? {
        match told.step {
            Some(Step::Progress(told)) => bar.at(
                u64::from(told.done.unsigned_abs()),
                u64::from(told.total.unsigned_abs()),
            ),
            Some(Step::Report(told)) => report = Some(Quality::of(told)),
            Some(Step::Plan(plan)) => {
                bar.done(&format!("{} elders", plan.entries.len()));
                // The plan comes by elder; it is read by visitor and day.
                let mut plan = stored(client, division, week).await?;
                plan.report = report;
                return Ok(plan);
            }
            None => {}
        }
    }
    anyhow::bail!("planning ended without a plan / 未得到计划")
}

/// The plan of a division's week as it stands.
///
/// # Errors
/// Visits' refusal.
pub async fn stored(client: &Client, division: &str, week: &str) -> anyhow::Result<WeekPlan> {
    let mut request = GetPlanRequest {
        division_code: division.to_owned(),
        week: week.to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut entries = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.visits().get_plan(request).await
        })
        .await?;
        entries.extend(page.entries.into_iter().map(Entry::of));
        if page.next_page_token.is_empty() {
            return Ok(WeekPlan {
                division_code: division.to_owned(),
                week: week.to_owned(),
                report: None,
                entries,
            });
        }
        request.page_token = page.next_page_token;
    }
}

/// A visitor's day.
///
/// # Errors
/// Visits' refusal.
pub async fn worklist(client: &Client, visitor: &str, day: LocalDay) -> anyhow::Result<Worklist> {
    let request = GetWorklistRequest {
        visitor_id: visitor.to_owned(),
        day: Some(wire::date(day)),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.visits().get_worklist(request).await
    })
    .await?;
    let items = answer.items.into_iter().map(|item| Item {
        place: item.place,
        elder_id: item.elder_id,
        name: item.name,
        address: item.address,
        division_code: item.division_code,
        mode: name_of::<types::VisitMode>(item.mode),
        contacts: item
            .contacts
            .into_iter()
            .map(|contact| Contact {
                name: contact.name,
                relation: contact.relation,
                phone: contact.phone,
            })
            .collect(),
        wanted_services: crate::words::names_of::<types::ServiceKind>(&item.wanted_services),
    });
    Ok(Worklist {
        visitor_id: visitor.to_owned(),
        day: day.to_string(),
        items: items.collect(),
        elsewhere: answer.elsewhere,
    })
}

impl Quality {
    /// How good a plan is, as it was told.
    pub fn of(report: PlanReport) -> Self {
        Self {
            plan: report.plan.map(Figures::of).unwrap_or_default(),
            nearest_visitor: report.nearest_visitor.map(Figures::of).unwrap_or_default(),
            weekly_unassigned: report.weekly_unassigned,
            visitors_changed: report.visitors_changed,
            load: report.load.map(Spread::of),
        }
    }
}

impl Figures {
    fn of(figures: PlanFigures) -> Self {
        Self {
            unassigned: figures.unassigned,
            pairings_broken: figures.pairings_broken,
            other_village: figures.other_village,
            travel_metres: figures.travel_metres,
        }
    }
}

impl Spread {
    fn of(load: LoadSpread) -> Self {
        Self {
            idle: load.idle,
            full: load.full,
            median_percent: load.median_percent,
            ninth_decile_percent: load.ninth_decile_percent,
            most_percent: load.most_percent,
            deviation_percent: load.deviation_percent,
            by_day: load.by_day,
        }
    }
}

impl Entry {
    fn of(entry: PlanEntry) -> Self {
        let day = |day: Option<types::Date>| Some(wire::from_date(day?)?.to_string());
        let nothing = Self {
            elder_id: entry.elder_id,
            division_code: entry.division_code,
            planned: "",
            visitor_id: None,
            day: None,
            place: None,
            mode: None,
            pinned: false,
            reason: None,
        };
        match entry.planned {
            Some(Planned::Visit(visit)) => Self {
                planned: "VISIT",
                visitor_id: Some(visit.visitor_id),
                day: day(visit.day),
                place: Some(visit.place),
                mode: name_of::<types::VisitMode>(visit.mode),
                pinned: visit.pinned,
                ..nothing
            },
            Some(Planned::Talk(talk)) => Self {
                planned: "TALK",
                visitor_id: Some(talk.visitor_id),
                day: day(talk.day),
                ..nothing
            },
            Some(Planned::Unplanned(reason)) => Self {
                planned: "UNPLANNED",
                reason: name_of::<UnplannedReason>(reason),
                ..nothing
            },
            Some(Planned::Skipped(reason)) => Self {
                planned: "SKIPPED",
                reason: name_of::<SkipReason>(reason),
                ..nothing
            },
            None => nothing,
        }
    }
}

impl Report for WeekPlan {
    fn text(&self) -> String {
        let mut rows = table([
            "探访人员 visitor",
            "日期 day",
            "顺序 place",
            "老年人 elder",
            "村社区 village",
            "方式 how",
            "固定 pinned",
        ]);
        for one in &self.entries {
            let how = match (one.mode, one.reason) {
                (Some(mode), _) => labelled(mode),
                (None, Some(reason)) => labelled(reason),
                (None, None) => "征求同意 talk about consent".to_owned(),
            };
            rows.add_row([
                one.visitor_id.clone().unwrap_or_default().into(),
                one.day.clone().unwrap_or_default().into(),
                number(one.place.map(|place| place.to_string()).unwrap_or_default()),
                one.elder_id.clone().into(),
                one.division_code.clone().into(),
                how.into(),
                if one.pinned { "是 yes" } else { "" }.into(),
            ]);
        }
        format!("{rows}\n{}", self.in_short())
    }
}

impl WeekPlan {
    /// How many doors each visitor knocks on each day, without the elders.
    pub fn at_a_glance(&self) -> String {
        let mut days: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for one in &self.entries {
            if let (Some(visitor), Some(day)) = (&one.visitor_id, &one.day) {
                *days.entry(visitor).or_default().entry(day).or_default() += 1;
            }
        }
        let dates: BTreeSet<&str> = days.values().flat_map(BTreeMap::keys).copied().collect();
        let heading = format!("探访人员 visitor, {} {}", self.division_code, self.week);
        let mut rows = table([heading.as_str()]);
        let header = std::iter::once(heading.as_str()).chain(dates.iter().copied());
        rows.set_header(header);
        for (visitor, visits) in &days {
            let mut row = vec![comfy_table::Cell::new(visitor)];
            row.extend(
                dates
                    .iter()
                    .map(|date| number(visits.get(date).copied().unwrap_or_default())),
            );
            rows.add_row(row);
        }
        format!("{rows}\n{}", self.in_short())
    }

    fn in_short(&self) -> String {
        let count = |planned: &str| {
            let entries = self.entries.iter();
            entries.filter(|one| one.planned == planned).count()
        };
        let mut text = format!(
            "{} {}: {} visits, {} talks, {} given to nobody, {} left out",
            self.division_code,
            self.week,
            count("VISIT"),
            count("TALK"),
            count("UNPLANNED"),
            count("SKIPPED")
        );
        if let Some(report) = &self.report {
            text.push_str(&report.text());
        }
        text
    }
}

impl Quality {
    fn text(&self) -> String {
        let told = |figures: &Figures| {
            format!(
                "{} unassigned, {} pairings broken, {} from another village, {:.1} km",
                figures.unassigned,
                figures.pairings_broken,
                figures.other_village,
                metres(figures.travel_metres) / 1e3
            )
        };
        let mut text = format!(
            "\n计划 plan: {}\n就近 nearest visitor: {}",
            told(&self.plan),
            told(&self.nearest_visitor)
        );
        if let Some(load) = &self.load {
            text.push_str(&format!(
                "\n工作量 load: median {:.0} %, nine of ten at most {:.0} %, {} idle, {} full; {:?} visits Monday to Friday",
                load.median_percent, load.ninth_decile_percent, load.idle, load.full, load.by_day
            ));
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "a way to look at")]
fn metres(metres: i64) -> f64 {
    metres as f64
}

impl Report for Worklist {
    fn text(&self) -> String {
        let mut rows = table([
            "顺序 place",
            "姓名 name",
            "住址 address",
            "方式 how",
            "联系人 contact",
            "电话 phone",
        ]);
        for one in &self.items {
            let contact = one.contacts.first();
            rows.add_row([
                number(one.place),
                one.name.clone().into(),
                one.address.clone().into(),
                one.mode
                    .map_or_else(|| "征求同意 talk about consent".to_owned(), labelled)
                    .into(),
                contact
                    .map(|one| one.name.clone())
                    .unwrap_or_default()
                    .into(),
                contact
                    .map(|one| one.phone.clone())
                    .unwrap_or_default()
                    .into(),
            ]);
        }
        let mut text = format!(
            "{rows}\n{}: {} visits and talks",
            self.day,
            self.items.len()
        );
        if self.elsewhere > 0 {
            text.push_str(&format!(", {} more in other divisions", self.elsewhere));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proto::eldercare::visits::v1::{PlannedTalk, PlannedVisit};

    use super::*;

    fn entry(planned: Planned) -> Entry {
        Entry::of(PlanEntry {
            elder_id: "elder".to_owned(),
            division_code: "350524100001".to_owned(),
            planned: Some(planned),
        })
    }

    fn some_plan() -> WeekPlan {
        let day = Some(wire::date("2024-10-14".parse().unwrap()));
        WeekPlan {
            division_code: "350524100".to_owned(),
            week: "2024-W42".to_owned(),
            report: None,
            entries: vec![
                entry(Planned::Visit(PlannedVisit {
                    visitor_id: "visitor".to_owned(),
                    day,
                    place: 1,
                    mode: types::VisitMode::Home.into(),
                    pinned: true,
                })),
                entry(Planned::Talk(PlannedTalk {
                    visitor_id: "visitor".to_owned(),
                    day,
                })),
                entry(Planned::Unplanned(
                    UnplannedReason::CapacityExhausted.into(),
                )),
                entry(Planned::Skipped(SkipReason::Away.into())),
            ],
        }
    }

    #[test]
    fn a_plan_is_told_to_people_and_to_machines() {
        let plan = some_plan();
        let text = plan.text();
        for word in [
            "2024-10-14",
            "1 visits, 1 talks, 1 given to nobody, 1 left out",
        ] {
            assert!(text.contains(word), "{text}");
        }
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["entries"][0]["mode"], "HOME");
        assert_eq!(json["entries"][0]["pinned"], true);
        assert_eq!(json["entries"][2]["reason"], "CAPACITY_EXHAUSTED");
        assert_eq!(json["entries"][3]["planned"], "SKIPPED");
    }

    #[test]
    fn plans_are_compared_in_the_order_of_the_domain() {
        let shorter = Figures {
            travel_metres: 1,
            ..Figures::default()
        };
        let with_one_left = Figures {
            unassigned: 1,
            ..Figures::default()
        };
        assert!(shorter < with_one_left);
    }
}

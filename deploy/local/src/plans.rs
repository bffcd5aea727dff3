//! `visits plan` and `visits worklist`: a division's week as it is planned, and a visitor's day in the order of the route.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Datelike as _;
use civic::LocalDay;
use proto::eldercare::{
    r#type::v1 as types,
    visits::v1::{
        self as pb, GetPlanRequest, GetWorklistRequest, PlanEntry, PlanProgress, PlanWeekRequest,
        SkipReason, UnplannedReason, plan_entry::Planned, plan_week_response::Step,
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

mod quality;

pub use quality::{Figures, Quality, Spread};

/// Entries on one page.
const PAGE: i32 = 5_000;

/// What is planned for an elder who is seen.
const VISIT: &str = "VISIT";

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

/// Plans a division's week: how good the plan is, where that is told, and the plan by elder. `tell` hears how far it is.
///
/// # Errors
/// Visits' refusal.
pub async fn made(
    client: &Client,
    request: PlanWeekRequest,
    tell: impl Fn(PlanProgress),
) -> anyhow::Result<(Option<Quality>, pb::WeekPlan)> {
    let refused = |status: tonic::Status| in_words(&status);
    let steps = client.visits().plan_week(request).await.map_err(refused)?;
    let mut steps = steps.into_inner();
    let mut quality = None;
    while let Some(told) = steps.message().await.map_err(refused)? {
        match told.step {
            Some(Step::Progress(progress)) => tell(progress),
            Some(Step::Report(report)) => quality = Some(Quality::of(report)),
            Some(Step::Plan(plan)) => return Ok((quality, plan)),
            None => {}
        }
    }
    anyhow::bail!("planning ended without a plan / 未得到计划")
}

/// Plans a division's week, and shows the plan by visitor and day.
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
    let bar = progress.begin("周计划 planning the week", 0);
    let tell = |told: PlanProgress| {
        bar.at(
            u64::from(told.done.unsigned_abs()),
            u64::from(told.total.unsigned_abs()),
        );
    };
    let (report, made) = made(client, request, tell).await?;
    bar.done(&format!("{} elders", made.entries.len()));
    let plan = stored(client, division, week).await?;
    Ok(WeekPlan { report, ..plan })
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
                planned: VISIT,
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
            count(VISIT),
            count("TALK"),
            count("UNPLANNED"),
            count("SKIPPED")
        );
        if let Some(report) = &self.report {
            text.push_str(&report.text());
        }
        text.push_str(&self.load());
        text
    }

    /// How the work is spread over those who visit by this plan.
    fn load(&self) -> String {
        let (mut visits, mut days) = (BTreeMap::<&str, usize>::new(), [0; 5]);
        for one in self.entries.iter().filter(|one| one.planned == VISIT) {
            let visitor = one.visitor_id.as_deref().unwrap_or_default();
            *visits.entry(visitor).or_default() += 1;
            let day: Option<LocalDay> = one.day.as_deref().and_then(|day| day.parse().ok());
            let day = day.map(|day| day.date().weekday().num_days_from_monday() as usize);
            if let Some(visits) = day.and_then(|day| days.get_mut(day)) {
                *visits += 1;
            }
        }
        let mut each: Vec<usize> = visits.into_values().collect();
        each.sort_unstable();
        let Some(most) = each.last() else {
            return String::new();
        };
        format!(
            "\n工作量 load: {} visitors, median {} visits, most {most}; {days:?} visits Monday to Friday",
            each.len(),
            each[each.len() / 2]
        )
    }
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
            "1 visitors, median 1 visits, most 1; [1, 0, 0, 0, 0] visits",
        ] {
            assert!(text.contains(word), "{text}");
        }
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["entries"][0]["mode"], "HOME");
        assert_eq!(json["entries"][0]["pinned"], true);
        assert_eq!(json["entries"][2]["reason"], "CAPACITY_EXHAUSTED");
        assert_eq!(json["entries"][3]["planned"], "SKIPPED");
    }
}

//! Plans and duties agree: whoever is owed a visit stands in the plan once, as visited, talked to, or given to nobody.

use std::collections::BTreeSet;

use civic::ConsentState;
use proto::eldercare::visits::v1 as pb;

use crate::planned::{
    NEXT_VILLAGE, OTHER_VILLAGE, Person, WEEK, plan, started, stored, to_plan, try_plan, visitor,
};
use crate::support::{COUNTY, Ground, Running, VILLAGE, visit};

/// The elders of a county who are owed a visit in a week or month and not visited yet, in the order of their ids.
async fn unmet(running: &Running, period: &str) -> Vec<String> {
    running.settled().await;
    let request = pb::ListDutiesRequest {
        division_code: COUNTY.to_owned(),
        period: period.to_owned(),
        filter: pb::DutyFilter::Unmet.into(),
        page_size: 1_000,
        ..Default::default()
    };
    let told = running.client().list_duties(request).await;
    let told = told.unwrap().into_inner();
    assert_eq!(i64::try_from(told.duties.len()).unwrap(), told.unmet);
    let duties = told.duties.into_iter();
    duties.map(|duty| duty.elder_id).collect()
}

/// Those of the entries that are about these elders, with repetitions, in the order of ids.
fn about<'a>(
    entries: impl IntoIterator<Item = &'a pb::PlanEntry>,
    elders: &[String],
) -> Vec<String> {
    let mut about: Vec<String> = entries
        .into_iter()
        .map(|entry| entry.elder_id.clone())
        .filter(|elder| elders.contains(elder))
        .collect();
    about.sort_unstable();
    about
}

/// How many entries are visits, talks, and given to nobody.
fn counts(entries: &[pb::PlanEntry]) -> (i32, i32, i32) {
    let (mut visits, mut talks, mut unplanned) = (0, 0, 0);
    for entry in entries {
        match entry.planned.as_ref().unwrap() {
            pb::plan_entry::Planned::Visit(_) => visits += 1,
            pb::plan_entry::Planned::Talk(_) => talks += 1,
            pb::plan_entry::Planned::Unplanned(_) => unplanned += 1,
            pb::plan_entry::Planned::Skipped(_) => panic!("nobody left anything out"),
        }
    }
    (visits, talks, unplanned)
}

#[tokio::test]
async fn each_unmet_duty_of_a_week_stands_once_in_the_plan_of_the_county() {
    // Given more elders than the visitors of the county can see in a week, in several villages,
    // of whom one doesn't let anybody in yet, and one was visited on Monday.
    let ground = Ground::at("2024-10-15 08:00");
    let mut elders = Vec::new();
    for village in [VILLAGE, NEXT_VILLAGE, OTHER_VILLAGE] {
        for number in 0..5 {
            let person = Person {
                village,
                metres: Some(f64::from(number) * 150.0),
                ..Person::default()
            };
            elders.push(person.on(&ground).await);
            let person = Person {
                village,
                ..Person::default()
            };
            person.monthly().on(&ground).await;
        }
    }
    let asked = Person {
        consent: ConsentState::Unknown,
        ..Person::default()
    };
    asked.on(&ground).await;
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 6).await;
    visitor(&running, OTHER_VILLAGE, 5).await;
    let record = visit(&one, elders[0], "2024-10-14 09:00");
    assert_eq!(running.told(&record).await, "COUNTED");
    let owed = unmet(&running, WEEK).await;
    let in_the_month = unmet(&running, "2024-10").await;
    assert_eq!((owed.len(), in_the_month.len()), (15, 15));

    // When the county's week is planned.
    let plan = plan(&running, COUNTY).await;

    // Then whoever is owed a visit stands in the plan once, and all others in it are owed one in the month.
    assert_eq!(about(&plan.entries, &owed), owed);
    let met = elders[0].to_string();
    for entry in &plan.entries {
        assert_ne!(entry.elder_id, met);
        assert!(
            owed.contains(&entry.elder_id) || in_the_month.contains(&entry.elder_id),
            "{entry:?}"
        );
    }
    let all: BTreeSet<&str> = plan.entries.iter().map(|one| &*one.elder_id).collect();
    assert_eq!(all.len(), plan.entries.len());
    let (visits, talks, unplanned) = counts(&plan.entries);
    assert_eq!(talks, 1);
    assert!(0 < visits && visits <= 11, "{visits}");
    assert!(unplanned > 0);

    // And the plan that is kept says the same.
    let told = stored(&running, COUNTY).await;
    let mut kept = told.entries;
    kept.sort_by(|one, other| one.elder_id.cmp(&other.elder_id));
    assert_eq!(kept, plan.entries);
    assert_eq!(
        (told.visits, told.talks, told.unplanned, told.skipped),
        (visits, talks, unplanned, 0)
    );
    running.stop().await;
}

#[tokio::test]
async fn each_duty_of_a_month_is_visited_once_or_left_over_in_its_last_week() {
    // Given a month of four whole weeks, and a visitor less than it takes.
    let ground = Ground::at("2027-02-01 08:00");
    for (village, count) in [(VILLAGE, 12), (NEXT_VILLAGE, 8)] {
        for number in 0..count {
            let person = Person {
                village,
                metres: Some(f64::from(number) * 150.0),
                ..Person::default()
            };
            person.monthly().on(&ground).await;
        }
    }
    for _ in 0..3 {
        Person::default().on(&ground).await;
    }
    let running = ground.start().await;
    running.start_visiting("2027-02-01").await;
    visitor(&running, VILLAGE, 4).await;
    visitor(&running, NEXT_VILLAGE, 3).await;
    let (weekly, monthly) = (
        unmet(&running, "2027-W05").await,
        unmet(&running, "2027-02").await,
    );
    assert_eq!((weekly.len(), monthly.len()), (3, 20));

    // When its weeks are planned one after the other.
    let mut going = Vec::new();
    let mut left_over = Vec::new();
    for week in ["2027-W05", "2027-W06", "2027-W07", "2027-W08"] {
        let request = pb::PlanWeekRequest {
            week: week.to_owned(),
            ..to_plan(COUNTY)
        };
        let (_, plan) = try_plan(&running, &request).await.unwrap();
        // Then each week has those who are owed a visit each week once.
        assert_eq!(about(&plan.entries, &weekly), weekly, "{week}");
        let (visits, nobody): (Vec<_>, Vec<_>) = plan
            .entries
            .into_iter()
            .partition(|entry| matches!(entry.planned, Some(pb::plan_entry::Planned::Visit(_))));
        assert!(!visits.is_empty() && visits.len() <= 7, "{week}");
        going.extend(visits);
        left_over = nobody;
    }

    // And over the month each elder who is owed one visit has one, or is told as left over at its end:
    // of 28 visits 12 go to those who are seen each week.
    assert_eq!((going.len(), left_over.len()), (28, 4));
    assert_eq!(about(going.iter().chain(&left_over), &monthly), monthly);
    running.stop().await;
}

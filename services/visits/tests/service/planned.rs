//! People, plans and worklists in few words, for the tests of plans.

use civic::{CapabilityLevel, Category, ConsentState, ElderId, Set, Sex};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::purpose;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use tonic::Status;
use uuid::Uuid;

use crate::support::{Ground, Running, VILLAGE, date, day, place};

pub(crate) const TOWN: &str = "350524100";
pub(crate) const NEXT_VILLAGE: &str = "350524100002";
pub(crate) const OTHER_TOWN: &str = "350524101";
pub(crate) const OTHER_VILLAGE: &str = "350524101001";
pub(crate) const WEEK: &str = "2024-W42";

/// An elder of these tests: over eighty, mildly disabled, and welcome to visits at home.
pub(crate) struct Person<'a> {
    pub(crate) name: &'a str,
    pub(crate) village: &'a str,
    pub(crate) metres: Option<f64>,
    pub(crate) birth: &'a str,
    pub(crate) capability: CapabilityLevel,
    pub(crate) consent: ConsentState,
}

impl Default for Person<'_> {
    fn default() -> Self {
        Self {
            name: "陈阿婆",
            village: VILLAGE,
            metres: Some(0.0),
            birth: "1930-03-01",
            capability: CapabilityLevel::Mild,
            consent: ConsentState::Granted,
        }
    }
}

impl Person<'_> {
    /// Seventy and healthy: owed a visit each month, also by telephone.
    pub(crate) fn monthly(self) -> Self {
        Self {
            birth: "1954-03-01",
            capability: CapabilityLevel::Intact,
            ..self
        }
    }

    pub(crate) async fn on(&self, ground: &Ground) -> ElderId {
        let elder = ElderId(Uuid::now_v7());
        let person = elder.as_uuid();
        let key = ground.vault.create(person).await.unwrap();
        let identity = registry::Identity {
            name: self.name.to_owned(),
            id_number: "350524193003011234".to_owned(),
        };
        let home = registry::Home {
            address: format!("{}的家", self.name),
            position: self.metres.map(place),
        };
        let contacts = registry::ContactList {
            contacts: vec![types::Contact {
                name: "陈小明".to_owned(),
                relation: "子".to_owned(),
                phone: "13800000000".to_owned(),
                call_order: 1,
                supporter: true,
            }],
        };
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(purpose::IDENTITY, person, &identity),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day(self.birth),
            sex: Sex::Female,
            residence: Residence {
                village: self.village.parse().unwrap(),
                home: Some(key.seal(purpose::HOME, person, &home)),
            },
            categories: Category::LivingAlone.into(),
            assistance: Set::new(),
            capability: Capability {
                level: self.capability,
                assessed_on: None,
                source: String::new(),
            },
            observations: Set::new(),
            handicap_grade: None,
            circumstances: vec![],
            contacts: Some(key.seal(purpose::CONTACTS, person, &contacts)),
            consent: Consent {
                state: self.consent,
                spoken: Spoken { by: None, at: None },
            },
            wanted_services: civic::ServiceKind::DailyCare.into(),
            remarks: None,
            import: None,
        };
        let event = Event::Registered(Box::new(registered));
        ground.record(elder, &[event]).await;
        elder
    }
}

pub(crate) async fn weekly(ground: &Ground, count: usize) -> Vec<ElderId> {
    let mut elders = Vec::new();
    for number in 0..count {
        let metres = Some(f64::from(u32::try_from(number).unwrap()) * 100.0);
        let person = Person {
            metres,
            ..Person::default()
        };
        elders.push(person.on(ground).await);
    }
    elders
}

/// Visits with a county that visits since before the week, on its Monday.
pub(crate) async fn started(ground: &Ground) -> Running {
    let running = ground.start().await;
    running.start_visiting("2024-09-30").await;
    running
}

pub(crate) fn monday() -> Ground {
    Ground::at("2024-10-14 08:00")
}

/// A visitor of a village who calls on people at home.
pub(crate) async fn visitor(running: &Running, village: &str, capacity: i32) -> String {
    let request = pb::RegisterVisitorRequest {
        request_id: Uuid::now_v7().to_string(),
        visitor: Some(pb::Visitor {
            kind: pb::VisitorKind::GridWorker.into(),
            name: "王网格".to_owned(),
            home_division_code: village.to_owned(),
            weekly_capacity: capacity,
            modes: vec![types::VisitMode::Home.into()],
            active_from: Some(date("2024-01-01")),
            ..Default::default()
        }),
    };
    let registered = running.client().register_visitor(request).await.unwrap();
    running.settled().await;
    registered.into_inner().visitor_id
}

pub(crate) fn to_plan(division: &str) -> pb::PlanWeekRequest {
    pb::PlanWeekRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: division.to_owned(),
        week: WEEK.to_owned(),
        seed: 7,
        min_position: String::new(),
    }
}

/// What is told on the way, and the plan.
pub(crate) async fn try_plan(
    running: &Running,
    request: &pb::PlanWeekRequest,
) -> Result<(Option<pb::PlanReport>, pb::WeekPlan), Status> {
    running.settled().await;
    let mut steps = running
        .client()
        .plan_week(request.clone())
        .await?
        .into_inner();
    let mut report = None;
    while let Some(step) = steps.message().await? {
        match step.step.unwrap() {
            pb::plan_week_response::Step::Progress(_) => {}
            pb::plan_week_response::Step::Report(told) => report = Some(told),
            pb::plan_week_response::Step::Plan(plan) => return Ok((report, plan)),
        }
    }
    panic!("a plan ends with a plan");
}

pub(crate) async fn plan(running: &Running, division: &str) -> pb::WeekPlan {
    try_plan(running, &to_plan(division)).await.unwrap().1
}

/// What a plan says of an elder.
pub(crate) fn of(plan: &pb::WeekPlan, elder: ElderId) -> pb::plan_entry::Planned {
    let elder = elder.to_string();
    let entry = plan.entries.iter().find(|entry| entry.elder_id == elder);
    entry.unwrap().planned.clone().unwrap()
}

pub(crate) fn visit_of(plan: &pb::WeekPlan, elder: ElderId) -> pb::PlannedVisit {
    let pb::plan_entry::Planned::Visit(visit) = of(plan, elder) else {
        panic!("no visit");
    };
    visit
}

pub(crate) fn unplanned(plan: &pb::WeekPlan, elder: ElderId) -> pb::UnplannedReason {
    let pb::plan_entry::Planned::Unplanned(reason) = of(plan, elder) else {
        panic!("planned");
    };
    reason.try_into().unwrap()
}

pub(crate) async fn adjust(
    running: &Running,
    elder: ElderId,
    adjustment: pb::adjust_plan_request::Adjustment,
) -> Result<pb::AdjustPlanResponse, Status> {
    let adjusted = running
        .client()
        .adjust_plan(to_adjust(elder, adjustment))
        .await?;
    Ok(adjusted.into_inner())
}

pub(crate) fn to_adjust(
    elder: ElderId,
    adjustment: pb::adjust_plan_request::Adjustment,
) -> pb::AdjustPlanRequest {
    pb::AdjustPlanRequest {
        request_id: Uuid::now_v7().to_string(),
        week: WEEK.to_owned(),
        elder_id: elder.to_string(),
        etag: String::new(),
        adjustment: Some(adjustment),
        min_position: String::new(),
    }
}

pub(crate) fn to(visitor: &str, day: &str, place: i32) -> pb::adjust_plan_request::Adjustment {
    pb::adjust_plan_request::Adjustment::Move(pb::PlanMove {
        visitor_id: visitor.to_owned(),
        day: Some(date(day)),
        place,
    })
}

pub(crate) fn mark(mark: pb::PlanMark) -> pb::adjust_plan_request::Adjustment {
    pb::adjust_plan_request::Adjustment::Mark(mark.into())
}

pub(crate) fn skip(reason: pb::SkipReason) -> pb::adjust_plan_request::Adjustment {
    pb::adjust_plan_request::Adjustment::Skip(reason.into())
}

pub(crate) async fn worklist(
    running: &Running,
    visitor: &str,
    day: &str,
) -> pb::GetWorklistResponse {
    let request = pb::GetWorklistRequest {
        visitor_id: visitor.to_owned(),
        day: Some(date(day)),
        min_position: String::new(),
    };
    let worklist = running.client().get_worklist(request).await.unwrap();
    worklist.into_inner()
}

pub(crate) async fn stored(running: &Running, division: &str) -> pb::GetPlanResponse {
    let request = pb::GetPlanRequest {
        division_code: division.to_owned(),
        week: WEEK.to_owned(),
        ..Default::default()
    };
    running
        .client()
        .get_plan(request)
        .await
        .unwrap()
        .into_inner()
}

//! Campaigns: whom they select, how they are met and missed, and how they go into the plan.

use elders::event::Event;
use proto::eldercare::visits::v1 as pb;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::planned::{self, Person, TOWN, monday, plan, started, visit_of};
use crate::support::{COUNTY, Ground, Running, VILLAGE, date, day, reason, visit};

fn of_days(first: &str, last: &str) -> pb::StartCampaignRequest {
    pb::StartCampaignRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: COUNTY.to_owned(),
        kind: pb::CampaignKind::ExtremeWeather.into(),
        name: "寒潮专项".to_owned(),
        first_day: Some(date(first)),
        last_day: Some(date(last)),
        selection: None,
    }
}

fn where_(condition: &str) -> Option<pb::CampaignSelection> {
    Some(pb::CampaignSelection {
        tiers: vec![],
        condition: condition.to_owned(),
    })
}

async fn start(running: &Running, request: &pb::StartCampaignRequest) -> String {
    let started = running.client().start_campaign(request.clone()).await;
    running.settled().await;
    started.unwrap().into_inner().campaign_id
}

/// The duties of a campaign: owed, met, unmet, missed, and whether it is closed.
async fn duties(running: &Running, campaign: &str) -> (i64, i64, i64, i64, bool) {
    running.settled().await;
    let request = pb::ListDutiesRequest {
        division_code: COUNTY.to_owned(),
        campaign_id: campaign.to_owned(),
        ..Default::default()
    };
    let told = running.client().list_duties(request).await.unwrap();
    let told = told.into_inner();
    (told.owed, told.met, told.unmet, told.missed, told.closed)
}

async fn listed(running: &Running, closed_too: bool) -> Vec<pb::Campaign> {
    running.settled().await;
    let mut request = pb::ListCampaignsRequest {
        division_code: "35".to_owned(),
        include_closed: closed_too,
        page_size: 1,
        ..Default::default()
    };
    let mut campaigns = Vec::new();
    loop {
        let page = running.client().list_campaigns(request.clone()).await;
        let page = page.unwrap().into_inner();
        campaigns.extend(page.campaigns);
        if page.next_page_token.is_empty() {
            return campaigns;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn a_campaign_is_owed_by_whom_it_selects_met_missed_and_met_late() {
    let ground = Ground::at("2024-12-19 09:00");
    let (old, older) = (ground.weekly().await, ground.weekly().await);
    let young = ground.monthly().await;
    let running = ground.start().await;
    let visitor = running.visitor().await;
    // No division visits yet: a campaign does not ask for that.
    let request = pb::StartCampaignRequest {
        selection: where_("age >= 80 && 'LIVING_ALONE' in categories"),
        ..of_days("2024-12-20", "2024-12-21")
    };
    let campaign = start(&running, &request).await;
    assert_eq!(duties(&running, &campaign).await, (2, 0, 2, 0, false));
    let again = running.client().start_campaign(request).await.unwrap();
    assert_eq!(again.into_inner().campaign_id, campaign);

    running.advance("2024-12-21 18:00").await;
    // The day before does not meet it.
    for (elder, start) in [
        (old, "2024-12-20 09:00"),
        (older, "2024-12-19 09:00"),
        (young, "2024-12-20 10:00"),
    ] {
        assert_eq!(
            running.told(&visit(&visitor, elder, start)).await,
            "COUNTED"
        );
    }
    assert_eq!(duties(&running, &campaign).await, (2, 1, 1, 0, false));
    running.advance("2024-12-22 00:00").await;
    assert_eq!(duties(&running, &campaign).await, (2, 1, 1, 1, true));
    let told = listed(&running, true).await;
    assert_eq!(
        (told[0].duties, told[0].missed, told[0].closed),
        (2, 1, true)
    );
    assert!(listed(&running, false).await.is_empty());

    let late = visit(&visitor, older, "2024-12-21 15:00");
    assert_eq!(running.told(&late).await, "COUNTED");
    assert_eq!(duties(&running, &campaign).await, (2, 2, 0, 1, true));
    let events = running.events().await;
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!(
        (
            count("VisitMissed"),
            count("DutyMet"),
            count("CampaignClosed")
        ),
        (1, 2, 1)
    );

    // By the logs alone it is the same again.
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(running.events().await, events);
    assert_eq!(duties(&running, &campaign).await, (2, 2, 0, 1, true));
}

#[tokio::test]
async fn campaigns_are_ended_and_called_off_and_close_while_the_service_is_down() {
    let ground = Ground::at("2024-12-19 09:00");
    ground.weekly().await;
    let dies_late = ground.weekly().await;
    let running = ground.start().await;
    let ended = start(&running, &of_days("2024-12-19", "2024-12-31")).await;
    let called_off = start(&running, &of_days("2024-12-24", "2024-12-25")).await;
    let over_new_year = start(&running, &of_days("2024-12-28", "2025-01-03")).await;
    for (campaign, last) in [(&ended, "2024-12-19"), (&called_off, "2024-12-23")] {
        let request = pb::EndCampaignRequest {
            request_id: Uuid::now_v7().to_string(),
            campaign_id: campaign.clone(),
        };
        let answer = running
            .client()
            .end_campaign(request.clone())
            .await
            .unwrap();
        assert_eq!(answer.into_inner().last_day, Some(date(last)));
        let again = running.client().end_campaign(request).await.unwrap();
        assert_eq!(again.into_inner().last_day, Some(date(last)));
    }
    let (ground, database) = running.stop().await;
    ground
        .clock
        .advance_to(crate::support::at("2025-01-05 09:00"))
        .unwrap();
    let died = Event::Died {
        on: day("2024-12-20"),
    };
    ground.record(dies_late, &[died]).await;
    let running = ground.start_on(database).await;
    assert_eq!(duties(&running, &ended).await, (2, 0, 2, 2, true));
    assert_eq!(duties(&running, &called_off).await, (0, 0, 0, 0, true));
    // The death was not known when it closed; by all facts one owes.
    assert_eq!(duties(&running, &over_new_year).await, (1, 0, 1, 2, true));
    let first_days: Vec<_> = listed(&running, true)
        .await
        .into_iter()
        .map(|campaign| campaign.first_day.unwrap())
        .collect();
    assert_eq!(
        first_days,
        ["2024-12-28", "2024-12-24", "2024-12-19"].map(date)
    );
    let over = pb::EndCampaignRequest {
        request_id: Uuid::now_v7().to_string(),
        campaign_id: over_new_year,
    };
    let refused = running.client().end_campaign(over).await.unwrap_err();
    assert_eq!(reason(&refused), "CAMPAIGN_OVER");
}

#[tokio::test]
async fn a_campaign_goes_into_the_weeks_plan_and_takes_no_second_visit() {
    let ground = monday();
    let weekly = Person::default().on(&ground).await;
    let monthly = Person::default().monthly().on(&ground).await;
    let running = started(&ground).await;
    planned::visitor(&running, VILLAGE, 20).await;
    // Wednesday and Thursday of the week.
    start(&running, &of_days("2024-10-16", "2024-10-17")).await;
    let plan = plan(&running, TOWN).await;
    for elder in [weekly, monthly] {
        let on = visit_of(&plan, elder).day.unwrap();
        assert!(
            [date("2024-10-16"), date("2024-10-17")].contains(&on),
            "{on:?}"
        );
    }
    assert_eq!(plan.entries.len(), 2);
}

#[tokio::test]
async fn wrong_campaigns_are_told_what_is_wrong() {
    let ground = Ground::at("2024-12-19 09:00");
    let running = ground.start().await;
    let good = of_days("2024-12-20", "2024-12-21");
    let cases = [
        (
            pb::StartCampaignRequest {
                division_code: "3505".to_owned(),
                ..good.clone()
            },
            "division_code DIVISION_TOO_LARGE",
        ),
        (
            pb::StartCampaignRequest {
                name: String::new(),
                ..good.clone()
            },
            "name REQUIRED",
        ),
        (
            pb::StartCampaignRequest {
                kind: 99,
                ..good.clone()
            },
            "kind VALUE_UNKNOWN",
        ),
        (
            pb::StartCampaignRequest {
                selection: where_("shoe_size > 40"),
                ..good.clone()
            },
            "selection.condition UNKNOWN_VARIABLE",
        ),
        (
            pb::StartCampaignRequest {
                selection: Some(pb::CampaignSelection {
                    tiers: vec!["URGENT".to_owned()],
                    condition: String::new(),
                }),
                ..good.clone()
            },
            "selection.tiers[0] TIER_UNKNOWN",
        ),
    ];
    for (request, expected) in cases {
        let refused = running.client().start_campaign(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{expected}");
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        let told: Vec<_> = violations
            .iter()
            .map(|one| format!("{} {}", one.field, one.reason))
            .collect();
        assert_eq!(told, [expected]);
    }
    let past = of_days("2024-12-18", "2024-12-21");
    let refused = running.client().start_campaign(past).await.unwrap_err();
    assert_eq!(reason(&refused), "DAYS_INVALID");
    let nobody = pb::EndCampaignRequest {
        request_id: Uuid::now_v7().to_string(),
        campaign_id: Uuid::now_v7().to_string(),
    };
    let unknown = running.client().end_campaign(nobody).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let both = pb::ListDutiesRequest {
        division_code: COUNTY.to_owned(),
        period: "2024-12".to_owned(),
        campaign_id: Uuid::now_v7().to_string(),
        ..Default::default()
    };
    let refused = running.client().list_duties(both).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(running.events().await.is_empty());
}

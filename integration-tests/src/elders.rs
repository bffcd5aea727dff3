//! Elders as stories need them: valid in every field, each with an ID number of their own.

use std::sync::atomic::{AtomicU32, Ordering};

use civic::{IdNumber, LocalDay};
use proto::eldercare::{registry::v1 as registry, r#type::v1 as types};

use crate::{day, new_id};

/// A village of the town 凤城镇 in the sample county.
pub const VILLAGE: &str = "350524100001";

/// The ID number of the `serial`-th person (below 1,000) born on a day in the sample county.
pub fn id_number(born: LocalDay, serial: u32) -> String {
    assert!(
        serial < 1_000,
        "three digits tell the persons of one birthday apart"
    );
    let digits = format!("350524{}{serial:03}", born.date().format("%Y%m%d"));
    let check = IdNumber::compute_check_char(&digits).expect("seventeen digits");
    format!("{digits}{check}")
}

/// An elder of 70 years or so who lives alone and is in good health, to be registered. No two have the same ID number.
pub fn an_elder(name: &str) -> registry::RegisterElderRequest {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let birthday = day("1951-01-01").plus_days(i64::from(made / 1_000));
    registry::RegisterElderRequest {
        request_id: new_id(),
        name: name.to_owned(),
        id_number: id_number(birthday, made % 1_000),
        division_code: VILLAGE.to_owned(),
        address: "新民街8号".to_owned(),
        categories: vec![types::Category::LivingAlone.into()],
        capability: Some(types::Capability {
            level: types::CapabilityLevel::Intact.into(),
            assessed_on: Some(crate::date("2024-03-01")),
            source: "ASSESSMENT_AGENCY".to_owned(),
        }),
        consent: Some(registry::HomeVisitConsent {
            state: types::ConsentState::Granted.into(),
            by: types::ConsentGiver::Elder.into(),
            at: Some(crate::timestamp("2024-01-02T09:00:00+08:00")),
        }),
        ..registry::RegisterElderRequest::default()
    }
}

/// The same, with a daughter to be told in an emergency.
pub fn an_elder_with_a_daughter(name: &str) -> registry::RegisterElderRequest {
    registry::RegisterElderRequest {
        contacts: vec![types::Contact {
            name: "林秀兰".to_owned(),
            relation: "女儿".to_owned(),
            phone: "13600136000".to_owned(),
            ..types::Contact::default()
        }],
        ..an_elder(name)
    }
}

/// The same as [`an_elder`], born on a day.
pub fn born(birthday: &str, name: &str) -> registry::RegisterElderRequest {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let serial = MADE.fetch_add(1, Ordering::Relaxed) % 1_000;
    let birthday = day(birthday);
    // Whoever is born later than the usual assessment and consent has theirs on the day of birth.
    let assessed_on = birthday.max(day("2024-03-01"));
    let usual = an_elder(name);
    let capability = usual.capability.map(|capability| types::Capability {
        assessed_on: Some(eldercare::wire::date(assessed_on)),
        ..capability
    });
    let consented_on = birthday.max(day("2024-01-02"));
    let consent = usual.consent.map(|consent| registry::HomeVisitConsent {
        at: Some(crate::timestamp(&format!("{consented_on}T09:00:00+08:00"))),
        ..consent
    });
    registry::RegisterElderRequest {
        id_number: id_number(birthday, serial),
        capability,
        consent,
        ..usual
    }
}

//! `claims entitlement`: what an elder may still have of a programme, and why.

use std::fmt::Write as _;

use civic::LocalDay;
use proto::eldercare::claims::v1::{self as pb, GetEntitlementRequest, GetEntitlementResponse};
use serde::Serialize;

use super::{day, order::Facts, text};
use crate::{
    cli::Whom,
    client::{Client, call},
    elder::id_of,
    output::{Report, table},
    words::{labelled, labelled_of, name_of, names_of},
};

/// What an elder may have of a programme on a day.
#[derive(Debug, Serialize)]
pub struct Entitlement {
    /// The programme.
    pub programme_code: String,
    /// The version that holds on that day; null where none does.
    pub programme_version: Option<i32>,
    /// The elder.
    pub elder_id: String,
    /// Whether a service on that day would be paid for, as far as the elder goes.
    pub entitled: bool,
    /// Why not.
    pub codes: Vec<&'static str>,
    /// The rule that entitles the elder.
    pub entitled_by: Option<String>,
    /// What is counted.
    pub unit: Option<&'static str>,
    /// The entitlement of the calendar year.
    pub units_a_year: i64,
    /// What approved orders have taken of it.
    pub units_used: i64,
    /// What is left.
    pub units_left: i64,
    /// The enrolments of the calendar year.
    pub enrolments: Vec<Enrolment>,
    /// The facts of that day.
    pub facts: Option<Facts>,
}

/// An enrolment.
#[derive(Debug, Serialize)]
pub struct Enrolment {
    /// Which.
    pub enrolment_id: String,
    /// First day.
    pub first_day: Option<String>,
    /// Last day.
    pub last_day: Option<String>,
}

/// What an elder may have of a programme on a day, today unless named.
///
/// # Errors
/// Claims' refusal, or no elder with this ID number.
pub async fn entitlement(
    client: &Client,
    programme: &str,
    whom: &Whom,
    on: Option<LocalDay>,
) -> anyhow::Result<Entitlement> {
    let elder_id = id_of(client, whom).await?;
    let request = GetEntitlementRequest {
        programme_code: programme.to_owned(),
        elder_id: elder_id.clone(),
        on: on.map(crate::wire::date),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.claims().get_entitlement(request).await
    });
    Ok(Entitlement::of(programme, elder_id, answer.await?))
}

impl Entitlement {
    fn of(programme: &str, elder_id: String, answer: GetEntitlementResponse) -> Self {
        let enrolments = answer.enrolments.into_iter().map(|one| Enrolment {
            enrolment_id: one.enrolment_id,
            first_day: day(one.first_day),
            last_day: day(one.last_day),
        });
        let version = answer.programme_version;
        Self {
            programme_code: programme.to_owned(),
            programme_version: (version != 0).then_some(version),
            elder_id,
            entitled: answer.entitled,
            codes: names_of::<pb::OrderCode>(&answer.codes),
            entitled_by: text(answer.entitled_by),
            unit: name_of::<pb::EntitlementUnit>(answer.unit),
            units_a_year: answer.units_a_year,
            units_used: answer.units_used,
            units_left: answer.units_left,
            enrolments: enrolments.collect(),
            facts: answer.facts.map(Facts::of),
        }
    }
}

impl Report for Entitlement {
    fn text(&self) -> String {
        let verdict = if self.entitled {
            "可享受 entitled"
        } else {
            "不可享受 not entitled"
        };
        let rule = self.entitled_by.as_deref().map(labelled);
        let codes = self.codes.iter();
        let why: Vec<_> = codes
            .map(|code| labelled_of::<civic::OrderCode>(code))
            .chain(rule)
            .collect();
        let unit = self.unit.map(labelled_of::<civic::EntitlementUnit>);
        let mut told = format!(
            "{} {} {verdict}: {}\n额度 of the year: {} of {} used, {} left ({})",
            self.programme_code,
            self.elder_id,
            why.join(", "),
            self.units_used,
            self.units_a_year,
            self.units_left,
            unit.unwrap_or_default()
        );
        let mut rows = table(["参保 enrolment", "起 first day", "止 last day"]);
        for one in &self.enrolments {
            rows.add_row([
                one.enrolment_id.as_str(),
                one.first_day.as_deref().unwrap_or_default(),
                one.last_day.as_deref().unwrap_or_default(),
            ]);
        }
        let _ = write!(told, "\n{rows}");
        if let Some(facts) = &self.facts {
            let _ = write!(told, "\n{}", facts.text());
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_somebody_is_not_entitled_is_told() {
        let answer = GetEntitlementResponse {
            codes: vec![pb::OrderCode::QuotaExceeded.into()],
            entitled_by: "LOW_INCOME".to_owned(),
            programme_version: 1,
            unit: pb::EntitlementUnit::Services.into(),
            units_a_year: 12,
            units_used: 12,
            ..Default::default()
        };
        let told = Entitlement::of("LTCI", "elder".to_owned(), answer);
        let text = told.text();
        for word in [
            "不可享受",
            "QUOTA_EXCEEDED 超出额度",
            "LOW_INCOME",
            "12 of 12 used, 0 left (SERVICES 次)",
        ] {
            assert!(text.contains(word), "{text}");
        }
        assert_eq!(serde_json::to_value(&told).unwrap()["entitled"], false);
    }
}

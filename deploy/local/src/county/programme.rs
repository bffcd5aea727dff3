//! The programmes of `claims/programmes.json`, and each as claims are told of it: a definition in YAML.

use std::{collections::BTreeMap, fmt::Write as _};

use proto::eldercare::claims::v1 as pb;
use serde_json::Value;

use super::{
    Set,
    fields::{Fields, Problem},
};
use crate::words::Word as _;

/// The file of the programmes.
pub const PROGRAMMES: &str = "claims/programmes.json";

/// A programme of `claims/programmes.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    /// Its code.
    pub code: String,
    name: String,
    premium_fen: i64,
    requires_poverty: bool,
    services_per_year: i64,
    least_minutes: i64,
    price_fen: i64,
    base_items: BTreeMap<String, String>,
    optional_items: BTreeMap<String, String>,
    evidence: BTreeMap<&'static str, i64>,
    submission_days: i64,
    appeal_days: i64,
}

/// The programme whose rules are not in the data sets: they are the same in every county that has it.
const LONG_TERM_CARE: &str = "LTCI";

/// Who may be enrolled in it, and who is entitled to service. Whoever is so in both ways counts with the handicapped.
const HANDICAPPED: (&str, &str) = ("HANDICAP_1_2", "handicap_grade in [1, 2]");
const POOR: (&str, &str) = (
    "LOW_INCOME",
    r#""EXTREME_POVERTY" in assistance || "MINIMUM_LIVING" in assistance"#,
);
const POOR_AND_DEPENDENT: (&str, &str) = (
    "LOW_INCOME",
    concat!(
        r#"age >= 60 && ("EXTREME_POVERTY" in assistance || "MINIMUM_LIVING" in assistance)"#,
        r#" && capability in ["MODERATE", "SEVERE", "TOTAL"]"#
    ),
);

impl Programme {
    /// The programme of this code in the file.
    pub(super) fn read(code: &str, file: &Fields<'_>) -> Result<Self, Problem> {
        if code != LONG_TERM_CARE {
            let what = "is not LTCI: who may be enrolled in it is not known";
            return Err(file.problem(code, what));
        }
        let fields = file.object(code)?;
        let fields = &fields.ok_or_else(|| file.problem(code, "is missing"))?;
        let least = |(kind, least): (&str, &Value)| {
            let kind = pb::EvidenceKind::named(kind).map(|kind| kind.name());
            let what = "holds something that is no kind of evidence with a number";
            kind.zip(least.as_i64())
                .ok_or_else(|| fields.problem("evidence", what))
        };
        let evidence = fields.entries("evidence")?.into_iter().map(least);
        let evidence = evidence.collect::<Result<_, _>>()?;
        Ok(Self {
            code: code.to_owned(),
            name: fields.text("name")?.to_owned(),
            premium_fen: fields.optional_integer("premium_fen")?.unwrap_or_default(),
            requires_poverty: fields.flag("requires_poverty")?,
            services_per_year: fields.integer("services_per_year")?,
            least_minutes: fields.integer("least_minutes")?,
            price_fen: fields.integer("price_fen")?,
            base_items: items(fields, "base_items")?,
            optional_items: items(fields, "optional_items")?,
            evidence,
            submission_days: fields.integer("submission_days")?,
            appeal_days: fields.integer("appeal_days")?,
        })
    }

    /// The definition, which holds from the day on from which the set's facts do.
    pub fn definition(&self, set: &Set) -> String {
        let source = quoted(&format!("{}{}", set.county_name, self.name));
        let rules = |rules: [(&str, &str); 2]| {
            rules.into_iter().fold(String::new(), |text, (rule, when)| {
                format!("{text}\n  - rule: {rule}\n    when: '{when}'\n    source: {source}")
            })
        };
        let items = |items: &BTreeMap<String, String>| {
            if items.is_empty() {
                return " {}".to_owned();
            }
            items.iter().fold(String::new(), |mut text, (item, name)| {
                let _ = write!(text, "\n    {}: {}", quoted(item), quoted(name));
                text
            })
        };
        let evidence = self.evidence.iter();
        let evidence: Vec<_> = evidence
            .map(|(kind, least)| format!("{kind}: {least}"))
            .collect();
        format!(
            "name: {name}\n\
             effective_from: {from}\n\
             premium_fen: {premium}\n\
             requires_poverty: {poverty}\n\
             enrolment:{enrolment}\n\
             entitlement:{entitlement}\n\
             quota:\n  services: {services}\n\
             least_minutes: {minutes}\n\
             price:\n  fen_a_service: {price}\n\
             items:\n  base:{base}\n  optional:{optional}\n  rule: ALL_BASE_AND_ONE_OPTIONAL\n\
             evidence: {{{evidence}}}\n\
             submission_days: {submission}\n\
             appeal_days: {appeal}\n",
            name = quoted(&self.name),
            from = set.facts_hold_from,
            premium = self.premium_fen,
            poverty = self.requires_poverty,
            enrolment = rules([HANDICAPPED, POOR]),
            entitlement = rules([HANDICAPPED, POOR_AND_DEPENDENT]),
            services = self.services_per_year,
            minutes = self.least_minutes,
            price = self.price_fen,
            base = items(&self.base_items),
            optional = items(&self.optional_items),
            evidence = evidence.join(", "),
            submission = self.submission_days,
            appeal = self.appeal_days,
        )
    }
}

fn items(fields: &Fields<'_>, field: &str) -> Result<BTreeMap<String, String>, Problem> {
    let item = |(code, name): (&str, &Value)| {
        let name = name.as_str().map(str::to_owned);
        name.map(|name| (code.to_owned(), name))
            .ok_or_else(|| fields.problem(field, "holds something that is no text"))
    };
    fields.entries(field)?.into_iter().map(item).collect()
}

/// A text of JSON is one of YAML too.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

//! Agreements by chance, and what the log of sharing says of them: which are in force, and what each department is told by them.

use std::collections::BTreeMap;
use std::sync::Arc;

use civic::LocalDay;
use elders::wire;
use eventlog::EventLog;
use proto::eldercare::sharing::v1 as pb;

use super::dice::Dice;
use super::left::{Catalogue, Grants, merge, tells_birth};
use crate::logs::events;
use crate::support::{date, grant};

pub(super) const DEPARTMENTS: [&str; 3] = ["education", "finance", "health"];

/// Divisions of agreements: the county, two of its towns, and a village of each.
const DIVISIONS: [&str; 5] = [
    "350524",
    "350524100",
    "350524101",
    "350524100001",
    "350524101007",
];

/// The last days of agreements; some are over while the test lasts.
const UNTIL: [&str; 4] = ["2024-03-01", "2024-03-02", "2024-12-31", "2025-12-31"];

/// Terms by chance.
pub(super) fn terms(
    dice: &mut Dice,
    catalogue: &Catalogue,
    department: &str,
) -> pb::AgreementTerms {
    let granted = catalogue.0.iter().filter_map(|product| {
        let fields = product.fields.iter().filter_map(|field| {
            let cut = match dice.below(3) {
                0 => return None,
                1 if field.maskable => pb::Cut::Masked,
                _ => pb::Cut::Plain,
            };
            Some(pb::FieldGrant {
                field: field.name.clone(),
                cut: cut.into(),
            })
        });
        let fields: Vec<_> = fields.collect();
        let granted = !fields.is_empty() && !dice.one_in(3);
        granted.then(|| pb::ProductGrant {
            product: product.name.clone(),
            fields,
        })
    });
    let mut products: Vec<_> = granted.collect();
    if products.is_empty() {
        products.push(grant("tier", &["tier", "since"], &[]));
    }
    let first = dice.below(DIVISIONS.len());
    let mut division_codes = vec![DIVISIONS[first].to_owned()];
    if dice.one_in(2) {
        let other = (first + 1 + dice.below(DIVISIONS.len() - 1)) % DIVISIONS.len();
        division_codes.push(DIVISIONS[other].to_owned());
    }
    pb::AgreementTerms {
        department: department.to_owned(),
        purpose: "联合探访".to_owned(),
        legal_basis: "川民〔2023〕100号".to_owned(),
        products,
        division_codes,
        until: date(dice.pick(&UNTIL)),
    }
}

/// An agreement in force.
pub(super) struct Agreement {
    department: String,
    divisions: Vec<String>,
    grants: Grants,
}

/// The agreements in force on a day, by what stands in the log of sharing.
pub(super) async fn in_force(log: &Arc<dyn EventLog>, today: LocalDay) -> Vec<Agreement> {
    let mut agreements: BTreeMap<String, (pb::AgreementTerms, bool)> = BTreeMap::new();
    for told in events(log).await {
        if told.aggregate != "agreement" {
            continue;
        }
        if told.name() == "AgreementProposed" {
            let proposed: pb::AgreementProposed = told.read();
            agreements.insert(told.id, (proposed.terms.unwrap(), false));
            continue;
        }
        let (_terms, grants) = agreements.get_mut(&told.id).unwrap();
        *grants = match told.name() {
            "AgreementApproved" => true,
            "AgreementSuspended" | "AgreementEnded" => false,
            other => panic!("nobody tells {other} here"),
        };
    }
    let in_force = agreements.into_values().filter(|(terms, grants)| {
        let until = wire::day(terms.until, "until").unwrap();
        *grants && today <= until
    });
    in_force.map(|(terms, _)| Agreement::of(terms)).collect()
}

impl Agreement {
    fn of(terms: pb::AgreementTerms) -> Self {
        let grants = terms.products.into_iter().map(|product| {
            let fields = product.fields.into_iter();
            let fields = fields.map(|grant| (grant.field.clone(), grant.cut()));
            (product.product, fields.collect())
        });
        Self {
            department: terms.department,
            divisions: terms.division_codes,
            grants: grants.collect(),
        }
    }
}

/// What a department is granted of whoever lives in a village, by all agreements together.
pub(super) fn of_village(agreements: &[Agreement], department: &str, village: &str) -> Grants {
    let mut all = Grants::new();
    for agreement in agreements.iter().filter(|one| one.department == department) {
        let mut divisions = agreement.divisions.iter();
        if divisions.any(|division| village.starts_with(division.as_str())) {
            merge(&mut all, &agreement.grants);
        }
    }
    all
}

/// A feed of a department: product and division.
pub(super) type Feed = (String, String);

/// The feeds of a department, each with what it tells of its product.
pub(super) fn feeds(agreements: &[Agreement], department: &str) -> BTreeMap<Feed, Grants> {
    let mut feeds: BTreeMap<Feed, Grants> = BTreeMap::new();
    for agreement in agreements.iter().filter(|one| one.department == department) {
        for (product, fields) in &agreement.grants {
            let of_product = Grants::from([(product.clone(), fields.clone())]);
            for division in &agreement.divisions {
                let feed = (product.clone(), division.clone());
                merge(feeds.entry(feed).or_default(), &of_product);
            }
        }
    }
    without_numbers_beside_births(feeds)
}

/// A masked ID number is not told where another feed of the same elders tells the birth: both together would give it away.
fn without_numbers_beside_births(feeds: BTreeMap<Feed, Grants>) -> BTreeMap<Feed, Grants> {
    let births: Vec<String> = feeds
        .iter()
        .filter(|(_, grants)| grants.get("elder").is_some_and(tells_birth))
        .map(|((_, division), _)| division.clone())
        .collect();
    let mut told = BTreeMap::new();
    for ((product, division), mut grants) in feeds {
        let nested = |other: &String| {
            other.starts_with(division.as_str()) || division.starts_with(other.as_str())
        };
        if let Some(file) = grants.get_mut("elder")
            && !tells_birth(file)
            && births.iter().any(nested)
        {
            file.retain(|field, cut| field != "id_number" || *cut == pb::Cut::Plain);
            if file.is_empty() {
                continue;
            }
        }
        told.insert((product, division), grants);
    }
    told
}

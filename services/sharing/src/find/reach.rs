//! Where somebody may search, and by what: what a department may not see it can't search by.

use std::collections::{BTreeMap, BTreeSet};

use civic::DivisionCode;
use uuid::Uuid;

use crate::agreement::Terms;
use crate::cut::{Cut, Grants};
use crate::products::ProductName;

/// What elders are searched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SearchedBy {
    Divisions,
    Tiers,
    Categories,
    NotVisitedSince,
    OpenAlert,
    MissedVisit,
    Programme,
}

impl SearchedBy {
    /// The field of the request.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Divisions => "division_codes",
            Self::Tiers => "tiers",
            Self::Categories => "categories",
            Self::NotVisitedSince => "not_visited_since",
            Self::OpenAlert => "with_open_alert",
            Self::MissedVisit => "with_missed_visit",
            Self::Programme => "programme_code",
        }
    }

    /// Whether it tells nothing that is not granted in plain.
    pub(super) fn granted(self, grants: &Grants) -> bool {
        let told_by: &[(ProductName, &str)] = match self {
            Self::Divisions => &[(ProductName::Elder, "division_code")],
            Self::Tiers => &[(ProductName::Tier, "tier")],
            Self::Categories => &[(ProductName::Elder, "categories")],
            Self::NotVisitedSince => &[
                (ProductName::Visit, "start_time"),
                (ProductName::Visit, "counted"),
            ],
            Self::OpenAlert => &[(ProductName::Alert, "state")],
            // No field of any product tells it.
            Self::MissedVisit => return false,
            Self::Programme => &[
                (ProductName::Enrolment, "programme_code"),
                (ProductName::Enrolment, "first_day"),
                (ProductName::Enrolment, "last_day"),
            ],
        };
        told_by
            .iter()
            .all(|(product, field)| grants.get(*product, field) == Some(Cut::Plain))
    }
}

/// Where is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Places {
    Everywhere,
    /// None of these lies in another one.
    Within(Vec<DivisionCode>),
}

impl Places {
    /// The divisions that hold all of these.
    pub(super) fn within(divisions: &BTreeSet<DivisionCode>) -> Self {
        let mut outermost: Vec<DivisionCode> = Vec::with_capacity(divisions.len());
        for division in divisions {
            // A division comes right before all that lies in it.
            let held = outermost.last().is_some_and(|last| last.contains(division));
            if !held {
                outermost.push(*division);
            }
        }
        Self::Within(outermost)
    }
}

/// What agreements grant together of elders of a division, and which of them.
pub(super) fn granted(
    agreements: &[(Uuid, Terms)],
    division: &DivisionCode,
) -> (Grants, Vec<Uuid>) {
    let mut grants = Grants::default();
    let mut ids = Vec::new();
    for (id, terms) in agreements {
        if terms.covers(division) {
            grants.merge(&terms.products);
            ids.push(*id);
        }
    }
    (grants, ids)
}

/// The divisions of `places` in which agreements let a department search by all that it asks. `picked` are those that it
/// picks out: that elders live in one of them it must be granted to know.
///
/// # Errors
/// What none of the agreements lets it search by anywhere there.
pub(super) fn searchable(
    agreements: &[(Uuid, Terms)],
    places: &Places,
    picked: &BTreeSet<DivisionCode>,
    by: &[SearchedBy],
) -> Result<BTreeSet<DivisionCode>, Vec<SearchedBy>> {
    // In each of these divisions as much is granted everywhere, apart from smaller ones of these that lie in it: there it is
    // more. And whether an agreement by itself tells that its elders live there.
    let mut pieces: BTreeMap<DivisionCode, bool> = BTreeMap::new();
    for agreed in agreements.iter().flat_map(|(_, terms)| &terms.divisions) {
        match places {
            Places::Everywhere => {
                pieces.insert(*agreed, true);
            }
            Places::Within(divisions) => {
                for division in divisions {
                    if let Some(piece) = finer(division, agreed) {
                        let known = piece == *agreed || !picked.contains(&piece);
                        *pieces.entry(piece).or_default() |= known;
                    }
                }
            }
        }
    }
    let pieces: Vec<(DivisionCode, bool, Grants)> = pieces
        .into_iter()
        .map(|(piece, known)| (piece, known, granted(agreements, &piece).0))
        .collect();
    let grants = |by: SearchedBy, known: bool, grants: &Grants| {
        by.granted(grants) || by == SearchedBy::Divisions && known
    };
    let nowhere = |by: &SearchedBy| {
        let mut pieces = pieces.iter();
        !pieces.any(|(_, known, granted)| grants(*by, *known, granted))
    };
    let refused: Vec<SearchedBy> = by.iter().copied().filter(nowhere).collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    let allowed = pieces
        .iter()
        .filter(|(_, known, granted)| by.iter().all(|by| grants(*by, *known, granted)));
    Ok(allowed.map(|(piece, ..)| *piece).collect())
}

/// The one of two divisions that lies in the other.
fn finer(one: &DivisionCode, other: &DivisionCode) -> Option<DivisionCode> {
    if one.contains(other) {
        Some(*other)
    } else if other.contains(one) {
        Some(*one)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::testing::terms;

    const COUNTY: &str = "350524";
    const TOWN: &str = "350524100";
    const VILLAGE: &str = "350524100001";

    fn code(text: &str) -> DivisionCode {
        text.parse().unwrap()
    }

    fn codes(texts: &[&str]) -> BTreeSet<DivisionCode> {
        texts.iter().copied().map(code).collect()
    }

    fn agreement(divisions: &[&str], fields: &[(ProductName, &'static str, Cut)]) -> (Uuid, Terms) {
        (Uuid::now_v7(), terms(divisions, fields))
    }

    const TIER: (ProductName, &str, Cut) = (ProductName::Tier, "tier", Cut::Plain);
    const STATE: (ProductName, &str, Cut) = (ProductName::Alert, "state", Cut::Plain);
    const LIVES: (ProductName, &str, Cut) = (ProductName::Elder, "division_code", Cut::Plain);

    fn found(
        agreements: &[(Uuid, Terms)],
        places: &[&str],
        by: &[SearchedBy],
    ) -> Result<Vec<String>, Vec<SearchedBy>> {
        let none = BTreeSet::new();
        let divisions = searchable(agreements, &Places::within(&codes(places)), &none, by)?;
        Ok(divisions.iter().map(DivisionCode::to_string).collect())
    }

    #[test]
    fn is_searched_where_the_agreement_and_the_caller_both_reach() {
        let agreements = [agreement(&[TOWN], &[TIER])];
        assert_eq!(found(&agreements, &[COUNTY], &[]).unwrap(), [TOWN]);
        assert_eq!(found(&agreements, &[VILLAGE], &[]).unwrap(), [VILLAGE]);
        assert!(found(&agreements, &["350525"], &[]).unwrap().is_empty());
    }

    #[test]
    fn a_filter_holds_only_where_it_is_granted() {
        let agreements = [agreement(&[COUNTY], &[TIER]), agreement(&[TOWN], &[STATE])];
        let both = [SearchedBy::Tiers, SearchedBy::OpenAlert];
        assert_eq!(found(&agreements, &[COUNTY], &both).unwrap(), [TOWN]);
        let tiers = found(&agreements, &[COUNTY], &both[..1]).unwrap();
        assert_eq!(tiers, [COUNTY, TOWN]);
    }

    #[test]
    fn what_is_granted_nowhere_is_refused_by_name() {
        let agreements = [agreement(&[COUNTY], &[TIER])];
        let by = [
            SearchedBy::Tiers,
            SearchedBy::OpenAlert,
            SearchedBy::MissedVisit,
        ];
        let refused = [SearchedBy::OpenAlert, SearchedBy::MissedVisit];
        assert_eq!(found(&agreements, &[COUNTY], &by).unwrap_err(), refused);
        assert_eq!(found(&[], &[COUNTY], &by).unwrap_err(), by);
    }

    #[test]
    fn whoever_picks_out_a_village_must_be_granted_to_know_who_lives_there() {
        let divisions = [SearchedBy::Divisions];
        let pick = |agreements: &[(Uuid, Terms)], picked: &str| {
            let picked = codes(&[picked]);
            searchable(agreements, &Places::within(&picked), &picked, &divisions)
        };
        let blind = [agreement(&[TOWN], &[TIER])];
        assert!(pick(&blind, VILLAGE).is_err());
        assert_eq!(pick(&blind, TOWN).unwrap(), codes(&[TOWN]));
        assert_eq!(pick(&blind, COUNTY).unwrap(), codes(&[TOWN]));
        let seeing = [agreement(&[TOWN], &[TIER, LIVES])];
        assert_eq!(pick(&seeing, VILLAGE).unwrap(), codes(&[VILLAGE]));
    }

    #[test]
    fn of_nested_divisions_the_outermost_are_searched() {
        let nested = codes(&[VILLAGE, COUNTY, TOWN, "350525"]);
        let outermost = Places::Within(vec![code(COUNTY), code("350525")]);
        assert_eq!(Places::within(&nested), outermost);
    }
}

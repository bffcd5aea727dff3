//! Which policy holds where: the nearest upwards (town, county, city, province), else the one that the system ships.

use std::collections::BTreeMap;
use std::sync::Arc;

use civic::{DivisionCode, VillageCode};

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::policy::Policy;

/// The policy that the system ships.
pub const NATIONAL: PolicyRef = PolicyRef {
    jurisdiction: Jurisdiction::National,
    version: 1,
};

/// A policy with its place.
pub type InForce = (PolicyRef, Arc<Policy>);

/// The policies that hold on a day.
#[derive(Clone, Debug)]
pub struct PoliciesInForce {
    national: InForce,
    divisions: BTreeMap<DivisionCode, InForce>,
}

impl Default for PoliciesInForce {
    /// No division has a policy of its own.
    fn default() -> Self {
        Self {
            national: (NATIONAL, Policy::national()),
            divisions: BTreeMap::new(),
        }
    }
}

impl PoliciesInForce {
    /// The policy for those who live in a village.
    #[must_use]
    pub fn of_village(&self, village: &VillageCode) -> &InForce {
        self.of(&village.division())
    }

    /// The policy that holds in a division.
    #[must_use]
    pub fn of(&self, division: &DivisionCode) -> &InForce {
        division
            .upwards()
            .find_map(|code| self.divisions.get(&code))
            .unwrap_or(&self.national)
    }

    /// The policy above a division's own.
    #[must_use]
    pub fn above(&self, division: &DivisionCode) -> &InForce {
        division
            .parent()
            .map_or(&self.national, |parent| self.of(&parent))
    }

    /// The same, but for one division's policy.
    #[must_use]
    pub fn with(mut self, division: DivisionCode, policy: InForce) -> Self {
        self.divisions.insert(division, policy);
        self
    }

    /// The policies right below a division's own: it is the one above them, or would be.
    pub fn right_below(&self, division: &DivisionCode) -> impl Iterator<Item = &InForce> + use<'_> {
        let division = *division;
        let below = self
            .divisions
            .iter()
            .filter(move |(code, _)| **code != division && division.contains(code));
        let nothing_between = move |code: &DivisionCode| {
            let between = code.upwards().skip(1);
            let mut between = between.take_while(|above| *above != division);
            !between.any(|above| self.divisions.contains_key(&above))
        };
        below
            .filter(move |(code, _)| nothing_between(code))
            .map(|(_, policy)| policy)
    }

    /// The divisions within a division that have policies of their own, itself included.
    pub fn within(&self, division: &DivisionCode) -> impl Iterator<Item = &DivisionCode> {
        let division = *division;
        self.divisions
            .keys()
            .filter(move |code| division.contains(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> DivisionCode {
        text.parse().unwrap()
    }

    fn policy(division: &str) -> InForce {
        let jurisdiction = Jurisdiction::Division(code(division));
        (
            PolicyRef {
                jurisdiction,
                version: 3,
            },
            Policy::national(),
        )
    }

    #[test]
    fn the_nearest_policy_upwards_holds() {
        let policies = PoliciesInForce::default()
            .with(code("35"), policy("35"))
            .with(code("350524100"), policy("350524100"));
        let of = |village: &str| {
            policies
                .of_village(&village.parse().unwrap())
                .0
                .jurisdiction
                .to_string()
        };
        assert_eq!(of("350524100001"), "350524100");
        assert_eq!(of("350524101001"), "35");
        assert_eq!(of("370303100001"), "0");
        assert_eq!(
            policies
                .above(&code("350524100"))
                .0
                .jurisdiction
                .to_string(),
            "35"
        );
        assert_eq!(policies.above(&code("35")).0.jurisdiction.to_string(), "0");
        let below = |division: &str| {
            let division = code(division);
            let below = policies.right_below(&division);
            below
                .map(|(policy, _)| policy.jurisdiction.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(below("35"), ["350524100"]);
        assert_eq!(below("3505"), ["350524100"]);
        assert_eq!(below("350524100"), Vec::<String>::new());
        let with_a_county = policies.clone().with(code("350524"), policy("350524"));
        let province = code("35");
        let below = with_a_county.right_below(&province).collect::<Vec<_>>();
        assert_eq!(below.len(), 1);
        assert_eq!(below[0].0.jurisdiction.to_string(), "350524");
        assert_eq!(
            policies
                .within(&code("3505"))
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["350524100"]
        );
    }
}

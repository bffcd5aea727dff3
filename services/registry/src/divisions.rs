//! A county's table of divisions: its towns, their villages, and what they are called.

use std::collections::BTreeMap;

use civic::{DivisionCode, DivisionLevel};
use decider::Decider;
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::{Message, Name};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use serde::{Deserialize, Serialize};

/// The aggregate: one county's table, named by the county's code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divisions(BTreeMap<DivisionCode, String>);

/// Replaces the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish(pub Vec<Division>);

/// The table was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published(pub Vec<Division>);

/// One division.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// Its code.
    pub code: DivisionCode,
    /// Its name.
    pub name: String,
}

/// Why a table is refused; the number is the place of the division in the list, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no county in it.
    CountyMissing,
    /// A division lies outside the county, or is larger than it.
    OutsideCounty(usize),
    /// A code stands in it twice.
    CodeRepeated(usize),
    /// A division's parent is not in it.
    ParentMissing(usize),
    /// A division has no name.
    NameMissing(usize),
}

impl Divisions {
    /// What a division is called.
    #[must_use]
    pub fn name(&self, code: &DivisionCode) -> Option<&str> {
        self.0.get(code).map(String::as_str)
    }

    /// All divisions, in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = (&DivisionCode, &str)> {
        self.0.iter().map(|(code, name)| (code, name.as_str()))
    }
}

impl Decider for Divisions {
    type Command = Publish;
    type Event = Published;
    type Refusal = Refusal;

    fn decide(&self, Publish(divisions): &Publish) -> Result<Vec<Published>, Refusal> {
        let county = divisions
            .iter()
            .find(|division| division.code.level() == DivisionLevel::County)
            .ok_or(Refusal::CountyMissing)?;
        let mut table = BTreeMap::new();
        for (place, division) in divisions.iter().enumerate() {
            if !county.code.contains(&division.code) {
                return Err(Refusal::OutsideCounty(place));
            }
            if division.name.trim().is_empty() {
                return Err(Refusal::NameMissing(place));
            }
            if table.insert(division.code, division.name.clone()).is_some() {
                return Err(Refusal::CodeRepeated(place));
            }
        }
        for (place, division) in divisions.iter().enumerate() {
            let below_county = division.code != county.code;
            if below_county
                && !division
                    .code
                    .parent()
                    .is_some_and(|parent| table.contains_key(&parent))
            {
                return Err(Refusal::ParentMissing(place));
            }
        }
        Ok(if table == self.0 {
            Vec::new()
        } else {
            vec![Published(divisions.clone())]
        })
    }

    fn evolve(self, Published(divisions): &Published) -> Self {
        Self(
            divisions
                .iter()
                .map(|division| (division.code, division.name.clone()))
                .collect(),
        )
    }
}

impl Aggregate for Divisions {
    const CONTEXT: &'static str = "registry";
    const NAME: &'static str = "divisions";

    fn encode(Published(divisions): &Published) -> RawEvent {
        let message = pb::DivisionsPublished {
            divisions: divisions.iter().map(Division::to_proto).collect(),
        };
        RawEvent {
            event_type: pb::DivisionsPublished::full_name(),
            data: message.encode_to_vec().into(),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Published, DecodeError> {
        if raw.event_type != pb::DivisionsPublished::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message = pb::DivisionsPublished::decode(raw.data.clone())
            .map_err(|_broken| DecodeError::malformed("message"))?;
        let divisions = message.divisions.into_iter().map(|division| {
            let code = division
                .code
                .parse()
                .map_err(|_code| DecodeError::malformed("code"))?;
            Ok(Division {
                code,
                name: division.name,
            })
        });
        divisions.collect::<Result<_, _>>().map(Published)
    }
}

impl Division {
    /// The division as a protobuf message.
    #[must_use]
    pub fn to_proto(&self) -> types::Division {
        let level = match self.code.level() {
            DivisionLevel::Province => types::DivisionLevel::Province,
            DivisionLevel::City => types::DivisionLevel::City,
            DivisionLevel::County => types::DivisionLevel::County,
            DivisionLevel::Town => types::DivisionLevel::Town,
            DivisionLevel::Village => types::DivisionLevel::Village,
        };
        types::Division {
            code: self.code.to_string(),
            name: self.name.clone(),
            level: level.into(),
            parent: self
                .code
                .parent()
                .map(|parent| parent.to_string())
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::given;

    use super::*;

    fn division(code: &str, name: &str) -> Division {
        Division {
            code: code.parse().unwrap(),
            name: name.into(),
        }
    }

    fn table() -> Vec<Division> {
        vec![
            division("350524", "安溪县"),
            division("350524100", "凤城镇"),
            division("350524100001", "先声社区居委会"),
        ]
    }

    #[test]
    fn a_county_with_its_towns_and_villages_is_published() {
        given::<Divisions>([])
            .when(Publish(table()))
            .then([Published(table())]);
    }

    #[test]
    fn the_same_table_again_changes_nothing() {
        given::<Divisions>([Published(table())])
            .when(Publish(table()))
            .then_nothing();
    }

    #[test]
    fn a_village_without_its_town_is_refused() {
        let mut orphaned = table();
        orphaned.remove(1);
        given::<Divisions>([])
            .when(Publish(orphaned))
            .then_refused(Refusal::ParentMissing(1));
    }

    #[test]
    fn a_table_without_a_county_or_with_another_county_is_refused() {
        given::<Divisions>([])
            .when(Publish(Vec::new()))
            .then_refused(Refusal::CountyMissing);
        let mut foreign = table();
        foreign.push(division("350525", "永春县"));
        given::<Divisions>([])
            .when(Publish(foreign))
            .then_refused(Refusal::OutsideCounty(3));
    }

    #[test]
    fn a_code_that_stands_twice_or_has_no_name_is_refused() {
        let mut twice = table();
        twice.push(division("350524100", "凤城镇"));
        given::<Divisions>([])
            .when(Publish(twice))
            .then_refused(Refusal::CodeRepeated(3));
        let mut nameless = table();
        nameless[2].name = " ".into();
        given::<Divisions>([])
            .when(Publish(nameless))
            .then_refused(Refusal::NameMissing(2));
    }

    #[test]
    fn tables_survive_the_wire() {
        let event = Published(table());
        assert_eq!(Divisions::decode(&Divisions::encode(&event)), Ok(event));
    }
}

//! Made-up elders of a made-up county, as many as a bench needs; each is told by a number alone.

use civic::{IdNumber, LocalDay};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use uuid::Uuid;

use crate::wire;

/// The county.
pub(super) const COUNTY: &str = "350524";

/// How many towns the county has.
pub(super) const TOWNS: u64 = 20;

/// How many villages each town has.
const VILLAGES: u64 = 20;

/// The day of the surveys and of all that is recorded.
pub(super) const AS_OF: &str = "2024-09-30";

/// Days of birth are spread over so many days from the first one on: at 60 to 93 years all are old enough.
const BIRTH_DAYS: u64 = 12_000;
const FIRST_BIRTH_DAY: &str = "1931-01-01";

/// The ids of elders who are put into the log directly.
const IDS: Uuid = Uuid::from_u128(0x5be0_6f1c_0d5a_4c63_9a51_2f8e_77c1_4d20);

const SURNAMES: [&str; 20] = [
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭",
    "何", "林", "高", "罗",
];
const GIVEN: [&str; 24] = [
    "秀", "英", "桂", "兰", "玉", "珍", "凤", "金", "建", "国", "志", "明", "德", "福", "永", "春",
    "文", "清", "海", "荣", "木", "水", "火", "土",
];

/// One made-up elder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person(pub(super) u64);

impl Person {
    /// The elder's id, where the bench chooses it.
    pub(super) fn id(self) -> Uuid {
        Uuid::new_v5(&IDS, &self.0.to_be_bytes())
    }

    /// The name.
    pub(super) fn name(self) -> String {
        let given = |number: u64| GIVEN[place(number, GIVEN.len())];
        let surname = SURNAMES[place(self.0, SURNAMES.len())];
        format!("{surname}{}{}", given(self.0 / 20), given(self.0 / 480))
    }

    /// The ID number: different for the first twelve million.
    pub(super) fn id_number(self) -> IdNumber {
        let birth = self.birth_day();
        let digits = format!(
            "{COUNTY}{:04}{:02}{:02}{:03}",
            birth.year(),
            birth.month_of_year(),
            birth.day_of_month(),
            1 + (self.0 / BIRTH_DAYS) % 999
        );
        let check = IdNumber::compute_check_char(&digits).expect("seventeen digits");
        format!("{digits}{check}")
            .parse()
            .expect("a well-formed ID number")
    }

    fn birth_day(self) -> LocalDay {
        // Neighbours are not born on neighbouring days.
        day(FIRST_BIRTH_DAY).plus_days((self.0 * 7_919 % BIRTH_DAYS).cast_signed())
    }

    /// The town, from 0.
    pub(super) fn town(self) -> u64 {
        self.0 % TOWNS
    }

    /// The village, from 0.
    fn village(self) -> u64 {
        self.0 / TOWNS % VILLAGES
    }

    /// The village's code.
    pub(super) fn village_code(self) -> String {
        village_code(self.town(), self.village())
    }

    /// The village's name.
    pub(super) fn village_name(self) -> String {
        village_name(self.village())
    }

    /// The address.
    pub(super) fn address(self) -> String {
        format!("{}组{}号", 1 + self.0 % 12, 1 + self.0 % 240)
    }

    /// The home's place on the map.
    pub(super) fn position(self) -> types::GeoPosition {
        #[expect(clippy::cast_precision_loss, reason = "a made-up place")]
        let part = |number: u64| number as f64 / 10_000.0;
        types::GeoPosition {
            latitude: 25.0 + part(self.0 % 997),
            longitude: 118.0 + part(self.0 % 991),
        }
    }

    /// The contact: name, relation and phone.
    pub(super) fn contact(self) -> (String, &'static str, String) {
        let contact = Self(self.0 + 7);
        let relation = ["子", "女", "配偶", "邻居"][place(self.0, 4)];
        (
            contact.name(),
            relation,
            format!("139{:08}", self.0 % 100_000_000),
        )
    }

    /// The level of capability; most are well.
    pub(super) fn level(self) -> types::CapabilityLevel {
        [
            types::CapabilityLevel::Intact,
            types::CapabilityLevel::Intact,
            types::CapabilityLevel::Intact,
            types::CapabilityLevel::Mild,
            types::CapabilityLevel::Mild,
            types::CapabilityLevel::Moderate,
            types::CapabilityLevel::Severe,
        ][place(self.0, 7)]
    }

    /// The category.
    pub(super) fn category(self) -> types::Category {
        [
            types::Category::LivingAlone,
            types::Category::EmptyNest,
            types::Category::LeftBehind,
            types::Category::Disabled,
            types::Category::SpecialFamily,
        ][place(self.0, 5)]
    }

    /// The request that registers the elder.
    pub(super) fn registration(self) -> pb::RegisterElderRequest {
        let (name, relation, phone) = self.contact();
        pb::RegisterElderRequest {
            request_id: Uuid::new_v4().to_string(),
            name: self.name(),
            id_number: self.id_number().as_str().to_owned(),
            division_code: self.village_code(),
            address: self.address(),
            position: Some(self.position()),
            categories: vec![self.category().into()],
            capability: Some(types::Capability {
                level: self.level().into(),
                assessed_on: Some(wire::date(day(AS_OF))),
                source: "ASSESSMENT_AGENCY".to_owned(),
            }),
            contacts: vec![types::Contact {
                name,
                relation: relation.to_owned(),
                phone,
                call_order: 0,
                supporter: false,
            }],
            consent: Some(pb::HomeVisitConsent {
                state: types::ConsentState::Granted.into(),
                by: types::ConsentGiver::Elder.into(),
                at: None,
            }),
            ..pb::RegisterElderRequest::default()
        }
    }
}

/// The request that records a new level for an elder; another one for each `time`.
pub(super) fn assessment(elder: &str, time: u64) -> pb::RecordAssessmentRequest {
    const LEVELS: [types::CapabilityLevel; 5] = [
        types::CapabilityLevel::Moderate,
        types::CapabilityLevel::Severe,
        types::CapabilityLevel::Mild,
        types::CapabilityLevel::Total,
        types::CapabilityLevel::Intact,
    ];
    pb::RecordAssessmentRequest {
        request_id: Uuid::new_v4().to_string(),
        elder_id: elder.to_owned(),
        etag: String::new(),
        assessed_on: Some(wire::date(
            day(AS_OF).plus_days(1 + (time % 300).cast_signed()),
        )),
        source: "ASSESSMENT_AGENCY".to_owned(),
        level: LEVELS[place(time, LEVELS.len())].into(),
        item_scores: Vec::new(),
    }
}

/// The request that makes the county's divisions known.
pub(super) fn divisions() -> pb::ImportDivisionsRequest {
    let division =
        |code: String, name: String, level: types::DivisionLevel, parent: String| types::Division {
            code,
            name,
            level: level.into(),
            parent,
        };
    let county = division(
        COUNTY.to_owned(),
        "安溪县".to_owned(),
        types::DivisionLevel::County,
        String::new(),
    );
    let towns = (0..TOWNS).map(|town| {
        let name = format!("第{}镇", 1 + town);
        division(
            town_code(town),
            name,
            types::DivisionLevel::Town,
            COUNTY.to_owned(),
        )
    });
    let villages = (0..TOWNS).flat_map(|town| {
        (0..VILLAGES).map(move |village| {
            let (code, name) = (village_code(town, village), village_name(village));
            division(code, name, types::DivisionLevel::Village, town_code(town))
        })
    });
    pb::ImportDivisionsRequest {
        request_id: Uuid::new_v4().to_string(),
        divisions: std::iter::once(county)
            .chain(towns)
            .chain(villages)
            .collect(),
    }
}

/// A town's code.
pub(super) fn town_code(town: u64) -> String {
    format!("{COUNTY}{:03}", 100 + town)
}

fn village_code(town: u64, village: u64) -> String {
    format!("{COUNTY}{:03}{:03}", 100 + town, 200 + village)
}

fn village_name(village: u64) -> String {
    format!(
        "{}{}村委会",
        GIVEN[place(village, GIVEN.len())],
        GIVEN[place(village / 24 + 5, GIVEN.len())]
    )
}

/// A day written in this file.
pub(super) fn day(text: &str) -> LocalDay {
    text.parse().expect("a day of the calendar")
}

fn place(number: u64, of: usize) -> usize {
    usize::try_from(number % of as u64).expect("a small number")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_elder_has_an_id_number_of_their_own() {
        let numbers: HashSet<_> = (0..30_000)
            .map(|number| Person(number).id_number())
            .collect();
        assert_eq!(numbers.len(), 30_000);
    }

    #[test]
    fn villages_of_a_town_differ_in_name() {
        let names: HashSet<_> = (0..VILLAGES).map(village_name).collect();
        assert_eq!(names.len() as u64, VILLAGES);
    }
}

//! Which village of the town a survey means, since people write its name in more than one way.

use std::collections::HashMap;

use civic::VillageCode;

use super::cells::is_blank;

/// How the names of villages and communities end, the longest first.
const ENDINGS: &[&str] = &[
    "社区居民委员会",
    "村民委员会",
    "居民委员会",
    "社区居委会",
    "村委会",
    "居委会",
    "社区",
    "村",
];

/// The villages and communities of one town, by their names.
#[derive(Debug, Clone, Default)]
pub struct TownVillages {
    by_name: HashMap<String, Found>,
    by_stem: HashMap<String, Found>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    One(VillageCode),
    Several,
}

impl TownVillages {
    /// The villages of a town, each with its code and its official name.
    pub fn new<N: AsRef<str>>(villages: impl IntoIterator<Item = (VillageCode, N)>) -> Self {
        let mut town = Self::default();
        for (code, name) in villages {
            let name = tidied(name.as_ref());
            add(&mut town.by_stem, stem(&name).to_owned(), code);
            add(&mut town.by_name, name, code);
        }
        town
    }

    /// The village that a cell names: by its exact name, else the single one whose name, less its ending, equals the
    /// cell or the cell less its ending (domain rule `VILLAGE_UNKNOWN`). `None` where none or several do.
    #[must_use]
    pub fn find(&self, cell: &str) -> Option<VillageCode> {
        let cell = tidied(cell);
        if cell.is_empty() {
            return None;
        }
        if let Some(found) = self.by_name.get(&cell) {
            return found.single();
        }
        let (whole, stem) = (self.by_stem.get(&cell), self.by_stem.get(stem(&cell)));
        match (whole, stem) {
            (Some(found), None) | (None, Some(found)) => found.single(),
            // Two villages may be meant: one whose stem is the whole cell, one whose stem is the cell's stem.
            (Some(one), Some(other)) if one == other => one.single(),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

impl Found {
    fn single(self) -> Option<VillageCode> {
        match self {
            Self::One(code) => Some(code),
            Self::Several => None,
        }
    }
}

fn add(names: &mut HashMap<String, Found>, name: String, code: VillageCode) {
    names
        .entry(name)
        .and_modify(|found| {
            if *found != Found::One(code) {
                *found = Found::Several;
            }
        })
        .or_insert(Found::One(code));
}

/// The name less its longest ending, once.
fn stem(name: &str) -> &str {
    ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

fn tidied(name: &str) -> String {
    name.chars().filter(|c| !is_blank(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(number: u32) -> VillageCode {
        format!("350524100{number:03}").parse().unwrap()
    }

    fn town() -> TownVillages {
        TownVillages::new([
            (code(1), "下西社区居委会"),
            (code(2), "土楼村委会"),
            (code(3), "大坪村委会"),
            (code(4), "大坪社区居委会"),
            (code(5), "新村村委会"),
            (code(6), "新社区居委会"),
            (code(7), "良种场生活区"),
            (code(8), "同名村委会"),
            (code(9), "同名村委会"),
        ])
    }

    #[test]
    fn a_village_is_found_by_its_name_or_without_its_ending() {
        for (cell, expected) in [
            ("下西社区居委会", Some(1)),
            ("下西社区", Some(1)),
            ("下西", Some(1)),
            ("下西村", Some(1)),
            ("土楼", Some(2)),
            ("土楼村", Some(2)),
            ("土楼村民委员会", Some(2)),
            (" 土 楼\u{3000}村 ", Some(2)),
            ("良种场生活区", Some(7)),
            ("良种场", None),
            ("", None),
            ("不详", None),
        ] {
            assert_eq!(town().find(cell), expected.map(code), "{cell}");
        }
    }

    #[test]
    fn a_name_that_fits_two_villages_is_unknown_unless_it_is_exact() {
        assert_eq!(town().find("大坪"), None);
        assert_eq!(town().find("大坪村"), None);
        assert_eq!(town().find("大坪村委会"), Some(code(3)));
        assert_eq!(town().find("同名村委会"), None);
    }

    #[test]
    fn an_ending_is_taken_off_once_and_the_longest_one() {
        // 新村村委会 less its ending is 新村, and 新村 less its own is 新, the stem of another community.
        assert_eq!(town().find("新村"), None);
        assert_eq!(town().find("新村村"), Some(code(5)));
        assert_eq!(town().find("新"), Some(code(6)));
        assert_eq!(town().find("新社区居民委员会"), Some(code(6)));
    }

    #[test]
    fn a_cell_of_nothing_but_an_ending_names_no_village() {
        assert_eq!(town().find("村委会"), None);
    }
}

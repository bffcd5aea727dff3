//! Where a village is, for elders and visitors whose home is not known: the middle of the homes that are.

use std::collections::BTreeMap;

use civic::{DivisionCode, GeoPosition, VillageCode};

/// The centres of villages, and of towns and counties for villages without any known home.
#[derive(Debug, Clone, Default)]
pub struct Centres {
    sums: BTreeMap<DivisionCode, Sum>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    latitude: f64,
    longitude: f64,
    homes: u32,
}

impl Centres {
    /// Counts a known home in.
    pub fn add(&mut self, village: VillageCode, home: GeoPosition) {
        for division in [village.division(), village.town(), village.county()] {
            let sum = self.sums.entry(division).or_default();
            sum.latitude += home.latitude();
            sum.longitude += home.longitude();
            sum.homes += 1;
        }
    }

    /// The mean of the village's known homes; without any that of the town's, then that of the county's;
    /// `None` when no home of the county is known.
    #[must_use]
    pub fn of(&self, village: VillageCode) -> Option<GeoPosition> {
        let divisions = [village.division(), village.town(), village.county()];
        let sum = divisions
            .iter()
            .find_map(|division| self.sums.get(division))?;
        let homes = f64::from(sum.homes);
        GeoPosition::new(sum.latitude / homes, sum.longitude / homes).ok()
    }
}

impl FromIterator<(VillageCode, GeoPosition)> for Centres {
    fn from_iter<I: IntoIterator<Item = (VillageCode, GeoPosition)>>(homes: I) -> Self {
        let mut centres = Self::default();
        for (village, home) in homes {
            centres.add(village, home);
        }
        centres
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn village(code: &str) -> VillageCode {
        code.parse().unwrap()
    }

    fn at(latitude: f64, longitude: f64) -> GeoPosition {
        GeoPosition::new(latitude, longitude).unwrap()
    }

    #[test]
    fn a_village_without_a_known_home_lies_at_the_centre_of_its_town_and_then_of_its_county() {
        let homes = [
            (village("350524100001"), at(25.0, 118.0)),
            (village("350524100001"), at(25.5, 118.25)),
            (village("350524100002"), at(26.0, 118.75)),
        ];
        let centres: Centres = homes.into_iter().collect();
        assert_eq!(
            centres.of(village("350524100001")),
            Some(at(25.25, 118.125))
        );
        let middle = Some(at(25.5, 355.0 / 3.0));
        assert_eq!(centres.of(village("350524100003")), middle);
        assert_eq!(centres.of(village("350524101001")), middle);
        assert_eq!(centres.of(village("350525100001")), None);
    }
}

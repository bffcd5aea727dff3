//! A place on the map: where an elder lives, or where a visitor checked in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The radius of the sphere on which distances are measured, in metres.
pub const EARTH_RADIUS_METRES: f64 = 6_371_000.0;

/// A position in degrees, WGS 84.
///
/// Personal: `Debug` shows nothing of it, and there is no `Display`. Serde writes `latitude` and `longitude`.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Degrees")]
pub struct GeoPosition {
    latitude: f64,
    longitude: f64,
}

/// Why something is no position. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GeoPositionError {
    /// The latitude is no number from -90 to 90.
    #[error("the latitude is not from -90 to 90 degrees")]
    Latitude,
    /// The longitude is no number from -180 to 180.
    #[error("the longitude is not from -180 to 180 degrees")]
    Longitude,
}

#[derive(Deserialize)]
struct Degrees {
    latitude: f64,
    longitude: f64,
}

impl TryFrom<Degrees> for GeoPosition {
    type Error = GeoPositionError;

    fn try_from(degrees: Degrees) -> Result<Self, GeoPositionError> {
        Self::new(degrees.latitude, degrees.longitude)
    }
}

// Not-a-number never gets in, so that equality is total.
impl Eq for GeoPosition {}

impl GeoPosition {
    /// A position from its degrees.
    ///
    /// # Errors
    ///
    /// When either is no number, or out of range.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, GeoPositionError> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(GeoPositionError::Latitude);
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(GeoPositionError::Longitude);
        }
        Ok(Self {
            latitude,
            longitude,
        })
    }

    /// Degrees north of the equator, -90 to 90.
    #[must_use]
    pub fn latitude(&self) -> f64 {
        self.latitude
    }

    /// Degrees east of Greenwich, -180 to 180.
    #[must_use]
    pub fn longitude(&self) -> f64 {
        self.longitude
    }

    /// The distance in metres along a great circle, by the haversine formula on a sphere of [`EARTH_RADIUS_METRES`].
    #[must_use]
    pub fn metres_to(&self, other: &Self) -> f64 {
        let half_latitude = (other.latitude - self.latitude).to_radians() / 2.0;
        let half_longitude = (other.longitude - self.longitude).to_radians() / 2.0;
        let h = half_latitude.sin().powi(2)
            + self.latitude.to_radians().cos()
                * other.latitude.to_radians().cos()
                * half_longitude.sin().powi(2);
        // Rounding can carry h past 1 for two opposite places, where the arc sine ends.
        2.0 * EARTH_RADIUS_METRES * h.sqrt().min(1.0).asin()
    }
}

impl fmt::Debug for GeoPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GeoPosition(**)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> GeoPosition {
        GeoPosition::new(latitude, longitude).unwrap()
    }

    #[test]
    fn a_degree_of_latitude_is_a_360th_of_the_circumference() {
        let degree = std::f64::consts::TAU * EARTH_RADIUS_METRES / 360.0;
        assert!((at(25.0, 117.0).metres_to(&at(26.0, 117.0)) - degree).abs() < 1e-6);
    }

    #[test]
    fn distances_are_the_same_in_both_directions_and_nought_to_itself() {
        let (home, door) = (at(25.021892, 117.715886), at(25.0252, 117.7189));
        assert_eq!(home.metres_to(&door), door.metres_to(&home));
        assert_eq!(home.metres_to(&home), 0.0);
    }

    #[test]
    fn opposite_places_are_half_a_circumference_apart() {
        let half = std::f64::consts::PI * EARTH_RADIUS_METRES;
        assert!((at(0.0, 0.0).metres_to(&at(0.0, 180.0)) - half).abs() < 1e-6);
        assert!((at(90.0, 0.0).metres_to(&at(-90.0, 0.0)) - half).abs() < 1e-6);
    }

    #[test]
    fn the_line_of_the_date_does_not_part_neighbours() {
        assert!(at(0.0, 179.999).metres_to(&at(0.0, -179.999)) < 250.0);
    }

    #[test]
    fn degrees_out_of_range_are_refused() {
        for latitude in [90.1, -90.1, f64::NAN, f64::INFINITY] {
            assert_eq!(
                GeoPosition::new(latitude, 0.0),
                Err(GeoPositionError::Latitude)
            );
        }
        for longitude in [180.1, -180.1, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(
                GeoPosition::new(0.0, longitude),
                Err(GeoPositionError::Longitude)
            );
        }
    }

    #[test]
    fn serde_checks_the_range_too() {
        let home = at(25.021892, 117.715886);
        let json = serde_json::to_string(&home).unwrap();
        assert_eq!(json, r#"{"latitude":25.021892,"longitude":117.715886}"#);
        assert_eq!(serde_json::from_str::<GeoPosition>(&json).unwrap(), home);
        assert!(serde_json::from_str::<GeoPosition>(r#"{"latitude":91,"longitude":0}"#).is_err());
    }

    #[test]
    fn debug_shows_nothing_of_the_position() {
        assert_eq!(format!("{:?}", at(25.0, 117.0)), "GeoPosition(**)");
    }
}

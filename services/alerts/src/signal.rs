//! What a device sends, and when it was.
//!
//! Rule: section 4.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use civic::SignalKind;
use serde::{Deserialize, Serialize};

/// A device's clock may be so much ahead of the signal's arrival; where it is further ahead, it is not believed.
pub const CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(10);

/// The longest id of a device.
const LONGEST_ID: usize = 64;

/// The id of a device, as its maker or the department gave it: letters, digits, `-` and `_`, so that it can stand in a
/// topic and in a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(Box<str>);

/// A text is no id of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device id has 1 to {LONGEST_ID} letters, digits, `-` and `_`")]
pub struct DeviceIdError;

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(token) {
            Ok(Self(text.into()))
        } else {
            Err(DeviceIdError)
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = DeviceIdError;

    fn try_from(text: String) -> Result<Self, DeviceIdError> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0.into()
    }
}

impl DeviceId {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signal as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The device's id of it: of several with the same id all but the first are repetitions.
    pub id: String,
    /// Whose it is.
    pub device: DeviceId,
    /// What it says.
    pub kind: SignalKind,
    /// When, by the device's clock.
    pub device_time: DateTime<Utc>,
    /// When it arrived.
    pub arrived_at: DateTime<Utc>,
    /// Of [`SignalKind::Flow`], how much water ran.
    pub litres: Option<f64>,
    /// Where it stands in the stream of signals.
    pub sequence: u64,
}

impl Signal {
    /// When it was: by the device's clock, unless that is too far ahead.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        if self.device_time - self.arrived_at > CLOCK_AHEAD {
            self.arrived_at
        } else {
            self.device_time
        }
    }

    /// Whether water ran.
    #[must_use]
    pub fn is_flow(&self) -> bool {
        self.kind == SignalKind::Flow && self.litres.is_some_and(|litres| litres > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_731_254_400 + minute * 60, 0).unwrap()
    }

    fn signal(device: i64, arrived: i64, litres: Option<f64>) -> Signal {
        Signal {
            id: "1".to_owned(),
            device: "WM0001".parse().unwrap(),
            kind: SignalKind::Flow,
            device_time: at(device),
            arrived_at: at(arrived),
            litres,
            sequence: 1,
        }
    }

    #[test]
    fn a_clock_that_is_too_far_ahead_is_not_believed() {
        assert_eq!(signal(10, 0, None).time(), at(10));
        assert_eq!(signal(11, 0, None).time(), at(0));
        assert_eq!(signal(-600, 0, None).time(), at(-600));
    }

    #[test]
    fn only_water_that_ran_is_flow() {
        let flows = [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(0.1)]
            .map(|litres| signal(0, 0, litres).is_flow());
        assert_eq!(flows, [false, false, false, false, true]);
    }

    #[test]
    fn ids_can_stand_in_topics_and_subjects() {
        for wrong in ["", "a.b", "a/b", "a b", "#", "水表", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<DeviceId>(), Err(DeviceIdError), "{wrong}");
        }
        assert_eq!(
            "WM-00_1".parse::<DeviceId>().unwrap().to_string(),
            "WM-00_1"
        );
    }
}

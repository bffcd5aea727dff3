//! The names of lines of alerts.

use std::fmt;
use std::str::FromStr;

use civic::{AlertKind, ElderId};

use crate::signal::DeviceId;

/// Which line: `SOS-<elder>`, `DEVICE_FAULT-<device>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId {
    /// What its alerts are about.
    pub kind: AlertKind,
    /// About whom, or about what.
    pub of: About,
}

/// About whom, or about what, the alerts of a line are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum About {
    /// An elder.
    Elder(ElderId),
    /// A device: DEVICE_OFFLINE and DEVICE_FAULT.
    Device(DeviceId),
}

/// A text names no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is a kind of alert, `-`, and an elder or a device")]
pub struct LineIdError;

impl LineId {
    /// The line of a kind about an elder, or about the device where the kind is of devices.
    #[must_use]
    pub fn of(kind: AlertKind, elder: ElderId, device: &DeviceId) -> Self {
        let of = if kind.is_of_a_device() {
            About::Device(device.clone())
        } else {
            About::Elder(elder)
        };
        Self { kind, of }
    }

    /// The line of a kind about an elder.
    #[must_use]
    pub fn of_elder(kind: AlertKind, elder: ElderId) -> Self {
        Self {
            kind,
            of: About::Elder(elder),
        }
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            About::Elder(elder) => write!(f, "{}-{elder}", self.kind),
            About::Device(device) => write!(f, "{}-{device}", self.kind),
        }
    }
}

impl FromStr for LineId {
    type Err = LineIdError;

    fn from_str(text: &str) -> Result<Self, LineIdError> {
        let (kind, of) = text.split_once('-').ok_or(LineIdError)?;
        let kind: AlertKind = kind.parse().map_err(|_kind| LineIdError)?;
        let of = if kind.is_of_a_device() {
            About::Device(of.parse().map_err(|_id| LineIdError)?)
        } else {
            About::Elder(of.parse().map_err(|_id| LineIdError)?)
        };
        Ok(Self { kind, of })
    }
}

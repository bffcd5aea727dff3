//! By which thresholds alerts are raised, and after how long the next people are told.
//!
//! Rule: section 4, both tables.

use chrono::TimeDelta;
use civic::Severity;

/// Thresholds and delays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// After so long without water a home is inactive.
    pub inactive_after: TimeDelta,
    /// A meter from which nothing came for longer is not heard: nobody knows whether water ran.
    pub unheard_after: TimeDelta,
    /// After so long without any signal a device is off line.
    pub offline_after: TimeDelta,
    /// When each level of a critical alert is reached, from the alert's time on.
    pub critical: Vec<TimeDelta>,
    /// The same of a high one.
    pub high: Vec<TimeDelta>,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        let minutes = |delays: [i64; 3]| delays.map(TimeDelta::minutes).to_vec();
        Self {
            inactive_after: TimeDelta::hours(12),
            unheard_after: TimeDelta::hours(2),
            offline_after: TimeDelta::hours(24),
            critical: minutes([0, 2, 5]),
            high: minutes([0, 15, 60]),
        }
    }
}

impl AlertPolicy {
    /// When the levels of an alert are reached, from its time on; none where it has no levels.
    #[must_use]
    pub fn levels(&self, severity: Severity) -> &[TimeDelta] {
        match severity {
            Severity::Critical => &self.critical,
            Severity::High => &self.high,
            Severity::Low | Severity::Notice => &[],
        }
    }
}

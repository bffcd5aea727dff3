//! What of a document each event shows: whoever is granted nothing of that does not hear of the event, whose name alone would tell
//! it.

use super::standing::{Feed, Standing};

/// The fields of a document that an event may have changed; none where that may be all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown(Option<&'static [&'static str]>);

impl Shown {
    /// What an event of a type shows.
    pub(super) fn by(event_type: &str) -> Self {
        let name = event_type.rsplit('.').next().unwrap_or(event_type);
        Self(fields_of(name))
    }

    /// Whether something of it is granted on a feed.
    pub(super) fn is_heard_on(self, standing: &Standing, feed: &Feed) -> bool {
        let granted = standing.get(feed).map(|granted| &granted.grants);
        let granted =
            |field: &&str| granted.is_some_and(|grants| grants.get(feed.product, field).is_some());
        self.0.is_none_or(|fields| fields.iter().any(granted))
    }
}

fn fields_of(event: &str) -> Option<&'static [&'static str]> {
    let fields: &[&str] = match event {
        "IdentityCorrected" => &["name", "id_number", "sex", "birth_date", "age"],
        "ElderRelocated" => &["division_code", "address"],
        "CapabilityAssessed" => &["capability"],
        "HandicapRecorded" => &["handicap_grade"],
        "ObservationRecorded" | "ObservationEnded" => &["observations"],
        "ContactsSet" => &["contacts"],
        "ConsentGranted" | "ConsentRefused" | "ConsentWithdrawn" => &["consent"],
        "ProfileUpdated" => &["categories", "assistance"],
        "ElderDied" | "ElderMovedOut" | "ElderReinstated" => &["status"],
        "RecordDoubted" => &["doubts", "counted"],
        "RecordConfirmed" | "RecordRejected" => &["counted"],
        "ReferralOpened" => &["findings"],
        "AlertEscalated" => &["level"],
        "AlertAcknowledged" => &["state", "acknowledged_at"],
        "HelpDispatched" => &["state", "dispatched_at"],
        "HelpArrived" => &["state", "arrived_at"],
        "AlertResolved" => &["state", "resolved_at", "outcome"],
        "OrderApproved" | "OrderHeldAbnormal" | "OrderNotSettled" | "AppealFiled"
        | "AppealAccepted" | "AppealRefused" => &["state", "codes"],
        "SettlementPaid" => &["state", "paid_on"],
        "EntitlementConsumed" | "EntitlementReleased" => &["units_used", "units_left"],
        "ProgrammeDefined" => &["unit", "units_a_year", "units_left"],
        "EnrolmentEnded" => &[
            "last_day",
            "units_used",
            "unit",
            "units_a_year",
            "units_left",
        ],
        _ => return None,
    };
    Some(fields)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use civic::DivisionCode;
    use uuid::Uuid;

    use super::*;
    use crate::agreement::Terms;
    use crate::cut::{Cut, Grants};
    use crate::products::ProductName;

    fn standing(field: &'static str) -> Standing {
        let mut products = Grants::default();
        products.grant(ProductName::Elder, field, Cut::Masked);
        let division: DivisionCode = "350524".parse().unwrap();
        let terms = Terms {
            department: "health".to_owned(),
            purpose: String::new(),
            legal_basis: String::new(),
            products,
            divisions: BTreeSet::from([division]),
            until: "2024-12-31".parse().unwrap(),
        };
        Standing::of(&[(Uuid::nil(), terms)])
    }

    #[test]
    fn an_event_is_heard_where_something_of_what_it_shows_is_granted() {
        let heard = |field, event: &str| {
            let standing = standing(field);
            let (feed, _) = standing.iter().next().unwrap();
            Shown::by(event).is_heard_on(&standing, feed)
        };
        let handicap = "eldercare.registry.v1.HandicapRecorded";
        assert!(!heard("name", handicap) && heard("handicap_grade", handicap));
        assert!(heard("name", "eldercare.registry.v1.ElderRegistered"));
    }
}

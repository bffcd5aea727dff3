//! What of a document each event shows: whoever is granted nothing of that does not hear of the event, whose name alone would tell
//! it.

/// The fields that an event may have changed, by its name; none where that may be all.
pub(super) fn fields_of(event: &str) -> Option<&'static [&'static str]> {
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
        "EntitlementConsumed" | "EntitlementReleased" => &["units_used"],
        "EnrolmentEnded" => &["last_day", "units_used"],
        _ => return None,
    };
    Some(fields)
}

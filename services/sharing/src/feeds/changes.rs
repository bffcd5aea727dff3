//! Which documents the events of the logs change.
//!
//! Each read model tells it of its own log, by the reading that its rows are made of: what it can't read changes nothing.

use civic::ElderId;
use eventlog::{DecodeError, RawEvent, Record};
use uuid::Uuid;

use crate::products::ProductName;
use crate::{alerts_table, claims_table, elders_table, tiers_table, visits_table};

/// A document that an event changed, as far as the event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The product.
    pub(crate) product: ProductName,
    /// Which document, or which ones.
    pub(crate) which: Which,
    /// The place of the event among those of its record.
    pub(crate) event: usize,
}

/// Which documents of a product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    /// The one with this key; of an elder or a tier it is the elder's id.
    One(Uuid),
    /// All orders that a settlement bears.
    Settlement {
        /// The settlements of a programme and a provider.
        settlements: String,
        /// Which of these.
        number: i32,
    },
    /// All enrolments whose used units are those of a calendar year of an elder in a programme.
    Account {
        /// The elder.
        elder: ElderId,
        /// The programme.
        programme: String,
        /// The calendar year.
        year: i32,
    },
    /// All enrolments of which a version of a programme says otherwise than the one before what a calendar year's entitlement is.
    Version {
        /// The programme.
        programme: String,
        /// Which of its versions.
        version: i32,
    },
}

/// What a record of a stream changes. Of our own log there are no documents.
pub(crate) fn changes(stream: &str, record: &Record) -> Vec<Change> {
    match stream {
        "REGISTRY" => elders_table::changes(record),
        "TIERING" => tiers_table::changes(record),
        "VISITS" => visits_table::changes(record),
        "ALERTS" => alerts_table::changes(record),
        "CLAIMS" => claims_table::changes(record),
        _ => Vec::new(),
    }
}

/// What the events of a record change, each as `read` says: none where it changes no document, or can't be read.
pub(crate) fn of_events(
    record: &Record,
    read: impl Fn(&RawEvent) -> Result<Option<(ProductName, Which)>, DecodeError>,
) -> Vec<Change> {
    let events = record.events.iter().enumerate();
    let changes = events.filter_map(|(event, raw)| {
        let (product, which) = read(raw).ok().flatten()?;
        Some(Change {
            product,
            which,
            event,
        })
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use civic::{LocalDay, Set};
    use elders::codec::{self, write_day};
    use elders::event::{Event, Merge, ProfileUpdated};
    use elders::wire::write_time;
    use eventlog::Subject;
    use proto::eldercare::alerts::v1 as alerts;
    use proto::eldercare::claims::v1 as claims;
    use proto::eldercare::tiering::v1 as tiering;
    use proto::eldercare::visits::v1 as visits;

    use super::*;

    const ELDER: ElderId = ElderId(Uuid::from_u128(1));
    const KEY: Uuid = Uuid::from_u128(7);

    fn record(subject: &str, events: Vec<RawEvent>) -> Record {
        let now = "2024-10-01T09:00:00+08:00".parse().unwrap();
        Record {
            sequence: 1,
            subject: Subject::parse(subject).unwrap(),
            metadata: service::testing::metadata(now, "350524100001"),
            events,
        }
    }

    /// What events of an aggregate change, with the places of these events.
    fn changed<const N: usize>(
        context: &str,
        aggregate: &str,
        events: [RawEvent; N],
    ) -> Vec<(usize, ProductName, Which)> {
        let subject = format!("eldercare.{context}.{aggregate}");
        let record = record(&subject, events.to_vec());
        let changes = changes(&context.to_ascii_uppercase(), &record).into_iter();
        changes
            .map(|change| (change.event, change.product, change.which))
            .collect()
    }

    fn day() -> LocalDay {
        "2024-10-01".parse().unwrap()
    }

    fn unreadable(event_type: &str) -> RawEvent {
        RawEvent {
            event_type: event_type.to_owned(),
            data: vec![0xff].into(),
        }
    }

    #[test]
    fn what_is_told_of_an_elder_changes_the_file_where_a_field_shows_it() {
        let wishes = ProfileUpdated {
            wanted_services: Some(Set::new()),
            ..ProfileUpdated::default()
        };
        let categories = ProfileUpdated {
            categories: Some(Set::new()),
            ..ProfileUpdated::default()
        };
        let events = [
            Event::Died { on: day() },
            Event::ProfileUpdated(wishes),
            Event::ProfileUpdated(categories),
            Event::CircumstanceEnded {
                id: KEY,
                last_day: day(),
            },
            Event::Erased {
                reason: "REQUEST".to_owned(),
            },
        ];
        let found = changed(
            "registry",
            &format!("elder.{ELDER}"),
            events.map(|event| codec::encode(&event)),
        );
        let elder = |event: usize| (event, ProductName::Elder, Which::One(ELDER.as_uuid()));
        assert_eq!(found, [0, 2, 4].map(elder));
    }

    #[test]
    fn a_merge_changes_both_files_by_their_own_records() {
        let merged = codec::encode(&Event::Merged(Merge {
            surviving: ELDER,
            merged: ElderId(KEY),
            reason: "DUPLICATE".to_owned(),
        }));
        for elder in [ELDER.as_uuid(), KEY] {
            let aggregate = format!("elder.{elder}");
            let found = changed("registry", &aggregate, [merged.clone()]);
            assert_eq!(found, [(0, ProductName::Elder, Which::One(elder))]);
        }
        assert!(changed("registry", "duplicate.pair", [merged]).is_empty());
    }

    #[test]
    fn what_cannot_be_read_changes_nothing_and_the_rest_keeps_its_place() {
        let confirmed = RawEvent::of(&visits::RecordConfirmed {
            record_id: KEY.to_string(),
        });
        let malformed = unreadable(&confirmed.event_type);
        let unknown = unreadable("eldercare.visits.v1.Unheard");
        let found = changed(
            "visits",
            &format!("year.{ELDER}-2024"),
            [malformed, unknown, confirmed.clone()],
        );
        assert_eq!(found, [(2, ProductName::Visit, Which::One(KEY))]);
        assert!(changed("visits", "year.2024", [confirmed]).is_empty());
    }

    #[test]
    fn duties_and_answers_change_no_visit() {
        let period = visits::Period {
            kind: visits::PeriodKind::Month.into(),
            first_day: Some(write_day(day())),
            ..visits::Period::default()
        };
        let met = RawEvent::of(&visits::DutyMet {
            elder_id: ELDER.to_string(),
            period: Some(period),
            late: true,
            ..visits::DutyMet::default()
        });
        let closed = RawEvent::of(&visits::ReferralClosed::default());
        let aggregate = format!("year.{ELDER}-2024");
        assert!(changed("visits", &aggregate, [met, closed]).is_empty());
    }

    #[test]
    fn a_tier_changes_also_when_it_ends_and_by_no_policy() {
        let ended = RawEvent::of(&tiering::TierEnded {
            elder_id: ELDER.to_string(),
            on: Some(write_day(day())),
        });
        let published = RawEvent::of(&tiering::PolicyPublished::default());
        let found = changed("tiering", "decisions.tiers", [published, ended]);
        let tier = (1, ProductName::Tier, Which::One(ELDER.as_uuid()));
        assert_eq!(found, [tier]);
    }

    #[test]
    fn an_alert_changes_as_help_comes() {
        let joined = RawEvent::of(&alerts::SignalJoined::default());
        let arrived = RawEvent::of(&alerts::HelpArrived {
            alert_id: KEY.to_string(),
            at: Some(write_time("2024-10-01T09:00:00+08:00".parse().unwrap())),
        });
        let line = format!("line.{ELDER}");
        let found = changed("alerts", &line, [joined, arrived.clone()]);
        assert_eq!(found, [(1, ProductName::Alert, Which::One(KEY))]);
        assert!(changed("alerts", "device.1", [arrived]).is_empty());
    }

    #[test]
    fn a_verdict_changes_the_order_and_what_it_uses_the_enrolments() {
        let approved = RawEvent::of(&claims::OrderApproved {
            order_key: KEY.to_string(),
            ..claims::OrderApproved::default()
        });
        let consumed = RawEvent::of(&claims::EntitlementConsumed {
            order_key: KEY.to_string(),
            programme_code: "LTCI".to_owned(),
            elder_id: ELDER.to_string(),
            year: 2024,
            units: 1,
        });
        let booked = RawEvent::of(&claims::PremiumsBooked::default());
        let found = changed(
            "claims",
            "adjudication.orders",
            [approved, consumed, booked],
        );
        let account = Which::Account {
            elder: ELDER,
            programme: "LTCI".to_owned(),
            year: 2024,
        };
        let expected = [
            (0, ProductName::Order, Which::One(KEY)),
            (1, ProductName::Enrolment, account),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_appeal_changes_the_order_in_whose_own_records_it_stands() {
        let filed = RawEvent::of(&claims::AppealFiled::default());
        let found = changed("claims", &format!("order.{KEY}"), [filed]);
        assert_eq!(found, [(0, ProductName::Order, Which::One(KEY))]);
    }

    #[test]
    fn a_settlement_changes_its_orders_once_it_is_paid() {
        let drafted = RawEvent::of(&claims::SettlementDrafted::default());
        let confirmed = RawEvent::of(&claims::SettlementConfirmed {
            number: 3,
            ..Default::default()
        });
        let paid = RawEvent::of(&claims::SettlementPaid {
            number: 3,
            paid_on: Some(write_day(day())),
            ..claims::SettlementPaid::default()
        });
        let found = changed("claims", "settlements.LTCI-P01", [drafted, confirmed, paid]);
        let settlement = Which::Settlement {
            settlements: "LTCI-P01".to_owned(),
            number: 3,
        };
        assert_eq!(found, [(2, ProductName::Order, settlement)]);
    }

    #[test]
    fn an_enrolment_changes_when_it_ends_and_by_no_premium() {
        let charged = RawEvent::of(&claims::PremiumCharged {
            programme_code: "LTCI".to_owned(),
            elder_id: ELDER.to_string(),
            enrolment_id: KEY.to_string(),
            year: 2024,
            amount_fen: 30_000,
        });
        let ended = RawEvent::of(&claims::EnrolmentEnded {
            programme_code: "LTCI".to_owned(),
            elder_id: ELDER.to_string(),
            enrolment_id: KEY.to_string(),
            last_day: Some(write_day(day())),
        });
        let aggregate = format!("enrolment.LTCI-{ELDER}");
        let found = changed("claims", &aggregate, [charged, ended]);
        assert_eq!(found, [(1, ProductName::Enrolment, Which::One(KEY))]);
    }

    #[test]
    fn a_version_of_a_programme_changes_enrolments_and_a_contract_none() {
        let defined = RawEvent::of(&claims::ProgrammeDefined {
            version: 2,
            effective_from: Some(write_day(day())),
            definition: "quota: {services: 12}".to_owned(),
            ..claims::ProgrammeDefined::default()
        });
        let found = changed("claims", "programme.LTCI", [defined]);
        let version = Which::Version {
            programme: "LTCI".to_owned(),
            version: 2,
        };
        assert_eq!(found, [(0, ProductName::Enrolment, version)]);
        let contracted = RawEvent::of(&claims::ProviderContracted::default());
        assert!(changed("claims", "provider.P01", [contracted]).is_empty());
    }

    #[test]
    fn our_own_log_changes_no_document() {
        let died = codec::encode(&Event::Died { on: day() });
        let found = changed("sharing", &format!("elder.{ELDER}"), [died]);
        assert!(found.is_empty());
    }
}

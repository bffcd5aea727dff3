//! Events of orders and their appeals become wire bytes and back.

use civic::Fen;
use elders::codec::write_day;
use elders::terms::{WireTerm as _, set_from_wire, wire_set};
use elders::wire::{self, write_time};
use eventlog::{Aggregate, DecodeError, RawEvent, Record};
use prost::Name as _;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;

use super::CONTEXT;
use super::register::count;
use crate::judging::{Evidence, JudgedFacts};
use crate::order::{self, Order, Submitted};

impl Aggregate for Order {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "order";

    fn encode(event: &order::Event) -> RawEvent {
        match event {
            order::Event::Submitted(submitted) => RawEvent::of(&write_submitted(submitted)),
            order::Event::AppealFiled {
                statement,
                evidence,
                by,
            } => RawEvent::of(&pb::AppealFiled {
                statement: Some(types::Sealed::from(statement)),
                evidence: evidence.iter().map(write_evidence).collect(),
                filed_by: by.clone(),
            }),
            order::Event::AppealAccepted { by } => RawEvent::of(&pb::AppealAccepted {
                decided_by: by.clone(),
            }),
            order::Event::AppealRefused { by } => RawEvent::of(&pb::AppealRefused {
                decided_by: by.clone(),
            }),
            order::Event::NotSettled { key, reason } => RawEvent::of(&pb::OrderNotSettled {
                order_key: key.to_string(),
                reason: reason.wire(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<order::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::OrderSubmitted::full_name() {
            let submitted = read_submitted(wire::message(raw)?)?;
            Ok(order::Event::Submitted(Box::new(submitted)))
        } else if name == pb::AppealFiled::full_name() {
            let message: pb::AppealFiled = wire::message(raw)?;
            Ok(order::Event::AppealFiled {
                statement: wire::sealed(message.statement, "statement")?,
                evidence: all_evidence(message.evidence)?,
                by: message.filed_by,
            })
        } else if name == pb::AppealAccepted::full_name() {
            let message: pb::AppealAccepted = wire::message(raw)?;
            let by = message.decided_by;
            Ok(order::Event::AppealAccepted { by })
        } else if name == pb::AppealRefused::full_name() {
            let message: pb::AppealRefused = wire::message(raw)?;
            let by = message.decided_by;
            Ok(order::Event::AppealRefused { by })
        } else if name == pb::OrderNotSettled::full_name() {
            let message: pb::OrderNotSettled = wire::message(raw)?;
            Ok(order::Event::NotSettled {
                key: wire::id(&message.order_key, "order_key")?,
                reason: wire::term(message.reason, "reason")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Submitted {
    /// The order that a record hands in; none where the record says something else, or can't be read.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        match Order::decode(record.events.first()?).ok()? {
            order::Event::Submitted(submitted) => Some(*submitted),
            order::Event::AppealFiled { .. }
            | order::Event::AppealAccepted { .. }
            | order::Event::AppealRefused { .. }
            | order::Event::NotSettled { .. } => None,
        }
    }
}

fn write_submitted(submitted: &Submitted) -> pb::OrderSubmitted {
    pb::OrderSubmitted {
        provider_id: submitted.provider.clone(),
        order_id: submitted.number.clone(),
        programme_code: submitted.programme.clone(),
        programme_version: submitted.version.cast_signed(),
        elder_id: submitted.elder.to_string(),
        caregiver_id: submitted.caregiver.to_string(),
        check_in_at: Some(write_time(submitted.check_in_at)),
        check_out_at: Some(write_time(submitted.check_out_at)),
        check_in: Some(types::Sealed::from(&submitted.check_in)),
        items: submitted.items.clone(),
        evidence: submitted.evidence.iter().map(write_evidence).collect(),
        codes: wire_set(submitted.codes),
        facts: Some(write_facts(&submitted.facts)),
        division_code: submitted.village.to_string(),
        units: submitted.units,
        amount_fen: submitted.amount.0,
        submitted_by: submitted.submitted_by.clone(),
        appeal_until: Some(write_day(submitted.appeal_until)),
        units_a_year: submitted.units_a_year,
    }
}

fn read_submitted(message: pb::OrderSubmitted) -> Result<Submitted, DecodeError> {
    Ok(Submitted {
        provider: message.provider_id,
        number: message.order_id,
        programme: message.programme_code,
        version: count(message.programme_version, "programme_version")?,
        elder: wire::elder(&message.elder_id)?,
        caregiver: wire::id(&message.caregiver_id, "caregiver_id")?,
        check_in_at: wire::time(message.check_in_at, "check_in_at")?,
        check_out_at: wire::time(message.check_out_at, "check_out_at")?,
        check_in: wire::sealed(message.check_in, "check_in")?,
        items: message.items,
        evidence: all_evidence(message.evidence)?,
        codes: set_from_wire(&message.codes).map_err(|_index| DecodeError::malformed("codes"))?,
        facts: read_facts(wire::present(message.facts, "facts")?)?,
        village: wire::village(&message.division_code)?,
        units: message.units,
        amount: Fen(message.amount_fen),
        submitted_by: message.submitted_by,
        appeal_until: wire::day(message.appeal_until, "appeal_until")?,
        units_a_year: message.units_a_year,
    })
}

/// Judged facts on the wire.
pub(crate) fn write_facts(facts: &JudgedFacts) -> pb::JudgedFacts {
    pb::JudgedFacts {
        registry_sequence: facts.registry_sequence.cast_signed(),
        age: facts.age.into(),
        status: facts.status.wire(),
        capability: facts.capability.wire(),
        assistance: wire_set(facts.assistance),
        handicap_grade: facts.handicap_grade.into(),
        entitled_by: facts.entitled_by.clone(),
        metres_from_home: facts.metres_from_home,
    }
}

fn read_facts(facts: pb::JudgedFacts) -> Result<JudgedFacts, DecodeError> {
    Ok(JudgedFacts {
        registry_sequence: facts.registry_sequence.cast_unsigned(),
        age: wire::present(u16::try_from(facts.age).ok(), "age")?,
        status: wire::term(facts.status, "status")?,
        capability: wire::term(facts.capability, "capability")?,
        assistance: set_from_wire(&facts.assistance)
            .map_err(|_index| DecodeError::malformed("assistance"))?,
        handicap_grade: wire::present(u8::try_from(facts.handicap_grade).ok(), "handicap_grade")?,
        entitled_by: facts.entitled_by,
        metres_from_home: facts.metres_from_home,
    })
}

/// Evidence on the wire.
pub(crate) fn write_evidence(evidence: &Evidence) -> pb::Evidence {
    pb::Evidence {
        kind: evidence.kind.wire(),
        hash: evidence.hash.clone().into(),
    }
}

fn read_evidence(evidence: pb::Evidence) -> Result<Evidence, DecodeError> {
    Ok(Evidence {
        kind: wire::term(evidence.kind, "evidence.kind")?,
        hash: evidence.hash.to_vec(),
    })
}

fn all_evidence(evidence: Vec<pb::Evidence>) -> Result<Vec<Evidence>, DecodeError> {
    evidence.into_iter().map(read_evidence).collect()
}

//! Events of programmes, enrolments, providers and caregivers become wire bytes and back.

use civic::{Fen, LocalDay};
use elders::codec::{read_day, write_day};
use elders::wire;
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;

use super::CONTEXT;
use crate::caregiver::{self, Caregiver, Listed};
use crate::enrolment::{self, Enrolments, Spell, Whose};
use crate::programme::{Defined, Programme};
use crate::provider::{self, Contract, Provider};

impl Aggregate for Programme {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "programme";

    fn encode(defined: &Defined) -> RawEvent {
        RawEvent::of(&pb::ProgrammeDefined {
            version: defined.version.cast_signed(),
            division_code: defined.division.to_string(),
            effective_from: Some(write_day(defined.effective_from)),
            definition: defined.definition.clone(),
        })
    }

    fn decode(raw: &RawEvent) -> Result<Defined, DecodeError> {
        if raw.event_type != pb::ProgrammeDefined::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::ProgrammeDefined = wire::message(raw)?;
        Ok(Defined {
            version: count(message.version, "version")?,
            division: wire::division(&message.division_code)?,
            effective_from: wire::day(message.effective_from, "effective_from")?,
            definition: message.definition,
        })
    }
}

impl Aggregate for Enrolments {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "enrolment";

    fn encode(event: &enrolment::Event) -> RawEvent {
        match event {
            enrolment::Event::Enrolled {
                whose,
                spell,
                basis,
            } => RawEvent::of(&pb::PersonEnrolled {
                programme_code: whose.programme.clone(),
                elder_id: whose.elder.to_string(),
                enrolment_id: spell.enrolment.to_string(),
                first_day: Some(write_day(spell.first)),
                last_day: Some(write_day(spell.last)),
                basis: basis.clone(),
            }),
            enrolment::Event::Charged {
                whose,
                enrolment,
                year,
                amount,
            } => RawEvent::of(&pb::PremiumCharged {
                programme_code: whose.programme.clone(),
                elder_id: whose.elder.to_string(),
                enrolment_id: enrolment.to_string(),
                year: *year,
                amount_fen: amount.0,
            }),
            enrolment::Event::Ended {
                whose,
                enrolment,
                last,
            } => RawEvent::of(&pb::EnrolmentEnded {
                programme_code: whose.programme.clone(),
                elder_id: whose.elder.to_string(),
                enrolment_id: enrolment.to_string(),
                last_day: Some(write_day(*last)),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<enrolment::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::PersonEnrolled::full_name() {
            let message: pb::PersonEnrolled = wire::message(raw)?;
            Ok(enrolment::Event::Enrolled {
                whose: whose(message.programme_code, &message.elder_id)?,
                spell: Spell {
                    enrolment: wire::id(&message.enrolment_id, "enrolment_id")?,
                    first: wire::day(message.first_day, "first_day")?,
                    last: wire::day(message.last_day, "last_day")?,
                },
                basis: message.basis,
            })
        } else if name == pb::PremiumCharged::full_name() {
            let message: pb::PremiumCharged = wire::message(raw)?;
            Ok(enrolment::Event::Charged {
                whose: whose(message.programme_code, &message.elder_id)?,
                enrolment: wire::id(&message.enrolment_id, "enrolment_id")?,
                year: message.year,
                amount: Fen(message.amount_fen),
            })
        } else if name == pb::EnrolmentEnded::full_name() {
            let message: pb::EnrolmentEnded = wire::message(raw)?;
            Ok(enrolment::Event::Ended {
                whose: whose(message.programme_code, &message.elder_id)?,
                enrolment: wire::id(&message.enrolment_id, "enrolment_id")?,
                last: wire::day(message.last_day, "last_day")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Provider {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "provider";

    fn encode(event: &provider::Event) -> RawEvent {
        match event {
            provider::Event::Contracted(contract) => RawEvent::of(&pb::ProviderContracted {
                provider_id: contract.provider.clone(),
                contract_id: contract.contract.to_string(),
                programme_code: contract.programme.clone(),
                name: contract.name.clone(),
                first_day: Some(write_day(contract.first)),
                last_day: contract.last.map(write_day),
            }),
            provider::Event::Ended {
                provider,
                contract,
                last,
            } => RawEvent::of(&pb::ContractEnded {
                provider_id: provider.clone(),
                contract_id: contract.to_string(),
                last_day: Some(write_day(*last)),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<provider::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::ProviderContracted::full_name() {
            let message: pb::ProviderContracted = wire::message(raw)?;
            Ok(provider::Event::Contracted(Contract {
                provider: message.provider_id,
                contract: wire::id(&message.contract_id, "contract_id")?,
                programme: message.programme_code,
                name: message.name,
                first: wire::day(message.first_day, "first_day")?,
                last: maybe_day(message.last_day, "last_day")?,
            }))
        } else if name == pb::ContractEnded::full_name() {
            let message: pb::ContractEnded = wire::message(raw)?;
            Ok(provider::Event::Ended {
                provider: message.provider_id,
                contract: wire::id(&message.contract_id, "contract_id")?,
                last: wire::day(message.last_day, "last_day")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Caregiver {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "caregiver";

    fn encode(event: &caregiver::Event) -> RawEvent {
        match event {
            caregiver::Event::Registered(listed) => RawEvent::of(&pb::CaregiverRegistered {
                provider_id: listed.provider.clone(),
                name: Some(types::Sealed::from(&listed.name)),
                first_day: Some(write_day(listed.first)),
                last_day: listed.last.map(write_day),
            }),
            caregiver::Event::Retired(last) => RawEvent::of(&pb::CaregiverRetired {
                last_day: Some(write_day(*last)),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<caregiver::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::CaregiverRegistered::full_name() {
            let message: pb::CaregiverRegistered = wire::message(raw)?;
            Ok(caregiver::Event::Registered(Listed {
                provider: message.provider_id,
                name: wire::sealed(message.name, "name")?,
                first: wire::day(message.first_day, "first_day")?,
                last: maybe_day(message.last_day, "last_day")?,
            }))
        } else if name == pb::CaregiverRetired::full_name() {
            let message: pb::CaregiverRetired = wire::message(raw)?;
            let last = wire::day(message.last_day, "last_day")?;
            Ok(caregiver::Event::Retired(last))
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

fn whose(programme: String, elder: &str) -> Result<Whose, DecodeError> {
    Ok(Whose {
        programme,
        elder: wire::elder(elder)?,
    })
}

pub(super) fn count(number: i32, field: &str) -> Result<u32, DecodeError> {
    wire::present(u32::try_from(number).ok(), field)
}

fn maybe_day(date: Option<types::Date>, field: &str) -> Result<Option<LocalDay>, DecodeError> {
    date.map(|date| wire::present(read_day(date), field))
        .transpose()
}

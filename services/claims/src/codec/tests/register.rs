//! What the registers hold: programmes, enrolments, providers and caregivers.

use civic::{ElderId, Fen};
use elders::testing::{day, sealed};
use proptest::prelude::*;
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use super::{NO_DAY, amounts, elders, ids, numbers, refused, some_day, survives, texts};
use crate::caregiver::{self, Caregiver, Listed};
use crate::codec::purpose;
use crate::enrolment::{self, Enrolments, Spell, Whose};
use crate::programme::{Defined, Programme};
use crate::provider::{self, Contract, Provider};

fn spells() -> impl Strategy<Value = (Whose, Spell)> {
    (texts(), elders(), ids(), day(), day()).prop_map(
        |(programme, elder, enrolment, first, last)| {
            let spell = Spell {
                enrolment,
                first,
                last,
            };
            (Whose { programme, elder }, spell)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn registers_survive(
        (whose, spell) in spells(),
        text in texts(),
        day in day(),
        last in prop::option::of(day()),
        year in any::<i32>(),
        amount in amounts(),
        version in numbers(),
    ) {
        survives::<Programme>(&Defined {
            version,
            division: "350524".parse().unwrap(),
            effective_from: day,
            definition: text.clone(),
        });
        let enrolment = spell.enrolment;
        survives::<Enrolments>(&enrolment::Event::Enrolled { whose: whose.clone(), spell, basis: text.clone() });
        survives::<Enrolments>(&enrolment::Event::Charged { whose: whose.clone(), enrolment, year, amount });
        survives::<Enrolments>(&enrolment::Event::Ended { whose, enrolment, last: day });
        survives::<Provider>(&provider::Event::Contracted(Contract {
            provider: text.clone(),
            contract: enrolment,
            programme: text.clone(),
            name: text.clone(),
            first: day,
            last,
        }));
        survives::<Provider>(&provider::Event::Ended { provider: text.clone(), contract: enrolment, last: day });
        let name = sealed(purpose::CAREGIVER, &pb::CaregiverName { name: text.clone() });
        survives::<Caregiver>(&caregiver::Event::Registered(Listed { provider: text, name, first: day, last }));
        survives::<Caregiver>(&caregiver::Event::Retired(day));
    }
}

#[test]
fn malformed_registers_are_refused() {
    let defined = Defined {
        version: 1,
        division: "350524".parse().unwrap(),
        effective_from: some_day(),
        definition: String::new(),
    };
    refused::<Programme, pb::ProgrammeDefined>(
        &defined,
        &[
            |programme| programme.version = -1,
            |programme| programme.division_code = "35052".to_owned(),
            |programme| programme.effective_from = Some(NO_DAY),
        ],
    );
    let (whose, id) = (
        Whose {
            programme: "LTCI".to_owned(),
            elder: ElderId(Uuid::from_u128(2)),
        },
        Uuid::from_u128(3),
    );
    let enrolled = enrolment::Event::Enrolled {
        whose: whose.clone(),
        spell: Spell {
            enrolment: id,
            first: some_day(),
            last: some_day(),
        },
        basis: "LOW_INCOME".to_owned(),
    };
    refused::<Enrolments, pb::PersonEnrolled>(
        &enrolled,
        &[
            |enrolled| enrolled.elder_id.clear(),
            |enrolled| enrolled.enrolment_id.clear(),
            |enrolled| enrolled.first_day = None,
            |enrolled| enrolled.last_day = None,
        ],
    );
    let charged = enrolment::Event::Charged {
        whose: whose.clone(),
        enrolment: id,
        year: 2024,
        amount: Fen(30_000),
    };
    refused::<Enrolments, pb::PremiumCharged>(&charged, &[|charged| charged.enrolment_id.clear()]);
    let ended = enrolment::Event::Ended {
        whose,
        enrolment: id,
        last: some_day(),
    };
    refused::<Enrolments, pb::EnrolmentEnded>(&ended, &[|ended| ended.last_day = None]);
    let contracted = provider::Event::Contracted(Contract {
        provider: "P01".to_owned(),
        contract: id,
        programme: "LTCI".to_owned(),
        name: "禾康".to_owned(),
        first: some_day(),
        last: None,
    });
    refused::<Provider, pb::ProviderContracted>(
        &contracted,
        &[
            |contract| contract.contract_id.clear(),
            |contract| contract.first_day = None,
            |contract| contract.last_day = Some(NO_DAY),
        ],
    );
    let listed = caregiver::Event::Registered(Listed {
        provider: "P01".to_owned(),
        name: sealed(purpose::CAREGIVER, &pb::CaregiverName::default()),
        first: some_day(),
        last: None,
    });
    refused::<Caregiver, pb::CaregiverRegistered>(
        &listed,
        &[
            |listed| listed.name = None,
            |listed| listed.first_day = None,
            |listed| listed.last_day = Some(NO_DAY),
        ],
    );
    let retired = caregiver::Event::Retired(some_day());
    refused::<Caregiver, pb::CaregiverRetired>(&retired, &[|retired| retired.last_day = None]);
}

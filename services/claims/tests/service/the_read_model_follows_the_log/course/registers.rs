//! Programmes, who is enrolled, who is contracted, and who is on a provider's list.

use civic::Fen;
use claims::adjudication::{Days, Earlier};
use claims::caregiver::{self, Listed};
use claims::codec::purpose;
use claims::enrolment::{self, Spell, Whose};
use claims::programme::Define;
use claims::provider::{self, Contract};
use elders::testing::sealed;
use proptest::sample::select;
use proto::eldercare::claims::v1 as pb;
use service::testing::carry_out;
use uuid::Uuid;

use super::{CAREGIVERS, Course, ELDERS, PROGRAMMES, PROVIDERS, caregiver_id, elder_id, employer};
use crate::support::{COUNTY, LTCI, day};

/// What the adjudicator goes by: everybody is enrolled, contracted and listed, whatever the registers say.
pub(super) fn in_order() -> Earlier {
    let mut earlier = Earlier::default();
    let (first, last) = (day("2024-01-01"), day("2024-12-31"));
    let registers = &mut earlier.registers;
    for programme in PROGRAMMES.map(str::to_owned) {
        for number in 0..ELDERS {
            let spell = Spell {
                enrolment: Uuid::nil(),
                first,
                last,
            };
            let whose = (programme.clone(), elder_id(number));
            registers.enrolments.insert(whose, vec![spell]);
        }
        for provider in PROVIDERS.map(str::to_owned) {
            let contract = (Uuid::nil(), Days { first, last: None });
            let between = (provider, programme.clone());
            registers.contracts.insert(between, [contract].into());
        }
    }
    for number in 0..CAREGIVERS {
        let listed = (employer(number).to_owned(), Days { first, last: None });
        registers.caregivers.insert(caregiver_id(number), listed);
    }
    earlier
}

impl Course {
    /// Something of each kind in turn.
    pub(super) async fn register(&mut self, turn: usize) {
        match turn % 8 {
            0 => self.deposit().await,
            1 => self.define(turn).await,
            2 => self.contract().await,
            3 => self.list().await,
            4 | 5 => self.enrol().await,
            6 => self.end_enrolment().await,
            _ => self.end_contract_and_listing().await,
        }
    }

    async fn define(&mut self, turn: usize) {
        let code = self.any(select(PROGRAMMES.to_vec()));
        let metadata = self.metadata();
        let programme = self.programmes.entry(code.to_owned()).or_default();
        let command = Define {
            division: COUNTY.parse().unwrap(),
            effective_from: day("2024-01-01"),
            definition: format!("{LTCI}# {turn}\n"),
        };
        carry_out(&*self.log, (code, programme), metadata, &command).await;
    }

    async fn contract(&mut self) {
        let (id, metadata) = (self.id(), self.metadata());
        let name = self.any(select(PROVIDERS.to_vec()));
        let programme = self.any(select(PROGRAMMES.to_vec()));
        let provider = self.providers.entry(name.to_owned()).or_default();
        let command = provider::Command::Contract {
            contract: Contract {
                provider: name.to_owned(),
                contract: id,
                programme: programme.to_owned(),
                name: "禾康".to_owned(),
                first: day("2024-01-01"),
                last: None,
            },
            elsewhere: false,
        };
        carry_out(&*self.log, (name, provider), metadata, &command).await;
    }

    async fn list(&mut self) {
        let metadata = self.metadata();
        let number = self.any(0..CAREGIVERS);
        let id = caregiver_id(number);
        let caregiver = self.caregivers.entry(id).or_default();
        let command = caregiver::Command::Register(Listed {
            provider: employer(number).to_owned(),
            name: sealed(purpose::CAREGIVER, &pb::CaregiverName::default()),
            first: day("2024-01-01"),
            last: None,
        });
        let subject = id.to_string();
        carry_out(
            &*self.log,
            (subject.as_str(), caregiver),
            metadata,
            &command,
        )
        .await;
    }

    async fn enrol(&mut self) {
        let (enrolment, first) = (self.id(), self.today());
        let whose = Whose {
            programme: self.any(select(PROGRAMMES.to_vec())).to_owned(),
            elder: elder_id(self.any(0..ELDERS)),
        };
        let command = enrolment::Command::Enrol {
            whose: whose.clone(),
            spell: Spell {
                enrolment,
                first,
                last: first.plus_days(90),
            },
            basis: "LOW_INCOME".to_owned(),
            premium: Fen(30_000),
        };
        self.of_enrolments(whose, &command).await;
    }

    async fn end_enrolment(&mut self) {
        let spells = self.enrolments.iter().flat_map(|(whose, enrolments)| {
            let spells = enrolments.spells.iter();
            spells.map(move |spell| (whose.clone(), *spell))
        });
        let spells: Vec<_> = spells.collect();
        if spells.is_empty() {
            return;
        }
        let ((programme, elder), spell) = self.any(select(spells));
        let whose = Whose { programme, elder };
        let command = enrolment::Command::End {
            whose: whose.clone(),
            enrolment: spell.enrolment,
            last: spell.last.prev(),
        };
        self.of_enrolments(whose, &command).await;
    }

    async fn of_enrolments(&mut self, whose: Whose, command: &enrolment::Command) {
        let metadata = self.metadata();
        let id = format!("{}-{}", whose.programme, whose.elder);
        let of_both = self.enrolments.entry((whose.programme, whose.elder));
        let of_both = of_both.or_default();
        carry_out(&*self.log, (id.as_str(), of_both), metadata, command).await;
    }

    /// Of the first who have one that is open.
    async fn end_contract_and_listing(&mut self) {
        let (metadata, today) = (self.metadata(), self.today());
        for (name, provider) in &mut self.providers {
            let mut contracts = provider.contracts.iter();
            let open = contracts.find(|contract| contract.last.is_none());
            let Some(contract) = open.map(|contract| contract.contract) else {
                continue;
            };
            let command = provider::Command::End {
                provider: name.clone(),
                contract,
                last: today,
            };
            carry_out(
                &*self.log,
                (name.as_str(), provider),
                metadata.clone(),
                &command,
            )
            .await;
            break;
        }
        for (id, caregiver) in &mut self.caregivers {
            let listed = caregiver.listed.as_ref();
            if listed.is_none_or(|listed| listed.last.is_some()) {
                continue;
            }
            let command = caregiver::Command::Retire(today);
            let subject = id.to_string();
            carry_out(
                &*self.log,
                (subject.as_str(), caregiver),
                metadata,
                &command,
            )
            .await;
            break;
        }
    }
}

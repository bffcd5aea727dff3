//! Requests about contracts with providers and about their caregivers.

use civic::LocalDay;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks};
use uuid::Uuid;

use super::{Parse, Parsed, day, maybe_day, programme_code, provider_id};
use crate::provider::Contract;
use crate::registers::Days;

/// The longest name of a person.
const LONGEST_NAME: usize = 64;
/// The longest name of a provider.
const LONGEST_PROVIDER_NAME: usize = 100;

impl Parse {
    pub(crate) fn contract(
        &self,
        mut request: pb::ContractProviderRequest,
    ) -> Parsed<(Asked, Contract)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let contract = checks.present("contract", request.contract);
        let contract = contract.and_then(|contract| {
            checks.within("contract", |checks| {
                let provider = provider_id(checks, &contract.provider_id);
                let programme = programme_code(checks, &contract.programme_code);
                let name = checks.string("name", &contract.name, 1..=LONGEST_PROVIDER_NAME);
                let days = days(checks, contract.first_day, contract.last_day);
                let (first, last) = days?;
                Some(Contract {
                    provider: provider?,
                    contract: Uuid::nil(),
                    programme: programme?,
                    name: name?,
                    first,
                    last,
                })
            })
        });
        checks.all((asked, contract))
    }

    pub(crate) fn end_contract(
        &self,
        mut request: pb::EndContractRequest,
    ) -> Parsed<(Asked, String, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let provider = provider_id(&mut checks, &request.provider_id);
        let contract = checks.id("contract_id", &request.contract_id);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, provider, contract, last))
    }

    pub(crate) fn register_caregiver(
        &self,
        mut request: pb::RegisterCaregiverRequest,
    ) -> Parsed<(Asked, String, String, Days)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let caregiver = checks.present("caregiver", request.caregiver);
        let parts = caregiver.and_then(|caregiver| {
            checks.within("caregiver", |checks| {
                let provider = provider_id(checks, &caregiver.provider_id);
                let name = checks.string("name", &caregiver.name, 1..=LONGEST_NAME);
                let days = days(checks, caregiver.first_day, caregiver.last_day);
                Some((provider?, name?, days?))
            })
        });
        let (asked, (provider, name, days)) = checks.all((asked, parts))?;
        Ok((asked, provider, name, days))
    }

    pub(crate) fn retire_caregiver(
        &self,
        mut request: pb::RetireCaregiverRequest,
    ) -> Parsed<(Asked, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let caregiver = checks.id("caregiver_id", &request.caregiver_id);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, caregiver, last))
    }
}

fn days(
    checks: &mut Checks,
    first: Option<types::Date>,
    last: Option<types::Date>,
) -> Option<Days> {
    let first = day(checks, "first_day", first);
    let last = maybe_day(checks, "last_day", last);
    let (first, last) = (first?, last?);
    let ordered = last.is_none_or(|last| first <= last);
    checks.that(
        ordered,
        "last_day",
        "DAYS_INVALID",
        "must not lie before the first day",
        "不得早于起始日",
    );
    ordered.then_some((first, last))
}

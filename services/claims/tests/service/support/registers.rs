//! The registers of claims in a test: programmes, contracts, caregivers, and who is enrolled with what right.

use civic::ElderId;
use proto::eldercare::claims::v1 as pb;
use tonic::Status;

use super::{COUNTY, LTCI, Running, date, id};

pub(crate) fn enrolment(programme: &str, elder: ElderId, first: &str) -> pb::Enrolment {
    pb::Enrolment {
        enrolment_id: id(),
        programme_code: programme.to_owned(),
        elder_id: elder.to_string(),
        first_day: date(first),
        last_day: None,
    }
}

/// Somebody to be put on a provider's list from the beginning of the year on.
pub(crate) fn a_caregiver(provider: &str) -> pb::RegisterCaregiverRequest {
    pb::RegisterCaregiverRequest {
        request_id: id(),
        caregiver: Some(pb::Caregiver {
            provider_id: provider.to_owned(),
            name: "陈护理".to_owned(),
            first_day: date("2024-01-01"),
            last_day: None,
        }),
    }
}

/// A programme of the county.
pub(crate) fn definition(code: &str, text: &str) -> pb::DefineProgrammeRequest {
    pb::DefineProgrammeRequest {
        request_id: id(),
        programme_code: code.to_owned(),
        division_code: COUNTY.to_owned(),
        definition: text.to_owned(),
    }
}

/// A contract with a provider from the beginning of the year on.
pub(crate) fn a_contract(provider: &str, programme: &str) -> pb::ContractProviderRequest {
    pb::ContractProviderRequest {
        request_id: id(),
        contract: Some(pb::Contract {
            provider_id: provider.to_owned(),
            programme_code: programme.to_owned(),
            name: "禾康".to_owned(),
            first_day: date("2024-01-01"),
            last_day: None,
        }),
    }
}

/// An earlier last day for an enrolment in the insurance.
pub(crate) fn end_of_enrolment(
    elder: ElderId,
    enrolment: &str,
    last: &str,
) -> pb::EndEnrolmentRequest {
    pb::EndEnrolmentRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        elder_id: elder.to_string(),
        enrolment_id: enrolment.to_owned(),
        last_day: date(last),
    }
}

/// A last day for a contract.
pub(crate) fn end_of_contract(
    provider: &str,
    contract: &str,
    last: &str,
) -> pb::EndContractRequest {
    pb::EndContractRequest {
        request_id: id(),
        provider_id: provider.to_owned(),
        contract_id: contract.to_owned(),
        last_day: date(last),
    }
}

/// A last day on a provider's list.
pub(crate) fn retirement(caregiver: &str, last: &str) -> pb::RetireCaregiverRequest {
    pb::RetireCaregiverRequest {
        request_id: id(),
        caregiver_id: caregiver.to_owned(),
        last_day: date(last),
    }
}

impl Running {
    pub(crate) async fn define(&self, code: &str, text: &str) -> Result<i32, Status> {
        let request = definition(code, text);
        let defined = self.client().define_programme(request).await?;
        Ok(defined.into_inner().version)
    }

    /// The contract's id.
    pub(crate) async fn contract(&self, provider: &str, programme: &str) -> Result<String, Status> {
        let request = a_contract(provider, programme);
        let contracted = self.client().contract_provider(request).await?;
        Ok(contracted.into_inner().contract_id)
    }

    /// Somebody on a provider's list since the beginning of the year.
    pub(crate) async fn caregiver(&self, provider: &str) -> String {
        let request = a_caregiver(provider);
        let registered = self.client().register_caregiver(request).await.unwrap();
        registered.into_inner().caregiver_id
    }

    /// The county has its long-term care insurance, with a provider; a caregiver of it.
    pub(crate) async fn insurance(&self) -> String {
        self.insurance_by(LTCI).await
    }

    /// The same by another definition.
    pub(crate) async fn insurance_by(&self, definition: &str) -> String {
        self.define("LTCI", definition).await.unwrap();
        self.contract("P01", "LTCI").await.unwrap();
        self.caregiver("P01").await
    }

    /// Enrols in the order given; all outcomes.
    pub(crate) async fn enrol_all(
        &self,
        enrolments: &[pb::Enrolment],
    ) -> Vec<pb::EnrolPersonsResponse> {
        self.settled().await;
        self.enrolling(enrolments).await.unwrap()
    }

    /// The same, where the stream may break.
    pub(crate) async fn enrolling(
        &self,
        enrolments: &[pb::Enrolment],
    ) -> Result<Vec<pb::EnrolPersonsResponse>, Status> {
        let requests = enrolments
            .iter()
            .map(|enrolment| pb::EnrolPersonsRequest {
                enrolment: Some(enrolment.clone()),
                min_position: String::new(),
            })
            .collect::<Vec<_>>();
        let answers = self
            .client()
            .enrol_persons(tokio_stream::iter(requests))
            .await?;
        let mut answers = answers.into_inner();
        let mut outcomes = Vec::new();
        while let Some(outcome) = answers.message().await? {
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Insures somebody for 2024 from its first day on; the enrolment's id.
    pub(crate) async fn enrolled(&self, elder: ElderId) -> String {
        let enrolment = enrolment("LTCI", elder, "2024-01-01");
        let outcomes = self.enrol_all(std::slice::from_ref(&enrolment)).await;
        let outcome = outcomes[0].outcome();
        assert_eq!(
            outcome,
            pb::EnrolmentOutcomeKind::Enrolled,
            "{:?}",
            outcomes[0]
        );
        enrolment.enrolment_id
    }

    /// Somebody poor and dependent in the village who is insured.
    pub(crate) async fn insured(&self) -> ElderId {
        let elder = self.ground.elder().await;
        self.enrolled(elder).await;
        elder
    }

    pub(crate) async fn entitlement(&self, elder: ElderId, on: &str) -> pb::GetEntitlementResponse {
        self.entitlement_of("LTCI", elder, on).await
    }

    /// The same in any programme.
    pub(crate) async fn entitlement_of(
        &self,
        programme: &str,
        elder: ElderId,
        on: &str,
    ) -> pb::GetEntitlementResponse {
        self.settled().await;
        let request = pb::GetEntitlementRequest {
            programme_code: programme.to_owned(),
            elder_id: elder.to_string(),
            on: date(on),
            min_position: String::new(),
        };
        let told = self.client().get_entitlement(request).await.unwrap();
        told.into_inner()
    }
}

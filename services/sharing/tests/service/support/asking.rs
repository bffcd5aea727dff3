//! What sharing is asked in a test: terms and requests in few words, and the calls that make them.

use civic::ElderId;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::get_access_history_request::Whose;
use service::Claims;
use tonic::Status;

use super::{COUNTY, Running, approver, date, id, proposer};

/// Grants fields of a product.
pub(crate) fn grant(product: &str, plain: &[&str], masked: &[&str]) -> pb::ProductGrant {
    let of = |cut: pb::Cut| {
        move |field: &&str| pb::FieldGrant {
            field: (*field).to_owned(),
            cut: cut.into(),
        }
    };
    let plain = plain.iter().map(of(pb::Cut::Plain));
    let masked = masked.iter().map(of(pb::Cut::Masked));
    pb::ProductGrant {
        product: product.to_owned(),
        fields: plain.chain(masked).collect(),
    }
}

/// What health is granted of the county's elders until the end of the year.
pub(crate) fn terms(products: &[pb::ProductGrant]) -> pb::AgreementTerms {
    pb::AgreementTerms {
        department: "health".to_owned(),
        purpose: "家庭医生签约".to_owned(),
        legal_basis: "川民〔2023〕100号".to_owned(),
        products: products.to_vec(),
        division_codes: vec![COUNTY.to_owned()],
        until: date("2024-12-31"),
    }
}

/// Names, masked, and tiers.
pub(crate) fn some_terms() -> pb::AgreementTerms {
    terms(&[
        grant("elder", &[], &["name"]),
        grant("tier", &["tier"], &[]),
    ])
}

/// The whole dossier that a caller may see.
pub(crate) fn dossier_request(elder: ElderId) -> pb::GetDossierRequest {
    pb::GetDossierRequest {
        elder_id: elder.to_string(),
        ..Default::default()
    }
}

pub(crate) fn break_glass_request(elder: ElderId) -> pb::BreakGlassRequest {
    pb::BreakGlassRequest {
        request_id: id(),
        elder_id: elder.to_string(),
        reason: "老人昏迷，急需联系家属".to_owned(),
        newest: 0,
    }
}

/// The word of a department that it has erased what it held of an elder.
pub(crate) fn confirm_request(elder: ElderId) -> pb::ConfirmErasureRequest {
    pb::ConfirmErasureRequest {
        request_id: id(),
        elder_id: elder.to_string(),
    }
}

/// Who has looked at an elder.
pub(crate) fn looks_at(elder: ElderId) -> pb::GetAccessHistoryRequest {
    pb::GetAccessHistoryRequest {
        whose: Some(Whose::ElderId(elder.to_string())),
        ..Default::default()
    }
}

/// What a caller has looked at.
pub(crate) fn looks_by(caller: &str) -> pb::GetAccessHistoryRequest {
    pb::GetAccessHistoryRequest {
        whose: Some(Whose::Caller(caller.to_owned())),
        ..Default::default()
    }
}

/// Whether somebody looked who had looked.
fn is_at_history(recorded: &pb::RecordedLook) -> bool {
    let look = recorded.look.as_ref();
    look.is_some_and(|look| look.method == "GetAccessHistory")
}

impl Running {
    /// The proposer proposes; the agreement.
    pub(crate) async fn propose(&self, terms: &pb::AgreementTerms) -> Result<String, Status> {
        self.propose_as(&proposer(), terms).await
    }

    pub(crate) async fn propose_as(
        &self,
        caller: &Claims,
        terms: &pb::AgreementTerms,
    ) -> Result<String, Status> {
        let request = pb::ProposeAgreementRequest {
            request_id: id(),
            terms: Some(terms.clone()),
        };
        let proposed = self.client_of(caller).propose_agreement(request).await?;
        Ok(proposed.into_inner().agreement_id)
    }

    /// Where the approval stands.
    pub(crate) async fn approve_as(
        &self,
        caller: &Claims,
        agreement: &str,
    ) -> Result<String, Status> {
        let request = pb::ApproveAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
        };
        let approved = self.client_of(caller).approve_agreement(request).await?;
        Ok(approved.into_inner().position)
    }

    pub(crate) async fn suspend_as(
        &self,
        caller: &Claims,
        agreement: &str,
    ) -> Result<String, Status> {
        let request = pb::SuspendAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
            reason: "LEAK".to_owned(),
        };
        let suspended = self.client_of(caller).suspend_agreement(request).await?;
        Ok(suspended.into_inner().position)
    }

    pub(crate) async fn end_as(&self, caller: &Claims, agreement: &str) -> Result<String, Status> {
        let request = pb::EndAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
            reason: "NO_NEED".to_owned(),
        };
        let ended = self.client_of(caller).end_agreement(request).await?;
        Ok(ended.into_inner().position)
    }

    /// An agreement that is proposed and approved; all that is in the logs can be read. What was written before is known by then:
    /// what sharing hears of after the agreement would come as an event, and stand in no snapshot.
    pub(crate) async fn agreed(&self, terms: &pb::AgreementTerms) -> String {
        self.settled().await;
        let agreement = self.propose(terms).await.unwrap();
        self.approve_as(&approver(), &agreement).await.unwrap();
        self.settled().await;
        agreement
    }

    /// An agreement as a caller sees it by now.
    pub(crate) async fn agreement(
        &self,
        caller: &Claims,
        agreement: &str,
    ) -> Result<pb::Agreement, Status> {
        self.settled().await;
        let request = pb::GetAgreementRequest {
            agreement_id: agreement.to_owned(),
            min_position: String::new(),
        };
        let told = self.client_of(caller).get_agreement(request).await?;
        Ok(told.into_inner().agreement.unwrap())
    }

    /// The agreements that a caller sees by now, by their ids.
    pub(crate) async fn agreements(
        &self,
        caller: &Claims,
        department: &str,
        state: pb::AgreementState,
    ) -> Vec<String> {
        self.settled().await;
        let request = pb::ListAgreementsRequest {
            department: department.to_owned(),
            state: state.into(),
            ..Default::default()
        };
        let listed = self.client_of(caller).list_agreements(request).await;
        let listed = listed.unwrap().into_inner();
        assert_eq!(listed.next_page_token, "");
        let agreements = listed.agreements.into_iter();
        agreements.map(|one| one.agreement_id).collect()
    }

    /// Asks for a dossier as it stands, whatever the read models hold.
    pub(crate) async fn ask(
        &self,
        caller: &Claims,
        request: pb::GetDossierRequest,
    ) -> Result<pb::Dossier, Status> {
        let told = self.client_of(caller).get_dossier(request).await?;
        Ok(told.into_inner().dossier.unwrap())
    }

    /// What a caller sees of an elder by now.
    pub(crate) async fn dossier(
        &self,
        caller: &Claims,
        elder: ElderId,
    ) -> Result<pb::Dossier, Status> {
        self.settled().await;
        self.ask(caller, dossier_request(elder)).await
    }

    /// A page of elders whom a caller finds by now.
    pub(crate) async fn find(
        &self,
        caller: &Claims,
        request: pb::FindEldersRequest,
    ) -> Result<pb::FindEldersResponse, Status> {
        self.settled().await;
        let found = self.client_of(caller).find_elders(request).await?;
        Ok(found.into_inner())
    }

    pub(crate) async fn break_glass(
        &self,
        caller: &Claims,
        request: pb::BreakGlassRequest,
    ) -> Result<pb::BreakGlassResponse, Status> {
        self.settled().await;
        let told = self.client_of(caller).break_glass(request).await?;
        Ok(told.into_inner())
    }

    /// A history as a caller sees it by now, without the looks at histories, of which each such question leaves one; put together
    /// from pages of this size; 0: in one page.
    pub(crate) async fn history(
        &self,
        caller: &Claims,
        request: pb::GetAccessHistoryRequest,
        page_size: i32,
    ) -> Result<Vec<pb::RecordedLook>, Status> {
        let mut looks = self.history_in_full(caller, request, page_size).await?;
        looks.retain(|one| !is_at_history(one));
        Ok(looks)
    }

    /// The same with the looks at histories.
    pub(crate) async fn history_in_full(
        &self,
        caller: &Claims,
        mut request: pb::GetAccessHistoryRequest,
        page_size: i32,
    ) -> Result<Vec<pb::RecordedLook>, Status> {
        self.settled().await;
        let mut client = self.client_of(caller);
        request.page_size = page_size;
        let mut looks = Vec::new();
        loop {
            let page = client.get_access_history(request.clone()).await?;
            let page = page.into_inner();
            let (size, most) = (page.looks.len(), usize::try_from(page_size).unwrap());
            looks.extend(page.looks);
            if page.next_page_token.is_empty() {
                return Ok(looks);
            }
            assert!(most > 0 && size == most, "{size} in a page of {most}");
            request.page_token = page.next_page_token;
        }
    }
}

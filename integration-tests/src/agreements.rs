//! Agreements with departments in few words: what is granted to whom, what a department shows to the log's server, what its feeds bear.

use proto::eldercare::sharing::v1::{self as pb, query_feed_request::Start};
use service::Claims;

use crate::{
    System, callers::Sharing, consumers::Department, county::COUNTY, date, new_id, trust::Trust,
};

/// The department of these stories.
pub const DEPARTMENT: &str = "health";

/// How many events one page of a feed bears.
const PAGE: i32 = 500;

/// An officer of that department, in the county.
pub fn doctor() -> Claims {
    Claims::officer("test-doctor", DEPARTMENT)
        .division(COUNTY)
        .role("viewer")
        .purpose("家庭医生签约")
}

/// Grants fields of a product, some plain and some masked.
pub fn grant(product: &str, plain: &[&str], masked: &[&str]) -> pb::ProductGrant {
    let of = |field: &&str, cut: pb::Cut| pb::FieldGrant {
        field: (*field).to_owned(),
        cut: cut.into(),
    };
    let plain = plain.iter().map(|field| of(field, pb::Cut::Plain));
    let masked = masked.iter().map(|field| of(field, pb::Cut::Masked));
    pb::ProductGrant {
        product: product.to_owned(),
        fields: plain.chain(masked).collect(),
    }
}

/// What the department is granted of the county's elders until the end of the year.
pub fn terms(products: Vec<pb::ProductGrant>) -> pb::AgreementTerms {
    pb::AgreementTerms {
        department: DEPARTMENT.to_owned(),
        purpose: "家庭医生签约".to_owned(),
        legal_basis: "川民〔2023〕100号".to_owned(),
        products,
        division_codes: vec![COUNTY.to_owned()],
        until: Some(date("2024-12-31")),
    }
}

/// Puts an agreement in force, by which everybody goes from now on: its id.
pub async fn agreed(system: &System, terms: pb::AgreementTerms) -> String {
    let request = pb::ProposeAgreementRequest {
        request_id: new_id(),
        terms: Some(terms),
    };
    let mut sharing = system.sharing();
    let proposed = sharing.propose_agreement(request).await.unwrap();
    let agreement_id = proposed.into_inner().agreement_id;
    let request = pb::ApproveAgreementRequest {
        request_id: new_id(),
        agreement_id: agreement_id.clone(),
    };
    let approved = system.sharing_review().approve_agreement(request).await;
    let seen = pb::GetAgreementRequest {
        agreement_id: agreement_id.clone(),
        min_position: approved.unwrap().into_inner().position,
    };
    let seen = sharing.get_agreement(seen).await.unwrap().into_inner();
    let state = seen.agreement.unwrap().state();
    assert_eq!(state, pb::AgreementState::InForce);
    agreement_id
}

/// Has a credential issued to the department: what it shows to the log's server.
pub async fn credential(system: &System) -> Department {
    let request = pb::IssueFeedCredentialRequest {
        request_id: new_id(),
        department: DEPARTMENT.to_owned(),
    };
    let issued = system.sharing().issue_feed_credential(request).await;
    let issued = issued.unwrap().into_inner();
    let server = system.nats().url();
    let authority = system.trust.as_ref().map(Trust::file_to_trust);
    Department {
        server: if authority.is_some() {
            // By a number the client for Node.js knows no certificate.
            server.replace("127.0.0.1", "localhost")
        } else {
            server
        },
        authority,
        user: issued.user,
        password: issued.password,
        inbox_prefix: issued.inbox_prefix,
        consumer: issued.consumer,
    }
}

/// All that lies on the feeds of a caller's department, in its order.
pub async fn feed(mut sharing: Sharing) -> Vec<pb::FeedEvent> {
    let mut events = Vec::new();
    let mut start = None;
    loop {
        let request = pb::QueryFeedRequest {
            page_size: PAGE,
            start,
            ..pb::QueryFeedRequest::default()
        };
        let page = sharing.query_feed(request).await.unwrap().into_inner();
        events.extend(page.events);
        if page.caught_up {
            return events;
        }
        start = Some(Start::AfterPosition(page.next_position));
    }
}

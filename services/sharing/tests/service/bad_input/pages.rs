//! Pages that are asked for with the token of another list.

use proto::eldercare::sharing::v1 as pb;

use super::faults;
use crate::support::{Ground, date, looks_at, looks_by, reader, some_terms};

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_only() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    for _ in 0..2 {
        running.propose(&some_terms()).await.unwrap();
        running.dossier(&reader(), elder).await.unwrap();
    }
    running.settled().await;
    let mut client = running.client_of(&reader());
    let agreements = pb::ListAgreementsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page = client.list_agreements(agreements.clone()).await.unwrap();
    let of_agreements = page.into_inner().next_page_token;
    let looks = pb::GetAccessHistoryRequest {
        page_size: 1,
        ..looks_at(elder)
    };
    let page = client.get_access_history(looks.clone()).await.unwrap();
    let of_looks = page.into_inner().next_page_token;
    assert!(!of_agreements.is_empty() && !of_looks.is_empty());
    let wrong = ["page_token PAGE_TOKEN_INVALID"];
    for (department, token) in [("health", &of_agreements), ("", &of_looks)] {
        let other = pb::ListAgreementsRequest {
            department: department.to_owned(),
            page_token: token.clone(),
            ..agreements.clone()
        };
        assert_eq!(faults(client.list_agreements(other).await), wrong);
    }
    for (whose, token) in [
        (looks_by("officer:reader"), &of_looks),
        (looks_at(elder), &of_agreements),
        (
            pb::GetAccessHistoryRequest {
                first_day: date("2024-03-01"),
                ..looks_at(elder)
            },
            &of_looks,
        ),
    ] {
        let other = pb::GetAccessHistoryRequest {
            page_token: token.clone(),
            ..whose
        };
        assert_eq!(faults(client.get_access_history(other).await), wrong);
    }
    // A page of another size goes on all the same.
    let more = pb::ListAgreementsRequest {
        page_size: 9,
        page_token: of_agreements,
        ..agreements
    };
    let page = client.list_agreements(more).await.unwrap().into_inner();
    assert_eq!(page.agreements.len(), 1);
    running.stop().await;
}

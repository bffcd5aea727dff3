//! Dossiers that are asked for wrongly, by agreement or beyond all of them.

use proto::eldercare::sharing::v1 as pb;

use super::faults;
use crate::support::{
    CIVIL_AFFAIRS, Ground, break_glass_request, dossier_request, officer, reader,
};

#[tokio::test]
async fn dossiers_that_are_asked_for_wrongly_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    running.settled().await;
    let good = dossier_request(elder);
    let some = |products: &[&str]| -> Vec<String> {
        products.iter().map(|name| (*name).to_owned()).collect()
    };
    for (bad, expected) in [
        (pb::GetDossierRequest::default(), "elder_id REQUIRED"),
        (
            pb::GetDossierRequest {
                elder_id: "王秀英".to_owned(),
                ..good.clone()
            },
            "elder_id UUID_INVALID",
        ),
        (
            pb::GetDossierRequest {
                agreement_id: "1".to_owned(),
                ..good.clone()
            },
            "agreement_id UUID_INVALID",
        ),
        (
            pb::GetDossierRequest {
                products: some(&["elder", "income"]),
                ..good.clone()
            },
            "products[1] PRODUCT_UNKNOWN",
        ),
        (
            pb::GetDossierRequest {
                products: some(&["elder"; 21]),
                ..good.clone()
            },
            "products COUNT_OUT_OF_RANGE",
        ),
        (
            pb::GetDossierRequest {
                newest: -1,
                ..good.clone()
            },
            "newest OUT_OF_RANGE",
        ),
        (
            pb::GetDossierRequest {
                min_position: "SHARING".to_owned(),
                ..good.clone()
            },
            "min_position POSITION_INVALID",
        ),
        // The log of nobody whom we follow.
        (
            pb::GetDossierRequest {
                min_position: "PRIVATE:1".to_owned(),
                ..good.clone()
            },
            "min_position POSITION_INVALID",
        ),
    ] {
        assert_eq!(faults(running.ask(&reader(), bad).await), [expected]);
    }
    assert_eq!(ground.written().await, 0);
    running.ask(&reader(), good).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn broken_glass_that_is_asked_for_wrongly_is_refused_by_its_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    let caller = officer("supervisor", CIVIL_AFFAIRS, "350524", &["supervisor"]);
    let bad = pb::BreakGlassRequest {
        request_id: String::new(),
        elder_id: "17".to_owned(),
        reason: "急".to_owned(),
        newest: -1,
    };
    assert_eq!(
        faults(running.break_glass(&caller, bad).await),
        [
            "request_id REQUIRED",
            "elder_id UUID_INVALID",
            "reason TOO_SHORT",
            "newest OUT_OF_RANGE",
        ]
    );
    let rung = pb::BreakGlassRequest {
        reason: "急救中心来电\u{7}请求调阅".to_owned(),
        ..break_glass_request(elder)
    };
    let outcome = running.break_glass(&caller, rung).await;
    assert_eq!(faults(outcome), ["reason CONTROL_CHARACTERS"]);
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}

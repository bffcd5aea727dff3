//! Every call in the name of somebody: about what is there, and about what is not.

use civic::ElderId;
use proto::eldercare::claims::v1 as pb;
use tonic::Status;
use uuid::Uuid;

use super::{
    COUNTY, Client, LTCI, Running, a_caregiver, a_contract, all_in, appeal_request, date,
    decision_request, definition, end_of_contract, end_of_enrolment, id, order, retirement,
    short_order,
};

/// The methods that ask for somebody or something by an id.
pub(crate) const BY_ID: [&str; 15] = [
    "end_enrolment",
    "get_entitlement",
    "end_contract",
    "register_caregiver",
    "retire_caregiver",
    "submit_order",
    "get_order",
    "appeal_order",
    "decide_appeal",
    "decide_hold",
    "confirm_settlement",
    "record_payment",
    "adjust_settlement",
    "get_settlement",
    "export_settlement",
];

/// By what callers name what they ask about.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) elder: ElderId,
    pub(crate) enrolment: String,
    pub(crate) provider: String,
    pub(crate) contract: String,
    pub(crate) caregiver: String,
    /// An order of provider P01.
    pub(crate) approved: String,
    /// Another one.
    pub(crate) abnormal: String,
    pub(crate) settlement: i32,
}

impl Named {
    /// The names of nothing that is there.
    pub(crate) fn nothing() -> Self {
        Self {
            elder: ElderId(Uuid::now_v7()),
            enrolment: id(),
            provider: "P77".to_owned(),
            contract: id(),
            caregiver: id(),
            approved: "NONE".to_owned(),
            abnormal: "NOR-THIS".to_owned(),
            settlement: 77,
        }
    }
}

impl Running {
    /// The county's insurance with an approved order `A`, an open one `B` and a paid settlement.
    pub(crate) async fn county(&self) -> Named {
        self.define("LTCI", LTCI).await.unwrap();
        let contract = self.contract("P01", "LTCI").await.unwrap();
        let caregiver = self.caregiver("P01").await;
        let elder = self.ground.elder().await;
        let enrolment = self.enrolled(elder).await;
        let good = order("A", elder, &caregiver, "2024-02-10 09:00");
        assert_eq!(self.told(&good).await, "APPROVED");
        let short = short_order("B", elder, &caregiver, "2024-02-11 09:00");
        self.told(&short).await;
        let paid = self.paid("P01", "2024-03-01").await;
        Named {
            elder,
            enrolment,
            provider: "P01".to_owned(),
            contract,
            caregiver,
            approved: "A".to_owned(),
            abnormal: "B".to_owned(),
            settlement: paid.number,
        }
    }
}

/// What becomes of every call about these in the name of a caller: the method, and nothing where it is answered.
#[allow(clippy::too_many_lines, reason = "each method once")]
pub(crate) async fn every_call(
    mut client: Client,
    named: &Named,
) -> Vec<(&'static str, Result<(), Status>)> {
    let (elder, number) = (named.elder, named.settlement);
    let (programme, provider) = (|| "LTCI".to_owned(), || named.provider.clone());
    let mut outcomes = Vec::new();
    macro_rules! call {
        ($method:ident, $request:expr) => {
            let outcome = client.$method($request).await;
            outcomes.push((stringify!($method), outcome.map(|_| ())));
        };
    }
    call!(define_programme, definition("MORE", LTCI));
    call!(
        end_enrolment,
        end_of_enrolment(elder, &named.enrolment, "2024-12-30")
    );
    call!(
        list_enrolments,
        pb::ListEnrolmentsRequest {
            division_code: COUNTY.to_owned(),
            programme_code: programme(),
            ..Default::default()
        }
    );
    call!(
        get_entitlement,
        pb::GetEntitlementRequest {
            programme_code: programme(),
            elder_id: elder.to_string(),
            on: None,
            min_position: String::new(),
        }
    );
    call!(contract_provider, a_contract("P09", "LTCI"));
    call!(
        end_contract,
        end_of_contract(&named.provider, &named.contract, "2024-12-31")
    );
    call!(register_caregiver, a_caregiver(&named.provider));
    call!(retire_caregiver, retirement(&named.caregiver, "2024-12-31"));
    call!(
        submit_order,
        pb::SubmitOrderRequest {
            order: Some(order("C", elder, &named.caregiver, "2024-02-12 09:00")),
            min_position: String::new(),
        }
    );
    call!(
        get_order,
        pb::GetOrderRequest {
            provider_id: provider(),
            order_id: named.approved.clone(),
            min_position: String::new(),
        }
    );
    call!(
        list_orders,
        pb::ListOrdersRequest {
            filter: Some(all_in(COUNTY)),
            ..Default::default()
        }
    );
    call!(appeal_order, appeal_request(&named.abnormal));
    call!(decide_appeal, decision_request(&named.abnormal, false));
    call!(
        list_appeals,
        pb::ListAppealsRequest {
            division_code: COUNTY.to_owned(),
            ..Default::default()
        }
    );
    call!(
        list_held_orders,
        pb::ListHeldOrdersRequest {
            division_code: COUNTY.to_owned(),
            ..Default::default()
        }
    );
    call!(
        decide_hold,
        pb::DecideHoldRequest {
            request_id: id(),
            provider_id: provider(),
            order_id: named.approved.clone(),
            decision: pb::HoldDecision::Keep.into(),
            etag: String::new(),
        }
    );
    call!(
        draft_settlement,
        pb::DraftSettlementRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            month_of: date("2024-03-01"),
        }
    );
    call!(
        confirm_settlement,
        pb::ConfirmSettlementRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            number,
            total_fen: 20_000,
        }
    );
    call!(
        record_payment,
        pb::RecordPaymentRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            number,
            amount_fen: 20_000,
            paid_on: date("2024-03-01"),
            reference: "V1".to_owned(),
        }
    );
    call!(
        adjust_settlement,
        pb::AdjustSettlementRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            number,
            amount_fen: -1,
            order_id: String::new(),
            reason: "更正".to_owned(),
        }
    );
    call!(
        get_settlement,
        pb::GetSettlementRequest {
            programme_code: programme(),
            provider_id: provider(),
            number,
            min_position: String::new(),
        }
    );
    call!(
        export_settlement,
        pb::ExportSettlementRequest {
            programme_code: programme(),
            provider_id: provider(),
            number,
            format: pb::SettlementFormat::Csv.into(),
            min_position: String::new(),
        }
    );
    call!(
        list_settlements,
        pb::ListSettlementsRequest {
            programme_code: programme(),
            ..Default::default()
        }
    );
    call!(
        fund_deposit,
        pb::FundDepositRequest {
            request_id: id(),
            programme_code: programme(),
            amount_fen: 1,
            kind: pb::DepositKind::Grant.into(),
            reference: "V1".to_owned(),
        }
    );
    call!(
        get_fund,
        pb::GetFundRequest {
            programme_code: programme(),
            min_position: String::new(),
        }
    );
    call!(
        get_fund_ledger,
        pb::GetFundLedgerRequest {
            programme_code: programme(),
            ..Default::default()
        }
    );
    call!(
        get_figures,
        pb::GetFiguresRequest {
            filter: Some(all_in(COUNTY)),
            ..Default::default()
        }
    );
    call!(
        list_suspicions,
        pb::ListSuspicionsRequest {
            division_code: COUNTY.to_owned(),
            first_day: date("2024-02-01"),
            last_day: date("2024-02-29"),
            ..Default::default()
        }
    );
    outcomes
}

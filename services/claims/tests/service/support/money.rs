//! What claims are asked about money in a test: the fund, and settlements from the draft to the payment.

use elders::codec;
use proto::eldercare::claims::v1 as pb;
use tonic::Status;

use super::{Running, date, id};

impl Running {
    pub(crate) async fn fund(&self, programme: &str) -> pb::GetFundResponse {
        self.settled().await;
        let request = pb::GetFundRequest {
            programme_code: programme.to_owned(),
            min_position: String::new(),
        };
        self.client().get_fund(request).await.unwrap().into_inner()
    }

    /// A grant comes in.
    pub(crate) async fn granted(&self, programme: &str, fen: i64) {
        let request = pb::FundDepositRequest {
            request_id: id(),
            programme_code: programme.to_owned(),
            amount_fen: fen,
            kind: pb::DepositKind::Grant.into(),
            reference: "财社〔2024〕1号".to_owned(),
        };
        self.client().fund_deposit(request).await.unwrap();
    }

    /// What is approved in a month and waits, put together.
    pub(crate) async fn draft(
        &self,
        provider: &str,
        month_of: &str,
    ) -> Result<pb::Settlement, Status> {
        let request = pb::DraftSettlementRequest {
            request_id: id(),
            programme_code: "LTCI".to_owned(),
            provider_id: provider.to_owned(),
            month_of: date(month_of),
        };
        let drafted = self.client().draft_settlement(request).await?;
        Ok(drafted.into_inner().settlement.unwrap())
    }

    pub(crate) async fn confirm(
        &self,
        settlement: &pb::Settlement,
    ) -> Result<pb::Settlement, Status> {
        let request = pb::ConfirmSettlementRequest {
            request_id: id(),
            programme_code: settlement.programme_code.clone(),
            provider_id: settlement.provider_id.clone(),
            number: settlement.number,
            total_fen: settlement.total_fen,
        };
        let confirmed = self.client().confirm_settlement(request).await?;
        Ok(confirmed.into_inner().settlement.unwrap())
    }

    /// Pays all of it today.
    pub(crate) async fn pay(&self, settlement: &pb::Settlement) -> Result<pb::Settlement, Status> {
        let request = self.payment_of(settlement);
        let paid = self.client().record_payment(request).await?;
        Ok(paid.into_inner().settlement.unwrap())
    }

    /// Drafts what is approved in a month and waits, confirms it and pays all of it today.
    pub(crate) async fn paid(&self, provider: &str, month_of: &str) -> pb::Settlement {
        let draft = self.draft(provider, month_of).await.unwrap();
        let confirmed = self.confirm(&draft).await.unwrap();
        self.pay(&confirmed).await.unwrap()
    }

    pub(crate) fn payment_of(&self, settlement: &pb::Settlement) -> pb::RecordPaymentRequest {
        pb::RecordPaymentRequest {
            request_id: id(),
            programme_code: settlement.programme_code.clone(),
            provider_id: settlement.provider_id.clone(),
            number: settlement.number,
            amount_fen: settlement.total_fen,
            paid_on: Some(codec::write_day(self.ground.clock.today())),
            reference: "V1".to_owned(),
        }
    }

    pub(crate) async fn settlement(
        &self,
        provider: &str,
        number: i32,
    ) -> pb::GetSettlementResponse {
        self.settlement_of("LTCI", provider, number).await
    }

    /// The same of any programme.
    pub(crate) async fn settlement_of(
        &self,
        programme: &str,
        provider: &str,
        number: i32,
    ) -> pb::GetSettlementResponse {
        self.settled().await;
        let request = pb::GetSettlementRequest {
            programme_code: programme.to_owned(),
            provider_id: provider.to_owned(),
            number,
            min_position: String::new(),
        };
        let told = self.client().get_settlement(request).await.unwrap();
        told.into_inner()
    }

    /// All settlements of a programme as they are listed; at most 1,000.
    pub(crate) async fn settlements(&self, programme: &str) -> Vec<pb::Settlement> {
        self.settled().await;
        let request = pb::ListSettlementsRequest {
            programme_code: programme.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let listed = self.client().list_settlements(request).await.unwrap();
        let listed = listed.into_inner();
        assert_eq!(listed.next_page_token, "");
        listed.settlements
    }
}

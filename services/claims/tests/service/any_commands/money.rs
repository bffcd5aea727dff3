//! Commands about funds and settlements.

use civic::{Fen, LocalDay};
use elders::codec;
use proto::eldercare::claims::v1 as pb;

use super::answers::{answered, pick};
use super::commands::Programme;
use super::county::County;
use crate::support::{COUNTY, all_in, id};

impl County {
    pub(super) async fn deposit(&mut self, programme: Programme, fen: i64, twice: bool) {
        let request = pb::FundDepositRequest {
            request_id: id(),
            programme_code: programme.code().to_owned(),
            amount_fen: fen,
            kind: pb::DepositKind::Grant.into(),
            reference: "财社〔2024〕1号".to_owned(),
        };
        let running = &self.running;
        let deposited = answered(twice, async || {
            running.client().fund_deposit(request.clone()).await
        });
        deposited.await.unwrap();
        self.book.deposited(programme, fen);
    }

    /// Whatever a draft may take is in a settlement then.
    pub(super) async fn draft(
        &self,
        programme: Programme,
        provider: &str,
        month_of: LocalDay,
        twice: bool,
    ) {
        let month_of = Some(codec::write_day(month_of));
        let request = pb::DraftSettlementRequest {
            request_id: id(),
            programme_code: programme.code().to_owned(),
            provider_id: provider.to_owned(),
            month_of,
        };
        let running = &self.running;
        let drafted = answered(twice, async || {
            running.client().draft_settlement(request.clone()).await
        });
        let drafted = drafted.await;
        let of_month = pb::OrderFilter {
            programme_code: programme.code().to_owned(),
            provider_id: provider.to_owned(),
            states: vec![pb::OrderState::Approved.into()],
            approved_in_month_of: month_of,
            ..all_in(COUNTY)
        };
        for order in running.orders(of_month).await {
            let waits = order.hold() == pb::HoldState::OnHold;
            let settled = order.settlement_number > 0;
            assert_eq!(settled, !waits, "{order:?} after {drafted:?}");
        }
    }

    /// One of a programme's settlements as it stands, of this stage if there is one.
    async fn settlement(
        &self,
        programme: Programme,
        which: usize,
        stage: pb::SettlementStage,
    ) -> Option<pb::Settlement> {
        let mut listed = self.running.settlements(programme.code()).await;
        let at = pick(which, &listed, |one| one.stage() == stage)?;
        Some(listed.swap_remove(at))
    }

    /// A draft is fixed, unless it is none, another sum was read, or the fund holds less.
    pub(super) async fn confirm(
        &self,
        programme: Programme,
        which: usize,
        as_read: bool,
        twice: bool,
    ) {
        let stage = pb::SettlementStage::Draft;
        let Some(settlement) = self.settlement(programme, which, stage).await else {
            return;
        };
        let total = settlement.total_fen;
        let request = pb::ConfirmSettlementRequest {
            request_id: id(),
            programme_code: settlement.programme_code.clone(),
            provider_id: settlement.provider_id.clone(),
            number: settlement.number,
            total_fen: if as_read { total } else { total + 1 },
        };
        let running = &self.running;
        let confirmed = answered(twice, async || {
            running.client().confirm_settlement(request.clone()).await
        });
        let confirmed = confirmed.await;
        let covered = total <= self.book.fund(programme).balance_fen;
        let may = settlement.stage() == stage && as_read && covered;
        assert_eq!(confirmed.is_ok(), may, "{settlement:?}: {confirmed:?}");
    }

    /// A confirmed settlement is paid, unless it is none, another sum was read, or the fund holds less.
    pub(super) async fn pay(
        &mut self,
        programme: Programme,
        which: usize,
        as_read: bool,
        twice: bool,
    ) {
        let stage = pb::SettlementStage::Confirmed;
        let Some(settlement) = self.settlement(programme, which, stage).await else {
            return;
        };
        let total = settlement.total_fen;
        let request = pb::RecordPaymentRequest {
            amount_fen: if as_read { total } else { total + 1 },
            ..self.running.payment_of(&settlement)
        };
        let running = &self.running;
        let paid = answered(twice, async || {
            running.client().record_payment(request.clone()).await
        });
        let paid = paid.await;
        let fund = self.book.fund(programme);
        let covered = total <= 0 || total <= fund.balance_fen;
        // More than went out never comes back.
        let there = fund.paid_fen + total >= 0;
        let may = settlement.stage() == stage && as_read && covered && there;
        assert_eq!(paid.is_ok(), may, "{settlement:?}: {paid:?}");
        if may {
            let (provider, number) = (&settlement.provider_id, settlement.number);
            let told = running.settlement_of(programme.code(), provider, number);
            let told = told.await;
            let numbered = told.settlement.as_ref().map(|one| one.total_fen);
            assert_eq!(numbered, Some(total), "it is paid as it was read");
            self.book.paid.push(told);
        }
    }

    /// What a paid settlement got wrong; about its first order, if it is about one.
    pub(super) async fn adjust(
        &mut self,
        programme: Programme,
        which: usize,
        (fen, names_order): (i64, bool),
        twice: bool,
    ) {
        let stage = pb::SettlementStage::Paid;
        let Some(settlement) = self.settlement(programme, which, stage).await else {
            return;
        };
        let running = &self.running;
        let (provider, number) = (&settlement.provider_id, settlement.number);
        let told = running.settlement_of(programme.code(), provider, number);
        let first = told.await.orders.into_iter().next();
        let order = first.filter(|_| names_order);
        let request = pb::AdjustSettlementRequest {
            request_id: id(),
            programme_code: settlement.programme_code.clone(),
            provider_id: provider.clone(),
            number,
            amount_fen: fen,
            order_id: order.map_or_else(String::new, |one| one.order_id),
            reason: "时长更正".to_owned(),
        };
        let about = request.order_id.clone();
        let adjusted = answered(twice, async || {
            running.client().adjust_settlement(request.clone()).await
        });
        let adjusted = adjusted.await;
        let named = (programme, provider.clone(), number);
        let (of_it, alike) = self.book.adjusted(&named, &about);
        let may = settlement.stage() == stage
            && Fen(settlement.orders_fen + of_it + fen) >= Fen::ZERO
            && (fen < 0 || alike + fen <= 0);
        assert_eq!(adjusted.is_ok(), may, "{settlement:?}: {adjusted:?}");
        if let Ok(adjusted) = adjusted {
            let adjustments = &mut self.book.adjustments;
            adjustments.insert(adjusted.adjustment_id, (named, fen, about));
        }
    }
}

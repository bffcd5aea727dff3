//! Requests about settlements and funds.

use civic::{CalendarMonth, DepositKind, Fen, LocalDay, SettlementStage};
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::claims::v1 as pb;
use service::{Asked, Checks, List, Paged};

use super::orders::order_id;
use super::{
    LISTS, Parse, Parsed, day, maybe_day, maybe_provider, maybe_term, page_of, programme_code,
    provider_id, term,
};
use crate::order;
use crate::settling::{self, Payment, Which, Wrong};

/// The longest reference.
const LONGEST_REFERENCE: usize = 64;
/// The longest reason of an adjustment.
const LONGEST_REASON: usize = 200;
/// The most that comes in or is adjusted at once: ten billion yuan.
const MOST_FEN: i64 = 1_000_000_000_000;

impl Parse {
    pub(crate) fn draft(
        &self,
        mut request: pb::DraftSettlementRequest,
    ) -> Parsed<(Asked, String, String, CalendarMonth)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let programme = programme_code(&mut checks, &request.programme_code);
        let provider = provider_id(&mut checks, &request.provider_id);
        let month = day(&mut checks, "month_of", request.month_of).map(LocalDay::month);
        checks.all((asked, programme, provider, month))
    }

    pub(crate) fn confirm(
        &self,
        mut request: pb::ConfirmSettlementRequest,
    ) -> Parsed<(Asked, Which, Fen)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        checks.all((asked, which, Some(Fen(request.total_fen))))
    }

    pub(crate) fn payment(
        &self,
        mut request: pb::RecordPaymentRequest,
        today: LocalDay,
    ) -> Parsed<(Asked, Which, Payment)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let paid_on = day(&mut checks, "paid_on", request.paid_on);
        checks.that(
            paid_on.is_none_or(|paid_on| paid_on <= today),
            "paid_on",
            "IN_THE_FUTURE",
            "has not come yet",
            "日期尚未到来",
        );
        let reference = checks.string("reference", &request.reference, 1..=LONGEST_REFERENCE);
        let amount = Fen(request.amount_fen);
        let payment = paid_on.zip(reference).map(|(paid_on, reference)| Payment {
            amount,
            paid_on,
            reference,
        });
        checks.all((asked, which, payment))
    }

    pub(crate) fn adjustment(
        &self,
        mut request: pb::AdjustSettlementRequest,
    ) -> Parsed<(Asked, Which, Wrong)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let amount = checks.number("amount_fen", request.amount_fen, -MOST_FEN..=MOST_FEN);
        checks.that(
            request.amount_fen != 0,
            "amount_fen",
            "OUT_OF_RANGE",
            "must not be 0",
            "不能为 0",
        );
        let reason = checks.string("reason", &request.reason, 1..=LONGEST_REASON);
        let order = if request.order_id.is_empty() {
            Some(None)
        } else {
            let number = order_id(&mut checks, &request.order_id);
            number.map(|number| Some(order::key(&request.provider_id, &number)))
        };
        let wrong = amount.zip(reason).zip(order);
        let wrong = wrong.map(|((amount, reason), order)| Wrong {
            amount: Fen(amount),
            order,
            reason,
        });
        checks.all((asked, which, wrong))
    }

    pub(crate) fn get_settlement(
        &self,
        request: &pb::GetSettlementRequest,
    ) -> Parsed<(Which, Option<Position>)> {
        let mut checks = Checks::new();
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((which, position))
    }

    pub(crate) fn export_settlement(
        &self,
        request: &pb::ExportSettlementRequest,
    ) -> Parsed<(Which, pb::SettlementFormat, Option<Position>)> {
        let mut checks = Checks::new();
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let format = checks.known("format", request.format);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((which, format, position))
    }

    pub(crate) fn list_settlements(
        &self,
        mut request: pb::ListSettlementsRequest,
    ) -> Parsed<Paged<settling::Filter>> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let provider = maybe_provider(&mut checks, &request.provider_id);
        let month = maybe_day(&mut checks, "month_of", request.month_of);
        let stage = maybe_term::<SettlementStage>(&mut checks, "stage", request.stage);
        let filter = programme.zip(provider).zip(month).zip(stage);
        let filter = filter.map(|(((programme, provider), month), stage)| settling::Filter {
            programme,
            provider,
            month: month.map(LocalDay::month),
            stage,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListSettlements", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    #[allow(clippy::type_complexity, reason = "it is taken apart where it is used")]
    pub(crate) fn deposit(
        &self,
        mut request: pb::FundDepositRequest,
    ) -> Parsed<(Asked, String, (DepositKind, Fen, String))> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let programme = programme_code(&mut checks, &request.programme_code);
        let amount = checks.number("amount_fen", request.amount_fen, 1..=MOST_FEN);
        let kind = term::<DepositKind>(&mut checks, "kind", request.kind);
        checks.that(
            kind != Some(DepositKind::Premium),
            "kind",
            "KIND_OF_ENROLMENTS",
            "premiums come in with enrolments",
            "保费随参保登记自动入账",
        );
        let reference = checks.string("reference", &request.reference, 1..=LONGEST_REFERENCE);
        let parts = kind.zip(amount).zip(reference);
        let parts = parts.map(|((kind, amount), reference)| (kind, Fen(amount), reference));
        checks.all((asked, programme, parts))
    }

    pub(crate) fn fund(&self, request: &pb::GetFundRequest) -> Parsed<(String, Option<Position>)> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((programme, position))
    }

    pub(crate) fn ledger(&self, mut request: pb::GetFundLedgerRequest) -> Parsed<Paged<String>> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("GetFundLedger", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, programme)
    }
}

fn which(checks: &mut Checks, names: (&String, &String), number: i32) -> Option<Which> {
    let programme = programme_code(checks, names.0);
    let provider = provider_id(checks, names.1);
    let number = checks.number("number", number, 1..=i32::MAX);
    Some(Which {
        programme: programme?,
        provider: provider?,
        number: number?.cast_unsigned(),
    })
}

//! What holds after any commands, as it is told to callers.

use std::collections::{BTreeMap, BTreeSet};

use proto::eldercare::claims::v1 as pb;

use super::book::Known;
use super::commands::{PROVIDERS, Programme};
use super::county::County;
use crate::money::assert_balanced_of;
use crate::support::{COUNTY, all_in, in_words};

impl County {
    pub(super) async fn balances(&self) {
        self.orders_are_those_acknowledged().await;
        self.figures_add_up().await;
        self.settlements_hold_each_order_once().await;
        self.funds_hold_what_came_in_and_was_not_paid().await;
        self.nothing_beyond_the_entitlement_was_used().await;
    }

    /// Each order that was acknowledged is there once, as it was answered last, and no other.
    async fn orders_are_those_acknowledged(&self) {
        let listed = self.running.orders(all_in(COUNTY)).await;
        let said = |one: &pb::OrderStanding| {
            let name = format!("{} {} {}", one.provider_id, one.order_id, one.elder_id);
            (name, in_words(one), one.appeal(), one.amount_fen)
        };
        let mut told: Vec<_> = listed.iter().map(said).collect();
        let orders = self.book.orders.iter();
        let mut known: Vec<_> = orders.map(|one| said(&one.standing)).collect();
        told.sort();
        known.sort();
        assert_eq!(told, known);
        for known in &self.book.orders {
            assert_eq!(known.standing.order_id, known.order.order_id);
            assert_eq!(known.standing.provider_id, known.order.provider_id);
        }
    }

    /// Orders = waiting + approved + open abnormal + not settled, as many as were acknowledged.
    async fn figures_add_up(&self) {
        self.figures_are(all_in(COUNTY), |_| true).await;
        for programme in Programme::ALL {
            let filter = pb::OrderFilter {
                programme_code: programme.code().to_owned(),
                ..all_in(COUNTY)
            };
            self.figures_are(filter, |one| one.programme == programme)
                .await;
        }
        for provider in PROVIDERS {
            let filter = pb::OrderFilter {
                provider_id: provider.to_owned(),
                ..all_in(COUNTY)
            };
            self.figures_are(filter, |one| one.order.provider_id == provider)
                .await;
        }
    }

    async fn figures_are(&self, filter: pb::OrderFilter, of: impl Fn(&Known) -> bool) {
        let told = self.running.figures(filter, &[]).await.rows.remove(0);
        let of: Vec<&Known> = self.book.orders.iter().filter(|one| of(one)).collect();
        let count = |state: pb::OrderState| {
            let all = of.iter().filter(|one| one.standing.state() == state);
            i64::try_from(all.count()).unwrap()
        };
        let approved = || of.iter().filter(|one| one.is_approved());
        let persons: BTreeSet<_> = approved().map(|one| one.elder).collect();
        let abnormal = of.iter().filter(|one| !one.standing.codes.is_empty());
        let expected = pb::FigureRow {
            keys: vec![],
            orders: i64::try_from(of.len()).unwrap(),
            waiting: 0,
            approved: count(pb::OrderState::Approved),
            abnormal_open: count(pb::OrderState::AbnormalOpen),
            not_settled: count(pb::OrderState::NotSettled),
            abnormal_at_submission: i64::try_from(abnormal.count()).unwrap(),
            approved_fen: approved().map(|one| one.standing.amount_fen).sum(),
            persons_approved: i64::try_from(persons.len()).unwrap(),
        };
        assert_eq!(told, expected);
        let states = told.waiting + told.approved + told.abnormal_open + told.not_settled;
        assert_eq!(told.orders, states);
    }

    /// No order is in two settlements, none is in one that may not be paid, and what was paid stays as it was.
    async fn settlements_hold_each_order_once(&self) {
        let (mut borne, mut adjusted) = (BTreeMap::new(), BTreeSet::new());
        let mut paid = 0;
        for programme in Programme::ALL {
            for listed in self.running.settlements(programme.code()).await {
                let (provider, number) = (&listed.provider_id, listed.number);
                let told = self
                    .running
                    .settlement_of(programme.code(), provider, number);
                let told = told.await;
                if listed.stage() == pb::SettlementStage::Paid {
                    paid += 1;
                    self.is_as_it_was_paid(&told);
                }
                for order in &told.orders {
                    assert_eq!(order.state(), pb::OrderState::Approved, "{order:?}");
                    assert_ne!(order.hold(), pb::HoldState::OnHold, "{order:?}");
                    assert_eq!(order.programme_code, programme.code());
                    assert_eq!(&order.provider_id, provider);
                    assert_eq!(order.settlement_number, number);
                    let before = borne.insert(order.order_id.clone(), number);
                    assert_eq!(before, None, "{} is in two settlements", order.order_id);
                }
                let settlement = told.settlement.unwrap();
                let of_orders: i64 = told.orders.iter().map(|one| one.amount_fen).sum();
                assert_eq!(settlement.orders_fen, of_orders);
                assert_eq!(
                    usize::try_from(settlement.orders).unwrap(),
                    told.orders.len()
                );
                for one in &settlement.adjustments {
                    assert!(adjusted.insert(one.adjustment_id.clone()), "{one:?} twice");
                    let named = (programme, provider.clone(), one.corrected_number);
                    let known = self.book.adjustments.get(&one.adjustment_id);
                    let known = known.map(|(named, fen, _)| (named.clone(), *fen));
                    assert_eq!(known, Some((named, one.amount_fen)));
                }
                let of_adjustments = settlement.adjustments.iter().map(|one| one.amount_fen);
                assert_eq!(settlement.adjustments_fen, of_adjustments.sum::<i64>());
                let total = settlement.orders_fen + settlement.adjustments_fen;
                assert_eq!(settlement.total_fen, total);
                let in_lists = pb::Settlement {
                    adjustments: vec![],
                    etag: String::new(),
                    ..settlement
                };
                assert_eq!(listed, in_lists);
            }
        }
        assert_eq!(paid, self.book.paid.len());
        for order in self.running.orders(all_in(COUNTY)).await {
            let number = borne.get(&order.order_id).copied().unwrap_or_default();
            assert_eq!(order.settlement_number, number, "{order:?}");
        }
    }

    fn is_as_it_was_paid(&self, told: &pb::GetSettlementResponse) {
        let said = |one: &pb::GetSettlementResponse| {
            let settlement = one.settlement.clone().unwrap();
            let orders = one.orders.iter().map(|order| order.order_id.clone());
            let settlement = pb::Settlement {
                etag: String::new(),
                ..settlement
            };
            (settlement, orders.collect::<Vec<_>>())
        };
        let then = self.book.paid.iter().map(said);
        let same = then.filter(|then| *then == said(told)).count();
        assert_eq!(same, 1, "{told:?} was not paid so");
    }

    /// Balance = in − paid, never below nought, and the double entries come to nought.
    async fn funds_hold_what_came_in_and_was_not_paid(&self) {
        for programme in Programme::ALL {
            let fund = self.running.fund(programme.code()).await;
            assert_eq!(fund, self.book.fund(programme));
            assert_eq!(fund.balance_fen, fund.in_fen - fund.paid_fen);
            assert!(fund.balance_fen >= 0, "{fund:?}");
            assert_balanced_of(&self.running, programme.code()).await;
        }
    }

    /// Of no person and year more is used than there is, and what approved orders took.
    async fn nothing_beyond_the_entitlement_was_used(&self) {
        let orders = self.book.orders.iter();
        let years: BTreeSet<i32> = orders.map(|one| one.day().year()).collect();
        for programme in Programme::ALL {
            for (elder, year) in self.elders.iter().flat_map(|elder| {
                let years = years.iter().copied();
                years.map(move |year| (*elder, year))
            }) {
                let on = format!("{year}-12-31");
                let entitlement = self.running.entitlement_of(programme.code(), elder, &on);
                let entitlement = entitlement.await;
                let used = self.book.used(programme, elder, year);
                assert_eq!(entitlement.units_a_year, programme.a_year());
                assert_eq!(entitlement.units_used, used, "{elder} in {year}");
                assert!(used <= programme.a_year(), "{elder} in {year}: {used}");
                assert_eq!(entitlement.units_left, programme.a_year() - used);
            }
        }
    }
}

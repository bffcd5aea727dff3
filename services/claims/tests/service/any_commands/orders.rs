//! Commands about orders, appeals and holds.

use chrono::TimeDelta;
use proto::eldercare::claims::v1 as pb;

use super::answers::{Placed as _, answered, pick, sent, sequence};
use super::book::Known;
use super::commands::{Flaw, PROVIDERS, Programme, Service};
use super::county::County;
use crate::support::{
    COUNTY, all_in, appeal_request, decision_request, file, id, officer, order, place, reason,
    timestamp,
};

impl County {
    fn order(&mut self, service: &Service) -> pb::ServiceOrder {
        self.numbers += 1;
        let number = format!("O{}", self.numbers);
        let elder = self.elders[service.elder];
        let midnight = self.today().plus_days(-service.days_ago).start();
        let start = midnight + TimeDelta::minutes(15 * service.quarters);
        let caregiver = &self.caregivers[service.caregiver];
        let provider = service.caregiver / 2;
        let mut order = pb::ServiceOrder {
            provider_id: PROVIDERS[provider].to_owned(),
            programme_code: service.programme.code().to_owned(),
            check_in_at: timestamp(start),
            check_out_at: timestamp(start + TimeDelta::minutes(service.minutes)),
            ..order(&number, elder, caregiver, "2024-12-01 09:00")
        };
        if service.programme == Programme::HomeCare {
            order.items = vec!["COOKING".to_owned()];
            order.evidence = vec![file(pb::EvidenceKind::Photo, &number)];
        }
        match service.flaw {
            None => {}
            Some(Flaw::NoItems) => order.items.clear(),
            Some(Flaw::NoEvidence) => order.evidence.clear(),
            Some(Flaw::UsedEvidence) => {
                if let Some(first) = self.book.orders.first() {
                    order.evidence.clone_from(&first.order.evidence);
                }
            }
            Some(Flaw::FarFromHome) => order.check_in = Some(place(600.0)),
            Some(Flaw::BorrowedCaregiver) => {
                PROVIDERS[1 - provider].clone_into(&mut order.provider_id);
            }
            Some(Flaw::EndsFirst) => {
                order.check_out_at = timestamp(start - TimeDelta::minutes(1));
            }
            Some(Flaw::UnknownProgramme) => "NONE".clone_into(&mut order.programme_code),
            Some(Flaw::UnknownVersion) => order.programme_version = 7,
            Some(Flaw::UnknownElder) => order.elder_id = id(),
        }
        order
    }

    /// By itself, or several in a stream.
    pub(super) async fn submit(&mut self, services: &[Service], twice: bool) {
        let orders: Vec<_> = services.iter().map(|one| self.order(one)).collect();
        let running = &self.running;
        running.settled().await;
        let verdicts = match orders.as_slice() {
            [order] => {
                let request = pb::SubmitOrderRequest {
                    order: Some(order.clone()),
                    min_position: String::new(),
                };
                let told = answered(twice, async || {
                    running.client().submit_order(request.clone()).await
                });
                let told = told.await.ok();
                vec![told.map(|told| (sequence(&told.position), told.standing.unwrap()))]
            }
            orders => {
                let submit = async || running.streamed(orders).await;
                let outcomes = sent(&submit).await.unwrap();
                if twice {
                    for (again, outcome) in sent(&submit).await.unwrap().iter().zip(&outcomes) {
                        assert_eq!(again.position(), outcome.position());
                        assert_eq!(again.repeated_order, again.standing.is_some());
                    }
                }
                assert_eq!(outcomes.len(), orders.len());
                let told = outcomes.into_iter().map(|outcome| {
                    let standing = outcome.standing?;
                    Some((sequence(&outcome.position), standing))
                });
                told.collect()
            }
        };
        let now = timestamp(running.ground.clock.now()).unwrap().seconds;
        let mut acknowledged = Vec::new();
        for ((service, order), verdict) in services.iter().zip(orders).zip(verdicts) {
            let refused = service.flaw.is_some_and(Flaw::is_refused);
            let future = order.check_out_at.is_some_and(|end| end.seconds > now);
            assert_eq!(verdict.is_none(), refused || future, "{order:?}");
            if let Some((sequence, standing)) = verdict {
                acknowledged.push((sequence, service, order, standing));
            }
        }
        // Where one of them was lost first, it comes after the others.
        acknowledged.sort_by_key(|(sequence, ..)| *sequence);
        let today = self.today();
        for (_, service, order, standing) in acknowledged {
            let elder = self.elders[service.elder];
            self.book.handed_in(service, elder, order, standing, today);
        }
    }

    pub(super) async fn submit_again(&mut self, which: usize) {
        let Some(at) = pick(which, &self.book.orders, |_| true) else {
            return;
        };
        let known = &self.book.orders[at];
        let running = &self.running;
        let told = sent(async || running.submit(&known.order).await);
        let told = told.await.unwrap();
        assert!(told.repeated_order, "{known:?}");
        assert_eq!(told.standing.unwrap().state(), known.standing.state());
    }

    pub(super) async fn reuse_number(&mut self, which: usize) {
        let Some(at) = pick(which, &self.book.orders, |_| true) else {
            return;
        };
        let another = pb::ServiceOrder {
            items: vec!["BATHING".to_owned()],
            ..self.book.orders[at].order.clone()
        };
        let running = &self.running;
        let refused = sent(async || running.submit(&another).await);
        let refused = refused.await.unwrap_err();
        assert_eq!(reason(&refused), "ORDER_ID_REUSED");
    }

    pub(super) async fn appeal(&mut self, which: usize, twice: bool) {
        let orders = &self.book.orders;
        let Some(at) = pick(which, orders, Known::may_be_appealed) else {
            return;
        };
        let known = &mut self.book.orders[at];
        let request = pb::AppealOrderRequest {
            provider_id: known.order.provider_id.clone(),
            ..appeal_request(&known.order.order_id)
        };
        let (running, appellant) = (&self.running, officer("appellant", COUNTY));
        let appealed = answered(twice, async || {
            let mut client = running.client_of(&appellant);
            client.appeal_order(request.clone()).await
        });
        let appealed = appealed.await;
        assert_eq!(appealed.is_ok(), known.may_be_appealed(), "{known:?}");
        if appealed.is_ok() {
            known.standing.appeal = pb::AppealState::Pending.into();
        }
    }

    pub(super) async fn decide_appeal(&mut self, which: usize, accept: bool, twice: bool) {
        let orders = &self.book.orders;
        let Some(at) = pick(which, orders, Known::is_appealed) else {
            return;
        };
        let known = &orders[at];
        let request = pb::DecideAppealRequest {
            provider_id: known.order.provider_id.clone(),
            ..decision_request(&known.order.order_id, accept)
        };
        let (running, reviewer) = (&self.running, officer("reviewer", COUNTY));
        let decided = answered(twice, async || {
            let mut client = running.client_of(&reviewer);
            client.decide_appeal(request.clone()).await
        });
        let decided = decided.await;
        assert_eq!(decided.is_ok(), known.is_appealed(), "{known:?}");
        let Ok(decided) = decided else { return };
        let standing = decided.standing.unwrap();
        let state = if accept && self.book.bears(known) {
            pb::OrderState::Approved
        } else {
            pb::OrderState::NotSettled
        };
        assert_eq!(standing.state(), state, "{known:?}");
        self.book.decided(standing);
    }

    pub(super) async fn decide_hold(&mut self, which: usize, withdraw: bool, twice: bool) {
        let on_hold = |one: &pb::OrderStanding| one.hold() == pb::HoldState::OnHold;
        let mut listed = self.running.orders(all_in(COUNTY)).await;
        let Some(at) = pick(which, &listed, on_hold) else {
            return;
        };
        let known = listed.swap_remove(at);
        let decision = if withdraw {
            pb::HoldDecision::Withdraw
        } else {
            pb::HoldDecision::Keep
        };
        let request = pb::DecideHoldRequest {
            request_id: id(),
            provider_id: known.provider_id.clone(),
            order_id: known.order_id.clone(),
            decision: decision.into(),
            etag: String::new(),
        };
        let (running, reviewer) = (&self.running, officer("reviewer", COUNTY));
        let decided = answered(twice, async || {
            let mut client = running.client_of(&reviewer);
            client.decide_hold(request.clone()).await
        });
        let decided = decided.await;
        assert_eq!(decided.is_ok(), on_hold(&known), "{known:?}");
        let Ok(decided) = decided else { return };
        let standing = decided.standing.unwrap();
        let state = if withdraw {
            pb::OrderState::NotSettled
        } else {
            pb::OrderState::Approved
        };
        assert_eq!(standing.state(), state, "{known:?}");
        self.book.decided(standing);
    }
}

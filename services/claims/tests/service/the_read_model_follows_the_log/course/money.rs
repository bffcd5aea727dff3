//! Funds, settlements, and holds on what they pay.

use civic::{DepositKind, Fen, HoldState, OrderCode, OrderState, SettlementStage};
use claims::fund;
use claims::order::Submitted;
use claims::settlements::{self, Line};
use proptest::sample::select;
use service::testing::carry_out;

use super::{Course, PRICE, PROGRAMMES, PROVIDERS, REVIEWER, Unread};

impl Course {
    pub(super) async fn deposit(&mut self) {
        for programme in PROGRAMMES {
            let command = fund::Command::Deposit {
                kind: DepositKind::Grant,
                amount: Fen(10_000_000),
                reference: "G1".to_owned(),
                persons: 0,
            };
            self.of_fund(programme, &command).await;
        }
    }

    pub(super) async fn of_fund(&mut self, programme: &str, command: &fund::Command) {
        let metadata = self.metadata();
        let fund = self.funds.entry(programme.to_owned()).or_default();
        carry_out(&*self.log, (programme, fund), metadata, command).await;
    }

    pub(super) async fn draft(&mut self) {
        let programme = self.any(select(PROGRAMMES.to_vec()));
        let provider = self.any(select(PROVIDERS.to_vec()));
        let approved = self.orders.iter().filter(|one| {
            one.stands == OrderState::Approved
                && one.submitted.programme == programme
                && one.submitted.provider == provider
        });
        let command = settlements::Command::Draft {
            month: self.today().month(),
            approved: approved.map(|one| line(&one.submitted)).collect(),
            most: 5,
        };
        self.of_settlements(&format!("{programme}-{provider}"), &command)
            .await;
    }

    async fn of_settlements(&mut self, id: &str, command: &settlements::Command) {
        let metadata = self.metadata();
        let settlements = self.settlements.entry(id.to_owned()).or_default();
        carry_out(&*self.log, (id, settlements), metadata, command).await;
    }

    /// The first settlement that is not paid goes on.
    pub(super) async fn confirm_or_pay(&mut self) {
        let today = self.today();
        let unpaid = self.settlements.iter().find_map(|(id, of_both)| {
            let mut numbered = (1_u32..).zip(&of_both.settlements);
            let unpaid = numbered.find(|(_, one)| one.stage != SettlementStage::Paid)?;
            Some((id.clone(), unpaid.0, unpaid.1.clone()))
        });
        let Some((id, number, settlement)) = unpaid else {
            return;
        };
        let total = settlement.total;
        if settlement.stage == SettlementStage::Draft {
            let command = settlements::Command::Confirm {
                number,
                total,
                today,
            };
            return self.of_settlements(&id, &command).await;
        }
        let (programme, provider) = id.split_once('-').unwrap();
        let pay = fund::Command::Pay {
            provider: provider.to_owned(),
            number,
            amount: total,
            reserved: settlement.orders_total(),
        };
        self.of_fund(programme, &pay).await;
        let pay = settlements::Command::Pay {
            number,
            amount: total,
            paid_on: today,
            reference: format!("V{number}"),
        };
        self.of_settlements(&id, &pay).await;
    }

    pub(super) async fn doubt(&mut self) {
        let Some(place) = self.one(|one| one.stands == OrderState::Approved) else {
            return;
        };
        let submitted = &self.orders[place].submitted;
        let id = format!("{}-{}", submitted.programme, submitted.provider);
        let order = submitted.key();
        let codes = [OrderCode::NotEntitled, OrderCode::NotAliveOrPresent];
        let command = settlements::Command::Doubt {
            order,
            codes: self.any(select(codes.to_vec())).into(),
            registry_sequence: 2,
        };
        self.of_settlements(&id, &command).await;
    }

    pub(super) async fn decide_hold(&mut self) {
        let on_hold = self.settlements.iter().find_map(|(id, of_both)| {
            let mut holds = of_both.holds.iter();
            let held = holds.find(|(_, hold)| hold.state == HoldState::OnHold)?;
            Some((id.clone(), *held.0))
        });
        let Some((id, order)) = on_hold else {
            return;
        };
        let withdraw = self.any(0..2_u8) > 0;
        let command = settlements::Command::Decide {
            order,
            withdraw,
            by: REVIEWER.to_owned(),
            read: None,
        };
        self.of_settlements(&id, &command).await;
        if withdraw {
            let place = self.one(|one| one.submitted.key() == order).unwrap();
            self.unread.push(Unread::Withdrawn(place));
        }
    }

    /// An order of a paid settlement, one that is to be recovered if there is one, is paid back.
    pub(super) async fn adjust(&mut self) {
        let paid = self.settlements.iter().flat_map(|(id, of_both)| {
            let numbered = (1_u32..).zip(&of_both.settlements);
            let paid = numbered.filter(|(_, one)| one.stage == SettlementStage::Paid);
            paid.flat_map(move |(number, one)| {
                let lines = one.lines.iter();
                lines.map(move |line| {
                    let hold = of_both.holds.get(&line.order).map(|hold| hold.state);
                    let listed = hold == Some(HoldState::ForRecovery);
                    (listed, id.clone(), number, line.order)
                })
            })
        });
        let mut paid: Vec<_> = paid.collect();
        if paid.iter().any(|(listed, ..)| *listed) {
            paid.retain(|(listed, ..)| *listed);
        }
        if paid.is_empty() {
            return;
        }
        let (_, id, number, order) = self.any(select(paid));
        let command = settlements::Command::Adjust {
            adjustment: self.id(),
            number,
            amount: Fen(-PRICE.0),
            order: Some(order),
            reason: "重复支付".to_owned(),
        };
        self.of_settlements(&id, &command).await;
    }
}

fn line(order: &Submitted) -> Line {
    Line {
        order: order.key(),
        amount: order.amount,
    }
}

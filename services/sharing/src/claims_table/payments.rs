//! What was paid from funds: a fund says how much and when that was put on record, the settlement on which day the money went out. Both
//! stand in one batch of the log, and may come in two of ours. No payment counts before its settlement was confirmed: what it pays may
//! not have been reserved until then. Claims refuse such a day; earlier versions of them did not.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use civic::{Fen, LocalDay};
use sqlx::PgConnection;

/// Which settlement is paid: the id of the provider's settlements, and its number among them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Settlement {
    settlements: String,
    number: i32,
}

impl Settlement {
    /// The settlement of a programme's provider.
    pub(super) fn of(programme: &str, provider: &str, number: i32) -> Self {
        Self::among(&format!("{programme}-{provider}"), number)
    }

    /// One among settlements of an id.
    pub(super) fn among(settlements: &str, number: i32) -> Self {
        Self {
            settlements: settlements.to_owned(),
            number,
        }
    }
}

/// What the fund says.
pub(super) struct Booked {
    pub(super) programme: String,
    /// When that was put on record.
    pub(super) on: LocalDay,
    pub(super) amount: Fen,
    /// What of it had been reserved.
    pub(super) reserved: Fen,
}

/// The payments of a batch.
#[derive(Default)]
pub(super) struct Payments(BTreeMap<Settlement, Payment>);

/// What is said of a payment; the last word holds.
#[derive(Default)]
struct Payment {
    booked: Option<Booked>,
    confirmed_on: Option<LocalDay>,
    paid_on: Option<LocalDay>,
}

impl Payments {
    /// A fund paid a settlement.
    pub(super) fn booked(&mut self, settlement: Settlement, booked: Booked) {
        self.0.entry(settlement).or_default().booked = Some(booked);
    }

    /// A settlement was confirmed on a day.
    pub(super) fn confirmed_on(&mut self, settlement: Settlement, on: LocalDay) {
        self.0.entry(settlement).or_default().confirmed_on = Some(on);
    }

    /// The money of a settlement went out on a day.
    pub(super) fn paid_on(&mut self, settlement: Settlement, on: LocalDay) {
        self.0.entry(settlement).or_default().paid_on = Some(on);
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (mut settlements, mut numbers) = (vec![], vec![]);
        let (mut programmes, mut amounts, mut reserved) = (vec![], vec![], vec![]);
        let mut booked_on: Vec<Option<NaiveDate>> = vec![];
        let mut confirmed_on: Vec<Option<NaiveDate>> = vec![];
        let mut paid_on: Vec<Option<NaiveDate>> = vec![];
        for (settlement, payment) in &self.0 {
            let booked = payment.booked.as_ref();
            settlements.push(settlement.settlements.as_str());
            numbers.push(settlement.number);
            programmes.push(booked.map(|booked| booked.programme.as_str()));
            booked_on.push(booked.map(|booked| booked.on.date()));
            amounts.push(booked.map(|booked| booked.amount.0));
            reserved.push(booked.map(|booked| booked.reserved.0));
            confirmed_on.push(payment.confirmed_on.map(LocalDay::date));
            paid_on.push(payment.paid_on.map(LocalDay::date));
        }
        sqlx::query(
            "INSERT INTO payment (settlements, number, programme, booked_on, amount, reserved, confirmed_on, paid_on) \
             SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::date[], $5::bigint[], $6::bigint[], $7::date[], \
                 $8::date[]) \
             ON CONFLICT (settlements, number) DO UPDATE SET programme = coalesce(excluded.programme, payment.programme), \
                 booked_on = coalesce(excluded.booked_on, payment.booked_on), \
                 amount = coalesce(excluded.amount, payment.amount), \
                 reserved = coalesce(excluded.reserved, payment.reserved), \
                 confirmed_on = coalesce(excluded.confirmed_on, payment.confirmed_on), \
                 paid_on = coalesce(excluded.paid_on, payment.paid_on)",
        )
        .bind(settlements)
        .bind(numbers)
        .bind(programmes)
        .bind(booked_on)
        .bind(amounts)
        .bind(reserved)
        .bind(confirmed_on)
        .bind(paid_on)
        .execute(db)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fund_and_settlement_speak_of_one_payment_in_any_order() {
        let [confirmed, paid, booked] = ["2024-02-18", "2024-02-19", "2024-02-22"];
        let [confirmed, paid, booked]: [LocalDay; 3] =
            [confirmed, paid, booked].map(|day| day.parse().unwrap());
        let mut payments = Payments::default();
        payments.paid_on(Settlement::among("LTCI-P01", 3), paid);
        payments.confirmed_on(Settlement::among("LTCI-P01", 3), confirmed);
        payments.booked(
            Settlement::of("LTCI", "P01", 3),
            Booked {
                programme: "LTCI".to_owned(),
                on: booked,
                amount: Fen(190),
                reserved: Fen(200),
            },
        );
        assert_eq!(payments.0.len(), 1);
        let payment = payments.0.values().next().unwrap();
        let of_fund = payment.booked.as_ref().unwrap();
        assert_eq!((of_fund.on, payment.paid_on), (booked, Some(paid)));
        assert_eq!(payment.confirmed_on, Some(confirmed));
    }
}

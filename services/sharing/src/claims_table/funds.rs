//! The sums of programmes' funds, now and at the end of each day: what came in and was reserved holds from the day on which it was
//! recorded, what was paid from the day on which the money went out, no sooner than its settlement was confirmed
//! ([`super::payments`]).

use std::collections::BTreeMap;

use chrono::NaiveDate;
use civic::{DivisionCode, Fen, LocalDay};
use elders::wire::message;
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::claims::v1 as pb;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};

use super::payments::{Booked, Payments, Settlement};
use super::{NAME, short_name};

/// The sums of a fund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FundSums {
    /// What came in.
    pub(crate) deposited: Fen,
    /// What approved orders that are not paid will cost.
    pub(crate) reserved: Fen,
    /// What was paid.
    pub(crate) paid: Fen,
}

/// What is said of a fund.
pub(super) enum FundSaid {
    /// It got so much, or so much more is reserved.
    Moved(FundSums),
    /// It paid a provider's settlement of a number.
    Paid(String, i32, FundSums),
}

pub(super) fn decode(raw: &RawEvent) -> Result<FundSaid, DecodeError> {
    let mut sums = FundSums::default();
    match short_name(raw)? {
        "FundDeposited" => {
            let said: pb::FundDeposited = message(raw)?;
            sums.deposited = Fen(said.amount_fen);
        }
        "FundReserved" => {
            let said: pb::FundReserved = message(raw)?;
            sums.reserved = Fen(said.amount_fen);
        }
        "FundPaid" => {
            let said: pb::FundPaid = message(raw)?;
            sums.paid = Fen(said.amount_fen);
            sums.reserved = Fen(said.reserved_fen.saturating_neg());
            let number = said.settlement_number;
            return Ok(FundSaid::Paid(said.provider_id, number, sums));
        }
        _ => return Err(DecodeError::unknown(raw)),
    }
    Ok(FundSaid::Moved(sums))
}

impl FundSums {
    fn add(&mut self, entry: Self) {
        // What was decided was counted then.
        let plus = |sum: Fen, amount: Fen| Fen(sum.0.saturating_add(amount.0));
        self.deposited = plus(self.deposited, entry.deposited);
        self.reserved = plus(self.reserved, entry.reserved);
        self.paid = plus(self.paid, entry.paid);
    }
}

/// By how much the sums of funds changed in a batch, in all and by days, and what was paid.
#[derive(Default)]
pub(super) struct Funds {
    changed: BTreeMap<String, FundSums>,
    days: BTreeMap<(String, LocalDay), FundSums>,
    pub(super) payments: Payments,
}

impl Funds {
    pub(super) fn fold(&mut self, record: &Record, said: FundSaid) {
        let programme = record.subject.id();
        let recorded = LocalDay::of(record.metadata.time);
        let sums = self.changed.entry(programme.to_owned()).or_default();
        match said {
            FundSaid::Moved(entry) => {
                sums.add(entry);
                let day = self.days.entry((programme.to_owned(), recorded));
                day.or_default().add(entry);
            }
            FundSaid::Paid(provider, number, entry) => {
                sums.add(entry);
                let settlement = Settlement::of(programme, &provider, number);
                let booked = Booked {
                    programme: programme.to_owned(),
                    on: recorded,
                    amount: entry.paid,
                    reserved: Fen(entry.reserved.0.saturating_neg()),
                };
                self.payments.booked(settlement, booked);
            }
        }
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.write_sums(db).await?;
        self.write_days(db).await?;
        self.payments.write(db).await
    }

    async fn write_sums(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let programmes: Vec<&str> = self.changed.keys().map(String::as_str).collect();
        let deposited: Vec<i64> = self.changed.values().map(|one| one.deposited.0).collect();
        let reserved: Vec<i64> = self.changed.values().map(|one| one.reserved.0).collect();
        let paid: Vec<i64> = self.changed.values().map(|one| one.paid.0).collect();
        sqlx::query(
            "INSERT INTO fund (programme, deposited, reserved, paid) \
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
             ON CONFLICT (programme) DO UPDATE SET deposited = fund.deposited + excluded.deposited, \
                 reserved = fund.reserved + excluded.reserved, paid = fund.paid + excluded.paid",
        )
        .bind(programmes)
        .bind(deposited)
        .bind(reserved)
        .bind(paid)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_days(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.days.is_empty() {
            return Ok(());
        }
        let keys = || self.days.keys();
        let programmes: Vec<&str> = keys().map(|(programme, _)| programme.as_str()).collect();
        let days: Vec<NaiveDate> = keys().map(|(_, on)| on.date()).collect();
        let deposited: Vec<i64> = self.days.values().map(|one| one.deposited.0).collect();
        let reserved: Vec<i64> = self.days.values().map(|one| one.reserved.0).collect();
        sqlx::query(
            "INSERT INTO fund_day (programme, on_day, deposited, reserved) \
             SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[], $4::bigint[]) \
             ON CONFLICT (programme, on_day) DO UPDATE SET deposited = fund_day.deposited + excluded.deposited, \
                 reserved = fund_day.reserved + excluded.reserved",
        )
        .bind(programmes)
        .bind(days)
        .bind(deposited)
        .bind(reserved)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The sums at the end of a day of the funds of programmes in which elders of a division were ever enrolled or had orders, by
/// programme. A fund that had no entry by then is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn funds(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<Vec<(String, FundSums)>, sqlx::Error> {
    // There are few programmes, each of many orders: for each of them the first order found is enough.
    let concerns = ["service_order", "enrolment"].map(|table| {
        format!(
            "EXISTS (SELECT 1 FROM {NAME}.{table} o \
             WHERE o.programme = f.programme AND o.village >= $1 AND o.village < $2)"
        )
    });
    // The sums of now, without what came after the day: of today that is nothing.
    let statement = format!(
        "SELECT f.programme, (f.deposited - coalesce(later.deposited, 0))::bigint, \
             (f.reserved - coalesce(later.reserved, 0) + coalesce(unpaid.reserved, 0))::bigint, \
             (f.paid - coalesce(unpaid.amount, 0))::bigint \
         FROM {NAME}.fund f \
         CROSS JOIN LATERAL (SELECT sum(d.deposited) AS deposited, sum(d.reserved) AS reserved \
             FROM {NAME}.fund_day d WHERE d.programme = f.programme AND d.on_day > $3) AS later \
         CROSS JOIN LATERAL (SELECT sum(p.amount) AS amount, sum(p.reserved) AS reserved \
             FROM {NAME}.payment p WHERE p.programme = f.programme \
                 AND greatest(coalesce(p.paid_on, p.booked_on), p.confirmed_on) > $3) AS unpaid \
         WHERE EXISTS (SELECT 1 FROM {NAME}.fund_day d WHERE d.programme = f.programme AND d.on_day <= $3) AND ({}) \
         ORDER BY f.programme",
        concerns.join(" OR ")
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(on.date())
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let programme: String = row.try_get(0)?;
            let sums = FundSums {
                deposited: Fen(row.try_get(1)?),
                reserved: Fen(row.try_get(2)?),
                paid: Fen(row.try_get(3)?),
            };
            Ok((programme, sums))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paid_is_reserved_no_longer() {
        let mut sums = FundSums::default();
        let reserved = RawEvent::of(&pb::FundReserved {
            amount_fen: 300,
            orders: 2,
        });
        let paid = RawEvent::of(&pb::FundPaid {
            provider_id: "P01".to_owned(),
            settlement_number: 1,
            amount_fen: 190,
            reserved_fen: 200,
        });
        for event in [reserved, paid] {
            match decode(&event).unwrap() {
                FundSaid::Moved(entry) | FundSaid::Paid(_, _, entry) => sums.add(entry),
            }
        }
        assert_eq!((sums.reserved, sums.paid), (Fen(100), Fen(190)));
    }
}

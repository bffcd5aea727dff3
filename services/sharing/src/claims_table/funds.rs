//! The sums of programmes' funds.

use std::collections::BTreeMap;

use civic::{DivisionCode, Fen};
use elders::wire::message;
use eventlog::{DecodeError, RawEvent};
use proto::eldercare::claims::v1 as pb;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};

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

pub(super) fn decode(raw: &RawEvent) -> Result<FundSums, DecodeError> {
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
        }
        _ => return Err(DecodeError::unknown(raw)),
    }
    Ok(sums)
}

/// By how much the sums of funds changed in a batch.
#[derive(Default)]
pub(super) struct Funds {
    changed: BTreeMap<String, FundSums>,
}

impl Funds {
    pub(super) fn fold(&mut self, programme: &str, entry: FundSums) {
        // What was decided was counted then.
        let plus = |sum: Fen, amount: Fen| Fen(sum.0.saturating_add(amount.0));
        let sums = self.changed.entry(programme.to_owned()).or_default();
        sums.deposited = plus(sums.deposited, entry.deposited);
        sums.reserved = plus(sums.reserved, entry.reserved);
        sums.paid = plus(sums.paid, entry.paid);
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
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
}

/// The sums of the funds of programmes in which elders of a division have been enrolled or had orders, by programme. A fund
/// without an entry is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn funds(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
) -> Result<Vec<(String, FundSums)>, sqlx::Error> {
    // There are few programmes, each of many orders: for each of them the first order found is enough.
    let concerns = ["service_order", "enrolment"].map(|table| {
        format!(
            "EXISTS (SELECT 1 FROM {NAME}.{table} o \
             WHERE o.programme = f.programme AND o.village >= $1 AND o.village < $2)"
        )
    });
    let statement = format!(
        "SELECT f.programme, f.deposited, f.reserved, f.paid FROM {NAME}.fund f WHERE {} ORDER BY f.programme",
        concerns.join(" OR ")
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
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
        let mut funds = Funds::default();
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
            funds.fold("LTCI", decode(&event).unwrap());
        }
        let sums = funds.changed.get("LTCI").copied().unwrap();
        assert_eq!((sums.reserved, sums.paid), (Fen(100), Fen(190)));
    }
}

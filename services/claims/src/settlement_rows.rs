//! The rows of settlements, and which order is in which.

use civic::{Fen, HoldState, OrderCode, Set, SettlementStage};
use elder_tables::columns::{bits, place};
use eventlog::Record;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::settlements::Event;

/// The id of the settlements of a programme and a provider; neither holds a point, and a programme's code no `-`.
pub(crate) fn id(programme: &str, provider: &str) -> String {
    format!("{programme}-{provider}")
}

/// Writes what happened to a settlement.
pub(crate) async fn write(
    db: &mut PgConnection,
    record: &Record,
    event: &Event,
) -> Result<(), sqlx::Error> {
    let Some((programme, provider)) = record.subject.id().split_once('-') else {
        return Ok(());
    };
    match event {
        Event::Drafted {
            number,
            month,
            lines,
            total,
            ..
        } => {
            let orders_fen: i64 = lines.iter().map(|line| line.amount.0).sum();
            sqlx::query(
                "INSERT INTO settlement (programme, provider_id, number, month, stage, orders, orders_fen, total_fen, reference) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '') \
                 ON CONFLICT (programme, provider_id, number) DO UPDATE SET month = excluded.month, \
                     orders = excluded.orders, orders_fen = excluded.orders_fen, total_fen = excluded.total_fen",
            )
            .bind(programme)
            .bind(provider)
            .bind(number.cast_signed())
            .bind(month.first_day().date())
            .bind(place(SettlementStage::Draft))
            .bind(i32::try_from(lines.len()).unwrap_or(i32::MAX))
            .bind(orders_fen)
            .bind(total.0)
            .execute(&mut *db)
            .await?;
            // A draft may have lost orders.
            sqlx::query(
                "DELETE FROM settled WHERE programme = $1 AND provider_id = $2 AND number = $3",
            )
            .bind(programme)
            .bind(provider)
            .bind(number.cast_signed())
            .execute(&mut *db)
            .await?;
            let orders: Vec<Uuid> = lines.iter().map(|line| line.order).collect();
            sqlx::query(
                "INSERT INTO settled (order_key, programme, provider_id, number) \
                 SELECT order_key, $2, $3, $4 FROM unnest($1::uuid[]) AS line (order_key) ON CONFLICT DO NOTHING",
            )
            .bind(orders)
            .bind(programme)
            .bind(provider)
            .bind(number.cast_signed())
            .execute(db)
            .await?;
        }
        Event::Confirmed { number, .. } => {
            let stage = SettlementStage::Confirmed;
            move_on(db, (programme, provider, *number), stage).await?;
        }
        Event::Paid {
            number,
            paid_on,
            reference,
            ..
        } => {
            let stage = SettlementStage::Paid;
            move_on(&mut *db, (programme, provider, *number), stage).await?;
            sqlx::query(
                "UPDATE settlement SET paid_on = $4, reference = $5 \
                 WHERE programme = $1 AND provider_id = $2 AND number = $3",
            )
            .bind(programme)
            .bind(provider)
            .bind(number.cast_signed())
            .bind(paid_on.date())
            .bind(reference)
            .execute(db)
            .await?;
        }
        // Adjustments are answered from the aggregate itself; what is kept says which orders' money is back.
        Event::Adjusted {
            adjustment,
            amount,
            order: Some(order),
            ..
        } => adjusted(db, *adjustment, *order, *amount).await?,
        Event::Adjusted { order: None, .. } => {}
        Event::PutOnHold {
            order, codes, left, ..
        } => {
            if let Some(number) = left {
                leave(&mut *db, (programme, provider, *number), *order).await?;
            }
            hold(db, record, *order, HoldState::OnHold, *codes).await?;
        }
        Event::RecoveryListed { order, codes, .. } => {
            hold(&mut *db, record, *order, HoldState::ForRecovery, *codes).await?;
            follow_recovery(db, *order).await?;
        }
        Event::HoldEnded {
            order, withdrawn, ..
        } => {
            let state = if *withdrawn {
                HoldState::Withdrawn
            } else {
                HoldState::Kept
            };
            sqlx::query("UPDATE hold SET state = $2 WHERE order_key = $1")
                .bind(order)
                .bind(place(state))
                .execute(db)
                .await?;
        }
    }
    Ok(())
}

async fn move_on(
    db: &mut PgConnection,
    (programme, provider, number): (&str, &str, u32),
    stage: SettlementStage,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE settlement SET stage = $4 WHERE programme = $1 AND provider_id = $2 AND number = $3",
    )
    .bind(programme)
    .bind(provider)
    .bind(number.cast_signed())
    .bind(place(stage))
    .execute(db)
    .await?;
    Ok(())
}

/// An order leaves a settlement that is not paid.
async fn leave(
    db: &mut PgConnection,
    (programme, provider, number): (&str, &str, u32),
    order: Uuid,
) -> Result<(), sqlx::Error> {
    let amount = "(SELECT amount FROM service_order WHERE order_key = $4)";
    let statement = format!(
        "UPDATE settlement SET orders = orders - 1, orders_fen = orders_fen - {amount}, total_fen = total_fen - {amount} \
         WHERE programme = $1 AND provider_id = $2 AND number = $3 \
         AND EXISTS (SELECT 1 FROM settled WHERE order_key = $4)"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(programme)
        .bind(provider)
        .bind(number.cast_signed())
        .bind(order)
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM settled WHERE order_key = $1")
        .bind(order)
        .execute(db)
        .await?;
    Ok(())
}

/// An adjustment names an order.
async fn adjusted(
    db: &mut PgConnection,
    adjustment: Uuid,
    order: Uuid,
    amount: Fen,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO adjustment (adjustment_id, order_key, amount) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(adjustment)
    .bind(order)
    .bind(amount.0)
    .execute(&mut *db)
    .await?;
    follow_recovery(db, order).await
}

/// An order that is to be recovered is so until adjustments have taken back all that was paid for it.
async fn follow_recovery(db: &mut PgConnection, order: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE hold SET state = CASE WHEN o.amount + (SELECT coalesce(sum(amount), 0) FROM adjustment WHERE order_key = $1) <= 0 \
             THEN $3 ELSE $2 END \
         FROM service_order o WHERE hold.order_key = $1 AND o.order_key = $1 AND hold.state IN ($2, $3)",
    )
    .bind(order)
    .bind(place(HoldState::ForRecovery))
    .bind(place(HoldState::Recovered))
    .execute(db)
    .await?;
    Ok(())
}

/// More may stand against an order than was said of it before: it waits since the first of it, until that is decided.
async fn hold(
    db: &mut PgConnection,
    record: &Record,
    order: Uuid,
    state: HoldState,
    codes: Set<OrderCode>,
) -> Result<(), sqlx::Error> {
    let undecided = [
        HoldState::OnHold,
        HoldState::ForRecovery,
        HoldState::Recovered,
    ];
    sqlx::query(
        "INSERT INTO hold (order_key, state, codes, held_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (order_key) DO UPDATE SET state = excluded.state, codes = excluded.codes, \
             held_at = CASE WHEN hold.state = ANY($5) THEN hold.held_at ELSE excluded.held_at END",
    )
    .bind(order)
    .bind(place(state))
    .bind(bits(codes))
    .bind(record.metadata.time)
    .bind(undecided.map(place).to_vec())
    .execute(db)
    .await?;
    Ok(())
}

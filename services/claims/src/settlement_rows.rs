//! The rows of settlements, and which order is in which.

use civic::SettlementStage;
use elder_tables::columns::place;
use eventlog::Record;
use sqlx::PgConnection;
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
        Event::Confirmed { number } => {
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
        // Adjustments are answered from the aggregate itself.
        Event::Adjusted { .. } => {}
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

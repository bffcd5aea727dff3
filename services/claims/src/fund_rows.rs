//! The rows of funds: each double entry, with the money that is there after it.

use civic::FundAccount;
use elder_tables::columns::place;
use eventlog::Record;
use sqlx::PgConnection;

use crate::fund::Event;

/// Writes the entries of a record.
pub(crate) async fn write(
    db: &mut PgConnection,
    record: &Record,
    events: &[Event],
) -> Result<(), sqlx::Error> {
    let programme = record.subject.id();
    let cash = sqlx::query_scalar("SELECT cash FROM fund WHERE programme = $1")
        .bind(programme)
        .fetch_optional(&mut *db)
        .await?;
    let mut cash: i64 = cash.unwrap_or_default();
    let entries = events
        .iter()
        .flat_map(|event| event.entries().into_iter().map(move |entry| (event, entry)));
    for ((event, entry), place_in_record) in entries.zip(0_i32..) {
        // What is there never falls below nought, so it never overflows either.
        if entry.debit == FundAccount::Cash {
            cash = cash.saturating_add(entry.amount.0);
        }
        if entry.credit == FundAccount::Cash {
            cash = cash.saturating_sub(entry.amount.0);
        }
        sqlx::query(
            "INSERT INTO fund_entry (programme, sequence, place, at, amount, debit, credit, reference, balance) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(programme)
        .bind(record.sequence.cast_signed())
        .bind(place_in_record)
        .bind(record.metadata.time)
        .bind(entry.amount.0)
        .bind(place(entry.debit))
        .bind(place(entry.credit))
        .bind(reference(event))
        .bind(cash)
        .execute(&mut *db)
        .await?;
    }
    sqlx::query(
        "INSERT INTO fund (programme, cash) VALUES ($1, $2) \
         ON CONFLICT (programme) DO UPDATE SET cash = excluded.cash",
    )
    .bind(programme)
    .bind(cash)
    .execute(db)
    .await?;
    Ok(())
}

fn reference(event: &Event) -> String {
    match event {
        Event::Deposited { reference, .. } => reference.clone(),
        Event::Reserved { .. } => String::new(),
        Event::Paid {
            provider, number, ..
        } => format!("{provider}/{number}"),
    }
}

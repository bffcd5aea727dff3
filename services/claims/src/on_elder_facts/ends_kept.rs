//! What has ended, while orders of the days after it are still to be looked at again, and up to which order that is done: rows of
//! `claims_kept.ended`.

use civic::ElderId;
use elder_tables::columns::day;
use eventlog::Position;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::told::{Cause, Ended, What};
use crate::enrolment::Whose;

/// Something that has ended.
pub(super) struct Kept {
    pub(super) ended: Ended,
    /// Orders up to this sequence were looked at.
    pub(super) looked_at: u64,
}

/// Keeps what has ended; what is known already is looked at from the beginning once more.
pub(super) async fn add(db: &mut PgConnection, ended: &[Ended]) -> Result<(), sqlx::Error> {
    for one in ended {
        let (mut whose, mut contract, mut caregiver) = (None, None, None);
        match &one.what {
            What::Enrolment(of) => whose = Some((of.elder.as_uuid(), &of.programme)),
            What::Contract {
                provider,
                contract: id,
            } => contract = Some((provider, id)),
            What::Listing(id) => caregiver = Some(id),
        }
        sqlx::query(
            "INSERT INTO claims_kept.ended (sequence, place, elder_id, programme, provider_id, contract_id, caregiver_id, \
                 last_day, record_id, correlation_id, traceparent, looked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0) \
             ON CONFLICT (sequence, place) DO UPDATE SET elder_id = excluded.elder_id, programme = excluded.programme, \
                 provider_id = excluded.provider_id, contract_id = excluded.contract_id, \
                 caregiver_id = excluded.caregiver_id, last_day = excluded.last_day, record_id = excluded.record_id, \
                 correlation_id = excluded.correlation_id, traceparent = excluded.traceparent, \
                 looked_at = excluded.looked_at",
        )
        .bind(one.cause.position.sequence.cast_signed())
        .bind(one.place)
        .bind(whose.map(|(elder, _)| elder))
        .bind(whose.map(|(_, programme)| programme))
        .bind(contract.map(|(provider, _)| provider))
        .bind(contract.map(|(_, id)| id))
        .bind(caregiver)
        .bind(one.last.date())
        .bind(one.cause.id)
        .bind(one.cause.correlation)
        .bind(&one.cause.traceparent)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The one of which the next orders are looked at: that whose last turn was before all others', so that none waits behind all
/// orders of another, however far either is.
pub(super) async fn next(db: &mut PgConnection, stream: &str) -> Result<Option<Kept>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT sequence, place, elder_id, programme, provider_id, contract_id, caregiver_id, last_day, record_id, \
             correlation_id, traceparent, looked_at \
         FROM claims_kept.ended ORDER BY turn LIMIT 1",
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| kept(&row, stream)).transpose()
}

fn kept(row: &PgRow, stream: &str) -> Result<Kept, sqlx::Error> {
    let sequence: i64 = row.try_get(0)?;
    let (elder, provider): (Option<Uuid>, Option<String>) = (row.try_get(2)?, row.try_get(4)?);
    let what = if let Some(elder) = elder {
        What::Enrolment(Whose {
            programme: row.try_get(3)?,
            elder: ElderId(elder),
        })
    } else if let Some(provider) = provider {
        What::Contract {
            provider,
            contract: row.try_get(5)?,
        }
    } else {
        What::Listing(row.try_get(6)?)
    };
    let cause = Cause {
        position: Position::new(stream, sequence.cast_unsigned()),
        id: row.try_get(8)?,
        correlation: row.try_get(9)?,
        traceparent: row.try_get(10)?,
    };
    let ended = Ended {
        what,
        last: day(row.try_get(7)?)?,
        cause,
        place: row.try_get(1)?,
    };
    Ok(Kept {
        ended,
        looked_at: row.try_get::<i64, _>(11)?.cast_unsigned(),
    })
}

impl Ended {
    /// All orders up to a sequence were looked at, and it is others' turn; or all, without one.
    pub(super) async fn looked_at(
        &self,
        db: &mut PgConnection,
        up_to: Option<u64>,
    ) -> Result<(), sqlx::Error> {
        let sequence = self.cause.position.sequence.cast_signed();
        let query = match up_to {
            Some(up_to) => sqlx::query(
                "UPDATE claims_kept.ended SET looked_at = $3, turn = DEFAULT WHERE sequence = $1 AND place = $2",
            )
            .bind(sequence)
            .bind(self.place)
            .bind(up_to.cast_signed()),
            None => sqlx::query("DELETE FROM claims_kept.ended WHERE sequence = $1 AND place = $2")
                .bind(sequence)
                .bind(self.place),
        };
        query.execute(db).await?;
        Ok(())
    }
}

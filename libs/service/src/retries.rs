//! Requests that were answered before: a retry gets that answer again, whatever has become since of those whom it is about.

use civic::DivisionCode;
use eventlog::{Aggregate, Repository};
use tonic::Status;
use uuid::Uuid;

use crate::{caller::Caller, command::not_loaded, errors};

impl Caller {
    /// Whether one of these aggregates has answered this request before, for a division that the caller reaches. Who has come
    /// by a request's id and works elsewhere is no nearer to the answer by it, nor to whether there is one.
    ///
    /// # Errors
    /// UNAVAILABLE where the log does not answer, INTERNAL where what stands there can't be read.
    pub async fn was_answered<A: Aggregate>(
        &self,
        aggregates: &Repository<A>,
        id: &str,
        request: Uuid,
    ) -> Result<bool, Status> {
        let known = aggregates.load_newest(id).await.map_err(not_loaded)?;
        let Some(answer) = known.request(request).copied() else {
            return Ok(false);
        };
        let subject = Repository::<A>::subject(id).map_err(|error| errors::internal(&error))?;
        let before = answer.sequence.saturating_sub(1);
        let records = aggregates.log().read(&subject, before).await;
        let records = records.map_err(|error| not_loaded(error.into()))?;
        let division = records
            .first()
            .and_then(|record| record.metadata.division.as_deref())
            .and_then(|division| division.parse::<DivisionCode>().ok());
        // What belongs to no division any more is of nobody's but those who work everywhere.
        Ok(division.map_or_else(
            || self.may_everywhere().is_ok(),
            |division| self.reaches(&division),
        ))
    }
}

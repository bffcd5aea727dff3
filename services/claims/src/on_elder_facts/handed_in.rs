//! Orders as they were handed in, by the log. A message about an order that can't be read is parked where an operator sees it, and
//! stops nothing: whatever was said of the order later, what was handed in can still be judged.

use eventlog::{Delivery, EventLog, ReadError, Record, Repository, Subject};
use readmodel::{Parked, ReaderFailed, parked};

use super::affected::Affected;
use super::turns::next;
use super::{Active, LOCK};
use crate::order::{Order, Submitted};

impl Active<'_> {
    /// An order as it was handed in, with its record; none where that can't be read.
    pub(super) async fn order(
        &mut self,
        one: &Affected,
    ) -> Result<Option<(Submitted, Record)>, ReaderFailed> {
        let subject = Repository::<Order>::subject(&one.key.to_string());
        let subject = subject.map_err(ReaderFailed::because)?;
        let own = &self.rechecker.claims.own;
        let read = own.read(&subject, 0).await;
        let record = match read {
            Ok(records) => records.into_iter().next(),
            Err(ReadError::Unreadable {
                sequence, reason, ..
            }) => {
                self.pass_by(&subject, sequence, reason).await?;
                record_at(own.as_ref(), one.sequence).await?
            }
            Err(error) => return Err(error.into()),
        };
        Ok(record.and_then(|record| Some((Submitted::of(&record)?, record))))
    }

    /// Parks a message of our own log that can't be read. What it is about is met again and again, and parked once.
    pub(super) async fn pass_by(
        &mut self,
        subject: &Subject,
        sequence: u64,
        reason: String,
    ) -> Result<(), ReaderFailed> {
        let stream = self.rechecker.claims.own.stream();
        let message = Parked::message(sequence, subject.to_string(), reason);
        let new = parked::park(&mut self.conn, LOCK, stream, &[message]).await;
        if new.map_err(ReaderFailed::because)? > 0 {
            tracing::error!(
                sequence,
                "a message of our log can't be read: it is passed by"
            );
        }
        Ok(())
    }
}

/// The record that lies at a sequence, whatever comes after it; none where it can't be read.
async fn record_at(log: &dyn EventLog, sequence: u64) -> Result<Option<Record>, ReaderFailed> {
    let mut deliveries = log.subscribe(sequence.saturating_sub(1)).await?;
    let first = next(&mut deliveries).await?.into_iter().next();
    Ok(first.and_then(|delivery| match delivery {
        Delivery::Record(record) => Some(record),
        Delivery::Unreadable { .. } => None,
    }))
}

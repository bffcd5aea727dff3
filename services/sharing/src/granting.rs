//! What approved agreements grant, as far as their rows can be read. One that can't be grants nothing, and hinders no other: it is
//! parked, where an operator sees it.

use std::collections::BTreeSet;

use civic::LocalDay;
use eventlog::Aggregate as _;
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use readmodel::{Parked, parked};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, PgPool, Row as _};
use uuid::Uuid;

use crate::agreement::{Agreement, Stage, State, Terms};
use crate::agreement_rows::{rows_in_force, rows_of};
use crate::codec::{CONTEXT, read_terms};
use crate::parked_rows::all_parked_by;

/// As whose agreements are parked: not as the read model's, since what that passed by goes when it is made anew.
pub(crate) const NAME: &str = "sharing_agreements";
/// What kind of row is parked.
const KIND: &str = "agreement";

/// What approved agreements grant on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granting {
    /// The ids of all that were found, in the order of their rows.
    pub(crate) found: Vec<Uuid>,
    /// Those in force, in the order of their rows.
    pub(crate) agreements: Vec<(Uuid, Terms)>,
    /// Those whose terms can't be read: of another version of the program, as a rule.
    pub(crate) unreadable: BTreeSet<Uuid>,
}

impl Granting {
    /// What is in force on a day with a department or with all, the first proposed first.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn in_force(
        db: impl PgExecutor<'_>,
        on: LocalDay,
        department: Option<&str>,
    ) -> Result<Self, sqlx::Error> {
        Self::of(&rows_in_force(db, on, department).await?, on)
    }

    /// Of some agreements that are approved.
    async fn of_some(
        db: impl PgExecutor<'_>,
        agreements: &BTreeSet<Uuid>,
        on: LocalDay,
    ) -> Result<Self, sqlx::Error> {
        let agreements: Vec<Uuid> = agreements.iter().copied().collect();
        Self::of(&rows_of(db, &agreements).await?, on)
    }

    /// By rows (`agreement_id, terms`) of approved agreements.
    fn of(rows: &[PgRow], on: LocalDay) -> Result<Self, sqlx::Error> {
        let mut granting = Self::default();
        for row in rows {
            granting.take(row.try_get(0)?, row.try_get(1)?, on);
        }
        Ok(granting)
    }

    fn take(&mut self, agreement: Uuid, terms: &[u8], on: LocalDay) {
        self.found.push(agreement);
        match read(terms) {
            // The statement finds them; the rule decides.
            Some(terms) if Stage::Approved.state_on(on, terms.until) == State::InForce => {
                self.agreements.push((agreement, terms));
            }
            Some(_) => {}
            None => {
                self.unreadable.insert(agreement);
            }
        }
    }
}

fn read(terms: &[u8]) -> Option<Terms> {
    read_terms(pb::AgreementTerms::decode(terms).ok()?).ok()
}

/// The terms of a row as they are listed; none where they can't be read, and so grant nothing.
pub(crate) fn listed(terms: &[u8]) -> Option<pb::AgreementTerms> {
    let message = pb::AgreementTerms::decode(terms).ok()?;
    read_terms(message.clone()).is_ok().then_some(message)
}

/// Whether none of these agreements, which could not be read, can be by now. They alone are read.
///
/// # Errors
/// The database's.
pub(crate) async fn are_unreadable(
    db: impl PgExecutor<'_>,
    agreements: &BTreeSet<Uuid>,
    on: LocalDay,
) -> Result<bool, sqlx::Error> {
    if agreements.is_empty() {
        return Ok(true);
    }
    let granting = Granting::of_some(db, agreements, on).await?;
    Ok(granting.unreadable == *agreements)
}

/// Parks agreements that can't be read, and takes those off the list that are none of them any more.
///
/// # Errors
/// The database's.
pub(crate) async fn park(
    pool: &PgPool,
    unreadable: &BTreeSet<Uuid>,
) -> Result<(), readmodel::Error> {
    for agreement in unreadable {
        let (log, row) = (CONTEXT.to_ascii_uppercase(), row(*agreement));
        let mut db = pool.acquire().await?;
        if parked::park(&mut db, NAME, &log, &[row]).await? > 0 {
            tracing::error!(%agreement, "the terms of an agreement can't be read: it grants nothing");
        }
    }
    for row in all_parked_by(pool, NAME).await? {
        let agreement = agreement_of(&row.event_type);
        if agreement.is_some_and(|agreement| !unreadable.contains(&agreement)) {
            parked::discard(pool, row.id).await?;
        }
    }
    Ok(())
}

/// An agreement's row as it is parked, with the subject of its records.
fn row(agreement: Uuid) -> Parked {
    let subject = format!("eldercare.{CONTEXT}.{}.{agreement}", Agreement::NAME);
    Parked::row(kind_of(agreement), subject)
}

fn kind_of(agreement: Uuid) -> String {
    format!("{KIND} {agreement}")
}

/// The agreement whose row was parked; none where it is something else.
fn agreement_of(event_type: &str) -> Option<Uuid> {
    let (kind, agreement) = event_type.split_once(' ')?;
    (kind == KIND).then(|| agreement.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::testing;
    use crate::codec::write_terms;
    use crate::cut::Cut;
    use crate::products::ProductName;

    fn terms(until: &str) -> Terms {
        Terms {
            until: until.parse().unwrap(),
            ..testing::terms(&["350524"], &[(ProductName::Elder, "name", Cut::Masked)])
        }
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn an_agreement_that_cannot_be_read_grants_nothing_and_hinders_no_other() {
        let (good, over) = (terms("2024-12-31"), terms("2024-02-29"));
        let mut of_tomorrow = write_terms(&good);
        of_tomorrow.products[0].product = "income".to_owned();
        let rows = [
            (1, write_terms(&good).encode_to_vec()),
            (2, vec![0xff; 9]),
            (3, of_tomorrow.encode_to_vec()),
            (4, write_terms(&over).encode_to_vec()),
            (5, vec![]),
            (6, write_terms(&good).encode_to_vec()),
        ];
        let mut granting = Granting::default();
        for (number, bytes) in &rows {
            granting.take(id(*number), bytes, "2024-03-01".parse().unwrap());
        }
        let expected = Granting {
            found: (1..=6).map(id).collect(),
            agreements: vec![(id(1), good.clone()), (id(6), good)],
            unreadable: [2, 3, 5].map(id).into(),
        };
        assert_eq!(granting, expected);
        // Nor are terms listed that grant nothing.
        let found = rows.iter().filter(|(_, bytes)| listed(bytes).is_some());
        let found: Vec<u128> = found.map(|(number, _)| *number).collect();
        assert_eq!(found, [1, 4, 6]);
    }

    #[test]
    fn a_parked_agreement_is_told_from_a_parked_event() {
        assert_eq!(agreement_of(&kind_of(id(7))), Some(id(7)));
        let event = "eldercare.sharing.v1.AgreementProposed";
        for other in [event, "agreement", "agreement x", "visit 7"] {
            assert_eq!(agreement_of(other), None, "{other}");
        }
    }
}

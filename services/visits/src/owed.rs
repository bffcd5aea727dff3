//! Who is owed a visit in a period, by all that is recorded: elders to be visited every week or month where somebody visits,
//! and those whom a campaign selects.

use civic::{DivisionCode, LocalDay};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::campaign_rows;
use crate::period::Period;
use crate::selected::Selecting;
use crate::visiting_rows;

/// Duties that are owed by all facts: elders in scope on the day, with the first counted record of the period; bound by
/// [`Owed::bind`].
pub(crate) const OWED: &str = "SELECT s.elder_id, s.village, s.tier, s.blocked, m.record_id FROM visits_kept.span s \
     LEFT JOIN LATERAL (SELECT r.record_id FROM visits_book.record r WHERE r.elder_id = s.elder_id \
         AND r.counted_at IS NOT NULL AND r.day BETWEEN $4 AND $5 ORDER BY r.counted_at, r.record_id LIMIT 1) m ON true \
     WHERE s.village >= $1 AND s.village < $2 AND s.from_day <= $3 AND s.until_day > $3 \
     AND ($6::boolean IS NULL OR s.weekly = $6 \
         AND (SELECT bool_or(owes) FROM unnest($7::text[], $8::boolean[]) AS d (code, owes) \
             WHERE starts_with(s.village, code))) \
     AND ($9::uuid[] IS NULL OR s.elder_id = ANY($9))";

/// How many values [`Owed::bind`] binds.
pub(crate) const BOUND: usize = 9;

/// What the statement [`OWED`] asks for.
pub(crate) struct Owed {
    division: DivisionCode,
    on: LocalDay,
    period: Period,
    /// Whether it is a week; none for a campaign.
    weekly: Option<bool>,
    /// The divisions that visit, and whether each owes in the period.
    codes: Vec<String>,
    owes: Vec<bool>,
    /// Whom a campaign selects.
    elders: Option<Vec<Uuid>>,
}

impl Owed {
    /// Of a division and a period, judged as of a day of it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn of(
        db: &mut PgConnection,
        division: DivisionCode,
        period: Period,
        on: LocalDay,
    ) -> Result<Self, sqlx::Error> {
        let mut owed = Self {
            division,
            on,
            period,
            weekly: None,
            codes: Vec::new(),
            owes: Vec::new(),
            elders: None,
        };
        match period {
            Period::Week(_) | Period::Month(_) => {
                owed.weekly = Some(matches!(period, Period::Week(_)));
                for (code, visiting) in visiting_rows::all(db).await? {
                    owed.codes.push(code.to_string());
                    owed.owes.push(visiting.owes_in(period));
                }
            }
            Period::Campaign(days) => {
                let campaign = campaign_rows::of(&mut *db, days.campaign).await?;
                let selecting = campaign
                    .as_ref()
                    .map(|campaign| Selecting::of(&campaign.announced));
                let elders = match selecting {
                    Some(Ok(selecting)) => selecting.everybody(db, &division, on).await?,
                    // Conditions are checked before they are written down; another version's may be none of ours.
                    Some(Err(_)) | None => Vec::new(),
                };
                owed.elders = Some(elders.iter().map(civic::ElderId::as_uuid).collect());
            }
        }
        Ok(owed)
    }

    /// Binds what the statement begins with.
    pub(crate) fn bind<'q>(&'q self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.division.as_str())
            .bind(self.division.beyond())
            .bind(self.on.date())
            .bind(self.period.first_day().date())
            .bind(self.period.last_day().date())
            .bind(self.weekly)
            .bind(&self.codes)
            .bind(&self.owes)
            .bind(&self.elders)
    }
}

/// A statement whose values are being bound.
pub(crate) type Statement<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

//! What is parked here, for those who look at it again.

use readmodel::parked::{self, ParkedEvent};
use sqlx::PgPool;

/// How much is listed in one go.
const PAGE: u32 = 100;

/// All that somebody has parked, in its order.
///
/// # Errors
/// The database's.
pub(crate) async fn all_parked_by(
    pool: &PgPool,
    name: &str,
) -> Result<Vec<ParkedEvent>, readmodel::Error> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = parked::list(pool, Some(name), after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.id;
        all.extend(page);
    }
}

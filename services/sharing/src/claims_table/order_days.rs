//! How many orders stood where at the end of each day: kept as what each day changed, for divisions of all levels, so that no order is
//! looked at to count them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use civic::{DivisionCode, DivisionLevel, Fen, LocalDay, OrderStage};
use elder_tables::columns::{place, word};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};

use super::NAME;

/// How far an order has come, and what it is counted by.
pub(super) struct Standing {
    pub(super) stage: OrderStage,
    /// Since which day: that of the service at the earliest.
    pub(super) since: LocalDay,
    pub(super) village: String,
    /// The day of the service.
    pub(super) day: LocalDay,
    pub(super) amount: i64,
}

/// What is counted together of a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Counted {
    /// The first day of the month of the service.
    month: NaiveDate,
    /// The day that changes it.
    on: NaiveDate,
    stage: i32,
}

/// How many orders, and what they cost together.
type Figures = (i64, i64);

/// What the records of a batch change, by village.
#[derive(Default)]
pub(super) struct OrderDays(BTreeMap<(String, Counted), Figures>);

impl OrderDays {
    /// An order is there.
    pub(super) fn comes(&mut self, order: &Standing) {
        self.count(order, 1);
    }

    /// An order gets somewhere on a day; where that lies before the day on which it came to where it is, on that one.
    pub(super) fn goes_on(&mut self, order: &mut Standing, stage: OrderStage, on: LocalDay) {
        if stage == order.stage {
            return;
        }
        order.since = order.since.max(on);
        self.count(order, -1);
        order.stage = stage;
        self.count(order, 1);
    }

    /// What comes to nought is kept too: whether a row is there must not depend on how records come in batches.
    fn count(&mut self, order: &Standing, orders: i64) {
        let counted = Counted {
            month: order.day.month().first_day().date(),
            on: order.since.date(),
            stage: place(order.stage),
        };
        let figures = self.0.entry((order.village.clone(), counted)).or_default();
        let amount = orders.saturating_mul(order.amount);
        *figures = plus(*figures, (orders, amount));
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (mut divisions, mut months, mut days) = (vec![], vec![], vec![]);
        let (mut stages, mut orders, mut amounts) = (vec![], vec![], vec![]);
        for ((division, counted), figures) in self.of_all_levels() {
            divisions.push(division);
            months.push(counted.month);
            days.push(counted.on);
            stages.push(counted.stage);
            orders.push(figures.0);
            amounts.push(figures.1);
        }
        sqlx::query(
            "INSERT INTO order_day (division, month, on_day, stage, orders, amount) \
             SELECT * FROM unnest($1::text[], $2::date[], $3::date[], $4::integer[], $5::bigint[], $6::bigint[]) \
             ON CONFLICT (division, month, on_day, stage) DO UPDATE SET orders = order_day.orders + excluded.orders, \
                 amount = order_day.amount + excluded.amount",
        )
        .bind(divisions)
        .bind(months)
        .bind(days)
        .bind(stages)
        .bind(orders)
        .bind(amounts)
        .execute(db)
        .await?;
        Ok(())
    }

    /// Added up for the villages and for all divisions around them.
    fn of_all_levels(&self) -> BTreeMap<(&str, Counted), Figures> {
        let mut all: BTreeMap<(&str, Counted), Figures> = BTreeMap::new();
        for ((village, counted), figures) in &self.0 {
            let divisions = DivisionLevel::ALL
                .iter()
                .filter_map(|level| village.get(..level.digits()));
            for division in divisions {
                let sum = all.entry((division, *counted)).or_default();
                *sum = plus(*sum, *figures);
            }
        }
        all
    }
}

/// What was handed in was counted then: nothing overflows that can be paid.
fn plus(one: Figures, other: Figures) -> Figures {
    (one.0.saturating_add(other.0), one.1.saturating_add(other.1))
}

/// How many orders have come so far, and what they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderCount {
    /// How far.
    pub(crate) stage: OrderStage,
    /// How many.
    pub(crate) orders: i64,
    /// What they cost together.
    pub(crate) amount: Fen,
}

/// The orders of a division by how far they had come at the end of a day, of services of its calendar month up to the day. A state
/// that no order was in is missing.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn order_counts(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<Vec<OrderCount>, sqlx::Error> {
    let statement = format!(
        "SELECT stage, sum(orders)::bigint, sum(amount)::bigint FROM {NAME}.order_day \
         WHERE division = $1 AND month = $2 AND on_day <= $3 GROUP BY stage HAVING sum(orders) <> 0 ORDER BY stage"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(on.month().first_day().date())
        .bind(on.date())
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OrderCount {
                stage: word(row.try_get(0)?)?,
                orders: row.try_get(1)?,
                amount: Fen(row.try_get(2)?),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VILLAGE: &str = "350524100001";

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    /// Handed in after a service on the tenth of February.
    fn handed_in(on: &str, village: &str, amount: i64) -> Standing {
        Standing {
            stage: OrderStage::Waiting,
            since: day(on),
            village: village.to_owned(),
            day: day("2024-02-10"),
            amount,
        }
    }

    /// What the days change: day, state, orders.
    fn changes(days: &OrderDays) -> Vec<(String, &'static str, i64)> {
        let changes = days.0.iter();
        changes
            .map(|((_, counted), (orders, _))| {
                let stage: OrderStage = word(counted.stage).unwrap();
                (counted.on.to_string(), stage.name(), *orders)
            })
            .collect()
    }

    fn changed(on: &str, stage: &'static str, orders: i64) -> (String, &'static str, i64) {
        (on.to_owned(), stage, orders)
    }

    #[test]
    fn each_day_changes_what_was_said_of_it() {
        let mut days = OrderDays::default();
        let mut order = handed_in("2024-02-12", VILLAGE, 20_000);
        days.comes(&order);
        days.goes_on(&mut order, OrderStage::Approved, day("2024-02-14"));
        days.goes_on(&mut order, OrderStage::Paid, day("2024-03-05"));
        assert_eq!(
            changes(&days),
            [
                changed("2024-02-12", "WAITING", 1),
                changed("2024-02-14", "WAITING", -1),
                changed("2024-02-14", "APPROVED", 1),
                changed("2024-03-05", "APPROVED", -1),
                changed("2024-03-05", "PAID", 1),
            ]
        );
    }

    #[test]
    fn nothing_is_so_before_what_led_to_it_nor_twice() {
        let mut days = OrderDays::default();
        let mut order = handed_in("2024-02-12", VILLAGE, 20_000);
        days.comes(&order);
        days.goes_on(&mut order, OrderStage::Abnormal, day("2024-02-14"));
        days.goes_on(&mut order, OrderStage::Paid, day("2024-02-13"));
        days.goes_on(&mut order, OrderStage::Paid, day("2024-02-20"));
        assert_eq!(order.since, day("2024-02-14"));
        assert_eq!(
            changes(&days),
            [
                changed("2024-02-12", "WAITING", 1),
                changed("2024-02-14", "WAITING", -1),
                changed("2024-02-14", "ABNORMAL", 0),
                changed("2024-02-14", "PAID", 1),
            ]
        );
    }

    #[test]
    fn a_village_counts_for_all_around_it() {
        let mut days = OrderDays::default();
        days.comes(&handed_in("2024-02-12", VILLAGE, 20_000));
        days.comes(&handed_in("2024-02-12", "350524101007", 15_000));
        let all = days.of_all_levels().into_iter();
        let all: Vec<(&str, Figures)> = all
            .map(|((division, _), figures)| (division, figures))
            .collect();
        assert_eq!(
            all,
            [
                ("35", (2, 35_000)),
                ("3505", (2, 35_000)),
                ("350524", (2, 35_000)),
                ("350524100", (1, 20_000)),
                (VILLAGE, (1, 20_000)),
                ("350524101", (1, 15_000)),
                ("350524101007", (1, 15_000)),
            ]
        );
    }
}

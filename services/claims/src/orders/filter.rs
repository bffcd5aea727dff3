//! Which orders are meant: lists and figures go by the same condition.

use civic::{DivisionCode, ElderId, LocalDay, OrderCode, OrderState, Set};
use elder_tables::columns::{bits, place};
use sqlx::{Postgres, QueryBuilder};

use crate::book_table::NAME;

/// Which orders are meant.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) programme: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) elder: Option<ElderId>,
    pub(crate) states: Set<OrderState>,
    pub(crate) code: Option<OrderCode>,
    pub(crate) first: Option<LocalDay>,
    pub(crate) last: Option<LocalDay>,
    /// A day of the month.
    pub(crate) approved_in: Option<LocalDay>,
    pub(crate) entitled_by: Option<String>,
    pub(crate) abnormal_at_submission: bool,
    /// Also of those that wait none is told.
    pub(crate) without_code: bool,
    pub(crate) not_approved: bool,
}

impl Filter {
    /// The condition on `service_order`, named `o`.
    pub(crate) fn add_to(&self, query: &mut QueryBuilder<Postgres>) {
        query
            .push(" o.village >= ")
            .push_bind(self.division.to_string())
            .push(" AND o.village < ")
            .push_bind(self.division.beyond());
        if let Some(programme) = &self.programme {
            query
                .push(" AND o.programme = ")
                .push_bind(programme.clone());
        }
        if let Some(provider) = &self.provider {
            query
                .push(" AND o.provider_id = ")
                .push_bind(provider.clone());
        }
        if let Some(elder) = self.elder {
            query.push(" AND o.elder_id = ").push_bind(elder.as_uuid());
        }
        if !self.states.is_empty() {
            let states: Vec<i32> = self.states.iter().map(place).collect();
            query
                .push(" AND o.state = ANY(")
                .push_bind(states)
                .push(")");
        }
        if let Some(code) = self.code {
            query
                .push(" AND o.state <> 0 AND o.codes & ")
                .push_bind(bits(Set::from([code])))
                .push(" <> 0");
        }
        if let Some(first) = self.first {
            query.push(" AND o.day >= ").push_bind(first.date());
        }
        if let Some(last) = self.last {
            query.push(" AND o.day <= ").push_bind(last.date());
        }
        if let Some(month) = self.approved_in.map(LocalDay::month) {
            query
                .push(" AND o.approved_at >= ")
                .push_bind(month.first_day().start())
                .push(" AND o.approved_at < ")
                .push_bind(month.last_day().end());
            // By its programme and the month an approval is found, sooner with its provider: the orders of few lead to it, too.
            if self.programme.is_some() {
                query
                    .push(format!(
                        " AND EXISTS (SELECT 1 FROM {NAME}.approval a WHERE a.programme = o.programme \
                         AND a.provider_id = o.provider_id AND a.approved_at = o.approved_at \
                         AND a.order_key = o.order_key AND a.approved_at >= "
                    ))
                    .push_bind(month.first_day().start())
                    .push(" AND a.approved_at < ")
                    .push_bind(month.last_day().end())
                    .push(")");
            }
        }
        if let Some(entitled_by) = &self.entitled_by {
            query
                .push(" AND o.entitled_by = ")
                .push_bind(entitled_by.clone());
        }
        for (asked, condition) in [
            (
                self.abnormal_at_submission,
                " AND o.state <> 0 AND o.codes <> 0",
            ),
            (self.without_code, " AND (o.state = 0 OR o.codes = 0)"),
            (self.not_approved, " AND o.approved_at IS NULL"),
        ] {
            if asked {
                query.push(condition);
            }
        }
    }
}

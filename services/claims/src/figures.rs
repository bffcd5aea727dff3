//! Figures over orders (统计): counted from the same rows as lists are, with the same filter.

use civic::{DivisionLevel, OrderCode, OrderState};
use elder_tables::columns::{place, word};
use proto::eldercare::claims::v1 as pb;
use service::{Caller, errors};
use sqlx::postgres::PgRow;
use sqlx::{QueryBuilder, Row as _};
use tonic::Status;

use crate::book_table::NAME;
use crate::claims::Claims;
use crate::enrolled;
use crate::orders::Filter;

/// By what figures are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Provider,
    ServiceMonth,
    ApprovalMonth,
    EntitledBy,
    Code,
    Division,
    Programme,
}

impl Group {
    /// What is grouped by, over `service_order` named `o`.
    fn expression(self, division: DivisionLevel) -> String {
        match self {
            Self::Provider => "o.provider_id".to_owned(),
            Self::Programme => "o.programme".to_owned(),
            Self::ServiceMonth => "to_char(o.day, 'YYYY-MM')".to_owned(),
            Self::ApprovalMonth => {
                "coalesce(to_char(o.approved_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM'), '')"
                    .to_owned()
            }
            Self::EntitledBy => "o.entitled_by".to_owned(),
            Self::Code => "coalesce(code.place, -1)::text".to_owned(),
            Self::Division => {
                let digits = match division {
                    DivisionLevel::Province => 4,
                    DivisionLevel::City => 6,
                    DivisionLevel::County => 9,
                    DivisionLevel::Town | DivisionLevel::Village => 12,
                };
                format!("left(o.village, {digits})")
            }
        }
    }
}

impl Claims {
    /// The figures of orders.
    pub(crate) async fn figures(
        &self,
        caller: &Caller,
        filter: &Filter,
        groups: &[Group],
    ) -> Result<pb::GetFiguresResponse, Status> {
        caller.may_where_asked(&filter.division)?;
        let rows = self.counted(filter, groups).await;
        let rows = rows.map_err(errors::of_database)?;
        let enrolled = match &filter.programme {
            Some(programme) => {
                let whom = enrolled::Filter {
                    division: filter.division,
                    programme: programme.clone(),
                    on: filter.last,
                };
                self.enrolled(&whom).await
            }
            None => Ok(0),
        };
        Ok(pb::GetFiguresResponse {
            rows,
            enrolled: enrolled.map_err(errors::of_database)?,
        })
    }

    async fn counted(
        &self,
        filter: &Filter,
        groups: &[Group],
    ) -> Result<Vec<pb::FigureRow>, sqlx::Error> {
        let level = filter.division.level();
        let keys: Vec<String> = groups.iter().map(|one| one.expression(level)).collect();
        let columns: String = keys.iter().map(|key| format!("{key}, ")).collect();
        let state =
            |state: OrderState| format!("count(*) FILTER (WHERE o.state = {})", place(state));
        let approved = place(OrderState::Approved);
        let by_code = groups.contains(&Group::Code);
        let codes = if by_code {
            // Of an order that waits nobody has said anything yet.
            format!(
                " LEFT JOIN generate_series(0, {}) AS code (place) ON o.state <> 0 AND o.codes & (1 << code.place) <> 0",
                OrderCode::ALL.len() - 1
            )
        } else {
            String::new()
        };
        let mut query = QueryBuilder::new(format!(
            "SELECT {columns} count(*), {}, {}, {}, {}, count(*) FILTER (WHERE o.state <> 0 AND o.codes <> 0), \
                 coalesce(sum(o.amount) FILTER (WHERE o.state = {approved}), 0)::bigint, \
                 count(DISTINCT o.elder_id) FILTER (WHERE o.state = {approved}) \
             FROM {NAME}.service_order o{codes} WHERE",
            state(OrderState::Waiting),
            state(OrderState::Approved),
            state(OrderState::AbnormalOpen),
            state(OrderState::NotSettled),
        ));
        filter.add_to(&mut query);
        if !keys.is_empty() {
            let places: Vec<String> = (1..=keys.len()).map(|place| place.to_string()).collect();
            let places = places.join(", ");
            query.push(format!(" GROUP BY {places} ORDER BY {places}"));
        }
        let rows = query.build().fetch_all(&self.pool).await?;
        let row = |row: &PgRow| {
            let mut keys = Vec::with_capacity(groups.len());
            for (column, group) in groups.iter().enumerate() {
                let key: String = row.try_get(column)?;
                keys.push(match group {
                    Group::Code => code_name(&key)?,
                    Group::Provider
                    | Group::ServiceMonth
                    | Group::ApprovalMonth
                    | Group::EntitledBy
                    | Group::Division
                    | Group::Programme => key,
                });
            }
            let number = |column: usize| row.try_get::<i64, _>(groups.len() + column);
            Ok(pb::FigureRow {
                keys,
                orders: number(0)?,
                waiting: number(1)?,
                approved: number(2)?,
                abnormal_open: number(3)?,
                not_settled: number(4)?,
                abnormal_at_submission: number(5)?,
                approved_fen: number(6)?,
                persons_approved: number(7)?,
            })
        };
        let rows = rows.iter().map(row);
        let mut rows: Vec<pb::FigureRow> = rows.collect::<Result<_, sqlx::Error>>()?;
        // Codes stand in the table by their places.
        rows.sort_by(|one, other| one.keys.cmp(&other.keys));
        Ok(rows)
    }
}

/// A code's name by its place; none where no code applies.
fn code_name(key: &str) -> Result<String, sqlx::Error> {
    let place: i32 = key.parse().unwrap_or(-1);
    if place < 0 {
        return Ok(String::new());
    }
    Ok(word::<OrderCode>(place)?.name().to_owned())
}

//! `claims figures`: counts and sums of orders by programme, provider, month, group, code or division.

use proto::eldercare::claims::v1::{self as pb, FigureRow, GetFiguresRequest};
use serde::Serialize;

use super::yuan;
use crate::{
    cli::{FiguresBy, WhichOrders},
    client::{Client, call},
    output::{Report, number, table},
    words::labelled,
};

/// Figures of orders.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// By what they are put together.
    pub by: Vec<&'static str>,
    /// Each combination of keys.
    pub rows: Vec<Row>,
    /// How many elders are enrolled; 0 where no programme is named.
    pub enrolled: i64,
}

/// A row of figures.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The key of each group.
    pub keys: Vec<String>,
    /// Orders handed in.
    pub orders: i64,
    /// Those that wait for their verdict.
    pub waiting: i64,
    /// Those that are approved.
    pub approved: i64,
    /// Those that are abnormal and open.
    pub abnormal_open: i64,
    /// Those that are never paid.
    pub not_settled: i64,
    /// Those that were abnormal when they were adjudicated.
    pub abnormal_at_submission: i64,
    /// What the approved ones cost.
    pub approved_fen: i64,
    /// How many elders the approved ones served.
    pub persons_approved: i64,
}

impl Row {
    fn of(row: FigureRow) -> Self {
        Self {
            keys: row.keys,
            orders: row.orders,
            waiting: row.waiting,
            approved: row.approved,
            abnormal_open: row.abnormal_open,
            not_settled: row.not_settled,
            abnormal_at_submission: row.abnormal_at_submission,
            approved_fen: row.approved_fen,
            persons_approved: row.persons_approved,
        }
    }
}

/// The figures of the orders that are wanted.
///
/// # Errors
/// Claims' refusal, or a word that there is not.
pub async fn figures(
    client: &Client,
    wanted: &WhichOrders,
    by: &[FiguresBy],
) -> anyhow::Result<Figures> {
    let groups = by.iter().map(|by| group(*by).into());
    let request = GetFiguresRequest {
        filter: Some(wanted.filter()?),
        groups: groups.collect(),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.claims().get_figures(request).await
    })
    .await?;
    Ok(Figures {
        by: by.iter().map(|by| heading(*by)).collect(),
        rows: answer.rows.into_iter().map(Row::of).collect(),
        enrolled: answer.enrolled,
    })
}

fn group(by: FiguresBy) -> pb::FigureGroup {
    match by {
        FiguresBy::Provider => pb::FigureGroup::Provider,
        FiguresBy::ServiceMonth => pb::FigureGroup::ServiceMonth,
        FiguresBy::ApprovalMonth => pb::FigureGroup::ApprovalMonth,
        FiguresBy::EntitledBy => pb::FigureGroup::EntitledBy,
        FiguresBy::Code => pb::FigureGroup::Code,
        FiguresBy::Division => pb::FigureGroup::Division,
        FiguresBy::Programme => pb::FigureGroup::Programme,
    }
}

fn heading(by: FiguresBy) -> &'static str {
    match by {
        FiguresBy::Provider => "机构 provider",
        FiguresBy::ServiceMonth => "服务月份 service month",
        FiguresBy::ApprovalMonth => "审核月份 approval month",
        FiguresBy::EntitledBy => "待遇类别 entitled by",
        FiguresBy::Code => "异常 code",
        FiguresBy::Division => "区划 division",
        FiguresBy::Programme => "项目 programme",
    }
}

impl Report for Figures {
    fn text(&self) -> String {
        let sums = [
            "工单 orders",
            "待审核 waiting",
            "审核通过 approved",
            "异常待处理 abnormal",
            "不予结算 not settled",
            "初审异常 abnormal at first",
            "金额 yuan",
            "服务人数 persons",
        ];
        let mut rows = table([""]);
        rows.set_header(self.by.iter().chain(&sums));
        for one in &self.rows {
            let keys = one.keys.iter().map(|key| labelled(key).into());
            let counts = [
                one.orders,
                one.waiting,
                one.approved,
                one.abnormal_open,
                one.not_settled,
                one.abnormal_at_submission,
            ];
            let counts = counts.into_iter().map(number);
            let amounts = [yuan(one.approved_fen), number(one.persons_approved)];
            rows.add_row(keys.chain(counts).chain(amounts).collect::<Vec<_>>());
        }
        if self.enrolled > 0 {
            return format!("{rows}\n参保 enrolled: {}", self.enrolled);
        }
        rows.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_told_with_its_keys() {
        let row = Row::of(FigureRow {
            keys: vec!["P01".to_owned(), "2024-01".to_owned()],
            orders: 83,
            approved: 75,
            approved_fen: 1_500_000,
            ..Default::default()
        });
        let by = [FiguresBy::Provider, FiguresBy::ApprovalMonth];
        let figures = Figures {
            by: by.map(heading).to_vec(),
            rows: vec![row],
            enrolled: 9_318,
        };
        let text = figures.text();
        for word in [
            "审核月份 approval month",
            "P01",
            "2024-01",
            "15000.00",
            "9318",
        ] {
            assert!(text.contains(word), "{text}");
        }
    }
}

//! `visits`: the coverage of a month by division, and who was missed in a week or month.

use civic::LocalDay;
use proto::eldercare::{
    r#type::v1 as types,
    visits::v1::{
        Coverage, Duty, DutyFilter, GetCoverageRequest, ListDutiesRequest, ListDutiesResponse,
    },
};
use serde::Serialize;

use crate::{
    cli::Level,
    client::{Client, call},
    output::{Report, number, percent, table},
    wire,
    words::labelled,
};

/// Duties on one page.
const PAGE: i32 = 5_000;

/// The coverage of a month.
#[derive(Debug, Serialize)]
pub struct MonthsCoverage {
    /// The day as of which scope is judged.
    pub on: Option<String>,
    /// The division.
    pub total: Figure,
    /// The divisions below it.
    pub divisions: Vec<Figure>,
}

/// How many of the elders in scope were visited.
#[derive(Debug, Default, Serialize)]
pub struct Figure {
    /// The division.
    pub division_code: String,
    /// Elders in scope.
    pub in_scope: i64,
    /// Of these, visited in the month.
    pub visited: i64,
    /// The share, 0 to 1.
    pub coverage: f64,
}

impl Figure {
    fn of(coverage: Coverage) -> Self {
        Self {
            division_code: coverage.division_code,
            in_scope: coverage.in_scope,
            visited: coverage.visited,
            coverage: coverage.coverage,
        }
    }
}

/// Who was missed when a period closed.
#[derive(Debug, Serialize)]
pub struct MissedDuties {
    /// The period.
    pub period: String,
    /// Whether it is over, and closed.
    pub closed: bool,
    /// Visits owed, by all facts recorded.
    pub owed: i64,
    /// Met by now.
    pub met: i64,
    /// Unmet by now.
    pub unmet: i64,
    /// The duties that were missed when the period closed.
    pub missed: Vec<MissedDuty>,
}

/// A duty that was missed.
#[derive(Debug, Serialize)]
pub struct MissedDuty {
    /// The elder.
    pub elder_id: String,
    /// Where the elder lived.
    pub division_code: String,
    /// The tier.
    pub tier: String,
    /// It calls for a talk about consent.
    pub blocked_by_consent: bool,
    /// A record that met it later.
    pub met_late: bool,
}

/// The coverage of a month, the current one unless named.
///
/// # Errors
/// Visits' refusal.
pub async fn coverage(
    client: &Client,
    division: &str,
    month: Option<&str>,
    by: Option<Level>,
) -> anyhow::Result<MonthsCoverage> {
    let by = match by {
        None => types::DivisionLevel::Unspecified,
        Some(Level::City) => types::DivisionLevel::City,
        Some(Level::County) => types::DivisionLevel::County,
        Some(Level::Town) => types::DivisionLevel::Town,
        Some(Level::Village) => types::DivisionLevel::Village,
    };
    let request = GetCoverageRequest {
        division_code: division.to_owned(),
        month: month.unwrap_or_default().to_owned(),
        by: by.into(),
        ..Default::default()
    };
    let answer = call(request, async |request| {
        client.visits().get_coverage(request).await
    })
    .await?;
    Ok(MonthsCoverage {
        on: answer
            .on
            .and_then(wire::from_date)
            .map(|day: LocalDay| day.to_string()),
        total: answer.total.map(Figure::of).unwrap_or_default(),
        divisions: answer.divisions.into_iter().map(Figure::of).collect(),
    })
}

/// Who was missed in a week or month.
///
/// # Errors
/// Visits' refusal.
pub async fn missed(client: &Client, division: &str, period: &str) -> anyhow::Result<MissedDuties> {
    let mut request = ListDutiesRequest {
        division_code: division.to_owned(),
        period: period.to_owned(),
        filter: DutyFilter::Missed.into(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut missed = Vec::new();
    loop {
        let page: ListDutiesResponse = call(request.clone(), async |request| {
            client.visits().list_duties(request).await
        })
        .await?;
        missed.extend(page.duties.into_iter().map(told));
        if page.next_page_token.is_empty() {
            return Ok(MissedDuties {
                period: period.to_owned(),
                closed: page.closed,
                owed: page.owed,
                met: page.met,
                unmet: page.unmet,
                missed,
            });
        }
        request.page_token = page.next_page_token;
    }
}

fn told(duty: Duty) -> MissedDuty {
    MissedDuty {
        elder_id: duty.elder_id,
        division_code: duty.division_code,
        tier: duty.tier,
        blocked_by_consent: duty.blocked_by_consent,
        met_late: !duty.record_id.is_empty(),
    }
}

impl Report for MonthsCoverage {
    fn text(&self) -> String {
        let mut rows = table([
            "区划 division",
            "在册 in scope",
            "已探访 visited",
            "探访率 coverage",
        ]);
        for one in self.divisions.iter().chain([&self.total]) {
            rows.add_row([
                one.division_code.clone().into(),
                number(one.in_scope),
                number(one.visited),
                percent(one.visited.cast_unsigned(), one.in_scope.cast_unsigned()),
            ]);
        }
        let on = self.on.as_deref().unwrap_or_default();
        format!("{rows}\n截至 as of {on}")
    }
}

impl Report for MissedDuties {
    fn text(&self) -> String {
        let mut rows = table([
            "老年人 elder",
            "村社区 village",
            "分级 tier",
            "待征得同意 consent",
            "已补访 met late",
        ]);
        let mark = |holds: bool| if holds { "是 yes" } else { "" };
        for one in &self.missed {
            rows.add_row([
                one.elder_id.clone(),
                one.division_code.clone(),
                labelled(&one.tier),
                mark(one.blocked_by_consent).to_owned(),
                mark(one.met_late).to_owned(),
            ]);
        }
        let state = if self.closed {
            "已结算 closed"
        } else {
            "未结算 open"
        };
        format!(
            "{rows}\n{} {state}: {} owed, {} met, {} unmet by now, {} missed when it closed",
            self.period,
            self.owed,
            self.met,
            self.unmet,
            self.missed.len()
        )
    }
}

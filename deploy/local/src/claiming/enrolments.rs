//! `claims enrolments`: who is enrolled in a programme on a day.

use civic::LocalDay;
use proto::eldercare::claims::v1::{self as pb, ListEnrolmentsRequest};
use serde::Serialize;

use super::{PAGE, day};
use crate::{
    client::{Client, call},
    output::{Report, table},
    wire,
};

/// Who is enrolled.
#[derive(Debug, Serialize)]
pub struct EnrolmentList {
    /// By elder.
    pub enrolments: Vec<Enrolled>,
    /// Whether there are more.
    pub more: bool,
}

/// An elder who is enrolled.
#[derive(Debug, Serialize)]
pub struct Enrolled {
    /// Who.
    pub elder_id: String,
    /// The enrolment.
    pub enrolment_id: String,
    /// First day.
    pub first_day: Option<String>,
    /// Last day, as it holds now.
    pub last_day: Option<String>,
}

impl Enrolled {
    fn of(enrolment: pb::Enrolment) -> Self {
        Self {
            elder_id: enrolment.elder_id,
            enrolment_id: enrolment.enrolment_id,
            first_day: day(enrolment.first_day),
            last_day: day(enrolment.last_day),
        }
    }
}

/// Who is enrolled in a programme on a day, today unless named, at most so many.
///
/// # Errors
/// Claims' refusal.
pub async fn enrolments(
    client: &Client,
    programme: &str,
    division: &str,
    on: Option<LocalDay>,
    limit: usize,
) -> anyhow::Result<EnrolmentList> {
    let mut request = ListEnrolmentsRequest {
        division_code: division.to_owned(),
        programme_code: programme.to_owned(),
        on: on.map(wire::date),
        ..Default::default()
    };
    let mut enrolments = Vec::new();
    loop {
        let left = limit - enrolments.len();
        request.page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = call(request.clone(), async |request| {
            client.claims().list_enrolments(request).await
        })
        .await?;
        enrolments.extend(page.enrolments.into_iter().map(Enrolled::of));
        let more = !page.next_page_token.is_empty();
        if !more || enrolments.len() >= limit {
            return Ok(EnrolmentList { enrolments, more });
        }
        request.page_token = page.next_page_token;
    }
}

impl Report for EnrolmentList {
    fn text(&self) -> String {
        let mut rows = table([
            "老年人 elder",
            "参保 enrolment",
            "起 first day",
            "止 last day",
        ]);
        for one in &self.enrolments {
            rows.add_row([
                one.elder_id.as_str(),
                one.enrolment_id.as_str(),
                one.first_day.as_deref().unwrap_or_default(),
                one.last_day.as_deref().unwrap_or_default(),
            ]);
        }
        let more = if self.more {
            ", and more: raise --limit / 还有更多"
        } else {
            ""
        };
        format!("{rows}\n{} enrolments{more}", self.enrolments.len())
    }
}

//! `sharing history`: who has looked at an elder's data, or what somebody has looked at.

use proto::eldercare::sharing::v1::{
    self as pb, GetAccessHistoryRequest, get_access_history_request::Whose,
};
use serde::Serialize;

use super::{PAGE, instant};
use crate::{
    client::{Client, call},
    output::{Report, table},
};

/// Looks, the last one first.
#[derive(Debug, Serialize)]
pub struct History {
    /// The looks.
    pub looks: Vec<Look>,
    /// Whether there are more.
    pub more: bool,
}

/// One look.
#[derive(Debug, Serialize)]
pub struct Look {
    /// When, local time.
    pub at: String,
    /// By what right.
    pub kind: String,
    /// Who.
    pub caller: String,
    /// Of which department.
    pub department: String,
    /// What for.
    pub purpose: String,
    /// By which method.
    pub method: String,
    /// Whose data.
    pub elder_ids: Vec<String>,
    /// Which personal fields.
    pub fields: Vec<String>,
    /// Under which agreements.
    pub agreement_ids: Vec<String>,
    /// Where it stands in the log.
    pub position: String,
}

/// The last looks at an elder, or by a caller, so many at most.
///
/// # Errors
/// Sharing's refusal.
pub async fn history(client: &Client, whose: Whose, limit: usize) -> anyhow::Result<History> {
    let mut request = GetAccessHistoryRequest {
        whose: Some(whose),
        ..Default::default()
    };
    let mut history = History {
        looks: Vec::new(),
        more: true,
    };
    while history.more && history.looks.len() < limit {
        let left = limit - history.looks.len();
        // What is not shown is not read: each page goes on record.
        request.page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = call(request.clone(), async |request| {
            client.sharing().get_access_history(request).await
        })
        .await?;
        history.looks.extend(page.looks.into_iter().map(Look::of));
        history.more = !page.next_page_token.is_empty();
        request.page_token = page.next_page_token;
    }
    Ok(history)
}

impl Look {
    pub(super) fn of(recorded: pb::RecordedLook) -> Self {
        let kind = recorded.kind().as_str_name();
        let kind = kind.trim_start_matches("LOOK_KIND_").to_owned();
        let look = recorded.look.unwrap_or_default();
        Self {
            kind,
            at: instant(look.at),
            caller: look.caller,
            department: look.department,
            purpose: look.purpose,
            method: look.method,
            elder_ids: look.elder_ids,
            fields: look.fields,
            agreement_ids: recorded.agreement_ids,
            position: recorded.position,
        }
    }
}

impl Report for History {
    fn text(&self) -> String {
        let mut rows = table([
            "时间 at",
            "依据 right",
            "人员 caller",
            "部门 department",
            "目的 purpose",
            "接口 method",
            "字段 fields",
        ]);
        for look in &self.looks {
            rows.add_row([
                look.at.clone(),
                look.kind.clone(),
                look.caller.clone(),
                look.department.clone(),
                look.purpose.clone(),
                look.method.clone(),
                look.fields.join(" "),
            ]);
        }
        let mut text = rows.to_string();
        if self.more {
            text.push_str("\n… 还有更多 and more");
        }
        text
    }
}

//! `sharing broken-glass`: why dossiers were opened beyond all agreements, as those are told who answer for it.

use civic::LocalDay;
use elders::codec::write_day;
use proto::eldercare::sharing::v1::{
    GetAccessHistoryRequest, LookKind, RecordedLook, get_access_history_request::Whose,
};
use serde::Serialize;

use super::PAGE;
use super::history::Look;
use crate::{
    client::{Client, call},
    output::{Report, table},
};

/// Dossiers that were opened, the last one first.
#[derive(Debug, Serialize)]
pub struct BrokenGlass {
    /// The dossiers.
    pub broken: Vec<Broken>,
}

/// A dossier that was opened beyond all agreements.
#[derive(Debug, Serialize)]
pub struct Broken {
    /// The look.
    #[serde(flatten)]
    pub look: Look,
    /// Why, in the officer's words; empty where the elder is erased.
    pub reason: String,
}

/// The dossiers of an elder, or by a caller, that were opened beyond all agreements on some days; as the reviewer who is known
/// here, or as the caller where none is.
///
/// # Errors
/// Sharing's refusal.
pub async fn broken_glass(
    client: &Client,
    whose: Whose,
    days: (Option<LocalDay>, Option<LocalDay>),
) -> anyhow::Result<BrokenGlass> {
    let reviewer = client.sharing_reviewer();
    let reviewer = reviewer.unwrap_or_else(|_unknown| client.sharing());
    let mut request = GetAccessHistoryRequest {
        whose: Some(whose),
        first_day: days.0.map(write_day),
        last_day: days.1.map(write_day),
        page_size: PAGE,
        ..Default::default()
    };
    let mut broken = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            reviewer.clone().get_access_history(request).await
        })
        .await?;
        let looks = page.looks.into_iter();
        let of_page = looks.filter(|look| look.kind() == LookKind::BreakGlass);
        broken.extend(of_page.map(Broken::of));
        if page.next_page_token.is_empty() {
            return Ok(BrokenGlass { broken });
        }
        request.page_token = page.next_page_token;
    }
}

impl Broken {
    fn of(mut recorded: RecordedLook) -> Self {
        let reason = std::mem::take(&mut recorded.reason);
        Self {
            look: Look::of(recorded),
            reason,
        }
    }
}

impl Report for BrokenGlass {
    fn text(&self) -> String {
        let mut rows = table([
            "时间 at",
            "人员 caller",
            "部门 department",
            "老年人 elder",
            "目的 purpose",
            "理由 reason",
        ]);
        for Broken { look, reason } in &self.broken {
            rows.add_row([
                look.at.clone(),
                look.caller.clone(),
                look.department.clone(),
                look.elder_ids.join(" "),
                look.purpose.clone(),
                reason.clone(),
            ]);
        }
        rows.to_string()
    }
}

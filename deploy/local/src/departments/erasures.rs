//! `sharing erasures`, `sharing confirm-erasure`: which departments were told that an elder is erased, and which have erased what
//! they held.

use proto::eldercare::sharing::v1::{self as pb, ConfirmErasureRequest, ListErasuresRequest};
use serde::Serialize;
use uuid::Uuid;

use super::{PAGE, instant};
use crate::{
    client::{Client, call},
    output::{Report, table},
};

/// Receipts, the last told first.
#[derive(Debug, Serialize)]
pub struct Erasures {
    /// The receipts.
    pub receipts: Vec<Receipt>,
}

/// What became of the word to a department that an elder is erased.
#[derive(Debug, Serialize)]
pub struct Receipt {
    /// The elder, of whom nothing but this id is left.
    pub elder_id: String,
    /// The department.
    pub department: String,
    /// When it was told, local time.
    pub told_at: String,
    /// When it confirmed; none where it has not.
    pub confirmed_at: Option<String>,
    /// Who confirmed; empty where nobody has.
    pub confirmed_by: String,
}

/// A department's word that it has erased what it held.
#[derive(Debug, Serialize)]
pub struct Confirmed {
    /// The elder.
    pub elder_id: String,
    /// The department; empty for the caller's own.
    pub department: String,
    /// Where it stands in the log.
    pub position: String,
}

impl Receipt {
    fn of(receipt: pb::ErasureReceipt) -> Self {
        let confirmed_at = receipt.confirmed_at;
        Self {
            elder_id: receipt.elder_id,
            department: receipt.department,
            told_at: instant(receipt.told_at),
            confirmed_at: confirmed_at.is_some().then(|| instant(confirmed_at)),
            confirmed_by: receipt.confirmed_by,
        }
    }
}

/// All receipts, or those of a department, or those that nobody has confirmed.
///
/// # Errors
/// Sharing's refusal.
pub async fn erasures(
    client: &Client,
    department: Option<&str>,
    outstanding: bool,
) -> anyhow::Result<Erasures> {
    let mut request = ListErasuresRequest {
        department: department.unwrap_or_default().to_owned(),
        outstanding,
        page_size: PAGE,
        ..Default::default()
    };
    let mut receipts = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.sharing().list_erasures(request).await
        });
        let page = page.await?;
        receipts.extend(page.receipts.into_iter().map(Receipt::of));
        if page.next_page_token.is_empty() {
            return Ok(Erasures { receipts });
        }
        request.page_token = page.next_page_token;
    }
}

/// Confirms that a department has erased what it held of an elder, as an officer of it, or that the operator's has.
///
/// # Errors
/// Sharing's refusal, or a department of which nobody is known.
pub async fn confirm_erasure(
    client: &Client,
    elder: &str,
    department: Option<&str>,
) -> anyhow::Result<Confirmed> {
    let caller = client.sharing_as(department)?;
    let request = ConfirmErasureRequest {
        request_id: Uuid::now_v7().to_string(),
        elder_id: elder.to_owned(),
    };
    let answer = call(request, async |request| {
        caller.clone().confirm_erasure(request).await
    })
    .await?;
    // Whoever lists receipts from now on is told of it.
    let listed = ListErasuresRequest {
        page_size: 1,
        min_position: answer.position.clone(),
        ..Default::default()
    };
    call(listed, async |request| {
        caller.clone().list_erasures(request).await
    })
    .await?;
    Ok(Confirmed {
        elder_id: elder.to_owned(),
        department: department.unwrap_or_default().to_owned(),
        position: answer.position,
    })
}

impl Report for Erasures {
    fn text(&self) -> String {
        let mut rows = table([
            "老年人 elder",
            "部门 department",
            "通知 told",
            "确认 confirmed",
            "确认人 by",
        ]);
        for receipt in &self.receipts {
            rows.add_row([
                receipt.elder_id.as_str(),
                &receipt.department,
                &receipt.told_at,
                receipt.confirmed_at.as_deref().unwrap_or("未确认 not yet"),
                &receipt.confirmed_by,
            ]);
        }
        rows.to_string()
    }
}

impl Report for Confirmed {
    fn text(&self) -> String {
        format!(
            "{} 已确认删除 erasure confirmed, 记录于 on record at {}",
            self.elder_id, self.position
        )
    }
}

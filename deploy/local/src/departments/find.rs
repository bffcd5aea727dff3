//! `sharing find`: elders by what all services know of them, as somebody may see them.

use std::collections::BTreeSet;

use elders::codec::write_day;
use proto::eldercare::sharing::v1::{self as pb, FindEldersRequest};
use serde::Serialize;

use super::PAGE;
use super::dossier::{Document, words};
use crate::{
    cli::Search,
    client::{Client, call},
    output::{Report, table},
};

/// The fields that a table shows, by product and name, with their headings.
const SHOWN: [(&str, &str, &str); 7] = [
    ("elder", "name", "姓名 name"),
    ("elder", "sex", "性别 sex"),
    ("elder", "age", "年龄 age"),
    ("elder", "division_code", "村社区 village"),
    ("elder", "categories", "类别 categories"),
    ("tier", "tier", "分级 tier"),
    ("tier", "since", "起始 since"),
];

/// Elders, as a department sees them.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The department that asked; empty for the operator.
    pub department: String,
    /// The elders, in the order of their ids.
    pub elders: Vec<Elder>,
    /// Under which agreements they were told.
    pub agreement_ids: BTreeSet<String>,
    /// Whether there are more.
    pub more: bool,
}

/// One elder.
#[derive(Debug, Clone, Serialize)]
pub struct Elder {
    /// The elder.
    pub elder_id: String,
    /// The file and the tier, as far as they are granted.
    pub documents: Vec<Document>,
}

/// The elders whom a search finds.
///
/// # Errors
/// Sharing's refusal, or a department of which nobody is known.
pub async fn find(client: &Client, search: &Search) -> anyhow::Result<Found> {
    let caller = client.sharing_as(search.department.as_deref())?;
    let mut request = FindEldersRequest {
        division_codes: search.divisions.clone(),
        tiers: search.tiers.clone(),
        categories: search.categories.clone(),
        not_visited_since: search.not_visited_since.map(write_day),
        with_open_alert: search.open_alert,
        with_missed_visit: search.missed_visit,
        programme_code: search.programme.clone().unwrap_or_default(),
        ..Default::default()
    };
    let mut found = Found {
        department: search.department.clone().unwrap_or_default(),
        elders: Vec::new(),
        agreement_ids: BTreeSet::new(),
        more: true,
    };
    while found.more && found.elders.len() < search.limit {
        let left = search.limit - found.elders.len();
        // Nobody is told of, and put on record, who is not shown.
        request.page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = call(request.clone(), async |request| {
            caller.clone().find_elders(request).await
        })
        .await?;
        found.elders.extend(page.elders.into_iter().map(Elder::of));
        found.agreement_ids.extend(page.agreement_ids);
        found.more = !page.next_page_token.is_empty();
        request.page_token = page.next_page_token;
    }
    Ok(found)
}

impl Elder {
    fn of(found: pb::FoundElder) -> Self {
        Self {
            elder_id: found.elder_id,
            documents: found.documents.into_iter().map(Document::of).collect(),
        }
    }

    /// A field as a person reads it; empty where it is not granted, or not known.
    fn field(&self, product: &str, name: &str) -> String {
        let mut documents = self.documents.iter();
        let document = documents.find(|document| document.product == product);
        let value = document.and_then(|document| document.fields.get(name));
        value.map(words).unwrap_or_default()
    }
}

impl Report for Found {
    fn text(&self) -> String {
        let [name, sex, age, village, categories, tier, since] = SHOWN.map(|(.., heading)| heading);
        let elder = "老年人 elder";
        let mut rows = table([elder, name, sex, age, village, categories, tier, since]);
        for elder in &self.elders {
            let shown = SHOWN.iter();
            let shown = shown.map(|(product, name, _)| elder.field(product, name));
            rows.add_row(std::iter::once(elder.elder_id.clone()).chain(shown));
        }
        let mut text = rows.to_string();
        if !self.agreement_ids.is_empty() {
            let ids: Vec<&str> = self.agreement_ids.iter().map(String::as_str).collect();
            text.push_str(&format!("\n协议 agreements {}", ids.join(" ")));
        }
        if self.more {
            text.push_str("\n… 还有更多 and more");
        }
        text
    }
}

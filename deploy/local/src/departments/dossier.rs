//! `sharing dossier`: one elder across all services, as somebody may see it.

use std::fmt::Write as _;

use prost_types::value::Kind;
use proto::eldercare::sharing::v1::{self as pb, GetDossierRequest};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    client::{Client, call},
    output::{Report, table},
};

/// A dossier, as a department sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Dossier {
    /// The department that asked; empty for the operator.
    pub department: String,
    /// The elder.
    pub elder_id: String,
    /// Its documents.
    pub documents: Vec<Document>,
    /// Under which agreements it was told.
    pub agreement_ids: Vec<String>,
    /// Where it is on record that it was told.
    pub position: String,
}

/// A document of a dossier.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// The product.
    pub product: String,
    /// Which one.
    pub key: String,
    /// The fields that are granted and known.
    pub fields: Map<String, Value>,
    /// Which of these are masked.
    pub masked: Vec<String>,
}

/// The dossier of an elder, as an officer of a department sees it, or as the operator does.
///
/// # Errors
/// Sharing's refusal, or a department of which nobody is known.
pub async fn dossier(
    client: &Client,
    elder: &str,
    department: Option<&str>,
    newest: i32,
) -> anyhow::Result<Dossier> {
    dossier_after(client, elder, department, newest, String::new()).await
}

/// The same once what stands at a position in the log holds.
///
/// # Errors
/// As for [`dossier`].
pub async fn dossier_after(
    client: &Client,
    elder: &str,
    department: Option<&str>,
    newest: i32,
    min_position: String,
) -> anyhow::Result<Dossier> {
    let caller = client.sharing_as(department)?;
    let request = GetDossierRequest {
        elder_id: elder.to_owned(),
        newest,
        min_position,
        ..Default::default()
    };
    let answer = call(request, async |request| {
        caller.clone().get_dossier(request).await
    })
    .await?;
    let told = answer.dossier.unwrap_or_default();
    Ok(Dossier {
        department: department.unwrap_or_default().to_owned(),
        elder_id: told.elder_id,
        documents: told.documents.into_iter().map(Document::of).collect(),
        agreement_ids: told.agreement_ids,
        position: answer.position,
    })
}

impl Document {
    pub(super) fn of(document: pb::Document) -> Self {
        Self {
            product: document.product,
            key: document.key,
            fields: object(document.fields.unwrap_or_default()),
            masked: document.masked,
        }
    }
}

/// Fields as JSON.
pub(super) fn object(fields: prost_types::Struct) -> Map<String, Value> {
    let fields = fields.fields.into_iter();
    fields.map(|(name, value)| (name, json(value))).collect()
}

fn json(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "documents bear whole numbers alone"
        )]
        Some(Kind::NumberValue(number)) => (number as i64).into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)),
    }
}

/// A value as a person reads it.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join("、"),
        Value::Object(fields) => fields.values().map(words).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

impl Report for Dossier {
    fn text(&self) -> String {
        let mut rows = table(["产品 product", "字段 field", "内容 value", "脱敏 masked"]);
        for document in &self.documents {
            for (name, value) in &document.fields {
                let masked = document.masked.contains(name);
                rows.add_row([
                    document.product.clone(),
                    name.clone(),
                    words(value),
                    if masked { "是 yes" } else { "" }.to_owned(),
                ]);
            }
        }
        let mut text = rows.to_string();
        let by = match self.agreement_ids.as_slice() {
            [] => "本部门数据 own data".to_owned(),
            ids => format!("协议 agreements {}", ids.join(" ")),
        };
        let _ = write!(text, "\n{by}, 记录于 on record at {}", self.position);
        text
    }
}

//! `sharing dossier`: one elder across all services, as somebody may see it.

use std::fmt::Write as _;

use prost_types::value::Kind;
use proto::eldercare::sharing::v1::{self as pb, GetDossierRequest};
use serde::Serialize;
use serde_json::{Map, Value};

use super::agreements::{Cut, Terms, approve, propose};
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

/// One elder's dossier, as some departments see it.
#[derive(Debug, Clone, Serialize)]
pub struct SeenByDepartments {
    /// Each department's.
    pub dossiers: Vec<Dossier>,
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
    seen(client, elder, department, newest, String::new()).await
}

/// The same once what stands at a position in the log holds.
async fn seen(
    client: &Client,
    elder: &str,
    department: Option<&str>,
    newest: i32,
    min_position: String,
) -> anyhow::Result<Dossier> {
    let caller = match department {
        Some(department) => client.department(department)?,
        None => client.sharing(),
    };
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

/// Grants two departments what they need of a county, and answers one elder's dossier as each of them sees it: health sees who
/// is at risk, finance what is paid for whom, without names.
///
/// # Errors
/// Sharing's refusal.
pub async fn as_departments_see(
    client: &Client,
    county: &str,
    until: &str,
    elder: &str,
) -> anyhow::Result<SeenByDepartments> {
    use Cut::{Masked, Plain};
    let terms = |department: &str, purpose: &str, products: &[(&str, &[(&str, Cut)])]| Terms {
        department: department.to_owned(),
        purpose: purpose.to_owned(),
        legal_basis: "个人信息保护法第十三条、第三十四条".to_owned(),
        divisions: vec![county.to_owned()],
        until: until.to_owned(),
        products: products
            .iter()
            .map(|(product, fields)| {
                let fields = fields
                    .iter()
                    .map(|(field, cut)| ((*field).to_owned(), *cut));
                ((*product).to_owned(), fields.collect())
            })
            .collect(),
    };
    let health: &[(&str, &[(&str, Cut)])] = &[
        (
            "elder",
            &[
                ("name", Plain),
                ("id_number", Masked),
                ("age", Plain),
                ("capability", Plain),
                ("contacts", Masked),
                ("division_code", Plain),
            ],
        ),
        (
            "tier",
            &[("tier", Plain), ("since", Plain), ("reasons", Plain)],
        ),
        (
            "visit",
            &[("start_time", Plain), ("result", Plain), ("mode", Plain)],
        ),
        (
            "alert",
            &[("kind", Plain), ("raised_at", Plain), ("state", Plain)],
        ),
    ];
    let finance: &[(&str, &[(&str, Cut)])] = &[
        (
            "elder",
            &[
                ("name", Masked),
                ("id_number", Masked),
                ("assistance", Plain),
            ],
        ),
        (
            "enrolment",
            &[("programme_code", Plain), ("units_used", Plain)],
        ),
        (
            "order",
            &[
                ("programme_code", Plain),
                ("service_day", Plain),
                ("state", Plain),
                ("amount", Plain),
            ],
        ),
    ];
    let departments = [
        terms("health", "重点老年人健康管理", health),
        terms("finance", "护理服务补贴资金监管", finance),
    ];
    let mut dossiers = Vec::new();
    for terms in departments {
        let (agreement, _) = propose(client, &terms).await?;
        let position = approve(client, &agreement).await?;
        let seen = seen(client, elder, Some(&terms.department), 3, position);
        dossiers.push(seen.await?);
    }
    Ok(SeenByDepartments { dossiers })
}

impl Document {
    fn of(document: pb::Document) -> Self {
        let fields = document.fields.unwrap_or_default().fields;
        Self {
            product: document.product,
            key: document.key,
            fields: fields
                .into_iter()
                .map(|(name, value)| (name, json(value)))
                .collect(),
            masked: document.masked,
        }
    }
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
        Some(Kind::StructValue(of)) => {
            let fields = of.fields.into_iter();
            Value::Object(fields.map(|(name, value)| (name, json(value))).collect())
        }
    }
}

/// A value as a person reads it.
fn words(value: &Value) -> String {
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

impl Report for SeenByDepartments {
    fn text(&self) -> String {
        let mut text = String::new();
        for dossier in &self.dossiers {
            let _ = writeln!(
                text,
                "{} 所见 as {} sees it",
                dossier.department, dossier.department
            );
            let _ = writeln!(text, "{}\n", dossier.text());
        }
        text
    }
}

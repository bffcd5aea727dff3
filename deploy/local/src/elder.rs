//! `elder`: one elder's file, its history, and its form (annex 1).

use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use proto::eldercare::{
    registry::v1::{
        self as pb, ElderView, ExportElderFormRequest, GetElderHistoryRequest, GetElderRequest,
        SearchEldersRequest,
    },
    r#type::v1 as types,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cli::Whom,
    client::{Client, call},
    export::{self, Written},
    output::{Report, table},
    wire,
    words::{labelled, name_of, names_of},
};

/// The id of the elder that is meant.
///
/// # Errors
/// The registry's refusal, or no elder with this ID number.
pub async fn id_of(client: &Client, whom: &Whom) -> anyhow::Result<String> {
    let id_number = match (&whom.id, &whom.id_number) {
        (Some(id), _) => return Ok(id.clone()),
        (None, Some(number)) if number == "-" => {
            let mut line = String::new();
            std::io::stdin()
                .read_line(&mut line)
                .context("read the ID number")?;
            line.trim().to_owned()
        }
        (None, Some(number)) => number.clone(),
        (None, None) => {
            anyhow::bail!("say which elder: an id, or --id-number / 请指定老年人：编号或身份证号")
        }
    };
    let request = SearchEldersRequest {
        id_number,
        ..Default::default()
    };
    let found = call(request, async |request| {
        client.registry().search_elders(request).await
    })
    .await?;
    let elder = found.elders.into_iter().next();
    let elder = elder.context("no elder has this ID number / 台账中没有该身份证号")?;
    Ok(elder.elder_id)
}

/// An elder's file.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct File(Value);

/// Answers an elder's file, also as it was known at a past instant.
///
/// # Errors
/// The registry's refusal.
pub async fn show(
    client: &Client,
    whom: &Whom,
    as_of: Option<DateTime<Utc>>,
) -> anyhow::Result<File> {
    let request = GetElderRequest {
        elder_id: id_of(client, whom).await?,
        as_of: as_of.map(wire::timestamp),
        min_position: String::new(),
        view: ElderView::Full.into(),
    };
    let answer = call(request, async |request| {
        client.registry().get_elder(request).await
    })
    .await?;
    Ok(File(file(
        &answer.elder.context("the answer holds no file")?,
    )))
}

fn day(date: Option<types::Date>) -> Option<String> {
    date.and_then(wire::from_date).map(|day| day.to_string())
}

fn instant(at: Option<prost_types::Timestamp>) -> Option<String> {
    at.and_then(wire::from_timestamp).map(wire::local_time)
}

fn file(elder: &pb::Elder) -> Value {
    let capability = elder.capability.clone().unwrap_or_default();
    let consent = elder.consent.unwrap_or_default();
    let circumstances = elder.circumstances.iter().map(|one| {
        json!({
            "circumstance_id": one.circumstance_id,
            "kind": name_of::<types::CircumstanceKind>(one.kind),
            "first_day": day(one.first_day),
            "last_day": day(one.last_day),
        })
    });
    let contacts = elder.contacts.iter().map(|one| {
        json!({
            "name": one.name,
            "relation": one.relation,
            "phone": one.phone,
            "call_order": one.call_order,
            "supporter": one.supporter,
        })
    });
    json!({
        "elder_id": elder.elder_id,
        "etag": elder.etag,
        "status": name_of::<types::ElderStatus>(elder.status),
        "status_on": day(elder.status_on),
        "in_scope": elder.in_scope,
        "name": elder.name,
        "id_number": elder.id_number,
        "sex": name_of::<types::Sex>(elder.sex),
        "birth_date": day(elder.birth_date),
        "age": elder.age,
        "division_code": elder.division_code,
        "address": elder.address,
        "position": elder.position.map(|position| [position.latitude, position.longitude]),
        "categories": names_of::<types::Category>(&elder.categories),
        "assistance": names_of::<types::Assistance>(&elder.assistance),
        "capability": name_of::<types::CapabilityLevel>(capability.level),
        "assessed_on": day(capability.assessed_on),
        "assessed_by": capability.source,
        "observations": names_of::<types::Observation>(&elder.observations),
        "handicap_grade": (elder.handicap_grade != 0).then_some(elder.handicap_grade),
        "circumstances": circumstances.collect::<Vec<_>>(),
        "contacts": contacts.collect::<Vec<_>>(),
        "consent": name_of::<types::ConsentState>(consent.state),
        "consent_by": name_of::<types::ConsentGiver>(consent.by),
        "consent_at": instant(consent.at),
        "wanted_services": names_of::<types::ServiceKind>(&elder.wanted_services),
        "remarks": elder.remarks,
        "registered_at": instant(elder.registered_at),
        "source": elder.source,
    })
}

/// What officers call the fields of a file.
const LABELS: [(&str, &str); 29] = [
    ("elder_id", "编号"),
    ("etag", "版本"),
    ("status", "状态"),
    ("status_on", "状态日期"),
    ("in_scope", "探访对象"),
    ("name", "姓名"),
    ("id_number", "身份证号"),
    ("sex", "性别"),
    ("birth_date", "出生日期"),
    ("age", "年龄"),
    ("division_code", "村居"),
    ("address", "家庭住址"),
    ("position", "坐标"),
    ("categories", "类别"),
    ("assistance", "救助身份"),
    ("capability", "身体能力"),
    ("assessed_on", "评估日期"),
    ("assessed_by", "评估来源"),
    ("observations", "状况"),
    ("handicap_grade", "残疾等级"),
    ("circumstances", "变故"),
    ("contacts", "家庭成员"),
    ("consent", "同意入户"),
    ("consent_by", "表示人"),
    ("consent_at", "表示时间"),
    ("wanted_services", "服务需求"),
    ("remarks", "备注"),
    ("registered_at", "建档时间"),
    ("source", "来源"),
];

/// A value in plain words.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "是 yes" } else { "否 no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => labelled(text),
        Value::Array(list) if list.iter().all(Value::is_number) => {
            list.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join("\n"),
        // Of a contact or a circumstance what a person reads: its order is that of the list.
        Value::Object(fields) => {
            let texts = fields
                .iter()
                .filter(|(name, value)| value.is_string() && *name != "circumstance_id")
                .map(|(_, value)| plain(value))
                .filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join(" ")
        }
    }
}

impl Report for File {
    fn text(&self) -> String {
        let mut rows = table(["项目 field", "内容 value"]);
        for (field, label) in LABELS {
            let text = self.0.get(field).map(plain).unwrap_or_default();
            if !text.is_empty() {
                rows.add_row([format!("{label} {field}"), text]);
            }
        }
        rows.to_string()
    }
}

/// Every change of a file.
#[derive(Debug, Serialize)]
pub struct History {
    /// The elder.
    pub elder_id: String,
    /// The changes, oldest first.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Serialize)]
pub struct Change {
    /// Where its record lies.
    pub position: String,
    /// When it was recorded, local time.
    pub recorded_at: Option<String>,
    /// Who.
    pub actor: String,
    /// What.
    pub event: String,
    /// From when it holds.
    pub holds_from: String,
    /// Why.
    pub reason: String,
    /// What the call was for.
    pub purpose: String,
    /// What it set.
    pub fields: Vec<(String, String)>,
}

/// Answers every change of an elder's file.
///
/// # Errors
/// The registry's refusal.
pub async fn history(client: &Client, whom: &Whom) -> anyhow::Result<History> {
    let elder_id = id_of(client, whom).await?;
    let mut request = GetElderHistoryRequest {
        elder_id: elder_id.clone(),
        page_size: 1_000,
        page_token: String::new(),
    };
    let mut changes = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.registry().get_elder_history(request).await
        })
        .await?;
        changes.extend(page.changes.into_iter().map(|change| {
            Change {
                position: change.position,
                recorded_at: instant(change.recorded_at),
                actor: change.actor,
                event: change.event,
                holds_from: change.holds_from,
                reason: change.reason,
                purpose: change.purpose,
                fields: change
                    .fields
                    .into_iter()
                    .map(|field| (field.field, field.value))
                    .collect(),
            }
        }));
        if page.next_page_token.is_empty() {
            return Ok(History { elder_id, changes });
        }
        request.page_token = page.next_page_token;
    }
}

impl Report for History {
    fn text(&self) -> String {
        let mut rows = table([
            "时间 recorded",
            "事项 event",
            "自 holds from",
            "经办 who",
            "原因 why",
            "用途 purpose",
            "内容 fields",
            "position",
        ]);
        for change in &self.changes {
            let fields = change
                .fields
                .iter()
                .map(|(field, value)| format!("{field}: {value}"));
            rows.add_row([
                change.recorded_at.clone().unwrap_or_default(),
                change.event.clone(),
                change.holds_from.clone(),
                change.actor.clone(),
                change.reason.clone(),
                change.purpose.clone(),
                fields.collect::<Vec<_>>().join("\n"),
                change.position.clone(),
            ]);
        }
        rows.to_string()
    }
}

/// Writes an elder's annex 1.
///
/// # Errors
/// The registry's refusal, or a file that can't be written.
pub async fn form(client: &Client, whom: &Whom, file: &Path) -> anyhow::Result<Written> {
    let request = ExportElderFormRequest {
        elder_id: id_of(client, whom).await?,
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.registry().export_elder_form(request).await
    })
    .await?;
    export::write(file, &answer.workbook)
}

//! One elder across all services (一人一档), cut to what the caller may see, and on record before it is told.
//!
//! [`rows`]: what the read models hold of those who are asked for at the same time.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use civic::{DivisionCode, ElderId};
use elders::FactsOnDay;
use proto::eldercare::sharing::v1 as pb;
use serde_json::Value;
use service::{Action, Asked, Caller, errors};
use tonic::{Code, Status};
use uuid::Uuid;

pub(crate) use self::rows::{DossierRows, Finding};

use self::rows::Wanted;
use crate::cut::{CutDocument, Grants, cut};
use crate::document::Document;
use crate::in_force::Agreements;
use crate::look::{GlassBroken, Look};
use crate::products::ProductName;
use crate::right::{Right, fields_of, look_by, recorded};
use crate::sharing::Sharing;
use crate::{codec, refusals};

/// What is asked of a dossier.
#[derive(Clone, Debug)]
pub(crate) struct DossierAsked {
    /// Whose.
    pub(crate) elder: ElderId,
    /// Only what this agreement grants.
    pub(crate) agreement: Option<Uuid>,
    /// Only these products; empty: all.
    pub(crate) products: BTreeSet<ProductName>,
    /// The newest so many visits, alerts and orders.
    pub(crate) newest: i64,
}

impl Sharing {
    /// A dossier, cut to what the caller may see. Whoever may see nothing of an elder learns nothing, not even whether there
    /// is one.
    pub(crate) async fn dossier(
        &self,
        caller: &Caller,
        asked: DossierAsked,
        address: String,
    ) -> Result<pb::GetDossierResponse, Status> {
        let (facts, right) = self.facts_and_right(caller, &asked).await?;
        let documents = self
            .documents(asked.elder, &facts, &right.grants, asked.newest)
            .await?;
        let left = left_of(&documents, &right.grants);
        let look = self.look(caller, "GetDossier", asked.elder, &left, address);
        let agreement_ids = right.agreements.iter().flatten();
        let agreement_ids = agreement_ids.map(Uuid::to_string).collect();
        let recorded = recorded(look, right.agreements.clone());
        let position = self.recorder.record(recorded).await?;
        // Whatever ended a right, or the elder's data, while this was put together has ended it before it is told.
        let (_, still) = self.facts_and_right(caller, &asked).await?;
        if still != right {
            return Err(refusals::no_elder(asked.elder));
        }
        Ok(pb::GetDossierResponse {
            dossier: Some(told(asked.elder, left, agreement_ids)),
            position: position.to_string(),
        })
    }

    /// A whole dossier beyond all agreements.
    pub(crate) async fn break_glass(
        &self,
        caller: &Caller,
        asked: Asked,
        elder: ElderId,
        reason: String,
        newest: i64,
        address: String,
    ) -> Result<pb::BreakGlassResponse, Status> {
        let facts = self.facts_of(elder).await?;
        let division = facts.village().division();
        if !caller.reaches(&division) {
            return Err(refusals::no_elder(elder));
        }
        let grants = Grants::all_plain();
        let documents = self.documents(elder, &facts, &grants, newest).await?;
        let left = left_of(&documents, &grants);
        let key = self.keys.key(elder.as_uuid()).await?;
        let key = key.ok_or_else(|| refusals::no_elder(elder))?;
        let reason = pb::BreakGlassReason { text: reason };
        let id = elder.as_uuid();
        let reason = key.seal(codec::purpose::BREAK_GLASS_REASON, id, &reason);
        let look = self.look(caller, "BreakGlass", elder, &left, address);
        let mut context = asked.by(caller, self.clock.now(), Some(division));
        let broken = GlassBroken { look, reason };
        let id = elder.to_string();
        let known = self.broken_glass.load_newest(&id).await;
        let known = known.map_err(service::not_loaded)?;
        let told_before = known.request(context.request_id).is_some();
        let mut committed = self.broken_glass.execute(&id, &context, &broken).await;
        if told_before && committed.is_ok() {
            // It is told once more, to whoever asks: that goes on record as well.
            context.request_id = Uuid::now_v7();
            committed = self.broken_glass.execute(&id, &context, &broken).await;
        }
        let committed = committed.map_err(|error| {
            service::not_executed(error, |never: std::convert::Infallible| match never {})
        })?;
        tracing::warn!(%elder, "a dossier was opened beyond all agreements");
        // As above: of who was erased meanwhile, or lives beyond the caller's reach by now, nothing is told.
        let still = self.division_of(elder).await?;
        if !caller.reaches(&still) {
            return Err(refusals::no_elder(elder));
        }
        Ok(pb::BreakGlassResponse {
            dossier: Some(told(elder, left, vec![])),
            position: committed.position.to_string(),
        })
    }

    /// The facts of an elder, and by what right the caller is told of them. Who lives elsewhere, or is not known, takes as long
    /// as who is granted to nobody.
    async fn facts_and_right(
        &self,
        caller: &Caller,
        asked: &DossierAsked,
    ) -> Result<(FactsOnDay, Right), Status> {
        // Both are asked for in any case, so that each answer takes as long.
        let (facts, agreements) = tokio::join!(self.facts_of(asked.elder), self.in_force.now());
        let facts = match facts {
            Ok(facts) => Some(facts),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(status),
        };
        let agreements = agreements.map_err(errors::of_look_up)?;
        let division = facts.as_ref().map(|facts| facts.village().division());
        let looked_at = division.or_else(|| caller.divisions.first().copied());
        let right = looked_at.and_then(|division| right(caller, asked, &division, &agreements));
        let both = facts.zip(right);
        both.ok_or_else(|| refusals::no_elder(asked.elder))
    }

    /// All documents of an elder of which something is granted, in the order of the catalogue.
    async fn documents(
        &self,
        elder: ElderId,
        facts: &FactsOnDay,
        grants: &Grants,
        newest: i64,
    ) -> Result<Vec<Document>, Status> {
        let wanted = Wanted {
            elder,
            products: grants.products().collect(),
            newest,
            on: facts.day,
        };
        let sealed = grants.has(ProductName::Elder) || grants.has(ProductName::Visit);
        let key = async {
            match sealed {
                true => self.keys.key(elder.as_uuid()).await,
                false => Ok(None),
            }
        };
        let (key, rows) = tokio::join!(key, self.dossier_rows.of(wanted));
        let (key, rows) = (key?, rows.map_err(errors::of_look_up)?);
        let documents = rows.documents(elder, facts, key.as_deref());
        documents.map_err(errors::of_database)
    }

    /// The look that is about to be told.
    fn look(
        &self,
        caller: &Caller,
        method: &str,
        elder: ElderId,
        left: &[CutDocument],
        address: String,
    ) -> Look {
        Look {
            elders: vec![elder],
            fields: fields_of(left),
            ..look_by(caller, method, address, self.clock.now())
        }
    }
}

/// What a caller may see of elders of a division, by these agreements; none where that is nothing.
fn right(
    caller: &Caller,
    asked: &DossierAsked,
    division: &DivisionCode,
    agreements: &Agreements,
) -> Option<Right> {
    if !caller.reaches(division) {
        return None;
    }
    let mut right = Right {
        grants: Grants::default(),
        agreements: None,
    };
    if asked.agreement.is_none() && caller.may(Action::ReadPersonal, division).is_ok() {
        right.grants = Grants::all_plain();
    } else {
        let mut ids = Vec::new();
        for (id, terms) in agreements.with(&caller.department) {
            let meant = asked.agreement.is_none_or(|only| only == *id);
            if !meant || !terms.covers(division) {
                continue;
            }
            let mut granted = terms.products.products();
            if granted.any(|one| asked.products.is_empty() || asked.products.contains(&one)) {
                right.grants.merge(&terms.products);
                ids.push(*id);
            }
        }
        right.agreements = Some(ids);
    }
    if !asked.products.is_empty() {
        right.grants.keep(&asked.products);
    }
    (!right.grants.is_empty()).then_some(right)
}

/// What is left of documents by what is granted.
fn left_of(documents: &[Document], grants: &Grants) -> Vec<CutDocument> {
    let left = documents
        .iter()
        .filter_map(|document| cut(document, grants));
    left.collect()
}

fn told(elder: ElderId, documents: Vec<CutDocument>, agreement_ids: Vec<String>) -> pb::Dossier {
    pb::Dossier {
        elder_id: elder.to_string(),
        documents: documents.into_iter().map(document).collect(),
        agreement_ids,
    }
}

/// The message of a document.
pub(crate) fn document(left: CutDocument) -> pb::Document {
    let masked = left.masked.into_iter().map(str::to_owned);
    pb::Document {
        product: left.product.name().to_owned(),
        key: left.key,
        fields: Some(of_fields(left.fields)),
        masked: masked.collect(),
    }
}

pub(crate) fn of_fields(fields: crate::document::Fields) -> prost_types::Struct {
    let fields: BTreeMap<String, prost_types::Value> = fields
        .into_iter()
        .map(|(name, value)| (name, of_value(value)))
        .collect();
    prost_types::Struct { fields }
}

fn of_value(value: Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        // Counts alone: money is text.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.into_iter().map(of_value).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(of_fields(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

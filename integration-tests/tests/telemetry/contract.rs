//! What operators are told, as a contract, and what of it was not kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Deserialize;
use service::testing::collector::{SentMetric, SentSpan};

/// What operators are told, as `deploy/observability/telemetry.yaml` says it.
#[derive(Debug, Deserialize)]
pub(super) struct Contract {
    pub(super) resource: BTreeMap<String, String>,
    attributes: BTreeMap<String, Attribute>,
    pub(super) metrics: Vec<Metric>,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
struct Attribute {
    /// All that there are; none where something else keeps them few.
    #[serde(default)]
    values: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metric {
    pub(super) name: String,
    instrument: String,
    unit: String,
    attributes: BTreeSet<String>,
    #[serde(default)]
    pub(super) rare: bool,
}

#[derive(Debug, Deserialize)]
struct Span {
    name: String,
    kind: String,
    attributes: BTreeSet<String>,
}

impl Contract {
    pub(super) fn read() -> Self {
        let file = "../deploy/observability/telemetry.yaml";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// What was sent of attributes that may not be.
    fn foreign(
        &self,
        allowed: &BTreeSet<String>,
        sent: &BTreeMap<String, BTreeSet<String>>,
    ) -> Vec<String> {
        let of_one = |(name, values): (&String, &BTreeSet<String>)| {
            let known = self.attributes.get(name).filter(|_| allowed.contains(name));
            let Some(known) = known else {
                return vec![name.clone()];
            };
            let others = values.difference(&known.values);
            let others = others.filter(|_| !known.values.is_empty());
            others.map(|value| format!("{name} = {value}")).collect()
        };
        sent.iter().flat_map(of_one).collect()
    }

    /// What is wrong with a metric that was sent.
    pub(super) fn faults_of(&self, sent: &SentMetric) -> Vec<String> {
        let Some(known) = self.metrics.iter().find(|known| known.name == sent.name) else {
            return vec![format!("{} is not in the contract", sent.name)];
        };
        let mut faults = self.foreign(&known.attributes, &sent.attributes);
        if (known.unit.as_str(), known.instrument.as_str()) != (sent.unit.as_str(), sent.instrument)
        {
            faults.push(format!("{} of {}", sent.instrument, sent.unit));
        }
        let of_it = faults.into_iter();
        of_it
            .map(|fault| format!("{}: {fault}", sent.name))
            .collect()
    }

    /// What is wrong with a span that was sent.
    pub(super) fn faults_of_span(&self, sent: &SentSpan) -> Vec<String> {
        let is_it = |known: &&Span| {
            let (before, after) = match known.name.split_once('<') {
                Some((before, rest)) => (before, rest.split_once('>').unwrap().1),
                None => (known.name.as_str(), ""),
            };
            let open = known.name.contains('<') || sent.name == known.name;
            let named = sent.name.starts_with(before) && sent.name.ends_with(after);
            known.kind == sent.kind && open && named
        };
        let Some(known) = self.spans.iter().find(is_it) else {
            return vec![format!(
                "{} {} is not in the contract",
                sent.kind, sent.name
            )];
        };
        let faults = self
            .foreign(&known.attributes, &sent.attributes)
            .into_iter();
        faults
            .map(|fault| format!("{}: {fault}", sent.name))
            .collect()
    }
}

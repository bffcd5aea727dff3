//! Why codes apply to a service order: when it was adjudicated, and by what was found once it was approved.

use std::fmt::Write as _;

use proto::eldercare::claims::v1 as pb;
use serde::Serialize;

use super::{at, order::Facts};
use crate::words::{labelled_of, name_of};

/// Why a code applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The code.
    pub code: &'static str,
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
    /// The earlier orders that stand against it, each as provider and number.
    pub earlier: Vec<(String, String)>,
}

/// What was found against an order once it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Since when, local time.
    pub held_at: Option<String>,
    /// Why each code stands against it.
    pub explanations: Vec<Explanation>,
    /// The facts of the service day as they are recorded now.
    pub facts: Option<Facts>,
    /// By which `hold` says that this was read.
    pub etag: String,
}

impl Explanation {
    pub(super) fn of(explanation: pb::CodeExplanation) -> Self {
        let earlier = explanation.earlier.into_iter();
        Self {
            code: name_of::<pb::OrderCode>(explanation.code).unwrap_or("?"),
            en: explanation.en,
            zh: explanation.zh,
            earlier: earlier
                .map(|earlier| (earlier.provider_id, earlier.order_id))
                .collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let code = labelled_of::<civic::OrderCode>(self.code);
        let mut text = format!("{code}\n  {}\n  {}", self.zh, self.en);
        for (provider, order) in &self.earlier {
            let _ = write!(text, "\n  在先工单 earlier order: {provider} {order}");
        }
        text
    }
}

impl Hold {
    pub(super) fn of(hold: pb::OrderHold) -> Self {
        let explanations = hold.explanations.into_iter();
        Self {
            held_at: at(hold.held_at),
            explanations: explanations.map(Explanation::of).collect(),
            facts: hold.facts.map(Facts::of),
            etag: hold.etag,
        }
    }

    pub(super) fn text(&self, state: Option<&str>) -> String {
        let mut text = format!(
            "复核 hold: {}, since {}, etag {}",
            state
                .map(labelled_of::<civic::HoldState>)
                .unwrap_or_default(),
            self.held_at.as_deref().unwrap_or_default(),
            self.etag
        );
        for one in &self.explanations {
            let _ = write!(text, "\n{}", one.text());
        }
        if let Some(facts) = &self.facts {
            let _ = write!(text, "\n{}", facts.text());
        }
        text
    }
}

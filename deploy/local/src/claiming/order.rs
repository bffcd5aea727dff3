//! `claims order`: a service order with every code, why it applies, the facts that were judged, and its appeal, and what
//! was found once it was approved.

use std::fmt::Write as _;

use proto::eldercare::{
    claims::v1::{self as pb, GetOrderRequest, GetOrderResponse},
    r#type::v1 as types,
};
use serde::Serialize;

use super::{
    Row, at,
    explained::{Explanation, Hold},
    orders, text,
};
use crate::{
    client::{Client, call},
    output::{Report, table},
    words::{labelled, labelled_of, name_of, names_of},
};

/// A service order, and why it came out as it did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OrderStory {
    /// As it stands.
    pub order: Row,
    /// The village where the elder lived on the service day.
    pub division_code: String,
    /// Why each code applies.
    pub explanations: Vec<Explanation>,
    /// The service as it was handed in.
    pub service: Option<Service>,
    /// The facts that were judged.
    pub facts: Option<Facts>,
    /// The appeal.
    pub appeal: Option<Appeal>,
    /// What was found once it was approved.
    pub hold: Option<Hold>,
}

/// A service as it was handed in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    /// The caregiver.
    pub caregiver_id: String,
    /// When it began, local time.
    pub check_in_at: Option<String>,
    /// When it ended.
    pub check_out_at: Option<String>,
    /// Where it began: latitude and longitude.
    pub check_in: Option<(f64, f64)>,
    /// What was done.
    pub items: Vec<String>,
    /// What kinds of files show it.
    pub evidence: Vec<&'static str>,
}

/// The facts of an elder as they were judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Full years.
    pub age: i32,
    /// Where the file stood.
    pub status: Option<&'static str>,
    /// Capability.
    pub capability: Option<&'static str>,
    /// Assistance.
    pub assistance: Vec<&'static str>,
    /// Handicap grade; null where none is recorded.
    pub handicap_grade: Option<i32>,
    /// The rule that entitles the elder.
    pub entitled_by: Option<String>,
    /// From check-in to home; null where no home is known.
    pub metres_from_home: Option<i64>,
    /// The last record about the elder that was known.
    pub registry_sequence: i64,
}

/// An appeal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Appeal {
    /// What became of it.
    pub state: Option<&'static str>,
    /// What the provider says.
    pub statement: String,
    /// How many files were added.
    pub evidence: usize,
    /// When it was filed, local time.
    pub filed_at: Option<String>,
    /// When it was decided.
    pub decided_at: Option<String>,
    /// By whom.
    pub decided_by: Option<String>,
}

/// A service order with all that was judged.
///
/// # Errors
/// Claims' refusal.
pub async fn show(client: &Client, provider: &str, order: &str) -> anyhow::Result<OrderStory> {
    let request = GetOrderRequest {
        provider_id: provider.to_owned(),
        order_id: order.to_owned(),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.claims().get_order(request).await
    });
    Ok(OrderStory::of(answer.await?))
}

impl OrderStory {
    /// An order as the API has it.
    pub fn of(answer: GetOrderResponse) -> Self {
        let explanations = answer.explanations.into_iter().map(Explanation::of);
        Self {
            order: Row::of(answer.standing.unwrap_or_default()),
            division_code: answer.division_code,
            explanations: explanations.collect(),
            hold: answer.hold.map(Hold::of),
            service: answer.order.map(Service::of),
            facts: answer.facts.map(Facts::of),
            appeal: answer.appeal.map(Appeal::of),
        }
    }

    /// The same without what is known of the elder, and without what people wrote.
    pub fn without_facts(self) -> Self {
        Self {
            service: None,
            facts: None,
            appeal: None,
            hold: self.hold.map(|hold| Hold {
                facts: None,
                ..hold
            }),
            ..self
        }
    }
}

impl Service {
    fn of(order: pb::ServiceOrder) -> Self {
        let kinds = order.evidence.iter().map(|file| file.kind);
        Self {
            caregiver_id: order.caregiver_id,
            check_in_at: at(order.check_in_at),
            check_out_at: at(order.check_out_at),
            check_in: order
                .check_in
                .map(|place| (place.latitude, place.longitude)),
            items: order.items,
            evidence: names_of::<pb::EvidenceKind>(&kinds.collect::<Vec<_>>()),
        }
    }
}

impl Facts {
    /// Facts as the API has them.
    pub(super) fn of(facts: pb::JudgedFacts) -> Self {
        let grade = facts.handicap_grade;
        Self {
            age: facts.age,
            status: name_of::<types::ElderStatus>(facts.status),
            capability: name_of::<types::CapabilityLevel>(facts.capability),
            assistance: names_of::<types::Assistance>(&facts.assistance),
            handicap_grade: (grade != 0).then_some(grade),
            entitled_by: text(facts.entitled_by),
            metres_from_home: facts.metres_from_home,
            registry_sequence: facts.registry_sequence,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut rows = table(["事实 fact", "值 value"]);
        let assistance: Vec<_> = self.assistance.iter().map(|one| labelled(one)).collect();
        let told = |word: Option<&str>| word.map(labelled).unwrap_or_default();
        let count = |number: Option<i64>| number.map(|one| one.to_string()).unwrap_or_default();
        rows.add_row(["年龄 age", &self.age.to_string()]);
        rows.add_row(["状态 status", &told(self.status)]);
        rows.add_row(["身体能力 capability", &told(self.capability)]);
        rows.add_row(["救助身份 assistance", &assistance.join(", ")]);
        let grade = self.handicap_grade.map(i64::from);
        rows.add_row(["残疾等级 handicap grade", &count(grade)]);
        rows.add_row(["待遇类别 entitled by", &told(self.entitled_by.as_deref())]);
        let metres = count(self.metres_from_home);
        rows.add_row(["距住所（米） metres from home", &metres]);
        let known = format!("REGISTRY:{}", self.registry_sequence);
        rows.add_row(["台账位置 known up to", &known]);
        rows.to_string()
    }
}

impl Appeal {
    fn of(appeal: pb::Appeal) -> Self {
        Self {
            state: name_of::<pb::AppealState>(appeal.state),
            statement: appeal.statement,
            evidence: appeal.evidence.len(),
            filed_at: at(appeal.filed_at),
            decided_at: at(appeal.decided_at),
            decided_by: text(appeal.decided_by),
        }
    }

    fn text(&self) -> String {
        let state = self.state.map(labelled_of::<civic::AppealState>);
        let mut told = format!(
            "申诉 appeal: {}, filed {}, {} files: {}",
            state.unwrap_or_default(),
            self.filed_at.as_deref().unwrap_or_default(),
            self.evidence,
            self.statement
        );
        if let (Some(by), Some(at)) = (&self.decided_by, &self.decided_at) {
            let _ = write!(told, "\n审核 decided: {at} by {by}");
        }
        told
    }
}

impl Service {
    fn text(&self) -> String {
        let place = self
            .check_in
            .map_or_else(String::new, |(latitude, longitude)| {
                format!(" at {latitude:.6}, {longitude:.6}")
            });
        let evidence = self.evidence.iter();
        let evidence: Vec<_> = evidence
            .map(|kind| labelled_of::<civic::EvidenceKind>(kind))
            .collect();
        format!(
            "服务 service: {} – {}{place}, caregiver {}\n项目 items: {}\n凭证 evidence: {}",
            self.check_in_at.as_deref().unwrap_or_default(),
            self.check_out_at.as_deref().unwrap_or_default(),
            self.caregiver_id,
            self.items.join(", "),
            evidence.join(", ")
        )
    }
}

impl Report for OrderStory {
    fn text(&self) -> String {
        let Row {
            programme_code,
            elder_id,
            not_settled_reason,
            approved_at,
            appeal_until,
            settlement_number,
            ..
        } = &self.order;
        let mut text = orders::rows(std::slice::from_ref(&self.order));
        let _ = write!(text, "\n{programme_code} {} {elder_id}", self.division_code);
        if let Some(reason) = not_settled_reason {
            let reason = labelled_of::<civic::NotSettledReason>(reason);
            let _ = write!(text, "\n不予结算 not settled: {reason}");
        }
        if let Some(at) = approved_at {
            let _ = write!(text, "\n审核通过 approved: {at}");
        }
        if let Some(number) = settlement_number {
            let _ = write!(text, "\n结算单 settlement: {number}");
        }
        if let (false, Some(day)) = (self.explanations.is_empty(), appeal_until) {
            let _ = write!(text, "\n申诉截止 appeals until: {day}");
        }
        for one in &self.explanations {
            let _ = write!(text, "\n{}", one.text());
        }
        let service = self.service.as_ref().map(Service::text);
        let facts = self.facts.as_ref().map(Facts::text);
        let appeal = self.appeal.as_ref().map(Appeal::text);
        let hold = self.hold.as_ref();
        let hold = hold.map(|hold| hold.text(self.order.hold));
        for part in [service, facts, appeal, hold].into_iter().flatten() {
            let _ = write!(text, "\n{part}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> GetOrderResponse {
        GetOrderResponse {
            standing: Some(pb::OrderStanding {
                provider_id: "P01".to_owned(),
                order_id: "O000007".to_owned(),
                state: pb::OrderState::AbnormalOpen.into(),
                codes: vec![pb::OrderCode::CaregiverOverlap.into()],
                appeal: pb::AppealState::Pending.into(),
                appeal_until: Some(crate::wire::date("2024-02-15".parse().unwrap())),
                ..Default::default()
            }),
            order: Some(pb::ServiceOrder {
                items: vec!["BATHING".to_owned()],
                evidence: vec![pb::Evidence {
                    kind: pb::EvidenceKind::Video.into(),
                    hash: Default::default(),
                }],
                ..Default::default()
            }),
            facts: Some(pb::JudgedFacts {
                age: 71,
                capability: types::CapabilityLevel::Severe.into(),
                metres_from_home: Some(12),
                ..Default::default()
            }),
            explanations: vec![pb::CodeExplanation {
                code: pb::OrderCode::CaregiverOverlap.into(),
                en: "was with another elder".to_owned(),
                zh: "同时服务他人".to_owned(),
                earlier: vec![pb::OrderName {
                    provider_id: "P02".to_owned(),
                    order_id: "O000003".to_owned(),
                }],
            }],
            division_code: "350524100001".to_owned(),
            appeal: Some(pb::Appeal {
                statement: "家属可作证".to_owned(),
                state: pb::AppealState::Pending.into(),
                ..Default::default()
            }),
            hold: None,
        }
    }

    #[test]
    fn what_was_found_once_it_was_approved_is_explained_beside_its_facts() {
        let found = pb::CodeExplanation {
            code: pb::OrderCode::NotAliveOrPresent.into(),
            en: "had died before".to_owned(),
            zh: "之前已故".to_owned(),
            earlier: vec![],
        };
        let mut answer = answer();
        if let Some(standing) = &mut answer.standing {
            standing.hold = pb::HoldState::OnHold.into();
        }
        answer.hold = Some(pb::OrderHold {
            explanations: vec![found],
            facts: Some(pb::JudgedFacts {
                age: 83,
                ..Default::default()
            }),
            etag: "v4".to_owned(),
            ..Default::default()
        });
        let story = OrderStory::of(answer);
        let text = story.text();
        for word in ["ON_HOLD", "had died before", "之前已故", "v4", "83"] {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        let without = story.without_facts().text();
        assert!(without.contains("had died before"), "{without}");
        assert!(!without.contains("83"), "{without}");
    }

    #[test]
    fn each_code_is_explained_with_the_orders_that_stand_against_it() {
        let text = OrderStory::of(answer()).text();
        for word in [
            "CAREGIVER_OVERLAP 人员时间重叠",
            "同时服务他人",
            "was with another elder",
            "P02 O000003",
            "appeals until: 2024-02-15",
            "VIDEO 视频",
            "PENDING 待处理",
            "家属可作证",
            "71",
        ] {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }

    #[test]
    fn without_facts_nothing_is_told_of_the_elder() {
        let story = OrderStory::of(answer()).without_facts();
        let text = story.text();
        assert!(text.contains("was with another elder"), "{text}");
        assert!(
            !text.contains("家属可作证") && !text.contains("71"),
            "{text}"
        );
        let json = serde_json::to_value(&story).unwrap();
        assert!(json["facts"].is_null());
    }
}

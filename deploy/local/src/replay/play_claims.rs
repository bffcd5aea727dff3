//! Plays programmes, providers and who is enrolled, then service orders, appeals and what reviewers decided on them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Context as _;
use proto::eldercare::claims::v1::{
    self as pb, AppealOrderRequest, ContractProviderRequest, DecideAppealRequest,
    DefineProgrammeRequest, EnrolPersonsRequest, EnrolPersonsResponse, EnrolmentOutcomeKind,
    RegisterCaregiverRequest, ServiceOrder, SubmitOrdersRequest, SubmitOrdersResponse,
};

use super::{
    elders::Directory,
    timeline::{Happening, Moment},
};
use crate::{
    client::{Client, call, in_words, reason, try_call, try_stream},
    county::{
        APPEALS, Appeal, CAREGIVERS, County, DECISIONS, Decision, ENROLMENTS, Enrolment, Line,
        ORDERS, Order, PROGRAMMES, PROVIDERS,
    },
    load::{FailedLine, refused_line},
    output::Progress,
    wire,
    words::name_of,
};

/// The reason of a refusal of an appeal that is filed after its limit: it changes nothing, and data sets have such.
const APPEAL_TOO_LATE: &str = "APPEAL_TOO_LATE";

/// What was played of claims, and what the system answered.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Whose each order is: appeals and decisions name the order alone.
    providers: HashMap<String, String>,
    /// The caregivers' ids by their numbers in the set.
    caregivers: BTreeMap<String, String>,
    /// The programmes by code, with the number of persons who were enrolled in each.
    pub(super) programmes: BTreeMap<String, u64>,
    /// The orders whose appeals came too late.
    pub(super) too_late: BTreeSet<String>,
    /// The last position of the log of claims.
    pub(super) last: String,
}

impl Ledger {
    /// One that knows whose the orders are.
    pub(super) fn of(moments: &[Moment]) -> Self {
        let mut ledger = Self::default();
        for moment in moments {
            if let Happening::Orders(_, lines) = &moment.what {
                let orders = lines.iter().map(|line| &line.what);
                let whose = orders.map(|order| (order.order_id.clone(), order.provider_id.clone()));
                ledger.providers.extend(whose);
            }
        }
        ledger
    }

    /// Defines the programmes, contracts the providers, and registers their caregivers.
    pub(super) async fn begin(
        &mut self,
        client: &Client,
        county: &County,
    ) -> anyhow::Result<Vec<FailedLine>> {
        for line in county.programmes()? {
            let request = DefineProgrammeRequest {
                request_id: line.request_id.to_string(),
                programme_code: line.what.code.clone(),
                division_code: county.set.county.clone(),
                definition: line.what.definition(&county.set),
            };
            let defined = call(request, async |request| {
                client.claims().define_programme(request).await
            });
            self.last = defined.await.context(PROGRAMMES)?.position;
            self.programmes.insert(line.what.code, 0);
        }
        let mut failed = Vec::new();
        for line in county.contracts()? {
            let request = ContractProviderRequest {
                request_id: line.request_id.to_string(),
                contract: Some(line.what.0),
            };
            let contracted = try_call(request, async |request| {
                client.claims().contract_provider(request).await
            });
            match contracted.await {
                Ok(answer) => self.last = answer.position,
                Err(status) => failed.push(refused_line(PROVIDERS, line.number, &status)?),
            }
        }
        for line in county.caregivers()? {
            let request = RegisterCaregiverRequest {
                request_id: line.request_id.to_string(),
                caregiver: Some(line.what.caregiver),
            };
            let registered = try_call(request, async |request| {
                client.claims().register_caregiver(request).await
            });
            match registered.await {
                Ok(answer) => {
                    self.last = answer.position;
                    self.caregivers
                        .insert(line.what.caregiver_id, answer.caregiver_id);
                }
                Err(status) => failed.push(refused_line(CAREGIVERS, line.number, &status)?),
            }
        }
        Ok(failed)
    }

    /// Enrols everybody over one stream.
    pub(super) async fn enrol(
        &mut self,
        client: &Client,
        county: &County,
        directory: &mut Directory,
        min_position: &str,
        progress: Progress,
    ) -> anyhow::Result<Vec<FailedLine>> {
        let (mut failed, mut lines, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        for line in county.enrolments()? {
            let elder = directory.elder_of(client, &line.what.id_number, (ENROLMENTS, line.number));
            match elder.await? {
                Ok(elder_id) => {
                    requests.push(EnrolPersonsRequest {
                        enrolment: Some(enrolment(county, &line.what, elder_id)),
                        min_position: min_position.to_owned(),
                    });
                    lines.push(line);
                }
                Err(about_nobody) => failed.push(about_nobody),
            }
        }
        if lines.is_empty() {
            return Ok(failed);
        }
        let bar = progress.begin("参保 enrolling persons", lines.len() as u64);
        let tell = |answered| bar.at(answered, lines.len() as u64);
        let open = async |requests| client.claims().enrol_persons(requests).await;
        let outcomes = try_stream(&requests, open, tell).await;
        let outcomes = outcomes.map_err(|status| in_words(&status).context(ENROLMENTS))?;
        let mut persons = HashSet::new();
        for ((line, request), outcome) in lines.iter().zip(&requests).zip(outcomes) {
            if let Some(enrolment) = &request.enrolment
                && outcome.outcome == i32::from(EnrolmentOutcomeKind::Enrolled)
                && persons.insert((&enrolment.programme_code, &enrolment.elder_id))
            {
                let enrolled = self.programmes.entry(enrolment.programme_code.clone());
                *enrolled.or_default() += 1;
            }
            failed.extend(not_as_said(line, &outcome));
            if !outcome.position.is_empty() {
                self.last = outcome.position;
            }
        }
        bar.done(&format!("{} persons", persons.len()));
        Ok(failed)
    }

    /// Hands in orders over one stream.
    pub(super) async fn submit(
        &mut self,
        client: &Client,
        county: &County,
        directory: &mut Directory,
        lines: &[Line<Order>],
        min_position: &str,
    ) -> anyhow::Result<Vec<FailedLine>> {
        let (mut failed, mut numbers, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        for line in lines {
            let elder = directory.elder_of(client, &line.what.id_number, (ORDERS, line.number));
            match elder.await? {
                Ok(elder_id) => {
                    requests.push(SubmitOrdersRequest {
                        order: Some(self.order(county, &line.what, elder_id)),
                        min_position: min_position.to_owned(),
                    });
                    numbers.push(line.number);
                }
                Err(about_nobody) => failed.push(about_nobody),
            }
        }
        if requests.is_empty() {
            return Ok(failed);
        }
        let open = async |requests| client.claims().submit_orders(requests).await;
        let outcomes = try_stream(&requests, open, |_| {}).await;
        let outcomes = outcomes.map_err(|status| in_words(&status).context(ORDERS))?;
        for (line, outcome) in numbers.into_iter().zip(outcomes) {
            failed.extend(invalid(line, &outcome));
            if !outcome.position.is_empty() {
                self.last = outcome.position;
            }
        }
        Ok(failed)
    }

    fn order(&self, county: &County, order: &Order, elder_id: String) -> ServiceOrder {
        // A caregiver whom the set doesn't list is none that the system knows.
        let caregiver_id = match self.caregivers.get(&order.caregiver_id) {
            Some(caregiver_id) => caregiver_id.clone(),
            None => county
                .request_id(CAREGIVERS, 0, order.caregiver_id.as_bytes())
                .to_string(),
        };
        ServiceOrder {
            provider_id: order.provider_id.clone(),
            order_id: order.order_id.clone(),
            programme_code: order.programme.clone(),
            programme_version: 0,
            elder_id,
            caregiver_id,
            check_in_at: Some(wire::timestamp(order.check_in_at)),
            check_out_at: Some(wire::timestamp(order.check_out_at)),
            check_in: order.check_in,
            items: order.items.clone(),
            evidence: order.evidence.clone(),
        }
    }

    /// Appeals against an order. One that comes too late changes nothing.
    pub(super) async fn appeal(
        &mut self,
        client: &Client,
        line: &Line<Appeal>,
    ) -> anyhow::Result<Option<FailedLine>> {
        let appeal = &line.what;
        let Some(provider_id) = self.providers.get(&appeal.order_id) else {
            return Ok(Some(of_nobody(APPEALS, line.number)));
        };
        let request = AppealOrderRequest {
            request_id: line.request_id.to_string(),
            provider_id: provider_id.clone(),
            order_id: appeal.order_id.clone(),
            statement: appeal.statement.clone(),
            evidence: appeal.evidence.clone(),
        };
        let filed = try_call(request, async |request| {
            client.claims().appeal_order(request).await
        });
        match filed.await {
            Ok(answer) => {
                self.last = answer.position;
                Ok(None)
            }
            Err(status) if reason(&status) == APPEAL_TOO_LATE => {
                self.too_late.insert(appeal.order_id.clone());
                Ok(None)
            }
            Err(status) => refused_line(APPEALS, line.number, &status).map(Some),
        }
    }

    /// Decides on an appeal, as a reviewer who neither handed in the order nor appealed.
    pub(super) async fn decide(
        &mut self,
        client: &Client,
        line: &Line<Decision>,
    ) -> anyhow::Result<Option<FailedLine>> {
        let Some(provider_id) = self.providers.get(&line.what.order_id) else {
            return Ok(Some(of_nobody(DECISIONS, line.number)));
        };
        let request = DecideAppealRequest {
            request_id: line.request_id.to_string(),
            provider_id: provider_id.clone(),
            order_id: line.what.order_id.clone(),
            decision: line.what.decision.into(),
        };
        let reviewer = client.reviewer()?;
        let decided = try_call(request, async |request| {
            reviewer.clone().decide_appeal(request).await
        });
        match decided.await {
            Ok(answer) => {
                self.last = answer.position;
                Ok(None)
            }
            Err(status) => refused_line(DECISIONS, line.number, &status).map(Some),
        }
    }
}

/// The same enrolment has the same id, however often it is sent.
fn enrolment(county: &County, enrolment: &Enrolment, elder_id: String) -> pb::Enrolment {
    let number = enrolment.enrolment_id.as_bytes();
    pb::Enrolment {
        enrolment_id: county.request_id(ENROLMENTS, 0, number).to_string(),
        programme_code: enrolment.programme.clone(),
        elder_id,
        first_day: Some(wire::date(enrolment.from)),
        last_day: enrolment.until.map(wire::date),
    }
}

/// Why an enrolment came out otherwise than the set says.
fn not_as_said(line: &Line<Enrolment>, outcome: &EnrolPersonsResponse) -> Option<FailedLine> {
    let said = line.what.basis.as_deref().unwrap_or(&outcome.basis);
    let enrolled = outcome.outcome == i32::from(EnrolmentOutcomeKind::Enrolled);
    if enrolled && said == outcome.basis {
        return None;
    }
    let reason = if enrolled {
        format!("enrolled by {} and not by {said}", outcome.basis)
    } else {
        let kind = name_of::<EnrolmentOutcomeKind>(outcome.outcome).unwrap_or("?");
        let field = match outcome.field.as_str() {
            "" => String::new(),
            field => format!(" ({field})"),
        };
        format!("{kind}: {}{field}", outcome.reason)
    };
    Some(FailedLine {
        file: ENROLMENTS.to_owned(),
        line: line.number,
        reason,
    })
}

/// Why an order can't be understood.
fn invalid(line: u64, outcome: &SubmitOrdersResponse) -> Option<FailedLine> {
    if outcome.standing.is_some() {
        return None;
    }
    Some(FailedLine {
        file: ORDERS.to_owned(),
        line,
        reason: format!("{}: {}", outcome.invalid_field, outcome.invalid_reason),
    })
}

fn of_nobody(file: &str, line: u64) -> FailedLine {
    FailedLine {
        file: file.to_owned(),
        line,
        reason: "no provider handed in this order / 没有机构提交过该工单".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(basis: Option<&str>) -> Line<Enrolment> {
        Line {
            number: 7,
            request_id: uuid::Uuid::nil(),
            what: Enrolment {
                enrolment_id: "E1".to_owned(),
                programme: "LTCI".to_owned(),
                id_number: String::new(),
                from: "2024-01-01".parse().unwrap(),
                until: None,
                basis: basis.map(str::to_owned),
            },
        }
    }

    fn outcome(outcome: EnrolmentOutcomeKind, reason: &str) -> EnrolPersonsResponse {
        EnrolPersonsResponse {
            outcome: outcome.into(),
            basis: "LOW_INCOME".to_owned(),
            reason: reason.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn an_enrolment_is_refused_or_goes_by_another_rule_than_the_set_says() {
        let enrolled = outcome(EnrolmentOutcomeKind::Enrolled, "");
        assert_eq!(not_as_said(&line(Some("LOW_INCOME")), &enrolled), None);
        assert_eq!(not_as_said(&line(None), &enrolled), None);
        let other = not_as_said(&line(Some("HANDICAP_1_2")), &enrolled).unwrap();
        assert_eq!(other.line, 7);
        assert!(other.reason.contains("not by HANDICAP_1_2"), "{other:?}");
        let refused = outcome(EnrolmentOutcomeKind::Refused, "NOT_ELIGIBLE");
        let refused = not_as_said(&line(None), &refused).unwrap();
        assert_eq!(refused.reason, "REFUSED: NOT_ELIGIBLE");
    }

    #[test]
    fn an_order_without_a_standing_is_told_with_its_field() {
        let outcome = SubmitOrdersResponse {
            invalid_reason: "OUT_OF_RANGE".to_owned(),
            invalid_field: "order.check_out_at".to_owned(),
            ..Default::default()
        };
        let told = invalid(3, &outcome).unwrap();
        assert_eq!(told.reason, "order.check_out_at: OUT_OF_RANGE");
        let judged = SubmitOrdersResponse {
            standing: Some(pb::OrderStanding::default()),
            ..outcome
        };
        assert_eq!(invalid(3, &judged), None);
    }
}

//! Orders and appeals in few words, the calls that hand them in and ask for them, and how they are answered.

use chrono::TimeDelta;
use civic::ElderId;
use proto::eldercare::claims::v1 as pb;
use tonic::Status;

use super::{COUNTY, Running, at, id, officer, place, reason, timestamp};

/// A file that no other order has but one of the same number.
pub(crate) fn file(kind: pb::EvidenceKind, of: &str) -> pb::Evidence {
    pb::Evidence {
        kind: kind.into(),
        hash: format!("a file of {of}").into_bytes().into(),
    }
}

/// Two hours of insured care by provider P01 from a minute on, with nothing in doubt.
pub(crate) fn order(
    number: &str,
    elder: ElderId,
    caregiver: &str,
    start: &str,
) -> pb::ServiceOrder {
    let start = at(start);
    let items = ["VITAL_SIGNS", "HEALTH_GUIDANCE", "SAFETY_CHECK", "BATHING"];
    pb::ServiceOrder {
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        programme_code: "LTCI".to_owned(),
        programme_version: 0,
        elder_id: elder.to_string(),
        caregiver_id: caregiver.to_owned(),
        check_in_at: timestamp(start),
        check_out_at: timestamp(start + TimeDelta::hours(2)),
        check_in: Some(place(10.0)),
        items: items.map(str::to_owned).to_vec(),
        evidence: vec![file(pb::EvidenceKind::Video, number)],
    }
}

/// The same, an hour too short.
pub(crate) fn short_order(
    number: &str,
    elder: ElderId,
    caregiver: &str,
    start: &str,
) -> pb::ServiceOrder {
    pb::ServiceOrder {
        check_out_at: timestamp(at(start) + TimeDelta::hours(1)),
        ..order(number, elder, caregiver, start)
    }
}

/// Where an order stands: `APPROVED`, `ABNORMAL_OPEN ITEMS_INVALID`, `NOT_SETTLED DURATION_SHORT: NO_APPEAL`.
pub(crate) fn in_words(standing: &pb::OrderStanding) -> String {
    let mut words = standing.state().as_str_name().replace("ORDER_STATE_", "");
    for code in standing.codes() {
        words.push(' ');
        words.push_str(code.as_str_name().trim_start_matches("ORDER_CODE_"));
    }
    if standing.not_settled_reason != 0 {
        let why = standing.not_settled_reason().as_str_name();
        words.push_str(": ");
        words.push_str(why.trim_start_matches("NOT_SETTLED_REASON_"));
    }
    words
}

/// The outcome of an order of a stream; where it is invalid, why and where.
pub(crate) fn outcome_in_words(outcome: &pb::SubmitOrdersResponse) -> String {
    match &outcome.standing {
        Some(standing) => in_words(standing),
        None => format!("{} {}", outcome.invalid_reason, outcome.invalid_field)
            .trim_end()
            .to_owned(),
    }
}

/// All orders of a division.
pub(crate) fn all_in(division: &str) -> pb::OrderFilter {
    pb::OrderFilter {
        division_code: division.to_owned(),
        ..Default::default()
    }
}

/// An appeal against an order of provider P01.
pub(crate) fn appeal_request(number: &str) -> pb::AppealOrderRequest {
    pb::AppealOrderRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        statement: "家属可作证".to_owned(),
        evidence: vec![file(
            pb::EvidenceKind::Photo,
            &format!("the appeal of {number}"),
        )],
    }
}

/// The decision on it.
pub(crate) fn decision_request(number: &str, accept: bool) -> pb::DecideAppealRequest {
    let decision = if accept {
        pb::AppealDecision::Accept
    } else {
        pb::AppealDecision::Refuse
    };
    pb::DecideAppealRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        decision: decision.into(),
    }
}

impl Running {
    /// Hands in an order.
    pub(crate) async fn submit(
        &self,
        order: &pb::ServiceOrder,
    ) -> Result<pb::SubmitOrderResponse, Status> {
        self.settled().await;
        let request = pb::SubmitOrderRequest {
            order: Some(order.clone()),
            min_position: String::new(),
        };
        let submitted = self.client().submit_order(request).await?;
        Ok(submitted.into_inner())
    }

    /// What becomes of an order that is handed in; the reason where it is refused.
    pub(crate) async fn told(&self, order: &pb::ServiceOrder) -> String {
        match self.submit(order).await {
            Ok(submitted) => in_words(&submitted.standing.unwrap()),
            Err(status) => reason(&status),
        }
    }

    /// Hands in orders as a provider's system does at night.
    pub(crate) async fn stream(
        &self,
        orders: &[pb::ServiceOrder],
    ) -> Vec<pb::SubmitOrdersResponse> {
        self.settled().await;
        self.streamed(orders).await.unwrap()
    }

    /// The same, where the stream may break.
    pub(crate) async fn streamed(
        &self,
        orders: &[pb::ServiceOrder],
    ) -> Result<Vec<pb::SubmitOrdersResponse>, Status> {
        let requests = orders.iter().map(|order| pb::SubmitOrdersRequest {
            order: Some(order.clone()),
            min_position: String::new(),
        });
        let stream = tokio_stream::iter(requests.collect::<Vec<_>>());
        let answers = self.client().submit_orders(stream).await?;
        let mut answers = answers.into_inner();
        let mut outcomes = Vec::new();
        while let Some(outcome) = answers.message().await? {
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    pub(crate) async fn order(&self, number: &str) -> pb::GetOrderResponse {
        let request = pb::GetOrderRequest {
            provider_id: "P01".to_owned(),
            order_id: number.to_owned(),
            min_position: String::new(),
        };
        self.client().get_order(request).await.unwrap().into_inner()
    }

    /// Where an order stands by now.
    pub(crate) async fn standing(&self, number: &str) -> String {
        self.settled().await;
        in_words(&self.order(number).await.standing.unwrap())
    }

    /// The page of orders of a filter; at most 1,000.
    pub(crate) async fn orders(&self, filter: pb::OrderFilter) -> Vec<pb::OrderStanding> {
        self.settled().await;
        let request = pb::ListOrdersRequest {
            filter: Some(filter),
            page_size: 1_000,
            ..Default::default()
        };
        let listed = self.client().list_orders(request).await.unwrap();
        let listed = listed.into_inner();
        assert_eq!(listed.next_page_token, "");
        listed.orders
    }

    /// Appeals in the name of an appellant.
    pub(crate) async fn appeal(&self, number: &str) -> Result<String, Status> {
        let request = appeal_request(number);
        let mut client = self.client_of(&officer("appellant", COUNTY));
        let appealed = client.appeal_order(request).await?;
        Ok(appealed.into_inner().position)
    }

    /// A reviewer decides; where the order stands then.
    pub(crate) async fn decide(&self, number: &str, accept: bool) -> Result<String, Status> {
        let request = decision_request(number, accept);
        let mut client = self.client_of(&officer("reviewer", COUNTY));
        let decided = client.decide_appeal(request).await?.into_inner();
        Ok(in_words(&decided.standing.unwrap()))
    }

    pub(crate) async fn figures(
        &self,
        filter: pb::OrderFilter,
        groups: &[pb::FigureGroup],
    ) -> pb::GetFiguresResponse {
        self.settled().await;
        let request = pb::GetFiguresRequest {
            filter: Some(filter),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            min_position: String::new(),
        };
        let told = self.client().get_figures(request).await.unwrap();
        told.into_inner()
    }
}

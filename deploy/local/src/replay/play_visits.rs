//! Plays visitors, records of visits and what supervisors decided on them, and keeps what the system answered.

use std::collections::BTreeMap;

use anyhow::Context as _;
use proto::eldercare::visits::v1::{
    self as pb, ConfirmRecordRequest, PairEldersRequest, RecordOutcomeKind, RecordVisitRequest,
    RegisterVisitorRequest, RejectRecordRequest, RetireVisitorRequest, StartVisitingRequest,
    VisitRecord,
};
use serde_json::{Value, json};
use sm3::{Digest as _, Sm3};
use tonic::Code;

use super::elders::Directory;
use crate::{
    client::{Client, call, reason, try_call},
    county::{Confirmation, County, Line, Pairing, VISITORS, Visit},
    load::{FailedLine, refused_line},
    output::Progress,
    wire,
    words::names_of,
};

/// The file of who is paired with whom.
const PAIRINGS: &str = "pairings.csv";

/// What the system answered to records and decisions.
#[derive(Debug, Default)]
pub(super) struct Diary {
    /// The visitors' ids by their numbers in the set.
    visitors: BTreeMap<String, String>,
    /// How many lines were sent.
    pub(super) lines: u64,
    /// What became of each record, as `expected/visits.json` has it.
    pub(super) records: BTreeMap<String, Value>,
    /// Where each record stands in the log.
    positions: BTreeMap<String, String>,
    /// The last position of the log of visits.
    pub(super) last: String,
}

impl Diary {
    /// Registers the visitors and their pairings, and says when the county starts visiting.
    pub(super) async fn begin(
        &mut self,
        client: &Client,
        county: &County,
        directory: &mut Directory,
        progress: Progress,
    ) -> anyhow::Result<Vec<FailedLine>> {
        let visitors = county.visitors()?;
        if visitors.is_empty() {
            return Ok(Vec::new());
        }
        let mut failed = Vec::new();
        let bar = progress.begin("登记探访人员 registering visitors", visitors.len() as u64);
        let mut pairings: BTreeMap<String, Vec<Line<Pairing>>> = BTreeMap::new();
        for pairing in county.pairings()? {
            let of_visitor = pairings.entry(pairing.what.visitor_id.clone());
            of_visitor.or_default().push(pairing);
        }
        for line in visitors {
            let request = RegisterVisitorRequest {
                request_id: line.request_id.to_string(),
                visitor: Some(line.what.visitor.clone()),
            };
            let registered = try_call(request, async |request| {
                client.visits().register_visitor(request).await
            })
            .await;
            let visitor_id = match registered {
                Ok(answer) => answer.visitor_id,
                Err(status) => {
                    failed.push(refused_line(VISITORS, line.number, &status)?);
                    continue;
                }
            };
            let number = &line.what.visitor_id;
            if let Some(last_day) = line.what.active_until {
                let request = RetireVisitorRequest {
                    request_id: county
                        .request_id("retire", 0, number.as_bytes())
                        .to_string(),
                    visitor_id: visitor_id.clone(),
                    last_day: Some(wire::date(last_day)),
                };
                call(request, async |request| {
                    client.visits().retire_visitor(request).await
                })
                .await?;
            }
            let paired = pairings.remove(number).unwrap_or_default();
            failed.extend(pair(client, directory, &visitor_id, &paired).await?);
            self.visitors.insert(number.clone(), visitor_id);
            bar.advance(1);
        }
        // Of visitors whom the set doesn't list, or the system refused.
        for line in pairings.into_values().flatten() {
            failed.push(FailedLine {
                file: PAIRINGS.to_owned(),
                line: line.number,
                reason: "the visitor is not registered / 该探访人员未登记".to_owned(),
            });
        }
        if let Some(on) = county.set.visits_start_on {
            let request = StartVisitingRequest {
                request_id: county
                    .request_id("set.json", 0, b"visits_start_on")
                    .to_string(),
                division_code: county.set.county.clone(),
                on: Some(wire::date(on)),
            };
            let started = call(request, async |request| {
                client.visits().start_visiting(request).await
            });
            self.last = started.await?.position;
        }
        bar.done(&format!("{} visitors", self.visitors.len()));
        Ok(failed)
    }

    /// Records a visit.
    pub(super) async fn record(
        &mut self,
        client: &Client,
        county: &County,
        directory: &mut Directory,
        line: &Line<Visit>,
    ) -> anyhow::Result<Option<FailedLine>> {
        let file = county.visits_file().unwrap_or_default();
        let visit = &line.what;
        self.lines += 1;
        let elder = directory.elder_of(client, &visit.id_number, (&file, line.number));
        let elder_id = match elder.await? {
            Ok(elder_id) => elder_id,
            Err(about_nobody) => return Ok(Some(about_nobody)),
        };
        // A visitor whom the set doesn't list is none that the system knows.
        let visitor_id = match self.visitors.get(&visit.visitor_id) {
            Some(visitor_id) => visitor_id.clone(),
            None => county
                .request_id(VISITORS, 0, visit.visitor_id.as_bytes())
                .to_string(),
        };
        let record = VisitRecord {
            record_id: record_id(county, &visit.record_id),
            elder_id,
            visitor_id,
            mode: visit.mode.into(),
            result: pb::VisitResult::Met.into(),
            start_time: Some(wire::timestamp(visit.started_at)),
            end_time: Some(wire::timestamp(visit.ended_at)),
            services: visit
                .services
                .iter()
                .map(|service| (*service).into())
                .collect(),
            signed: true,
            remarks: visit.remarks.clone(),
            check_in: visit.position,
            // The set has short tokens where a phone has digests.
            photo_hashes: visit
                .photo_hashes
                .iter()
                .map(|hash| Sm3::digest(hash.as_bytes()).to_vec().into())
                .collect(),
            findings: vec![],
        };
        let request = RecordVisitRequest {
            record: Some(record),
            min_position: String::new(),
        };
        let answer = try_call(request, async |request| {
            client.visits().record_visit(request).await
        })
        .await;
        let outcome = match answer {
            Ok(answer) => {
                let outcome = answer
                    .outcome
                    .context("a record was answered without an outcome")?;
                self.positions
                    .insert(visit.record_id.clone(), outcome.position.clone());
                if !outcome.repeated_record {
                    self.last.clone_from(&outcome.position);
                }
                told(&outcome)
            }
            Err(status) if status.code() == Code::FailedPrecondition => {
                json!({"outcome": "REFUSED", "reason": reason(&status)})
            }
            Err(status) => return refused_line(&file, line.number, &status).map(Some),
        };
        // What comes again is answered as it was the first time.
        match self.records.get(&visit.record_id) {
            Some(first) if first["outcome"] != outcome["outcome"] => Ok(Some(FailedLine {
                file,
                line: line.number,
                reason: format!("answered {outcome} after {first}"),
            })),
            Some(_) => Ok(None),
            None => {
                self.records.insert(visit.record_id.clone(), outcome);
                Ok(None)
            }
        }
    }

    /// Decides on a doubtful record.
    pub(super) async fn decide(
        &mut self,
        client: &Client,
        county: &County,
        line: &Line<Confirmation>,
    ) -> anyhow::Result<Option<FailedLine>> {
        let decision = &line.what;
        let request_id = line.request_id.to_string();
        let record = record_id(county, &decision.record_id);
        let min_position = self.positions.get(&decision.record_id);
        let min_position = min_position.cloned().unwrap_or_default();
        let answered = if decision.confirm {
            let request = ConfirmRecordRequest {
                request_id,
                record_id: record,
                min_position,
            };
            let answer = try_call(request, async |request| {
                client.visits().confirm_record(request).await
            });
            answer.await.map(|answer| answer.position)
        } else {
            let request = RejectRecordRequest {
                request_id,
                record_id: record,
                min_position,
            };
            let answer = try_call(request, async |request| {
                client.visits().reject_record(request).await
            });
            answer.await.map(|answer| answer.position)
        };
        match answered {
            Ok(position) => {
                self.last = position;
                if let Some(record) = self.records.get_mut(&decision.record_id) {
                    record["decision"] = json!(if decision.confirm {
                        "CONFIRM"
                    } else {
                        "REJECT"
                    });
                }
                Ok(None)
            }
            Err(status) => refused_line("confirmations.ndjson", line.number, &status).map(Some),
        }
    }
}

/// Pairs a visitor with its elders, those of one day in one call.
async fn pair(
    client: &Client,
    directory: &mut Directory,
    visitor_id: &str,
    lines: &[Line<Pairing>],
) -> anyhow::Result<Vec<FailedLine>> {
    let file = PAIRINGS;
    let mut failed = Vec::new();
    for lines in lines.chunk_by(|one, next| one.what.since == next.what.since) {
        let mut elder_ids = Vec::new();
        for line in lines {
            let elder = directory.elder_of(client, &line.what.id_number, (file, line.number));
            match elder.await? {
                Ok(elder_id) => elder_ids.push(elder_id),
                Err(about_nobody) => failed.push(about_nobody),
            }
        }
        let Some(first) = lines.first().filter(|_| !elder_ids.is_empty()) else {
            continue;
        };
        let request = PairEldersRequest {
            request_id: first.request_id.to_string(),
            visitor_id: visitor_id.to_owned(),
            elder_ids,
            since: Some(wire::date(first.what.since)),
        };
        let paired = try_call(request, async |request| {
            client.visits().pair_elders(request).await
        });
        if let Err(status) = paired.await {
            failed.push(refused_line(file, first.number, &status)?);
        }
    }
    Ok(failed)
}

/// The same record has the same id, also where it stands on two lines.
fn record_id(county: &County, record_id: &str) -> String {
    county
        .request_id("visits", 0, record_id.as_bytes())
        .to_string()
}

fn told(outcome: &pb::RecordOutcome) -> Value {
    match RecordOutcomeKind::try_from(outcome.outcome) {
        Ok(RecordOutcomeKind::Doubtful) => json!({
            "outcome": "DOUBTFUL",
            "doubts": names_of::<pb::Doubt>(&outcome.doubts),
            "decision": "PENDING",
        }),
        Ok(RecordOutcomeKind::Counted) => json!({"outcome": "COUNTED"}),
        Ok(
            kind @ (RecordOutcomeKind::Unspecified
            | RecordOutcomeKind::NotMet
            | RecordOutcomeKind::Refused
            | RecordOutcomeKind::Invalid),
        ) => json!({"outcome": kind.as_str_name()}),
        Err(_) => json!({"outcome": outcome.outcome}),
    }
}

//! Requests about records: a visit as a phone sends it, and what a supervisor says of it.

use civic::{ElderId, FindingKind, GeoPosition, VisitMode, VisitResult};
use elders::terms::{WireTerm as _, set_from_wire};
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Checks, List, Paged};
use uuid::Uuid;

use super::{LISTS, Parse, Parsed, instant, page_of, text};
use crate::decisions;
use crate::desk::Arrived;
use crate::recording::Visit;

/// The most photos of a record.
const MOST_PHOTOS: usize = 20;
/// The length of a photo's digest.
const DIGEST: usize = 32;

/// An id that a caller has made up. Those of version 8 are the system's own: by them it knows again what it has written in
/// consequence of a record.
pub(super) fn callers_id(checks: &mut Checks, field: &str, value: &str) -> Option<Uuid> {
    let id = checks.id(field, value)?;
    let own = id.get_version_num() == 8;
    checks.that(
        !own,
        field,
        "ID_RESERVED",
        "is a UUID of version 8, which the system keeps for itself: take one of version 4 or 7",
        "不得使用第 8 版 UUID（系统保留），请用第 4 版或第 7 版",
    );
    (!own).then_some(id)
}

impl Parse {
    /// One record; without a record at all the field is missing.
    pub(crate) fn record_visit(
        &self,
        request: pb::RecordVisitRequest,
    ) -> Parsed<(Arrived, Option<Position>)> {
        let mut checks = Checks::new();
        let position = self.position(&mut checks, &request.min_position);
        let record = checks.present("record", request.record);
        let arrived = record
            .and_then(|record| checks.within("record", |checks| self.arrived(checks, &record)));
        checks.all((arrived, position))
    }

    /// One record of a stream.
    pub(crate) fn streamed(&self, record: Option<&pb::VisitRecord>) -> Parsed<Arrived> {
        let mut checks = Checks::new();
        let arrived = match record {
            Some(record) => self.arrived(&mut checks, record),
            None => checks.present("record", None),
        };
        checks.all(arrived)
    }

    /// The position that a streamed record must not be judged before.
    pub(crate) fn streamed_position(&self, text: &str) -> Parsed<Option<Position>> {
        let mut checks = Checks::new();
        let position = self.position(&mut checks, text);
        checks.all(position)
    }

    pub(crate) fn confirm_record(
        &self,
        mut request: pb::ConfirmRecordRequest,
    ) -> Parsed<(Asked, Uuid, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let record = checks.id("record_id", &request.record_id);
        checks.all((asked, record, position))
    }

    pub(crate) fn reject_record(
        &self,
        mut request: pb::RejectRecordRequest,
    ) -> Parsed<(Asked, Uuid, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let record = checks.id("record_id", &request.record_id);
        checks.all((asked, record, position))
    }

    pub(crate) fn list_doubtful(
        &self,
        mut request: pb::ListDoubtfulRecordsRequest,
    ) -> Parsed<Paged<decisions::Filter>> {
        let mut checks = Checks::new();
        let filter = checks
            .division("division_code", &request.division_code)
            .map(|division| decisions::Filter {
                division,
                done_too: request.include_decided,
            });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListDoubtfulRecords", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    /// All that is wrong with it is noted.
    pub(super) fn arrived(&self, checks: &mut Checks, record: &pb::VisitRecord) -> Option<Arrived> {
        let id = callers_id(checks, "record_id", &record.record_id);
        let elder = checks.id("elder_id", &record.elder_id).map(ElderId);
        let visitor = checks.id("visitor_id", &record.visitor_id);
        let mode = checks.known::<types::VisitMode>("mode", record.mode);
        let mode = mode.and_then(|mode| VisitMode::from_wire(mode.into()));
        let result = checks.known::<pb::VisitResult>("result", record.result);
        let result = result.and_then(|result| VisitResult::from_wire(result.into()));
        let start = instant(checks, "start_time", record.start_time);
        let end = instant(checks, "end_time", record.end_time);
        let services = set_from_wire(&record.services).map_or_else(
            |place| {
                checks.unknown(&format!("services[{place}]"));
                None
            },
            Some,
        );
        let remarks = text(checks, "remarks", &record.remarks);
        let check_in = match record.check_in {
            None => Some(None),
            Some(place) => checks
                .parsed(
                    "check_in",
                    GeoPosition::new(place.latitude, place.longitude),
                    "POSITION_OFF_THE_GLOBE",
                    "is no position on earth",
                    "不是有效的经纬度",
                )
                .map(Some),
        };
        checks.count("photo_hashes", record.photo_hashes.len(), 0..=MOST_PHOTOS);
        let photos = record.photo_hashes.iter().take(MOST_PHOTOS).enumerate();
        let photos: Vec<Option<[u8; DIGEST]>> = photos
            .map(|(place, photo)| {
                checks.parsed(
                    &format!("photo_hashes[{place}]"),
                    photo.as_ref().try_into(),
                    "DIGEST_LENGTH",
                    "must have 32 bytes",
                    "长度应为 32 字节",
                )
            })
            .collect();
        checks.count(
            "findings",
            record.findings.len(),
            0..=FindingKind::ALL.len(),
        );
        let findings = record
            .findings
            .iter()
            .take(FindingKind::ALL.len())
            .enumerate();
        let findings: Vec<Option<(FindingKind, Option<String>)>> = findings
            .map(|(place, finding)| {
                checks.within(&format!("findings[{place}]"), |checks| {
                    let kind = checks.known::<pb::FindingKind>("kind", finding.kind);
                    let kind = kind.and_then(|kind| FindingKind::from_wire(kind.into()));
                    let note = text(checks, "note", &finding.note);
                    Some((kind?, note?))
                })
            })
            .collect();
        Some(Arrived {
            record: id?,
            elder: elder?,
            visitor: visitor?,
            visit: Visit {
                mode: mode?,
                start: start?,
                end: end?,
                check_in: check_in?,
            },
            result: result?,
            services: services?,
            signed: record.signed,
            remarks: remarks?,
            photos: photos.into_iter().collect::<Option<_>>()?,
            findings: findings.into_iter().collect::<Option<_>>()?,
            digest: self.digests.of(record),
        })
    }
}

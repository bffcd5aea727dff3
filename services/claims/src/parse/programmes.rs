//! Requests about programmes, enrolments and what an elder may have by them.

use civic::{DivisionCode, DivisionLevel, ElderId, LocalDay};
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::claims::v1 as pb;
use service::{Asked, Checks, List, Paged};
use uuid::Uuid;

use super::{LISTS, Parse, Parsed, count, day, maybe_day, page_of, programme_code};
use crate::enrolling::Wanted;
use crate::enrolment::Whose;

/// The longest definition, in bytes.
const LONGEST_DEFINITION: usize = 64 * 1024;

impl Parse {
    pub(crate) fn define_programme(
        &self,
        mut request: pb::DefineProgrammeRequest,
    ) -> Parsed<(Asked, String, DivisionCode, String)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let code = programme_code(&mut checks, &request.programme_code);
        let division = checks.division("division_code", &request.division_code);
        checks.that(
            division.is_none_or(|division| division.level() <= DivisionLevel::County),
            "division_code",
            "DIVISION_TOO_SMALL",
            "a programme is a county's, a city's or a province's",
            "项目应属于县、市或省",
        );
        checks.that(
            !request.definition.is_empty() && request.definition.len() <= LONGEST_DEFINITION,
            "definition",
            "DEFINITION_LENGTH",
            "needs 1 to 65,536 bytes",
            "长度应为 1 至 65536 字节",
        );
        checks.all((asked, code, division, Some(request.definition)))
    }

    pub(crate) fn get_programme(
        &self,
        request: &pb::GetProgrammeRequest,
    ) -> Parsed<(String, u32, Option<Position>)> {
        let mut checks = Checks::new();
        let code = programme_code(&mut checks, &request.programme_code);
        let version = count(&mut checks, "version", request.version);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((code, version, position))
    }

    pub(crate) fn list_programmes(
        &self,
        mut request: pb::ListProgrammesRequest,
    ) -> Parsed<Paged<()>> {
        let mut checks = Checks::new();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListProgrammes", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, Some(()))
    }

    pub(crate) fn enrolment(
        &self,
        request: pb::EnrolPersonsRequest,
    ) -> Parsed<(Wanted, Option<Position>)> {
        let mut checks = Checks::new();
        let enrolment = checks.present("enrolment", request.enrolment);
        let wanted = enrolment.and_then(|mut enrolment| {
            checks.within("enrolment", |checks| {
                let id = std::mem::take(&mut enrolment.enrolment_id);
                let id = checks.id("enrolment_id", &id);
                let digest = self.digests.of(&enrolment);
                let programme = programme_code(checks, &enrolment.programme_code);
                let elder = checks.id("elder_id", &enrolment.elder_id).map(ElderId);
                let first = day(checks, "first_day", enrolment.first_day);
                let end_of_year = |first: LocalDay| {
                    LocalDay::from_ymd(first.year(), 12, 31).unwrap_or(LocalDay::MAX)
                };
                let last = match enrolment.last_day {
                    None => first.map(end_of_year),
                    some => day(checks, "last_day", some),
                };
                let days = first.zip(last);
                checks.that(
                    days.is_none_or(|(first, last)| first <= last && last <= end_of_year(first)),
                    "last_day",
                    "DAYS_INVALID",
                    "must not lie before the first day, nor in another calendar year",
                    "不得早于起始日，且须在同一年度内",
                );
                Some(Wanted {
                    asked: Asked {
                        request_id: id?,
                        digest,
                    },
                    programme: programme?,
                    elder: elder?,
                    first: first?,
                    last: last?,
                })
            })
        });
        let position = self.position(&mut checks, &request.min_position);
        checks.all((wanted, position))
    }

    pub(crate) fn end_enrolment(
        &self,
        mut request: pb::EndEnrolmentRequest,
    ) -> Parsed<(Asked, Whose, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let programme = programme_code(&mut checks, &request.programme_code);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let enrolment = checks.id("enrolment_id", &request.enrolment_id);
        let last = day(&mut checks, "last_day", request.last_day);
        let whose = programme
            .zip(elder)
            .map(|(programme, elder)| Whose { programme, elder });
        checks.all((asked, whose, enrolment, last))
    }

    #[allow(clippy::type_complexity, reason = "it is taken apart where it is used")]
    pub(crate) fn get_entitlement(
        &self,
        request: &pb::GetEntitlementRequest,
    ) -> Parsed<(String, ElderId, Option<LocalDay>, Option<Position>)> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let on = maybe_day(&mut checks, "on", request.on);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((programme, elder, on, position))
    }
}

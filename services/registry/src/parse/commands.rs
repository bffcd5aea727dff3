//! Commands as they arrive.

use chrono::{DateTime, Utc};
use civic::{
    Assistance, CapabilityLevel, Category, ConsentState, ElderId, HandicapGrade, IdNumber,
    LocalDay, Observation, PersonName, ServiceKind, Set, VillageCode,
};
use elders::event::{Capability, Circumstance, Consent, Spoken};
use proto::eldercare::registry::v1 as pb;
use service::Checks;
use tonic::Status;
use uuid::Uuid;

use super::fields;
use crate::{derived_ids, elder::Command};

/// The time at which a request is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The instant.
    pub(crate) instant: DateTime<Utc>,
    /// The day.
    pub(crate) today: LocalDay,
}

/// A command about one elder.
#[derive(Clone, Debug)]
pub(crate) struct Addressed<T> {
    pub(crate) request_id: Uuid,
    pub(crate) elder: ElderId,
    /// The version of the file that the caller read, when it named one.
    pub(crate) etag: Option<u64>,
    pub(crate) what: T,
}

/// An elder to be registered.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) request_id: Uuid,
    pub(crate) name: PersonName,
    pub(crate) id_number: IdNumber,
    pub(crate) village: VillageCode,
    pub(crate) home: Option<pb::Home>,
    pub(crate) categories: Set<Category>,
    pub(crate) assistance: Set<Assistance>,
    pub(crate) capability: Capability,
    pub(crate) observations: Set<Observation>,
    pub(crate) handicap_grade: Option<HandicapGrade>,
    pub(crate) circumstances: Vec<Circumstance>,
    pub(crate) contacts: pb::ContactList,
    pub(crate) consent: Consent,
    pub(crate) wanted_services: Set<ServiceKind>,
    pub(crate) remarks: pb::Remarks,
    /// The survey import that brings the elder.
    pub(crate) import: Option<Uuid>,
}

/// A change of the profile; what is absent stays.
#[derive(Clone, Debug)]
pub(crate) struct ProfileChange {
    pub(crate) on: LocalDay,
    pub(crate) categories: Option<Set<Category>>,
    pub(crate) assistance: Option<Set<Assistance>>,
    pub(crate) wanted_services: Option<Set<ServiceKind>>,
    pub(crate) remarks: Option<pb::Remarks>,
}

/// A right name, a right ID number, or both.
#[derive(Clone, Debug)]
pub(crate) struct Correction {
    pub(crate) name: Option<PersonName>,
    pub(crate) id_number: Option<IdNumber>,
    pub(crate) reason: String,
}

/// A new home.
#[derive(Clone, Debug)]
pub(crate) struct Relocation {
    pub(crate) on: LocalDay,
    pub(crate) village: VillageCode,
    pub(crate) home: Option<pb::Home>,
}

/// An assessment of capability.
#[derive(Clone, Debug)]
pub(crate) struct Assessment {
    pub(crate) capability: Capability,
    pub(crate) items: Option<pb::AssessmentItems>,
}

pub(crate) fn register(
    request: pb::RegisterElderRequest,
    now: Now,
) -> Result<Registration, Status> {
    let mut checks = Checks::new();
    let request_id = checks.request_id(&request.request_id);
    let name = fields::person_name(&mut checks, "name", &request.name);
    let id_number = fields::id_number(&mut checks, "id_number", &request.id_number);
    checks.that(
        id_number.is_none_or(|number| number.birth_date() <= now.today),
        "id_number",
        "ID_BIRTH_DATE",
        "holds a birth date that lies in the future",
        "出生日期晚于今天",
    );
    let village = fields::village(&mut checks, "division_code", &request.division_code);
    let home = fields::home(&mut checks, &request.address, request.position);
    let categories = fields::words(&mut checks, "categories", &request.categories);
    let assistance = fields::words(&mut checks, "assistance", &request.assistance);
    let capability = fields::capability(&mut checks, request.capability.as_ref(), now.today);
    let observations = fields::words(&mut checks, "observations", &request.observations);
    let handicap_grade = fields::grade(&mut checks, "handicap_grade", request.handicap_grade);
    let owner = request_id.unwrap_or_default();
    let circumstances = fields::circumstances(&mut checks, &request.circumstances, |place| {
        derived_ids::circumstance(owner, place)
    });
    let contacts = fields::contacts(&mut checks, &request.contacts);
    let consent = fields::consent(&mut checks, request.consent.as_ref());
    let wanted_services = fields::words(&mut checks, "wanted_services", &request.wanted_services);
    let remarks = fields::remarks(&mut checks, "remarks", &request.remarks);
    let parsed = (|| {
        Some(Registration {
            request_id: request_id?,
            name: name?,
            id_number: id_number?,
            village: village?,
            home: home?,
            categories: categories?,
            assistance: assistance?,
            capability: capability?,
            observations: observations?,
            handicap_grade: handicap_grade?,
            circumstances: circumstances?,
            contacts: contacts?,
            consent: consent?,
            wanted_services: wanted_services?,
            remarks: remarks?,
            import: None,
        })
    })();
    checks.all(parsed)
}

/// A request about one elder.
trait AboutAnElder {
    /// Request id, elder and etag, as they arrive.
    fn addresses(&self) -> (&str, &str, &str);
}

macro_rules! about_an_elder {
    ($($request:ident)+) => {$(
        impl AboutAnElder for pb::$request {
            fn addresses(&self) -> (&str, &str, &str) {
                (&self.request_id, &self.elder_id, &self.etag)
            }
        }
    )+};
}

about_an_elder! {
    UpdateElderRequest CorrectIdentityRequest RelocateElderRequest RecordAssessmentRequest RecordHandicapRequest
    RecordObservationRequest RecordCircumstanceRequest EndCircumstanceRequest SetContactsRequest RecordConsentRequest
    RecordDeathRequest RecordMoveOutRequest ReinstateElderRequest EraseElderRequest
}

/// Reads what all commands about an elder have in common, and then the rest.
fn addressed<R: AboutAnElder, T>(
    request: R,
    rest: impl FnOnce(&mut Checks, R) -> Option<T>,
) -> Result<Addressed<T>, Status> {
    let mut checks = Checks::new();
    let (request_id, elder, etag) = request.addresses();
    let request_id = checks.request_id(request_id);
    let elder = fields::elder_id(&mut checks, "elder_id", elder);
    let etag = checks.etag(etag);
    let what = rest(&mut checks, request);
    let (request_id, elder, etag, what) = checks.all((request_id, elder, etag, what))?;
    Ok(Addressed {
        request_id,
        elder,
        etag,
        what,
    })
}

pub(crate) fn update(
    request: pb::UpdateElderRequest,
    now: Now,
) -> Result<Addressed<ProfileChange>, Status> {
    let allowed = &["categories", "assistance", "wanted_services", "remarks"];
    addressed(request, |checks, request| {
        let paths = checks.field_mask("update_mask", request.update_mask.as_ref(), allowed);
        let profile = request.profile.unwrap_or_default();
        let names = |path| paths.as_ref().is_some_and(|paths| paths.contains(&path));
        let (categories, assistance, wanted_services, remarks) =
            checks.within("profile", |checks| {
                (
                    names("categories")
                        .then(|| fields::words(checks, "categories", &profile.categories)),
                    names("assistance")
                        .then(|| fields::words(checks, "assistance", &profile.assistance)),
                    names("wanted_services").then(|| {
                        fields::words(checks, "wanted_services", &profile.wanted_services)
                    }),
                    names("remarks").then(|| fields::remarks(checks, "remarks", &profile.remarks)),
                )
            });
        let on = fields::day(checks, "on", request.on);
        Some(ProfileChange {
            on: on?.unwrap_or(now.today),
            categories: categories.flatten(),
            assistance: assistance.flatten(),
            wanted_services: wanted_services.flatten(),
            remarks: remarks.flatten(),
        })
    })
}

pub(crate) fn correct_identity(
    request: pb::CorrectIdentityRequest,
    now: Now,
) -> Result<Addressed<Correction>, Status> {
    addressed(request, |checks, request| {
        checks.that(
            !request.name.is_empty() || !request.id_number.is_empty(),
            "name",
            "REQUIRED",
            "or `id_number` must be given",
            "姓名和身份证号至少填一项",
        );
        let name =
            (!request.name.is_empty()).then(|| fields::person_name(checks, "name", &request.name));
        let id_number = (!request.id_number.is_empty())
            .then(|| fields::id_number(checks, "id_number", &request.id_number));
        checks.that(
            id_number
                .flatten()
                .is_none_or(|number| number.birth_date() <= now.today),
            "id_number",
            "ID_BIRTH_DATE",
            "holds a birth date that lies in the future",
            "出生日期晚于今天",
        );
        let reason = fields::code(checks, "reason", &request.reason);
        Some(Correction {
            name: name.flatten(),
            id_number: id_number.flatten(),
            reason: reason?,
        })
    })
}

pub(crate) fn relocate(
    request: pb::RelocateElderRequest,
    now: Now,
) -> Result<Addressed<Relocation>, Status> {
    addressed(request, |checks, request| {
        let on = fields::day(checks, "on", request.on);
        let village = fields::village(checks, "division_code", &request.division_code);
        let home = fields::home(checks, &request.address, request.position);
        Some(Relocation {
            on: on?.unwrap_or(now.today),
            village: village?,
            home: home?,
        })
    })
}

/// The number of items of GB/T 42195-2022.
const ITEMS: usize = 26;

/// The highest total of GB/T 42195-2022.
const HIGHEST_TOTAL: i32 = 90;

pub(crate) fn assess(
    request: pb::RecordAssessmentRequest,
    now: Now,
) -> Result<Addressed<Assessment>, Status> {
    addressed(request, |checks, request| {
        let assessed_on = fields::required_day(checks, "assessed_on", request.assessed_on);
        fields::not_after_today(checks, "assessed_on", assessed_on, now.today);
        let source = fields::code(checks, "source", &request.source);
        let (level, items) = match (request.level, request.item_scores.is_empty()) {
            (0, true) => {
                checks.refuse(
                    "level",
                    "REQUIRED",
                    "or `item_scores` must be given",
                    "等级和各项得分须填其一",
                );
                (None, None)
            }
            (0, false) => (
                level_of(checks, &request.item_scores),
                Some(pb::AssessmentItems {
                    scores: request.item_scores,
                }),
            ),
            (level, true) => (fields::word(checks, "level", level), None),
            (_, false) => {
                checks.refuse(
                    "level",
                    "REPEATED",
                    "is given beside `item_scores`",
                    "等级和各项得分只能填其一",
                );
                (None, None)
            }
        };
        Some(Assessment {
            capability: Capability {
                level: level?,
                assessed_on: Some(assessed_on?),
                source: source?,
            },
            items,
        })
    })
}

/// The level that the item scores give: 90 intact, 66-89 mild, 46-65 moderate, 30-45 severe, 0-29 total
/// (GB/T 42195-2022).
fn level_of(checks: &mut Checks, scores: &[i32]) -> Option<CapabilityLevel> {
    checks.count("item_scores", scores.len(), ITEMS..=ITEMS)?;
    for (place, score) in scores.iter().enumerate() {
        checks.number(&format!("item_scores[{place}]"), *score, 0..=4)?;
    }
    let total: i32 = scores.iter().sum();
    match total {
        HIGHEST_TOTAL => Some(CapabilityLevel::Intact),
        66..HIGHEST_TOTAL => Some(CapabilityLevel::Mild),
        46..=65 => Some(CapabilityLevel::Moderate),
        30..=45 => Some(CapabilityLevel::Severe),
        0..=29 => Some(CapabilityLevel::Total),
        _ => {
            checks.refuse(
                "item_scores",
                "OUT_OF_RANGE",
                "have a total of over 90",
                "总分超过 90",
            );
            None
        }
    }
}

pub(crate) fn record_handicap(
    request: pb::RecordHandicapRequest,
    now: Now,
) -> Result<Addressed<Command>, Status> {
    addressed(request, |checks, request| {
        let grade = fields::grade(checks, "grade", request.grade);
        let on = fields::day(checks, "on", request.on);
        Some(Command::RecordHandicap {
            grade: grade?,
            on: on?.unwrap_or(now.today),
        })
    })
}

pub(crate) fn record_observation(
    request: pb::RecordObservationRequest,
    now: Now,
) -> Result<Addressed<Command>, Status> {
    addressed(request, |checks, request| {
        let observation = fields::word(checks, "observation", request.observation);
        let on = fields::day(checks, "on", request.on);
        let (observation, on) = (observation?, on?.unwrap_or(now.today));
        Some(if request.ended {
            Command::EndObservation { observation, on }
        } else {
            Command::RecordObservation { observation, on }
        })
    })
}

pub(crate) fn record_circumstance(
    request: pb::RecordCircumstanceRequest,
) -> Result<Addressed<Circumstance>, Status> {
    addressed(request, |checks, request| {
        let circumstance = checks.present("circumstance", request.circumstance.as_ref())?;
        let id = Uuid::try_parse(&request.request_id)
            .map(|request| derived_ids::circumstance(request, 0));
        checks.within("circumstance", |checks| {
            fields::circumstance(checks, circumstance, id.unwrap_or_default())
        })
    })
}

pub(crate) fn end_circumstance(
    request: pb::EndCircumstanceRequest,
    now: Now,
) -> Result<Addressed<Command>, Status> {
    addressed(request, |checks, request| {
        let id = checks.id("circumstance_id", &request.circumstance_id);
        let last_day = fields::day(checks, "last_day", request.last_day);
        Some(Command::EndCircumstance {
            id: id?,
            last_day: last_day?.unwrap_or(now.today),
        })
    })
}

pub(crate) fn set_contacts(
    request: pb::SetContactsRequest,
) -> Result<Addressed<pb::ContactList>, Status> {
    addressed(request, |checks, request| {
        fields::contacts(checks, &request.contacts)
    })
}

pub(crate) fn record_consent(
    request: pb::RecordConsentRequest,
    now: Now,
) -> Result<Addressed<Command>, Status> {
    addressed(request, |checks, request| {
        let state = fields::word::<ConsentState>(checks, "state", request.state);
        checks.that(
            state != Some(ConsentState::Unknown),
            "state",
            "VALUE_INVALID",
            "must be GRANTED or REFUSED",
            "应为同意或不同意",
        );
        let by = fields::optional_word(checks, "by", request.by);
        let at = checks.instant("at", request.at);
        fields::not_after_now(checks, "at", at.flatten(), now.instant);
        let at = at?.unwrap_or_else(|| to_micros(now.instant));
        Some(Command::RecordConsent {
            state: state?,
            spoken: Spoken {
                by: by?,
                at: Some(at),
            },
        })
    })
}

/// Events hold microseconds.
fn to_micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant)
}

pub(crate) fn record_death(
    request: pb::RecordDeathRequest,
    now: Now,
) -> Result<Addressed<Command>, Status> {
    addressed(request, |checks, request| {
        let on = fields::required_day(checks, "on", request.on);
        fields::not_after_today(checks, "on", on, now.today);
        Some(Command::RecordDeath {
            on: on?,
            today: now.today,
        })
    })
}

pub(crate) fn move_out(
    request: pb::RecordMoveOutRequest,
    now: Now,
) -> Result<Addressed<Command>, Status> {
    addressed(request, |checks, request| {
        let on = fields::day(checks, "on", request.on);
        Some(Command::RecordMoveOut {
            on: on?.unwrap_or(now.today),
        })
    })
}

pub(crate) fn reinstate(
    request: pb::ReinstateElderRequest,
    now: Now,
) -> Result<Addressed<Command>, Status> {
    addressed(request, |checks, request| {
        let on = fields::day(checks, "on", request.on);
        let reason = fields::code(checks, "reason", &request.reason);
        Some(Command::Reinstate {
            on: on?.unwrap_or(now.today),
            reason: reason?,
        })
    })
}

pub(crate) fn erase(request: pb::EraseElderRequest) -> Result<Addressed<String>, Status> {
    addressed(request, |checks, request| {
        fields::code(checks, "reason", &request.reason)
    })
}

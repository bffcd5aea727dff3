//! The fields that several requests have in common.

use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::{
    CapabilityLevel, ConsentState, ElderId, GeoPosition, HandicapGrade, IdNumber, LocalDay,
    PersonName, Phone, Set, VillageCode,
};
use elders::{
    codec::read_day,
    event::{Capability, Circumstance, Consent, Spoken},
    terms::WireTerm,
};
use eventlog::Position;
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use service::Checks;
use uuid::Uuid;

/// The most contacts of a file.
const MOST_CONTACTS: usize = 20;

/// The most circumstances of one registration.
const MOST_CIRCUMSTANCES: usize = 20;

/// The most characters of an address.
const LONGEST_ADDRESS: usize = 200;

/// The most characters of remarks.
const LONGEST_REMARKS: usize = 1_000;

/// How far a caller's clock may be ahead of ours before what it says lies in the future.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// An elder's id.
pub(super) fn elder_id(checks: &mut Checks, field: &str, value: &str) -> Option<ElderId> {
    checks.id(field, value).map(ElderId)
}

/// A name.
pub(super) fn person_name(checks: &mut Checks, field: &str, value: &str) -> Option<PersonName> {
    match value.parse::<PersonName>() {
        Ok(name) => Some(name),
        Err(civic::PersonNameError::Blank) => {
            checks.refuse(field, "REQUIRED", "is required", "不能为空");
            None
        }
        Err(civic::PersonNameError::TooLong) => {
            checks.refuse(
                field,
                "TOO_LONG",
                "may have 64 characters at most",
                "最多 64 个字符",
            );
            None
        }
        Err(civic::PersonNameError::ControlCharacter) => {
            checks.refuse(
                field,
                "CONTROL_CHARACTERS",
                "has control characters",
                "含有控制字符",
            );
            None
        }
    }
}

/// An ID number, written in any accepted way.
pub(super) fn id_number(checks: &mut Checks, field: &str, value: &str) -> Option<IdNumber> {
    if value.trim().is_empty() {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    match value.parse() {
        Ok(number) => Some(number),
        Err(error) => {
            let (reason, en, zh) = match error {
                civic::IdNumberError::Length => (
                    "ID_LENGTH",
                    "has 18 characters, or 15 of the old form",
                    "应为 18 位（旧号 15 位）",
                ),
                civic::IdNumberError::Characters => (
                    "ID_CHARACTERS",
                    "has digits only, but for an X at the end",
                    "只能是数字，末位可为 X",
                ),
                civic::IdNumberError::BirthDate => (
                    "ID_BIRTH_DATE",
                    "holds a birth date that is no day of the calendar",
                    "出生日期不存在",
                ),
                civic::IdNumberError::CheckCharacter => (
                    "ID_CHECK_CHARACTER",
                    "has a check character that does not agree with its digits",
                    "校验码不符",
                ),
            };
            checks.refuse(field, reason, en, zh);
            None
        }
    }
}

/// The code of a village or community.
pub(super) fn village(checks: &mut Checks, field: &str, value: &str) -> Option<VillageCode> {
    if value.is_empty() {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    checks.parsed(
        field,
        value.parse(),
        "DIVISION_INVALID",
        "is no code of a village or community, which has 12 digits",
        "应为 12 位村（社区）代码",
    )
}

/// A day that may be absent. Outer `None`: it is wrong.
pub(super) fn day(
    checks: &mut Checks,
    field: &str,
    date: Option<types::Date>,
) -> Option<Option<LocalDay>> {
    let Some(date) = date else { return Some(None) };
    let day = read_day(date);
    if day.is_none() {
        checks.refuse(
            field,
            "DATE_INVALID",
            "is no day of the calendar",
            "日期不存在",
        );
    }
    day.map(Some)
}

/// A day that must be there.
pub(super) fn required_day(
    checks: &mut Checks,
    field: &str,
    date: Option<types::Date>,
) -> Option<LocalDay> {
    let day = day(checks, field, date)?;
    checks.present(field, day)
}

/// A day that must not lie in the future.
pub(super) fn not_after_today(
    checks: &mut Checks,
    field: &str,
    day: Option<LocalDay>,
    today: LocalDay,
) {
    checks.that(
        day.is_none_or(|day| day <= today),
        field,
        "IN_FUTURE",
        "lies in the future",
        "不能晚于今天",
    );
}

/// An instant that must not lie in the future.
pub(super) fn not_after_now(
    checks: &mut Checks,
    field: &str,
    at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) {
    checks.that(
        at.is_none_or(|at| at <= now + CLOCK_LEEWAY),
        field,
        "IN_FUTURE",
        "lies in the future",
        "不能晚于现在",
    );
}

/// A set of words; each must be a known one.
pub(super) fn words<T: WireTerm>(
    checks: &mut Checks,
    field: &str,
    numbers: &[i32],
) -> Option<Set<T>> {
    let mut set = Set::new();
    let mut clean = true;
    for (place, number) in numbers.iter().enumerate() {
        match T::from_wire(*number) {
            Some(word) => {
                set.insert(word);
            }
            None if clean => {
                clean = false;
                let field = format!("{field}[{place}]");
                checks.unknown(&field);
            }
            None => {}
        }
    }
    clean.then_some(set)
}

/// One known word.
pub(super) fn word<T: WireTerm>(checks: &mut Checks, field: &str, number: i32) -> Option<T> {
    if number == 0 {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    let word = T::from_wire(number);
    if word.is_none() {
        checks.unknown(field);
    }
    word
}

/// A word that may be unspecified. Outer `None`: it is wrong.
pub(super) fn optional_word<T: WireTerm>(
    checks: &mut Checks,
    field: &str,
    number: i32,
) -> Option<Option<T>> {
    if number == 0 {
        Some(None)
    } else {
        word(checks, field, number).map(Some)
    }
}

/// A code of `A-Z0-9_`, 1 to 64 characters, by which a caller says why or from where, without personal data.
pub(super) fn code(checks: &mut Checks, field: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    optional_code(checks, field, value)
}

/// The same, or nothing.
pub(super) fn optional_code(checks: &mut Checks, field: &str, value: &str) -> Option<String> {
    let fits = value.len() <= 64
        && value
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    checks.that(
        fits,
        field,
        "CODE_INVALID",
        "must be a code of A-Z, 0-9 and _, at most 64 characters",
        "应为代码，只含 A-Z、0-9 和 _，最多 64 个字符",
    );
    fits.then(|| value.to_owned())
}

/// Handicap grade 1 to 4, or 0 for none.
pub(super) fn grade(checks: &mut Checks, field: &str, value: i32) -> Option<Option<HandicapGrade>> {
    let number = checks.number(field, value, 0..=4)?;
    Some(
        u8::try_from(number)
            .ok()
            .and_then(|number| HandicapGrade::try_from(number).ok()),
    )
}

/// Address and position; none where both are absent.
pub(super) fn home(
    checks: &mut Checks,
    address: &str,
    position: Option<types::GeoPosition>,
) -> Option<Option<pb::Home>> {
    let address = checks.string("address", address.trim(), 0..=LONGEST_ADDRESS);
    let position = match position {
        None => Some(None),
        Some(position) => {
            let fits = GeoPosition::new(position.latitude, position.longitude);
            let fits = checks.parsed(
                "position",
                fits,
                "POSITION_INVALID",
                "is no position on the earth",
                "经纬度无效",
            );
            fits.map(|_position| Some(position))
        }
    };
    let (address, position) = (address?, position?);
    Some((!address.is_empty() || position.is_some()).then_some(pb::Home { address, position }))
}

/// Remarks; an empty text where there are none.
pub(super) fn remarks(checks: &mut Checks, field: &str, text: &str) -> Option<pb::Remarks> {
    checks
        .string(field, text.trim(), 0..=LONGEST_REMARKS)
        .map(|text| pb::Remarks { text })
}

/// A capability with its origin; UNASSESSED where it is absent.
pub(super) fn capability(
    checks: &mut Checks,
    capability: Option<&types::Capability>,
    today: LocalDay,
) -> Option<Capability> {
    let Some(message) = capability else {
        return Some(Capability::unassessed());
    };
    checks.within("capability", |checks| {
        let level = word::<CapabilityLevel>(checks, "level", message.level);
        let assessed_on = day(checks, "assessed_on", message.assessed_on);
        not_after_today(checks, "assessed_on", assessed_on.flatten(), today);
        let source = optional_code(checks, "source", &message.source);
        Some(Capability {
            level: level?,
            assessed_on: assessed_on?,
            source: source?,
        })
    })
}

/// A circumstance, which gets this id.
pub(super) fn circumstance(
    checks: &mut Checks,
    message: &types::Circumstance,
    id: Uuid,
) -> Option<Circumstance> {
    checks.that(
        message.circumstance_id.is_empty(),
        "circumstance_id",
        "MUST_BE_EMPTY",
        "is given by the registry",
        "由系统生成，须留空",
    );
    let kind = word(checks, "kind", message.kind);
    let first_day = required_day(checks, "first_day", message.first_day);
    let last_day = day(checks, "last_day", message.last_day);
    if let (Some(first), Some(Some(last))) = (first_day, last_day) {
        checks.that(
            first <= last,
            "last_day",
            "BEFORE_FIRST_DAY",
            "lies before the first day",
            "早于开始日期",
        );
    }
    Some(Circumstance {
        id,
        kind: kind?,
        first_day: first_day?,
        last_day: last_day?,
    })
}

/// The circumstances of a registration, each with an id derived from its place.
pub(super) fn circumstances(
    checks: &mut Checks,
    messages: &[types::Circumstance],
    id: impl Fn(usize) -> Uuid,
) -> Option<Vec<Circumstance>> {
    checks.count("circumstances", messages.len(), 0..=MOST_CIRCUMSTANCES)?;
    messages
        .iter()
        .enumerate()
        .map(|(place, message)| {
            checks.within(&format!("circumstances[{place}]"), |checks| {
                circumstance(checks, message, id(place))
            })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

/// The contacts in the order of calling.
pub(super) fn contacts(
    checks: &mut Checks,
    messages: &[types::Contact],
) -> Option<pb::ContactList> {
    checks.count("contacts", messages.len(), 0..=MOST_CONTACTS)?;
    let parsed: Vec<_> = messages
        .iter()
        .zip(1..)
        .map(|(message, place)| {
            let within = format!("contacts[{}]", place - 1);
            checks.within(&within, |checks| contact(checks, message, place))
        })
        .collect();
    let supporters = messages.iter().filter(|contact| contact.supporter).count();
    checks.that(
        supporters <= 1,
        "contacts",
        "SUPPORTER_REPEATED",
        "may name one supporter only",
        "赡养人最多一人",
    );
    let mut contacts = parsed.into_iter().collect::<Option<Vec<_>>>()?;
    contacts.sort_by_key(|contact| contact.call_order);
    let distinct = contacts
        .windows(2)
        .all(|pair| pair[0].call_order != pair[1].call_order);
    checks.that(
        distinct,
        "contacts",
        "CALL_ORDER_REPEATED",
        "have a place in the order of calling twice",
        "呼叫次序重复",
    );
    Some(pb::ContactList { contacts })
}

fn contact(checks: &mut Checks, message: &types::Contact, place: i32) -> Option<types::Contact> {
    let name = checks.string("name", message.name.trim(), 1..=64);
    let relation = checks.string("relation", message.relation.trim(), 0..=32);
    let phone = if message.phone.trim().is_empty() {
        Some(String::new())
    } else {
        let phone = message.phone.parse::<Phone>();
        let phone = checks.parsed(
            "phone",
            phone,
            "PHONE_INVALID",
            "is neither a mobile number of 11 digits nor a landline with its area code",
            "应为 11 位手机号或带区号的固定电话",
        );
        phone.map(|phone| phone.as_str().to_owned())
    };
    let call_order = checks.number("call_order", message.call_order, 0..=99);
    Some(types::Contact {
        name: name?,
        relation: relation?,
        phone: phone?,
        call_order: call_order.map(|order| if order == 0 { place } else { order })?,
        supporter: message.supporter,
    })
}

/// Consent as it stands; UNKNOWN where it is absent.
pub(super) fn consent(
    checks: &mut Checks,
    consent: Option<&pb::HomeVisitConsent>,
) -> Option<Consent> {
    let Some(message) = consent else {
        return Some(Consent::unknown());
    };
    checks.within("consent", |checks| {
        let state = optional_word::<ConsentState>(checks, "state", message.state);
        let by = optional_word(checks, "by", message.by);
        // It may lie ahead: who registers a county's elders for a day to come says what holds from then on.
        let at = checks.instant("at", message.at);
        Some(match state?.unwrap_or(ConsentState::Unknown) {
            ConsentState::Unknown => Consent::unknown(),
            state @ (ConsentState::Granted | ConsentState::Refused) => Consent {
                state,
                spoken: Spoken { by: by?, at: at? },
            },
        })
    })
}

/// The position that a query waits for.
pub(super) fn min_position(checks: &mut Checks, value: &str) -> Option<Option<Position>> {
    if value.is_empty() {
        return Some(None);
    }
    let position = checks.parsed(
        "min_position",
        value.parse(),
        "POSITION_INVALID",
        "is no position that the system gave",
        "不是系统给出的日志位置",
    );
    position.map(Some)
}

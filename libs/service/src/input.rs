//! Reading a request: each field is checked, and all that is wrong is told at once.
//!
//! ```
//! # fn parse(request_id: &str, name: &str, division: &str) -> Result<(uuid::Uuid, String, civic::DivisionCode), tonic::Status> {
//! let mut checks = service::Checks::new();
//! let request_id = checks.request_id(request_id);
//! let name = checks.string("name", name, 1..=64);
//! let division = checks.division("division", division);
//! checks.all((request_id, name, division))
//! # }
//! # assert!(parse("no uuid", "", "37").is_err());
//! ```

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike as _, Utc};
use civic::DivisionCode;
use prost_types::FieldMask;
use tonic::Status;
use uuid::Uuid;

use crate::errors::{Text, Violation, invalid_argument};
use crate::paging::{List, PageBounds, Paged};

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
#[must_use = "what was found wrong must be told: call `all` or `finish`"]
pub struct Checks {
    prefix: String,
    violations: Vec<Violation>,
}

impl Checks {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the fields of an inner message: their paths get `prefix` and a dot.
    pub fn within<T>(&mut self, prefix: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.prefix.clone();
        self.prefix = format!("{outer}{prefix}.");
        let result = check(self);
        self.prefix = outer;
        result
    }

    /// Notes a violation by a field.
    pub fn refuse(
        &mut self,
        field: &str,
        reason: &'static str,
        en: impl Into<Text>,
        zh: impl Into<Text>,
    ) {
        self.violations.push(Violation::new(
            format!("{}{field}", self.prefix),
            reason,
            en,
            zh,
        ));
    }

    /// Notes a violation found elsewhere.
    pub fn add(&mut self, mut violation: Violation) {
        violation.field.insert_str(0, &self.prefix);
        self.violations.push(violation);
    }

    /// Notes a violation unless `holds`.
    pub fn that(
        &mut self,
        holds: bool,
        field: &str,
        reason: &'static str,
        en: impl Into<Text>,
        zh: impl Into<Text>,
    ) {
        if !holds {
            self.refuse(field, reason, en, zh);
        }
    }

    /// A string of a number of characters, without control characters; with a least of 1, a blank one is missing.
    pub fn string(
        &mut self,
        field: &str,
        value: &str,
        characters: RangeInclusive<usize>,
    ) -> Option<String> {
        let count = value.chars().count();
        if *characters.start() > 0 && value.trim().is_empty() {
            self.refuse(field, "REQUIRED", "is required", "不能为空");
        } else if count < *characters.start() {
            let least = characters.start();
            self.refuse(
                field,
                "TOO_SHORT",
                format!("needs at least {least} characters"),
                format!("至少 {least} 个字符"),
            );
        } else if count > *characters.end() {
            let most = characters.end();
            self.refuse(
                field,
                "TOO_LONG",
                format!("may have {most} characters at most"),
                format!("最多 {most} 个字符"),
            );
        } else if value
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
        {
            self.refuse(
                field,
                "CONTROL_CHARACTERS",
                "has control characters",
                "含有控制字符",
            );
        } else {
            return Some(value.to_owned());
        }
        None
    }

    /// An instant that may be absent, to the microsecond. Outer `None`: it is wrong.
    pub fn instant(
        &mut self,
        field: &str,
        timestamp: Option<prost_types::Timestamp>,
    ) -> Option<Option<DateTime<Utc>>> {
        let Some(timestamp) = timestamp else {
            return Some(None);
        };
        let instant = u32::try_from(timestamp.nanos)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000)
            // Events hold microseconds: what is finer would be lost on the way, and not be found again as the same.
            .and_then(|nanos| DateTime::from_timestamp(timestamp.seconds, nanos / 1_000 * 1_000))
            .filter(|instant| (1..=9999).contains(&instant.year()));
        if instant.is_none() {
            self.refuse(
                field,
                "TIMESTAMP_INVALID",
                "is no instant of the years 1 to 9999",
                "时间无效",
            );
        }
        instant.map(Some)
    }

    /// The number of elements of a list.
    pub fn count(
        &mut self,
        field: &str,
        count: usize,
        bounds: RangeInclusive<usize>,
    ) -> Option<usize> {
        if bounds.contains(&count) {
            return Some(count);
        }
        let (least, most) = (bounds.start(), bounds.end());
        self.refuse(
            field,
            "COUNT_OUT_OF_RANGE",
            format!("needs {least} to {most} elements"),
            format!("元素个数应为 {least} 至 {most}"),
        );
        None
    }

    /// A number within bounds.
    pub fn number<N: PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        field: &str,
        value: N,
        bounds: RangeInclusive<N>,
    ) -> Option<N> {
        if bounds.contains(&value) {
            return Some(value);
        }
        let (least, most) = (bounds.start(), bounds.end());
        self.refuse(
            field,
            "OUT_OF_RANGE",
            format!("must be from {least} to {most}"),
            format!("应在 {least} 至 {most} 之间"),
        );
        None
    }

    /// A part that must be there.
    pub fn present<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.refuse(field, "REQUIRED", "is required", "不能为空");
        }
        value
    }

    /// The outcome of a parse elsewhere; the error itself is not shown, since it might name the value.
    pub fn parsed<T, E>(
        &mut self,
        field: &str,
        parsed: Result<T, E>,
        reason: &'static str,
        en: impl Into<Text>,
        zh: impl Into<Text>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(_) => {
                self.refuse(field, reason, en, zh);
                None
            }
        }
    }

    /// A protobuf enum that must be one of the known values and not the unspecified one (0).
    pub fn known<E: TryFrom<i32>>(&mut self, field: &str, value: i32) -> Option<E> {
        if value == 0 {
            self.refuse(field, "REQUIRED", "is required", "不能为空");
            return None;
        }
        let known = E::try_from(value).ok();
        if known.is_none() {
            self.unknown(field);
        }
        known
    }

    /// Notes that a word of a vocabulary is not known.
    pub fn unknown(&mut self, field: &str) {
        self.refuse(
            field,
            "VALUE_UNKNOWN",
            "is none of the known values",
            "取值无法识别",
        );
    }

    /// A UUID.
    pub fn id(&mut self, field: &str, value: &str) -> Option<Uuid> {
        if value.is_empty() {
            self.refuse(field, "REQUIRED", "is required", "不能为空");
            return None;
        }
        let uuid = Uuid::try_parse(value).ok().filter(|uuid| !uuid.is_nil());
        if uuid.is_none() {
            self.refuse(field, "UUID_INVALID", "is not a UUID", "不是有效的 UUID");
        }
        uuid
    }

    /// A UUID that may be absent. Outer `None`: it is wrong.
    pub fn maybe_id(&mut self, field: &str, value: &str) -> Option<Option<Uuid>> {
        if value.is_empty() {
            Some(None)
        } else {
            self.id(field, value).map(Some)
        }
    }

    /// The caller's id of a command (`request_id`), a UUID.
    pub fn request_id(&mut self, value: &str) -> Option<Uuid> {
        self.id("request_id", value)
    }

    /// A division code of any level.
    pub fn division(&mut self, field: &str, value: &str) -> Option<DivisionCode> {
        if value.is_empty() {
            self.refuse(field, "REQUIRED", "is required", "不能为空");
            return None;
        }
        self.parsed(
            field,
            value.parse(),
            "DIVISION_INVALID",
            "is no division code of 2, 4, 6, 9 or 12 digits",
            "行政区划代码应为 2、4、6、9 或 12 位数字",
        )
    }

    /// The position that an answer must not lie before (`min_position`), as `REGISTRY:4711`. Inner `None` if none is given.
    pub fn position(&mut self, field: &str, value: &str) -> Option<Option<eventlog::Position>> {
        if value.is_empty() {
            return Some(None);
        }
        self.parsed(
            field,
            value.parse(),
            "POSITION_INVALID",
            "is none that a command answered with",
            "不是命令返回的位置",
        )
        .map(Some)
    }

    /// The same, of a service that knows the positions of these streams alone; `en` and `zh` say which logs these are.
    pub fn position_in(
        &mut self,
        streams: &[impl AsRef<str>],
        field: &str,
        value: &str,
        en: &'static str,
        zh: &'static str,
    ) -> Option<Option<eventlog::Position>> {
        let position = self.position(field, value)?;
        let known = (position.as_ref()).is_none_or(|position| {
            let mut streams = streams.iter();
            streams.any(|stream| stream.as_ref() == position.stream)
        });
        self.that(known, field, "POSITION_INVALID", en, zh);
        Some(position)
    }

    /// A page of a list, with what was checked before: what is listed, and the position that it must not lie before.
    ///
    /// # Errors
    /// INVALID_ARGUMENT naming each wrong field.
    pub fn paged<T>(
        mut self,
        list: List,
        (size, token, bounds): (i32, &str, PageBounds),
        position: Option<Option<eventlog::Position>>,
        filter: Option<T>,
    ) -> Result<Paged<T>, Status> {
        let page = match list.page(size, token, bounds) {
            Ok(page) => Some(page),
            Err(violation) => {
                self.add(violation);
                None
            }
        };
        let (filter, page, position) = self.all((filter, page, position))?;
        Ok(Paged {
            filter,
            list,
            page,
            position,
        })
    }

    /// The `etag` of an update: the version that the caller saw. Inner `None` if it gave none.
    pub fn etag(&mut self, value: &str) -> Option<Option<u64>> {
        if value.is_empty() {
            return Some(None);
        }
        let version = version_of_etag(value);
        if version.is_none() {
            self.refuse(
                "etag",
                "ETAG_INVALID",
                "is none that this service gave",
                "不是本服务给出的标识",
            );
        }
        version.map(Some)
    }

    /// The paths of an update's field mask, each one of `allowed` and given once. `*` alone is all of them.
    pub fn field_mask(
        &mut self,
        field: &str,
        mask: Option<&FieldMask>,
        allowed: &[&'static str],
    ) -> Option<Vec<&'static str>> {
        let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
        if paths.is_empty() {
            self.refuse(
                field,
                "REQUIRED",
                "must name the fields to change",
                "须指明要修改的字段",
            );
            return None;
        }
        if matches!(paths, [all] if all == "*") {
            return Some(allowed.to_vec());
        }
        let mut known: Vec<&'static str> = Vec::with_capacity(paths.len().min(allowed.len()));
        for path in paths {
            match allowed.iter().find(|name| *name == path) {
                Some(name) if !known.contains(name) => known.push(name),
                Some(_) => {}
                None => {
                    self.refuse(
                        field,
                        "FIELD_MASK_INVALID",
                        format!("may name only {}", allowed.join(", ")),
                        format!("只能包含 {}", allowed.join("、")),
                    );
                    return None;
                }
            }
        }
        Some(known)
    }

    /// Whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// What was found wrong.
    pub fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// Nothing, if nothing is wrong.
    ///
    /// # Errors
    /// INVALID_ARGUMENT naming each wrong field.
    pub fn finish(self) -> Result<(), Status> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(invalid_argument(self.violations))
        }
    }

    /// The checked values, if nothing is wrong.
    ///
    /// # Errors
    /// INVALID_ARGUMENT naming each wrong field.
    pub fn all<V: Checked>(self, values: V) -> Result<V::Values, Status> {
        self.finish()?;
        Ok(values
            .values()
            .expect("a value is missing only where a violation was noted"))
    }
}

/// Values that are there unless a violation was noted: an `Option`, or a tuple of them.
pub trait Checked {
    /// The values themselves.
    type Values;

    /// All of them, or none.
    fn values(self) -> Option<Self::Values>;
}

impl<T> Checked for Option<T> {
    type Values = T;

    fn values(self) -> Option<T> {
        self
    }
}

macro_rules! checked_tuples {
    ($(($($name:ident)+))+) => {$(
        impl<$($name),+> Checked for ($(Option<$name>,)+) {
            type Values = ($($name,)+);

            #[allow(non_snake_case, reason = "the names of types serve for the values too")]
            fn values(self) -> Option<Self::Values> {
                let ($($name,)+) = self;
                Some(($($name?,)+))
            }
        }
    )+};
}

checked_tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
    (A B C D E F G H I) (A B C D E F G H I J)
}

/// The `etag` of a version of an aggregate.
pub fn etag(version: u64) -> String {
    format!("v{version:x}")
}

/// The version of an `etag`; `None` if it is none of ours.
pub fn version_of_etag(etag: &str) -> Option<u64> {
    let digits = etag.strip_prefix('v')?;
    let version = u64::from_str_radix(digits, 16).ok()?;
    // Only the form that we give out: no plus sign, no leading zeros.
    (format!("{version:x}") == digits).then_some(version)
}

/// The first 16 bytes of a digest of 32.
pub(crate) fn first_half(digest: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let mut checks = Checks::new();
        let request_id = checks.request_id("17");
        let name = checks.within("elder", |checks| checks.string("name", "  ", 1..=64));
        let division = checks.division("division", "3703");
        let status = checks.all((request_id, name, division)).unwrap_err();
        let bad = status.get_details_bad_request().unwrap();
        let fields: Vec<_> = bad
            .field_violations
            .iter()
            .map(|v| (v.field.as_str(), v.reason.as_str()))
            .collect();
        assert_eq!(
            fields,
            [("request_id", "UUID_INVALID"), ("elder.name", "REQUIRED")]
        );
    }

    #[test]
    fn checked_values_come_back_as_they_were_given() {
        let mut checks = Checks::new();
        let name = checks.string("name", "王 秀英", 1..=4);
        let count = checks.number("count", 3, 1..=3);
        assert_eq!(
            checks.all((name, count)).unwrap(),
            ("王 秀英".to_owned(), 3)
        );
    }

    #[test]
    fn a_field_mask_names_known_fields_once() {
        let mask = |paths: &[&str]| FieldMask {
            paths: paths.iter().map(|&p| p.to_owned()).collect(),
        };
        let mut checks = Checks::new();
        let allowed = &["name", "address"];
        assert_eq!(
            checks.field_mask("update_mask", Some(&mask(&["*"])), allowed),
            Some(vec!["name", "address"])
        );
        assert_eq!(
            checks.field_mask("update_mask", Some(&mask(&["name", "name"])), allowed),
            Some(vec!["name"])
        );
        assert!(checks.is_clean());
        assert_eq!(
            checks.field_mask("update_mask", Some(&mask(&["id_number"])), allowed),
            None
        );
        assert_eq!(checks.field_mask("update_mask", None, allowed), None);
        assert_eq!(checks.into_violations().len(), 2);
    }

    #[test]
    fn an_etag_comes_back_as_its_version() {
        for version in [0, 1, 4711, u64::MAX] {
            assert_eq!(version_of_etag(&etag(version)), Some(version));
        }
        for strange in ["", "v", "v+1", "v01", "1", "vfffffffffffffffff"] {
            assert_eq!(version_of_etag(strange), None, "{strange}");
        }
    }
}

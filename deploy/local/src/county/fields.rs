//! One line of a data set, read field by field; what is wrong is told by file, line and field, never by the value.

use chrono::{DateTime, Utc};
use civic::{CalendarMonth, LocalDay};
use proto::eldercare::r#type::v1 as types;
use serde_json::{Map, Value};

use crate::words::Word;

/// Something in a data set that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.place())]
pub struct Problem {
    /// The file, as the data set's README calls it.
    pub file: String,
    /// The line, from 1; `None` where it is about the file as a whole.
    pub line: Option<u64>,
    /// The field, with its path in nested ones.
    pub field: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl Problem {
    pub(crate) fn with_file(file: &str, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            field: None,
            what: what.into(),
        }
    }

    pub(crate) fn with_line(file: &str, line: u64, what: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::with_file(file, what)
        }
    }

    fn place(&self) -> String {
        let mut text = self.file.clone();
        if let Some(line) = self.line {
            text.push_str(&format!(", line {line}"));
        }
        if let Some(field) = &self.field {
            text.push_str(&format!(", field `{field}`"));
        }
        format!("{text}: {}", self.what)
    }
}

/// The fields of a line, or of an object within one.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    file: &'a str,
    line: Option<u64>,
    path: String,
    values: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of a line of a file.
    pub(crate) fn of_line(file: &'a str, line: u64, values: &'a Map<String, Value>) -> Self {
        Self {
            file,
            line: Some(line),
            path: String::new(),
            values,
        }
    }

    /// The fields of a file that is one object.
    pub(crate) fn of_file(file: &'a str, values: &'a Map<String, Value>) -> Self {
        Self {
            file,
            line: None,
            path: String::new(),
            values,
        }
    }

    /// Says that a field is wrong.
    pub(crate) fn problem(&self, field: &str, what: impl Into<String>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: self.line,
            field: Some(format!("{}{field}", self.path)),
            what: what.into(),
        }
    }

    /// The value of a field; what is null or empty counts as left out.
    fn value(&self, field: &str) -> Option<&'a Value> {
        self.values.get(field).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
        })
    }

    fn required<T>(&self, field: &str, value: Option<T>) -> Result<T, Problem> {
        value.ok_or_else(|| self.problem(field, "is missing"))
    }

    pub(crate) fn text(&self, field: &str) -> Result<&'a str, Problem> {
        self.required(field, self.optional_text(field)?)
    }

    pub(crate) fn optional_text(&self, field: &str) -> Result<Option<&'a str>, Problem> {
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| self.problem(field, "is no text"))
    }

    fn read<T>(
        &self,
        field: &str,
        read: impl FnOnce(&str) -> Option<T>,
        what: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.optional_text(field)? else {
            return Ok(None);
        };
        read(text)
            .map(Some)
            .ok_or_else(|| self.problem(field, what))
    }

    pub(crate) fn optional_day(&self, field: &str) -> Result<Option<LocalDay>, Problem> {
        self.read(field, |text| text.parse().ok(), "is no day (YYYY-MM-DD)")
    }

    pub(crate) fn optional_month(&self, field: &str) -> Result<Option<CalendarMonth>, Problem> {
        self.read(field, |text| text.parse().ok(), "is no month (YYYY-MM)")
    }

    /// Texts of a list.
    pub(crate) fn texts(&self, field: &str) -> Result<Vec<String>, Problem> {
        let texts = self.list(field)?.iter().map(|one| one.as_str());
        texts
            .map(|text| text.map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| self.problem(field, "holds something that is no text"))
    }

    /// Words in one text, separated by a sign.
    pub(crate) fn separated<W: Word>(&self, field: &str, sign: char) -> Result<Vec<W>, Problem> {
        let words = self.text(field)?.split(sign).map(W::named);
        words
            .collect::<Option<_>>()
            .ok_or_else(|| self.problem(field, "holds something that is none of the known words"))
    }

    /// A whole number in a cell of a table.
    pub(crate) fn integer_cell(&self, field: &str) -> Result<i32, Problem> {
        self.text(field)?
            .parse()
            .map_err(|_| self.problem(field, "is no whole number"))
    }

    pub(crate) fn day(&self, field: &str) -> Result<LocalDay, Problem> {
        self.required(field, self.optional_day(field)?)
    }

    pub(crate) fn days(&self, field: &str) -> Result<Vec<LocalDay>, Problem> {
        let days = self
            .list(field)?
            .iter()
            .map(|one| one.as_str().and_then(|text| text.parse().ok()));
        days.collect::<Option<_>>()
            .ok_or_else(|| self.problem(field, "holds something that is no day (YYYY-MM-DD)"))
    }

    pub(crate) fn optional_instant(&self, field: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        let parse = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| at.to_utc())
        };
        self.read(field, parse, "is no instant (ISO 8601 with +08:00)")
    }

    pub(crate) fn instant(&self, field: &str) -> Result<DateTime<Utc>, Problem> {
        self.required(field, self.optional_instant(field)?)
    }

    pub(crate) fn optional_word<W: Word>(&self, field: &str) -> Result<Option<W>, Problem> {
        self.read(field, W::named, "is none of the known words")
    }

    pub(crate) fn word<W: Word>(&self, field: &str) -> Result<W, Problem> {
        self.required(field, self.optional_word(field)?)
    }

    pub(crate) fn words<W: Word>(&self, field: &str) -> Result<Vec<W>, Problem> {
        let words = self
            .list(field)?
            .iter()
            .map(|one| one.as_str().and_then(W::named));
        words
            .collect::<Option<_>>()
            .ok_or_else(|| self.problem(field, "holds something that is none of the known words"))
    }

    pub(crate) fn optional_integer(&self, field: &str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        value
            .as_i64()
            .map(Some)
            .ok_or_else(|| self.problem(field, "is no whole number"))
    }

    pub(crate) fn integer(&self, field: &str) -> Result<i64, Problem> {
        self.required(field, self.optional_integer(field)?)
    }

    /// Whether a field holds; one that is left out doesn't.
    pub(crate) fn flag(&self, field: &str) -> Result<bool, Problem> {
        let Some(value) = self.value(field) else {
            return Ok(false);
        };
        value
            .as_bool()
            .ok_or_else(|| self.problem(field, "is neither true nor false"))
    }

    pub(crate) fn optional_number(&self, field: &str) -> Result<Option<f64>, Problem> {
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| self.problem(field, "is no number"))
    }

    /// Latitude and longitude, both or neither.
    pub(crate) fn position(&self) -> Result<Option<types::GeoPosition>, Problem> {
        match (
            self.optional_number("latitude")?,
            self.optional_number("longitude")?,
        ) {
            (Some(latitude), Some(longitude)) => Ok(Some(types::GeoPosition {
                latitude,
                longitude,
            })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.problem("longitude", "is missing beside `latitude`")),
            (None, Some(_)) => Err(self.problem("latitude", "is missing beside `longitude`")),
        }
    }

    /// The list of a field; nothing is an empty one.
    fn list(&self, field: &str) -> Result<&'a [Value], Problem> {
        let Some(value) = self.value(field) else {
            return Ok(&[]);
        };
        value
            .as_array()
            .map(Vec::as_slice)
            .ok_or_else(|| self.problem(field, "is no list"))
    }

    /// The object of a field.
    pub(crate) fn object(&self, field: &str) -> Result<Option<Self>, Problem> {
        let Some(value) = self.value(field) else {
            return Ok(None);
        };
        self.within(field, value).map(Some)
    }

    /// The names in an object, each with its value; nothing is an empty one.
    pub(crate) fn entries(&self, field: &str) -> Result<Vec<(&'a str, &'a Value)>, Problem> {
        let Some(value) = self.value(field) else {
            return Ok(Vec::new());
        };
        let values = value
            .as_object()
            .ok_or_else(|| self.problem(field, "is no object"))?;
        Ok(values
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect())
    }

    /// The objects of a list.
    pub(crate) fn objects(&self, field: &str) -> Result<Vec<Self>, Problem> {
        let list = self.list(field)?.iter().enumerate();
        list.map(|(place, value)| self.within(&format!("{field}[{place}]"), value))
            .collect()
    }

    fn within(&self, field: &str, value: &'a Value) -> Result<Self, Problem> {
        let values = value
            .as_object()
            .ok_or_else(|| self.problem(field, "is no object"))?;
        Ok(Self {
            path: format!("{}{field}.", self.path),
            values,
            ..self.clone()
        })
    }
}

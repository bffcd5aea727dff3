//! A document (数据文档): one thing of a product, flat, with all that is known of it.

use chrono::{DateTime, SecondsFormat, Utc};
use civic::{ElderId, SHANGHAI};
use serde_json::Value;

use crate::products::ProductName;

/// The fields of a document, by their names in the catalogue.
pub type Fields = serde_json::Map<String, Value>;

/// One thing of a product, with all that is known of it; what is not known is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The product.
    pub product: ProductName,
    /// Which one: the elder's, alert's, record's or order's id.
    pub key: String,
    /// Whom it is about.
    pub elder: ElderId,
    /// What is known.
    pub fields: Fields,
}

impl Document {
    /// A document of which nothing is known yet.
    pub(crate) fn new(product: ProductName, key: impl ToString, elder: ElderId) -> Self {
        Self {
            product,
            key: key.to_string(),
            elder,
            fields: Fields::new(),
        }
    }

    /// The same with one more field.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// The same with one more field, where it is known.
    pub(crate) fn with_known(self, field: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }
}

/// An instant as documents tell it: local time, to the second.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    let local = at.with_timezone(&SHANGHAI);
    local.to_rfc3339_opts(SecondsFormat::Secs, false)
}

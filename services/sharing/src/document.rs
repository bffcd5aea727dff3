//! A document (数据文档): one thing of a product, flat, with all that is known of it.

use civic::ElderId;

use crate::products::ProductName;

/// The fields of a document, by their names in the catalogue.
pub type Fields = serde_json::Map<String, serde_json::Value>;

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

//! Documents of products as JSON Schema.

use serde_json::{Map, Value, json};

use super::{Field, FieldKind, Product};

const CODE: &str = "^[A-Z0-9_]+$";
const DAY: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const MONEY: &str = "^-?[0-9]+\\.[0-9]{2}$";
const ID_NUMBER: &str = "^[0-9]{17}[0-9X]$";

impl FieldKind {
    /// What JSON Schema says of a value of this kind, in plain.
    fn schema(self) -> Value {
        match self {
            Self::Code => json!({"type": "string", "pattern": CODE}),
            Self::Codes => {
                json!({"type": "array", "items": {"type": "string", "pattern": CODE}})
            }
            Self::Day | Self::BirthDate => {
                json!({"type": "string", "format": "date", "pattern": DAY})
            }
            Self::Instant => json!({"type": "string", "format": "date-time"}),
            Self::Number => json!({"type": "integer"}),
            Self::Money => json!({"type": "string", "pattern": MONEY}),
            Self::Flag => json!({"type": "boolean"}),
            Self::IdNumber => json!({"type": "string", "pattern": ID_NUMBER}),
            Self::Id | Self::Name | Self::Phone | Self::Address | Self::Text => {
                json!({"type": "string", "minLength": 1})
            }
            Self::Contacts => json!({
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "name": {"type": "string"},
                        "relation": {"type": "string"},
                        "phone": {"type": "string"},
                    },
                },
            }),
        }
    }
}

impl Field {
    fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        // Every kind's schema is an object.
        schema["title"] = self.title.into();
        schema["description"] = self.description.into();
        schema
    }
}

impl Product {
    /// JSON Schema (draft 2020-12) of a document of which all is granted. Nothing is required: what is not known is absent.
    #[must_use]
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> = self
            .fields
            .iter()
            .map(|field| (field.name.to_owned(), field.schema()))
            .collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": format!("urn:eldercare:product:{}", self.name.name()),
            "title": self.title,
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        })
    }
}

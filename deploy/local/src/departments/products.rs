//! `sharing products`: the catalogue of what departments can be granted.

use proto::eldercare::sharing::v1::{FieldKind, ListProductsRequest};
use serde::Serialize;

use crate::{
    client::{Client, call},
    output::{Report, table},
};

/// The catalogue.
#[derive(Debug, Serialize)]
pub struct Catalogue {
    /// All products.
    pub products: Vec<Product>,
}

/// A product.
#[derive(Debug, Serialize)]
pub struct Product {
    /// Its name in agreements.
    pub name: String,
    /// The Chinese term.
    pub title: String,
    /// The service whose log it comes from.
    pub owner: String,
    /// The department that answers for the data.
    pub department: String,
    /// By which document it is kept.
    pub legal_basis: String,
    /// How fresh it is, in milliseconds.
    pub freshness_ms: i32,
    /// Its fields.
    pub fields: Vec<Field>,
    /// JSON Schema of a document.
    pub schema: serde_json::Value,
}

/// A field of a product.
#[derive(Debug, Serialize)]
pub struct Field {
    /// Its name in agreements and documents.
    pub name: String,
    /// The Chinese term.
    pub title: String,
    /// What it holds.
    pub kind: String,
    /// Whether it is personal.
    pub personal: bool,
    /// Whether it can be granted masked.
    pub maskable: bool,
    /// What it means.
    pub description: String,
}

/// The catalogue.
///
/// # Errors
/// Sharing's refusal.
pub async fn products(client: &Client) -> anyhow::Result<Catalogue> {
    let answer = call(ListProductsRequest {}, async |request| {
        client.sharing().list_products(request).await
    })
    .await?;
    let products = answer.products.into_iter().map(|product| {
        let fields = product.fields.into_iter().map(|field| Field {
            kind: kind(field.kind()),
            name: field.name,
            title: field.title,
            personal: field.personal,
            maskable: field.maskable,
            description: field.description,
        });
        Ok(Product {
            fields: fields.collect(),
            schema: serde_json::from_str(&product.schema)?,
            name: product.name,
            title: product.title,
            owner: product.owner,
            department: product.department,
            legal_basis: product.legal_basis,
            freshness_ms: product.freshness_ms,
        })
    });
    Ok(Catalogue {
        products: products.collect::<anyhow::Result<_>>()?,
    })
}

fn kind(kind: FieldKind) -> String {
    let name = kind.as_str_name();
    name.trim_start_matches("FIELD_KIND_").to_owned()
}

impl Report for Catalogue {
    fn text(&self) -> String {
        let mut rows = table([
            "产品 product",
            "字段 field",
            "名称 term",
            "类型 kind",
            "个人信息 personal",
            "可脱敏 maskable",
        ]);
        for product in &self.products {
            for field in &product.fields {
                let yes = |flag: bool| if flag { "是 yes" } else { "" };
                rows.add_row([
                    product.name.as_str(),
                    &field.name,
                    &field.title,
                    &field.kind,
                    yes(field.personal),
                    yes(field.maskable),
                ]);
            }
        }
        rows.to_string()
    }
}

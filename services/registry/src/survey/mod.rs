//! Survey workbooks (汇总表, annex 3): a town's sheet is read, and each of its rows judged by the rules of the registry.
//!
//! Nothing here does I/O or reads a clock. Bytes become a [`workbook::Sheet`], its rows are judged one by one in
//! [`row`], and what becomes of a judged row in the registry is decided elsewhere.

mod cells;
mod container;
mod layout;
mod markup;
mod merges;
mod read;
mod tokens;

pub mod error;
pub mod headers;
pub mod row;
pub mod villages;
pub mod wording;
pub mod workbook;

pub use error::WorkbookError;
pub use headers::Column;
pub use villages::TownVillages;
pub use workbook::{Limits, Sheet};

//! Survey workbooks (汇总表, annex 3): a town's sheet is read, and each of its rows judged by the rules of the registry.
//!
//! Reading and judging do no I/O and read no clock: bytes become a [`workbook::Sheet`], its rows are judged one by one in
//! [`row`]. What becomes of a judged row in the registry is decided in `import`, and in `resurvey` where a town is
//! surveyed again.

mod cells;
mod container;
mod desk;
mod layout;
mod markup;
mod merges;
mod outcome;
mod read;
mod tokens;
mod upload;

pub mod candidate;
pub mod error;
pub mod headers;
mod import;
pub(crate) mod imports;
mod resurvey;
pub mod row;
pub mod verdict;
pub mod villages;
pub mod wording;
pub mod workbook;

pub use error::WorkbookError;
pub use headers::Column;
pub use villages::TownVillages;
pub use workbook::{Limits, Sheet};

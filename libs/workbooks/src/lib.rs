//! Forms that leave the system on paper, as `.xlsx` workbooks: how they look, what memory they may take, and how they go out.
//!
//! - [`printing`]: fonts, borders and paper, the same on every form.
//! - [`room`]: a bounded part of the memory, and a bounded number of workbooks at a time.
//! - [`outgoing`]: a workbook on its way out, in pieces.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod outgoing;
pub mod printing;
pub mod room;

pub use outgoing::{Exports, Outgoing};

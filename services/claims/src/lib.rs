//! Claims (护理险, 居家服务补贴): who is enrolled in which programme, which services took place, and what is paid for them.
//!
//! - [`definition`]: what a programme says, as data; [`judging`]: what an order's content and the elder's facts say about it;
//!   [`adjudication`]: what earlier records say, and the verdict.
//! - [`programme`], [`enrolment`], [`provider`], [`caregiver`], [`order`], [`fund`], [`settlements`]: the aggregates;
//!   [`codec`]: their bytes.
//! - [`facts_table`], [`book_table`]: the read models of the registry's log and of our own.
//! - [`adjudicator`]: reads our log in its order and appends verdicts in runs; [`appeals_closing`]: the end of time limits.
//!   [`on_elder_facts`]: facts that are recorded after an approval. The first and the last tell their [`progress`], and both
//!   ask what is `registered`.
//! - `registers`, `enrolling`, `enrolled`, `entitlements`, `desk`, `orders`, `appeals`, `holds`, `settling`, `figures`, `suspicions`: what callers ask; `explaining`: why a code
//!   applies; `by_provider`: what a provider's own system may see; `sheet`: a settlement on paper; `parse`, `grpc`: the face; [`app`]: the whole.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod adjudication;
pub mod definition;
pub mod judging;

pub mod caregiver;
pub mod enrolment;
pub mod fund;
pub mod order;
pub mod programme;
pub mod provider;
pub mod settlements;

pub mod codec;

pub mod book_table;
pub mod facts_table;
mod fund_rows;
mod order_rows;
mod register_rows;
mod settlement_rows;

pub mod adjudicator;
pub mod appeals_closing;
pub mod on_elder_facts;
pub mod progress;

mod appeals;
mod by_provider;
mod claims;
mod desk;
mod enrolled;
mod enrolling;
mod entitlements;
mod explaining;
mod figures;
mod holds;
mod orders;
mod recent;
mod refusals;
mod registered;
mod registers;
mod settling;
mod sheet;
mod suspicions;

mod grpc;
mod parse;

pub mod app;
mod settings;

pub use app::App;
pub use grpc::actions;
pub use settings::ClaimsSettings;

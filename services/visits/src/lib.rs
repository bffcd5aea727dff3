//! Visits (探访关爱): who visits the elders in scope, by which plan, what was recorded, which records are in
//! doubt, and who was missed.
//!
//! - [`recording`]: which records the rules refuse, and what they doubt in a record by itself; [`ledger`]: what they doubt
//!   by earlier records.
//! - [`visitor`], [`elder_year`], [`visiting`], [`campaign`], [`week_plan`]: the aggregates; [`codec`]: their bytes.
//! - [`period`], [`standing`]: in which periods visits are owed, and to whom; `owed`, `selected`: the same of all elders, by
//!   the read models.
//! - [`facts_table`], [`cards_table`], [`policies_table`], [`book_table`]: the read models of the registry's log, of tiering's,
//!   and of our own.
//! - [`standings_kept`]: who is owed what on which days, and with it the figures of coverage (`coverage_kept`); [`on_visit_recorded`]: the examiner; [`closing`]: the end of
//!   weeks, months and campaigns; [`on_visit_missed`]: what alerts are told of it. The first three tell their [`progress`].
//! - `plan_draft`, `planning`: how a week's plan is made; `plans`, `worklist`: what is asked of it.
//! - `annex2`, `exports`: the record sheets on paper.
//! - `desk`, `keeping`, `visitors`, `campaigns`, `decisions`, `duties`, `coverage`, `closed_doors`, `elder_visits`: what callers ask; `parse`, `grpc`: the face;
//!   [`app`]: the whole.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod ledger;
pub mod period;
pub mod recording;
pub mod standing;

pub mod campaign;
pub mod elder_year;
pub mod visiting;
pub mod visitor;
pub mod week_plan;

pub mod codec;

pub mod book_table;
mod campaign_rows;
pub mod cards_table;
pub mod facts_table;
mod missed_rows;
pub mod policies_table;
mod record_rows;
mod referral_rows;
mod visiting_rows;
mod visitor_rows;
mod year_rows;

pub mod closing;
mod coverage_kept;
pub mod on_visit_missed;
pub mod on_visit_recorded;
mod owed;
pub mod progress;
mod selected;
mod settling;
pub mod standings_kept;

mod annex2;
mod campaigns;
mod closed_doors;
mod coverage;
mod decisions;
mod desk;
mod duties;
mod elder_visits;
mod exports;
mod keeping;
mod plan_draft;
mod planning;
mod plans;
mod refusals;
mod visitors;
mod visits;
mod worklist;

mod grpc;
mod parse;

pub mod app;
mod settings;

pub use app::App;
pub use grpc::actions;
pub use settings::VisitsSettings;

//! `sharing …`: what departments may see of elders, and who has looked at what.

mod agreements;
mod broken_glass;
mod credential;
mod dossier;
mod erasures;
mod feed;
mod feeds;
mod find;
mod history;
mod live;
mod products;
mod situation;
mod watch;

pub use agreements::{
    AgreementList, Cut, Terms, agreement, agreements, approve, end, propose, suspend,
};
pub use broken_glass::{BrokenGlass, broken_glass};
pub use credential::{Issued, Revoked, issue, revoke};
pub use dossier::{Dossier, dossier, dossier_after};
pub use erasures::{Confirmed, Erasures, confirm_erasure, erasures};
pub use feed::feed;
pub use feeds::{Feeds, feeds};
pub use find::{Found, find};
pub use history::{History, history};
pub use products::{Catalogue, products};
pub use situation::{Situation, situation};
pub use watch::watch;

use proto::eldercare::r#type::v1 as types;

use crate::wire;

/// How many are asked for at once.
const PAGE: i32 = 500;

/// A day as text; empty where there is none.
fn day(day: Option<types::Date>) -> String {
    let day = day.and_then(wire::from_date);
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// An instant in local time; empty where there is none.
fn instant(at: Option<prost_types::Timestamp>) -> String {
    let at = at.and_then(wire::from_timestamp);
    at.map(wire::local_time).unwrap_or_default()
}

//! What the log's filter leaves out costs next to nothing, though access records have a layer of their own. In a process of its own: a subscriber is for all of it.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use service::{Telemetry, settings};
use tracing::level_filters::LevelFilter;

#[test]
fn nothing_below_the_level_of_the_filter_is_asked_about() {
    let _telemetry = Telemetry::start(&settings::Telemetry::default(), "test").unwrap();
    assert_eq!(LevelFilter::current(), LevelFilter::INFO);
}

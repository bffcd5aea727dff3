//! What it costs to decide whether somebody may do something: the first time, and when the answer is remembered. Each in
//! under 50 µs, by the policies that are shipped: `cargo bench --package service --bench decision`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use civic::DivisionCode;
use service::{Action, Actions, Claims, TokenIssuer, gate::Gate, testing};

const METHOD: &str = "eldercare.registry.v1.RegistryService/GetElder";
const AT_MOST: Duration = Duration::from_micros(50);
const CALLERS: usize = 20_000;
/// Before it counts.
const TO_GET_WARM: usize = 1_000;

fn main() -> ExitCode {
    let settings = testing::settings(&TokenIssuer::generate());
    let service = "eldercare.registry.v1.RegistryService";
    let actions = Actions::new().declare(service, &[("GetElder", Action::ReadPersonal)]);
    let gate = Gate::new(&settings, &[proto::FILE_DESCRIPTOR_SET], &actions);
    let gate = gate.expect("the policies that are shipped can be used");
    // An officer of three towns with two roles asks about a village of the last one.
    let claims = Claims::officer("officer", "civil_affairs")
        .division("350524100")
        .division("350524101")
        .division("350524102")
        .role("viewer")
        .role("clerk")
        .purpose("探访");
    let village: DivisionCode = "350524102007".parse().expect("a village");
    let callers: Vec<_> = (0..TO_GET_WARM + CALLERS)
        .map(|_| testing::somebody(&gate, &claims, METHOD))
        .collect();
    let ask_all = || {
        let asked = callers.iter().map(|caller| {
            let start = Instant::now();
            assert!(caller.reaches(&village), "civil affairs reads its files");
            start.elapsed()
        });
        asked.skip(TO_GET_WARM).collect::<Vec<_>>()
    };
    let first = within("the first time", ask_all());
    let again = within("remembered", ask_all());
    if first && again {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Tells how long decisions took, and whether that is short enough by the middle one.
fn within(which: &str, mut took: Vec<Duration>) -> bool {
    took.sort_unstable();
    let at = |percent: usize| took[took.len() * percent / 100];
    let (median, nearly_all) = (at(50), at(99));
    println!("decision, {which}: p50 {median:?}, p99 {nearly_all:?}");
    median < AT_MOST
}

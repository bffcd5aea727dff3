//! Malformed requests to alerts: commands about devices, calls for help, rules and those who are told, questions, and signals.

use rand::{Rng as _, rngs::StdRng};

use super::{Known, Maker, wrong_values::garbage};

/// A method of alerts.
macro_rules! method {
    ($name:literal) => {
        concat!("/eldercare.alerts.v1.AlertService/", $name)
    };
}

mod calls;
mod devices;
mod questions;
mod recipients;
mod rules;
mod signals;

pub(super) use signals::of_a_device;

/// Requests to alerts.
pub(super) fn of_alerts(known: &Known) -> Vec<Maker> {
    let mut makers = devices::about_devices(known);
    makers.extend(calls::about_calls(known));
    makers.extend(recipients::about_recipients());
    makers.extend(rules::about_rules());
    makers.extend(questions::questions(known));
    makers
}

/// No id of a device.
fn no_device_id(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => String::new(),
        1 => "SB.0001".to_owned(),
        2 => "SB0001/arrived".to_owned(),
        3 => ">".to_owned(),
        4 => "S".repeat(random.random_range(65..5_000)),
        _ => format!("{} ", garbage(random, 500)),
    }
}

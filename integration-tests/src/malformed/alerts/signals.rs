//! Broken signals of devices, each with one thing wrong.

use proto::eldercare::alerts::v1::{GeoPoint, Signal};
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::no_device_id;
use crate::{
    homes::a_signal,
    malformed::{Break, wrong_values::*},
};

/// Signals of a device, each with the field that is wrong.
pub(in crate::malformed) fn of_a_device(
    device: &str,
) -> impl Fn(&mut StdRng) -> (Signal, &'static str) {
    let device = device.to_owned();
    move |random| {
        let breaks: &[Break<Signal>] = breaks!(Signal:
            "signal_id" => |m, r| m.signal_id = no_signal_id(r),
            "device_id" => |m, r| m.device_id = no_device_id(r),
            "kind" => |m, r| m.kind = no_word(r),
            "kind" => |m, _| m.kind = 0,
            "device_time" => |m, r| m.device_time = no_time(r),
            "litres" => |m, r| m.litres = no_litres(r),
            "position" => |m, r| m.position = no_point(r),
        );
        let (field, break_it) = breaks.choose(random).expect("not empty");
        let mut signal = a_signal(&device);
        break_it(&mut signal, random);
        (signal, *field)
    }
}

/// No id of a signal.
fn no_signal_id(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => String::new(),
        1 => " \t ".to_owned(),
        2 => "信".repeat(random.random_range(65..2_000)),
        _ => "1\0".to_owned(),
    }
}

/// No amount of water that runs in a home.
fn no_litres(random: &mut StdRng) -> f64 {
    *[
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.001,
        -1e300,
        1e6,
        f64::MAX,
    ]
    .choose(random)
    .expect("not empty")
}

fn no_point(random: &mut StdRng) -> Option<GeoPoint> {
    no_place(random).map(|place| GeoPoint {
        latitude: place.latitude,
        longitude: place.longitude,
    })
}

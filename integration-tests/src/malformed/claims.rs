//! Malformed requests to claims: commands about programmes and who serves for them, orders and appeals, money, and questions.

use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{Known, Maker, wrong_values::garbage};

/// A method of claims.
macro_rules! method {
    ($name:literal) => {
        concat!("/eldercare.claims.v1.ClaimsService/", $name)
    };
}

mod money;
mod orders;
mod questions;
mod registers;

pub(super) use orders::of_an_order;
pub(super) use registers::of_an_enrolment;

/// Requests to claims.
pub(super) fn of_claims(known: &Known) -> Vec<Maker> {
    let mut makers = registers::about_registers(known);
    makers.push(of_an_order(known));
    makers.extend(orders::about_orders());
    makers.extend(money::about_money());
    makers.extend(questions::questions(known));
    makers
}

/// No code of a programme.
fn no_programme(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => String::new(),
        1 => "L".to_owned(),
        2 => "ltci".to_owned(),
        3 => "1LTCI".to_owned(),
        4 => "L".repeat(random.random_range(25..5_000)),
        _ => format!("{}-", garbage(random, 500)),
    }
}

/// The same where none at all would do.
fn wrong_programme(random: &mut StdRng) -> String {
    format!("{}.", no_programme(random))
}

/// No id of a provider.
fn no_provider(random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => String::new(),
        1 => "P_01".to_owned(),
        2 => "机构".to_owned(),
        3 => "P".repeat(random.random_range(33..5_000)),
        _ => format!("{} ", garbage(random, 500)),
    }
}

/// The same where none at all would do.
fn wrong_provider(random: &mut StdRng) -> String {
    format!("{}.", no_provider(random))
}

/// No number of an order.
fn no_order(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => String::new(),
        1 => " \t ".to_owned(),
        2 => "单".repeat(random.random_range(65..2_000)),
        _ => "1\0".to_owned(),
    }
}

/// No number of a settlement.
fn no_number(random: &mut StdRng) -> i32 {
    *[0, -1, i32::MIN].choose(random).expect("not empty")
}

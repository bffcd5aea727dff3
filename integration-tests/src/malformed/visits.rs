//! Malformed requests to visits: commands about visitors, records, plans, campaigns and referrals, and questions.

use rand::{Rng as _, rngs::StdRng};
use uuid::Uuid;

use super::{Known, Maker, wrong_values::no_uuid};

/// The week that is planned.
const WEEK: &str = "2024-W40";

/// What begins the commands of visits, which take no id of the system's own, and what follows.
macro_rules! asked {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "request_id" => |m, r| m.request_id = no_id_of_a_caller(r),
            $($wrong => $change),*
        )
    };
}

/// A method of visits.
macro_rules! method {
    ($name:literal) => {
        concat!("/eldercare.visits.v1.VisitService/", $name)
    };
}

mod campaigns;
mod plans;
mod questions;
mod records;
mod visitors;

pub(super) use records::of_a_record;

/// Requests to visits.
pub(super) fn of_visits(known: &Known) -> Vec<Maker> {
    let mut makers = visitors::about_visitors(known);
    makers.extend(plans::about_plans(known));
    makers.extend(campaigns::about_campaigns());
    makers.push(of_a_record(known));
    makers.extend(records::about_records(known));
    makers.extend(questions::questions(known));
    makers
}

/// An id of the system's own, or none.
fn no_id_of_a_caller(random: &mut StdRng) -> String {
    if random.random() {
        Uuid::new_v8(random.random()).to_string()
    } else {
        no_uuid(random)
    }
}

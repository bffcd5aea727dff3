//! What ties the check of a policy to the policies that it was checked against: one for each province, since none above or
//! below a policy lies elsewhere.
//!
//! Each publication writes here too, in one batch and after the publication that it knew of. So of two that are checked
//! side by side, one above the other, the log refuses the second, which is then checked anew.

use std::convert::Infallible;

use civic::DivisionCode;
use decider::Decider;

use crate::evaluate::PolicyRef;

/// Of a province: nothing has to be known of it but where its last record stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyComparison;

/// What happened: a policy was checked against those above it and below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared(pub PolicyRef);

impl PolicyComparison {
    /// The id for a division: its province's code.
    #[must_use]
    pub fn id(division: &DivisionCode) -> String {
        let province = division.upwards().last().unwrap_or(*division);
        province.to_string()
    }
}

impl Decider for PolicyComparison {
    type Command = Compared;
    type Event = Compared;
    type Refusal = Infallible;

    fn decide(&self, command: &Compared) -> Result<Vec<Compared>, Infallible> {
        Ok(vec![*command])
    }

    fn evolve(self, _event: &Compared) -> Self {
        self
    }
}

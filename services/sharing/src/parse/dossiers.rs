//! Requests for an elder's dossier, by agreement or beyond all of them.

use std::collections::BTreeSet;

use civic::ElderId;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use service::{Asked, Checks};

use super::{MOST_PRODUCTS, Parse, Parsed, known_product, set};
use crate::dossier::DossierAsked;
use crate::products::ProductName;

/// How many visits, alerts and orders a dossier has unless it is said.
const NEWEST: i32 = 20;
/// How many it has at most.
const MOST_NEWEST: i32 = 200;

impl Parse {
    pub(crate) fn dossier(
        &self,
        request: &pb::GetDossierRequest,
    ) -> Parsed<(DossierAsked, Option<Position>)> {
        let mut checks = Checks::new();
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let agreement = checks.maybe_id("agreement_id", &request.agreement_id);
        let products = products(&mut checks, &request.products);
        let newest = newest(&mut checks, request.newest);
        let position = self.position(&mut checks, &request.min_position);
        let parts = (elder, agreement, products, newest, position);
        let (elder, agreement, products, newest, position) = checks.all(parts)?;
        let asked = DossierAsked {
            elder,
            agreement,
            products,
            newest,
        };
        Ok((asked, position))
    }

    pub(crate) fn break_glass(
        &self,
        mut request: pb::BreakGlassRequest,
    ) -> Parsed<(Asked, ElderId, String, i64)> {
        let id = std::mem::take(&mut request.request_id);
        let (mut checks, asked) = self.command(&id, &request);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let reason = checks.string("reason", request.reason.trim(), 10..=1_000);
        let newest = newest(&mut checks, request.newest);
        checks.all((asked, elder, reason, newest))
    }
}

/// The products that a dossier is asked for.
fn products(checks: &mut Checks, names: &[String]) -> Option<BTreeSet<ProductName>> {
    set(checks, "products", names, MOST_PRODUCTS, known_product)
}

/// How many visits, alerts and orders of each; of too many the most.
fn newest(checks: &mut Checks, number: i32) -> Option<i64> {
    let number = checks.number("newest", number, 0..=i32::MAX)?;
    let number = if number == 0 { NEWEST } else { number };
    Some(number.min(MOST_NEWEST).into())
}

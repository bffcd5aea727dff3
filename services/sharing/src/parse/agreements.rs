//! Requests about agreements: what is proposed, what is decided of them, and what is read.

use civic::LocalDay;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks, Paged};
use uuid::Uuid;

use super::{
    MOST_PRODUCTS, Parse, Parsed, day, department, divisions, known_product, maybe_department,
    named, page_of, reason,
};
use crate::agreement::{State, Terms};
use crate::agreements;
use crate::cut::{Cut, Grants};
use crate::products::{ProductName, product};

/// The longest purpose or legal basis.
const LONGEST_WORDS: usize = 500;
/// The most fields of a product.
const MOST_FIELDS: usize = 100;
/// How many years an agreement lasts at most.
const MOST_YEARS: i32 = 5;

impl Parse {
    pub(crate) fn proposal(
        &self,
        mut request: pb::ProposeAgreementRequest,
        today: LocalDay,
    ) -> Parsed<(Asked, Terms)> {
        let id = std::mem::take(&mut request.request_id);
        let (mut checks, asked) = self.command(&id, &request);
        let message = checks.present("terms", request.terms);
        let terms = message
            .and_then(|message| checks.within("terms", |checks| terms(checks, &message, today)));
        checks.all((asked, terms))
    }

    pub(crate) fn approval(
        &self,
        mut request: pb::ApproveAgreementRequest,
    ) -> Parsed<(Asked, Uuid)> {
        let id = std::mem::take(&mut request.request_id);
        let (mut checks, asked) = self.command(&id, &request);
        let agreement = checks.id("agreement_id", &request.agreement_id);
        checks.all((asked, agreement))
    }

    pub(crate) fn suspension(
        &self,
        mut request: pb::SuspendAgreementRequest,
    ) -> Parsed<(Asked, Uuid, String)> {
        let id = std::mem::take(&mut request.request_id);
        self.decision((&id, &request), &request.agreement_id, &request.reason)
    }

    pub(crate) fn end(
        &self,
        mut request: pb::EndAgreementRequest,
    ) -> Parsed<(Asked, Uuid, String)> {
        let id = std::mem::take(&mut request.request_id);
        self.decision((&id, &request), &request.agreement_id, &request.reason)
    }

    /// A decision on an agreement that needs a reason.
    fn decision<M: prost::Name>(
        &self,
        (id, rest): (&str, &M),
        agreement: &str,
        code: &str,
    ) -> Parsed<(Asked, Uuid, String)> {
        let (mut checks, asked) = self.command(id, rest);
        let agreement = checks.id("agreement_id", agreement);
        let reason = reason(&mut checks, code);
        checks.all((asked, agreement, reason))
    }

    pub(crate) fn get_agreement(
        &self,
        request: &pb::GetAgreementRequest,
    ) -> Parsed<(Uuid, Option<Position>)> {
        let mut checks = Checks::new();
        let agreement = checks.id("agreement_id", &request.agreement_id);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((agreement, position))
    }

    pub(crate) fn list_agreements(
        &self,
        mut request: pb::ListAgreementsRequest,
    ) -> Parsed<Paged<agreements::Filter>> {
        let mut checks = Checks::new();
        let department = maybe_department(&mut checks, &request.department);
        let state = maybe_state(&mut checks, request.state);
        let filter = department.zip(state);
        let filter = filter.map(|(department, state)| agreements::Filter { department, state });
        let page = page_of(&mut request.page_size, &mut request.page_token);
        let paging = (page, std::mem::take(&mut request.min_position));
        self.paged(checks, ("ListAgreements", &request), paging, filter)
    }
}

fn terms(checks: &mut Checks, message: &pb::AgreementTerms, today: LocalDay) -> Option<Terms> {
    let department = department(checks, &message.department);
    let purpose = checks.string("purpose", &message.purpose, 1..=LONGEST_WORDS);
    let legal_basis = checks.string("legal_basis", &message.legal_basis, 1..=LONGEST_WORDS);
    let products = grants(checks, &message.products);
    let divisions = divisions(checks, &message.division_codes);
    let until = last_day(checks, message.until, today);
    Some(Terms {
        department: department?,
        purpose: purpose?,
        legal_basis: legal_basis?,
        products: products?,
        divisions: divisions?,
        until: until?,
    })
}

fn grants(checks: &mut Checks, products: &[pb::ProductGrant]) -> Option<Grants> {
    checks.count("products", products.len(), 1..=MOST_PRODUCTS)?;
    let mut grants = Grants::default();
    each(checks, "products", products, |checks, granted| {
        grant(checks, &mut grants, granted)
    })?;
    Some(grants)
}

/// Takes in each one of a list, so that all that is wrong with any is told.
fn each<T>(
    checks: &mut Checks,
    field: &str,
    list: &[T],
    mut take: impl FnMut(&mut Checks, &T) -> Option<()>,
) -> Option<()> {
    let mut whole = true;
    for (number, one) in list.iter().enumerate() {
        let path = format!("{field}[{number}]");
        let taken = checks.within(&path, |checks| take(checks, one));
        whole &= taken.is_some();
    }
    whole.then_some(())
}

/// Takes in what is granted of a product.
fn grant(checks: &mut Checks, grants: &mut Grants, granted: &pb::ProductGrant) -> Option<()> {
    let name = known_product(checks, "product", &granted.product)?;
    if grants.has(name) {
        let (en, zh) = ("stands there twice", "产品重复");
        checks.refuse("product", "PRODUCT_TWICE", en, zh);
        return None;
    }
    checks.count("fields", granted.fields.len(), 1..=MOST_FIELDS)?;
    each(checks, "fields", &granted.fields, |checks, field| {
        grant_field(checks, grants, name, field)
    })
}

/// Takes in one field.
fn grant_field(
    checks: &mut Checks,
    grants: &mut Grants,
    name: ProductName,
    granted: &pb::FieldGrant,
) -> Option<()> {
    let Some(field) = product(name).field(&granted.field) else {
        let named = named(&granted.field);
        checks.refuse(
            "field",
            "FIELD_UNKNOWN",
            format!("is no field of the product `{}`{named}", name.name()),
            format!("不是产品 {} 的字段{named}", name.name()),
        );
        return None;
    };
    if grants.get(name, field.name).is_some() {
        let (en, zh) = ("stands there twice", "字段重复");
        checks.refuse("field", "FIELD_TWICE", en, zh);
        return None;
    }
    let cut = how_much(checks, granted.cut)?;
    if cut == Cut::Masked && !field.maskable() {
        checks.refuse(
            "cut",
            "NOT_MASKABLE",
            format!(
                "the field `{}` has no mask: grant it plain or not at all",
                field.name
            ),
            format!("字段 {} 不能脱敏，只能明文提供或不提供", field.name),
        );
        return None;
    }
    grants.grant(name, field.name, cut);
    Some(())
}

fn how_much(checks: &mut Checks, number: i32) -> Option<Cut> {
    match pb::Cut::try_from(number) {
        Ok(pb::Cut::Masked) => Some(Cut::Masked),
        Ok(pb::Cut::Plain) => Some(Cut::Plain),
        Ok(pb::Cut::Unspecified) => {
            checks.refuse("cut", "REQUIRED", "is required", "不能为空");
            None
        }
        Err(_) => {
            checks.unknown("cut");
            None
        }
    }
}

/// The last day of an agreement.
fn last_day(checks: &mut Checks, date: Option<types::Date>, today: LocalDay) -> Option<LocalDay> {
    let until = day(checks, "until", date)?;
    let (year, month) = (today.year() + MOST_YEARS, today.month_of_year());
    let latest = LocalDay::from_ymd(year, month, today.day_of_month())
        // 29 February.
        .or_else(|_no_such_day| LocalDay::from_ymd(year, month, 28))
        .unwrap_or(LocalDay::MAX);
    // Whether it is over is asked of the rules: a late retry is answered as before.
    let within = until <= latest;
    checks.that(
        within,
        "until",
        "UNTIL_INVALID",
        "must be within five years",
        "须在五年之内",
    );
    within.then_some(until)
}

fn maybe_state(checks: &mut Checks, number: i32) -> Option<Option<State>> {
    match pb::AgreementState::try_from(number) {
        Ok(pb::AgreementState::Unspecified) => Some(None),
        Ok(pb::AgreementState::Proposed) => Some(Some(State::Proposed)),
        Ok(pb::AgreementState::InForce) => Some(Some(State::InForce)),
        Ok(pb::AgreementState::Suspended) => Some(Some(State::Suspended)),
        Ok(pb::AgreementState::Ended) => Some(Some(State::Ended)),
        Ok(pb::AgreementState::Expired) => Some(Some(State::Expired)),
        Err(_) => {
            checks.unknown("state");
            None
        }
    }
}

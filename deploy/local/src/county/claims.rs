//! Who serves and who is enrolled, the service orders, the appeals against what became of them, and the decisions on these.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use proto::eldercare::{claims::v1 as pb, r#type::v1 as types};
use sm3::{Digest as _, Sm3};

use super::fields::{Fields, Problem};

/// The file of the providers' contracts.
pub const PROVIDERS: &str = "claims/providers.csv";
/// The file of the caregivers.
pub const CAREGIVERS: &str = "claims/caregivers.csv";
/// The file of who is enrolled.
pub const ENROLMENTS: &str = "claims/enrolments.csv";
/// The file of the service orders.
pub const ORDERS: &str = "claims/orders.ndjson";
/// The file of the appeals.
pub const APPEALS: &str = "claims/appeals.ndjson";
/// The file of what reviewers decided.
pub const DECISIONS: &str = "claims/decisions.ndjson";

/// A row of `claims/providers.csv`: a provider's contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract(pub pb::Contract);

/// A row of `claims/caregivers.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Caregiver {
    /// The caregiver's number in the set.
    pub caregiver_id: String,
    /// The caregiver, but for the id that the system gives.
    pub caregiver: pb::Caregiver,
}

/// A row of `claims/enrolments.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The enrolment's number in the set.
    pub enrolment_id: String,
    /// The programme.
    pub programme: String,
    /// Who is enrolled.
    pub id_number: String,
    /// First day.
    pub from: LocalDay,
    /// Last day; none: that of the year.
    pub until: Option<LocalDay>,
    /// The rule that admits the person, as the set says; none where it says nothing.
    pub basis: Option<String>,
}

/// A line of `claims/orders.ndjson`.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The provider's number of the order.
    pub order_id: String,
    /// When it was handed in.
    pub submitted_at: DateTime<Utc>,
    /// The programme.
    pub programme: String,
    /// Who was served.
    pub id_number: String,
    /// The provider.
    pub provider_id: String,
    /// The caregiver's number in the set.
    pub caregiver_id: String,
    /// When the service began.
    pub check_in_at: DateTime<Utc>,
    /// When it ended.
    pub check_out_at: DateTime<Utc>,
    /// Where the caregiver checked in.
    pub check_in: Option<types::GeoPosition>,
    /// What was done.
    pub items: Vec<String>,
    /// What shows it.
    pub evidence: Vec<pb::Evidence>,
}

/// A line of `claims/appeals.ndjson`.
#[derive(Debug, Clone, PartialEq)]
pub struct Appeal {
    /// The order.
    pub order_id: String,
    /// When it was filed.
    pub appealed_at: DateTime<Utc>,
    /// What the provider says.
    pub statement: String,
    /// New evidence.
    pub evidence: Vec<pb::Evidence>,
}

/// A line of `claims/decisions.ndjson`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The order.
    pub order_id: String,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
    /// What.
    pub decision: pb::AppealDecision,
}

impl Contract {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self(pb::Contract {
            provider_id: fields.text("provider_id")?.to_owned(),
            programme_code: fields.text("programme")?.to_owned(),
            name: fields.text("name")?.to_owned(),
            first_day: Some(crate::wire::date(fields.day("contract_from")?)),
            last_day: fields
                .optional_day("contract_until")?
                .map(crate::wire::date),
        }))
    }
}

impl Caregiver {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            caregiver_id: fields.text("caregiver_id")?.to_owned(),
            caregiver: pb::Caregiver {
                provider_id: fields.text("provider_id")?.to_owned(),
                name: fields.text("name")?.to_owned(),
                first_day: Some(crate::wire::date(fields.day("listed_from")?)),
                last_day: fields.optional_day("listed_until")?.map(crate::wire::date),
            },
        })
    }
}

impl Enrolment {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            enrolment_id: fields.text("enrolment_id")?.to_owned(),
            programme: fields.text("programme")?.to_owned(),
            id_number: fields.text("id_number")?.to_owned(),
            from: fields.day("from")?,
            until: fields.optional_day("until")?,
            basis: fields.optional_text("basis")?.map(str::to_owned),
        })
    }
}

impl Order {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            order_id: fields.text("order_id")?.to_owned(),
            submitted_at: fields.instant("submitted_at")?,
            programme: fields.text("programme")?.to_owned(),
            id_number: fields.text("id_number")?.to_owned(),
            provider_id: fields.text("provider_id")?.to_owned(),
            caregiver_id: fields.text("caregiver_id")?.to_owned(),
            check_in_at: fields.instant("check_in_at")?,
            check_out_at: fields.instant("check_out_at")?,
            check_in: fields.position()?,
            items: fields.texts("items")?,
            evidence: evidence(fields)?,
        })
    }
}

impl Appeal {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            order_id: fields.text("order_id")?.to_owned(),
            appealed_at: fields.instant("appealed_at")?,
            statement: fields.text("statement")?.to_owned(),
            evidence: evidence(fields)?,
        })
    }
}

impl Decision {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            order_id: fields.text("order_id")?.to_owned(),
            decided_at: fields.instant("decided_at")?,
            decision: fields.word("decision")?,
        })
    }
}

fn evidence(fields: &Fields<'_>) -> Result<Vec<pb::Evidence>, Problem> {
    let files = fields.objects("evidence")?;
    let file = |fields: &Fields<'_>| {
        Ok(pb::Evidence {
            kind: fields.word::<pb::EvidenceKind>("kind")?.into(),
            // The set has short tokens where a provider has digests.
            hash: Sm3::digest(fields.text("hash")?).to_vec().into(),
        })
    };
    files.iter().map(file).collect()
}

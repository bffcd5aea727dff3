//! `sharing agreements`, `propose`, `approve`, `suspend`, `end`: what departments are granted.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use civic::LocalDay;
use elders::codec::write_day;
use proto::eldercare::sharing::v1::{
    self as pb, AgreementTerms, ApproveAgreementRequest, EndAgreementRequest, FieldGrant,
    GetAgreementRequest, ListAgreementsRequest, ProductGrant, ProposeAgreementRequest,
    SuspendAgreementRequest,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PAGE, day, instant};
use crate::{
    client::{Client, call},
    output::{Report, table},
};

/// Agreements, the last proposed first.
#[derive(Debug, Serialize)]
pub struct AgreementList {
    /// The agreements.
    pub agreements: Vec<Agreement>,
}

/// An agreement as it stands today.
#[derive(Debug, Serialize)]
pub struct Agreement {
    /// Its id.
    pub agreement_id: String,
    /// How it stands.
    pub state: String,
    /// What is agreed.
    pub terms: Terms,
    /// Who proposed it.
    pub proposed_by: String,
    /// When, local time.
    pub proposed_at: String,
    /// Who approved it last.
    pub approved_by: String,
    /// When.
    pub approved_at: String,
    /// Why it is suspended or has ended.
    pub reason: String,
}

/// What is agreed, as a file of terms says it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The department that receives.
    pub department: String,
    /// What for.
    pub purpose: String,
    /// By which law or document.
    pub legal_basis: String,
    /// Elders of which divisions.
    pub divisions: Vec<String>,
    /// The last day.
    pub until: String,
    /// By product and field, how much of it: `plain` or `masked`.
    pub products: BTreeMap<String, BTreeMap<String, Cut>>,
}

/// How much of a field is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// As it is.
    Plain,
    /// With its middle hidden.
    Masked,
}

impl Terms {
    /// Reads a file of terms, YAML or JSON.
    ///
    /// # Errors
    /// A file that can't be read, or holds something else.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_saphyr::from_str(&text).with_context(|| file.display().to_string())
    }

    fn message(&self) -> anyhow::Result<AgreementTerms> {
        let until: LocalDay = self.until.parse().context("until")?;
        let fields = |fields: &BTreeMap<String, Cut>| {
            let grants = fields.iter().map(|(field, cut)| FieldGrant {
                field: field.clone(),
                cut: match cut {
                    Cut::Plain => pb::Cut::Plain,
                    Cut::Masked => pb::Cut::Masked,
                }
                .into(),
            });
            grants.collect()
        };
        let products = self.products.iter().map(|(product, of)| ProductGrant {
            product: product.clone(),
            fields: fields(of),
        });
        Ok(AgreementTerms {
            department: self.department.clone(),
            purpose: self.purpose.clone(),
            legal_basis: self.legal_basis.clone(),
            products: products.collect(),
            division_codes: self.divisions.clone(),
            until: Some(write_day(until)),
        })
    }

    fn of(terms: AgreementTerms) -> Self {
        let products = terms.products.into_iter().map(|product| {
            let fields = product.fields.into_iter().map(|grant| {
                let cut = match grant.cut() {
                    pb::Cut::Plain => Cut::Plain,
                    pb::Cut::Masked | pb::Cut::Unspecified => Cut::Masked,
                };
                (grant.field, cut)
            });
            (product.product, fields.collect())
        });
        Self {
            department: terms.department,
            purpose: terms.purpose,
            legal_basis: terms.legal_basis,
            divisions: terms.division_codes,
            until: day(terms.until),
            products: products.collect(),
        }
    }
}

impl Agreement {
    fn of(agreement: pb::Agreement) -> Self {
        let state = agreement.state().as_str_name();
        Self {
            state: state.trim_start_matches("AGREEMENT_STATE_").to_owned(),
            agreement_id: agreement.agreement_id,
            terms: Terms::of(agreement.terms.unwrap_or_default()),
            proposed_by: agreement.proposed_by,
            proposed_at: instant(agreement.proposed_at),
            approved_by: agreement.approved_by,
            approved_at: instant(agreement.approved_at),
            reason: agreement.reason,
        }
    }
}

/// All agreements, or those of a department.
///
/// # Errors
/// Sharing's refusal.
pub async fn agreements(
    client: &Client,
    department: Option<&str>,
) -> anyhow::Result<AgreementList> {
    let mut request = ListAgreementsRequest {
        department: department.unwrap_or_default().to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut agreements = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.sharing().list_agreements(request).await
        })
        .await?;
        agreements.extend(page.agreements.into_iter().map(Agreement::of));
        if page.next_page_token.is_empty() {
            return Ok(AgreementList { agreements });
        }
        request.page_token = page.next_page_token;
    }
}

/// One agreement, as it stands today.
///
/// # Errors
/// Sharing's refusal.
pub async fn agreement(
    client: &Client,
    agreement: &str,
    position: &str,
) -> anyhow::Result<AgreementList> {
    let request = GetAgreementRequest {
        agreement_id: agreement.to_owned(),
        min_position: position.to_owned(),
    };
    let answer = call(request, async |request| {
        client.sharing().get_agreement(request).await
    })
    .await?;
    let agreements = answer.agreement.map(Agreement::of).into_iter();
    Ok(AgreementList {
        agreements: agreements.collect(),
    })
}

/// Proposes an agreement; its id, and where it stands in the log.
///
/// # Errors
/// Sharing's refusal.
pub async fn propose(client: &Client, terms: &Terms) -> anyhow::Result<(String, String)> {
    let request = ProposeAgreementRequest {
        request_id: Uuid::now_v7().to_string(),
        terms: Some(terms.message()?),
    };
    let answer = call(request, async |request| {
        client.sharing().propose_agreement(request).await
    })
    .await?;
    Ok((answer.agreement_id, answer.position))
}

/// Approves an agreement, as a reviewer; where that stands in the log.
///
/// # Errors
/// Sharing's refusal.
pub async fn approve(client: &Client, agreement: &str) -> anyhow::Result<String> {
    let request = ApproveAgreementRequest {
        request_id: Uuid::now_v7().to_string(),
        agreement_id: agreement.to_owned(),
    };
    let reviewer = client.sharing_reviewer()?;
    let answer = call(request, async |request| {
        reviewer.clone().approve_agreement(request).await
    });
    Ok(answer.await?.position)
}

/// Suspends an agreement; where that stands in the log.
///
/// # Errors
/// Sharing's refusal.
pub async fn suspend(client: &Client, agreement: &str, reason: &str) -> anyhow::Result<String> {
    let request = SuspendAgreementRequest {
        request_id: Uuid::now_v7().to_string(),
        agreement_id: agreement.to_owned(),
        reason: reason.to_owned(),
    };
    let answer = call(request, async |request| {
        client.sharing().suspend_agreement(request).await
    });
    Ok(answer.await?.position)
}

/// Ends an agreement, or turns a proposal down; where that stands in the log.
///
/// # Errors
/// Sharing's refusal.
pub async fn end(client: &Client, agreement: &str, reason: &str) -> anyhow::Result<String> {
    let request = EndAgreementRequest {
        request_id: Uuid::now_v7().to_string(),
        agreement_id: agreement.to_owned(),
        reason: reason.to_owned(),
    };
    let answer = call(request, async |request| {
        client.sharing().end_agreement(request).await
    });
    Ok(answer.await?.position)
}

impl Report for AgreementList {
    fn text(&self) -> String {
        let mut rows = table([
            "协议 agreement",
            "部门 department",
            "状态 state",
            "目的 purpose",
            "产品 products",
            "区划 divisions",
            "至 until",
        ]);
        for agreement in &self.agreements {
            let terms = &agreement.terms;
            let products: Vec<&str> = terms.products.keys().map(String::as_str).collect();
            rows.add_row([
                agreement.agreement_id.clone(),
                terms.department.clone(),
                agreement.state.clone(),
                terms.purpose.clone(),
                products.join(" "),
                terms.divisions.join(" "),
                terms.until.clone(),
            ]);
        }
        rows.to_string()
    }
}

//! What departments see of an elder, in the demo: two agreements, and a dossier by each of them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    client::Client,
    departments::{Cut, Dossier, Terms, approve, dossier_after, propose},
    output::Report,
};

/// One elder's dossier, as some departments see it.
#[derive(Debug, Clone, Serialize)]
pub struct SeenByDepartments {
    /// Each department's.
    pub dossiers: Vec<Dossier>,
}

/// Grants two departments what they need of a county, and answers one elder's dossier as each of them sees it: health sees who
/// is at risk, finance what is paid for whom, without names.
///
/// # Errors
/// Sharing's refusal.
pub(super) async fn as_departments_see(
    client: &Client,
    county: &str,
    until: &str,
    elder: &str,
) -> anyhow::Result<SeenByDepartments> {
    use Cut::{Masked, Plain};
    let terms = |department: &str, purpose: &str, products: &[(&str, &[(&str, Cut)])]| Terms {
        department: department.to_owned(),
        purpose: purpose.to_owned(),
        legal_basis: "个人信息保护法第十三条、第三十四条".to_owned(),
        divisions: vec![county.to_owned()],
        until: until.to_owned(),
        products: products
            .iter()
            .map(|(product, fields)| {
                let fields = fields
                    .iter()
                    .map(|(field, cut)| ((*field).to_owned(), *cut));
                ((*product).to_owned(), fields.collect())
            })
            .collect(),
    };
    let health: &[(&str, &[(&str, Cut)])] = &[
        (
            "elder",
            &[
                ("name", Plain),
                ("id_number", Masked),
                ("age", Plain),
                ("capability", Plain),
                ("contacts", Masked),
                ("division_code", Plain),
            ],
        ),
        (
            "tier",
            &[("tier", Plain), ("since", Plain), ("reasons", Plain)],
        ),
        (
            "visit",
            &[("start_time", Plain), ("result", Plain), ("mode", Plain)],
        ),
        (
            "alert",
            &[("kind", Plain), ("raised_at", Plain), ("state", Plain)],
        ),
    ];
    let finance: &[(&str, &[(&str, Cut)])] = &[
        (
            "elder",
            &[
                ("name", Masked),
                ("id_number", Masked),
                ("assistance", Plain),
            ],
        ),
        (
            "enrolment",
            &[
                ("programme_code", Plain),
                ("units_used", Plain),
                ("units_left", Plain),
            ],
        ),
        (
            "order",
            &[
                ("programme_code", Plain),
                ("service_day", Plain),
                ("state", Plain),
                ("amount", Plain),
            ],
        ),
    ];
    let departments = [
        terms("health", "重点老年人健康管理", health),
        terms("finance", "护理服务补贴资金监管", finance),
    ];
    let mut dossiers = Vec::new();
    for terms in departments {
        let (agreement, _) = propose(client, &terms).await?;
        let position = approve(client, &agreement).await?;
        let department = Some(terms.department.as_str());
        dossiers.push(dossier_after(client, elder, department, 3, position).await?);
    }
    Ok(SeenByDepartments { dossiers })
}

impl Report for SeenByDepartments {
    fn text(&self) -> String {
        let mut text = String::new();
        for dossier in &self.dossiers {
            let _ = writeln!(
                text,
                "{} 所见 as {} sees it",
                dossier.department, dossier.department
            );
            let _ = writeln!(text, "{}\n", dossier.text());
        }
        text
    }
}

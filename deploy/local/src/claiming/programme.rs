//! `claims programme`: a programme as it was defined.

use proto::eldercare::claims::v1::{self as pb, GetProgrammeRequest, Programme};
use serde::Serialize;

use super::{day, yuan};
use crate::{
    client::{Client, call},
    output::{Report, number, table},
    words::{labelled_of, name_of},
};

/// A version of a programme.
#[derive(Debug, Serialize)]
pub struct ProgrammeVersion {
    /// The code.
    pub programme_code: String,
    /// The version.
    pub version: i32,
    /// Whose programme it is.
    pub division_code: String,
    /// What it is called.
    pub name: String,
    /// The first service day that goes by it.
    pub effective_from: Option<String>,
    /// The premium of a person and year.
    pub premium_fen: i64,
    /// What a year's entitlement is counted in.
    pub unit: Option<&'static str>,
    /// The entitlement of a year.
    pub units_a_year: i64,
    /// The definition as it was given.
    pub definition: String,
}

/// A version of a programme, the newest unless named.
///
/// # Errors
/// Claims' refusal.
pub async fn programme(
    client: &Client,
    code: &str,
    version: Option<i32>,
) -> anyhow::Result<ProgrammeVersion> {
    let request = GetProgrammeRequest {
        programme_code: code.to_owned(),
        version: version.unwrap_or_default(),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.claims().get_programme(request).await
    });
    let programme = answer.await?.programme.unwrap_or_default();
    Ok(ProgrammeVersion::of(programme))
}

impl ProgrammeVersion {
    fn of(programme: Programme) -> Self {
        Self {
            programme_code: programme.programme_code,
            version: programme.version,
            division_code: programme.division_code,
            name: programme.name,
            effective_from: day(programme.effective_from),
            premium_fen: programme.premium_fen,
            unit: name_of::<pb::EntitlementUnit>(programme.unit),
            units_a_year: programme.units_a_year,
            definition: programme.definition,
        }
    }
}

impl Report for ProgrammeVersion {
    fn text(&self) -> String {
        let mut rows = table([
            "项目 programme",
            "版本 version",
            "名称 name",
            "区划 division",
            "生效 effective from",
            "保费 premium, yuan",
            "年额度 a year",
        ]);
        let unit = self.unit.map(labelled_of::<civic::EntitlementUnit>);
        rows.add_row([
            self.programme_code.clone().into(),
            number(self.version),
            self.name.clone().into(),
            self.division_code.clone().into(),
            self.effective_from.clone().unwrap_or_default().into(),
            yuan(self.premium_fen),
            number(format!(
                "{} {}",
                self.units_a_year,
                unit.unwrap_or_default()
            )),
        ]);
        format!("{rows}\n{}", self.definition.trim_end())
    }
}

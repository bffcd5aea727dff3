//! The sample county: its divisions, its workbooks, and what is expected of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proto::eldercare::{
    registry::v1::{GetStatisticsRequest, GetStatisticsResponse},
    tiering::v1::{CountTiersRequest, CountTiersResponse},
    r#type::v1 as types,
};
use serde_json::Value;

use crate::System;

/// The county's code.
pub const COUNTY: &str = "350524";

/// Where its files lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/local/data/anxi")
}

/// All its divisions.
pub fn divisions() -> Vec<types::Division> {
    let mut table = csv::Reader::from_path(folder().join("divisions.csv")).unwrap();
    table
        .records()
        .map(|record| {
            let record = record.unwrap();
            let level = match &record[2] {
                "county" => types::DivisionLevel::County,
                "town" => types::DivisionLevel::Town,
                _ => types::DivisionLevel::Village,
            };
            types::Division {
                code: record[0].to_owned(),
                name: record[1].to_owned(),
                level: level.into(),
                parent: record[3].to_owned(),
            }
        })
        .collect()
}

/// The village codes of a town, in their order.
pub fn villages(town: &str) -> Vec<types::Division> {
    divisions()
        .into_iter()
        .filter(|division| division.parent == town)
        .collect()
}

/// The workbook of a town, by its file name without the ending.
pub fn workbook(name: &str) -> Vec<u8> {
    fs::read(folder().join("survey").join(format!("{name}.xlsx"))).unwrap()
}

/// What the county expects, by file name.
pub fn expected(file: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join("expected").join(file)).unwrap()).unwrap()
}

/// Each data row's outcome by its number in the sheet: outcome, reason and warnings.
pub fn expected_rows(name: &str) -> BTreeMap<i64, (String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    expected("survey.json")["files"][format!("{name}.xlsx")]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let warnings = row["warnings"]
                .as_array()
                .into_iter()
                .flatten()
                .map(text)
                .collect();
            (
                row["row"].as_i64().unwrap(),
                (text(&row["outcome"]), text(&row["reason"]), warnings),
            )
        })
        .collect()
}

impl System {
    /// The registry's figures of the county, once the position is taken into account.
    pub async fn statistics(&self, min_position: &str) -> GetStatisticsResponse {
        let request = GetStatisticsRequest {
            division_code: COUNTY.to_owned(),
            min_position: min_position.to_owned(),
        };
        let answer = self.registry().get_statistics(request).await;
        answer.unwrap().into_inner()
    }

    /// How many elders of the county have which tier, once the position is taken into account.
    pub async fn tiers_counted(&self, min_position: &str) -> CountTiersResponse {
        let request = CountTiersRequest {
            division_code: COUNTY.to_owned(),
            min_position: min_position.to_owned(),
        };
        let answer = self.tiering().count_tiers(request).await;
        answer.unwrap().into_inner()
    }
}

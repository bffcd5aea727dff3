//! `import`: brings divisions and survey workbooks into a running system.

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    cli,
    client::Client,
    county::{SurveyFile, parse_divisions},
    load::{self, Imported, Reached, SurveyOptions, text_of},
    output::{Progress, Report, number, table},
    replay::figures,
    wire,
    words::{labelled, name_of, names_of},
};
use proto::eldercare::registry::v1::{RowOutcome, SurveyOutcome, SurveyRejection, SurveyWarning};

/// The result of `import divisions`.
#[derive(Debug, Serialize)]
pub struct Divisions {
    /// How many the table has.
    pub divisions: usize,
    /// Where the record lies; empty where nothing changed.
    pub position: String,
}

impl Report for Divisions {
    fn text(&self) -> String {
        format!("区划 {} divisions", self.divisions)
    }
}

/// Replaces a county's table of divisions.
///
/// # Errors
/// A table that can't be read, or the registry's refusal.
pub async fn divisions(client: &Client, file: &std::path::Path) -> anyhow::Result<Divisions> {
    let text = text_of(file)?;
    let divisions = parse_divisions(&file.display().to_string(), &text)?;
    let count = divisions.len();
    let mut reached = Reached::default();
    load::divisions(client, Uuid::new_v4(), divisions, &mut reached).await?;
    Ok(Divisions {
        divisions: count,
        position: reached.min_position(),
    })
}

/// The result of `import survey`.
#[derive(Debug, Serialize)]
pub struct Survey {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The workbooks in the order given.
    pub files: Vec<File>,
    /// Whether a row was rejected or a workbook refused.
    pub failed: bool,
    /// Whether the table shows every row.
    #[serde(skip)]
    list_rows: bool,
}

/// What became of a workbook.
#[derive(Debug, Serialize)]
pub struct File {
    /// Its name.
    pub file: String,
    /// The sheet's as-of date.
    pub as_of: Option<String>,
    /// Rows by outcome, reason and warning.
    pub counts: Value,
    /// Each data row.
    pub rows: Vec<Row>,
    /// In update mode: elders whom the workbook no longer lists.
    pub no_longer_listed: Vec<String>,
    /// Why the workbook as a whole was refused.
    pub refused: Option<String>,
}

/// What became of a row.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its number in the sheet.
    pub row: i32,
    /// The outcome.
    pub outcome: Option<&'static str>,
    /// Why it was rejected.
    pub reason: Option<&'static str>,
    /// What is odd about it.
    pub warnings: Vec<&'static str>,
    /// The column concerned.
    pub column: String,
    /// The elder.
    pub elder_id: String,
    /// What changed, in update mode.
    pub changed_fields: Vec<String>,
}

/// Imports workbooks one after the other. One that is refused does not keep the others out.
///
/// # Errors
/// A file that isn't there, or whose name doesn't begin with a town's code where none is given.
pub async fn survey(
    client: &Client,
    arguments: &cli::Survey,
    progress: Progress,
) -> anyhow::Result<Survey> {
    let mut files = Vec::new();
    for path in &arguments.files {
        if !path.is_file() {
            anyhow::bail!("there is no file {} / 文件不存在", path.display());
        }
        files.push(match &arguments.town {
            None => SurveyFile::at(path)
                .context("name the town with --town / 请用 --town 指定乡镇代码")?,
            Some(town) => SurveyFile {
                path: path.clone(),
                name: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                town_code: town.clone(),
            },
        });
    }
    let options = SurveyOptions {
        dry_run: arguments.dry_run,
        update: arguments.update,
    };
    let mut done = Vec::new();
    for file in &files {
        let step = progress.begin(file.name.clone(), 0);
        // Every run is an import of its own: what it finds is what holds now.
        let import_id = Uuid::new_v4();
        match load::survey(client, file, |_| import_id, options, &|rows| {
            step.at(rows.done, rows.total)
        })
        .await
        {
            Ok(imported) => {
                step.done(&format!("{} rows", imported.rows.len()));
                done.push(File::of(imported));
            }
            Err(error) => {
                step.done("refused");
                done.push(File::refused(&file.name, format!("{error:#}")));
            }
        }
    }
    let rejected = SurveyOutcome::Rejected
        .as_str_name()
        .trim_start_matches("SURVEY_OUTCOME_");
    let failed = done
        .iter()
        .any(|file| file.refused.is_some() || file.counts.get(rejected).is_some());
    Ok(Survey {
        dry_run: arguments.dry_run,
        files: done,
        failed,
        list_rows: arguments.rows,
    })
}

impl File {
    fn of(imported: Imported) -> Self {
        Self {
            file: imported.file,
            as_of: imported
                .summary
                .as_of
                .and_then(wire::from_date)
                .map(|day| day.to_string()),
            counts: figures::counts(&imported.rows),
            rows: imported.rows.into_iter().map(Row::of).collect(),
            no_longer_listed: imported.summary.no_longer_listed_elder_ids,
            refused: None,
        }
    }

    fn refused(name: &str, why: String) -> Self {
        Self {
            file: name.to_owned(),
            as_of: None,
            counts: figures::counts(&[]),
            rows: Vec::new(),
            no_longer_listed: Vec::new(),
            refused: Some(why),
        }
    }
}

impl Row {
    fn of(row: RowOutcome) -> Self {
        Self {
            row: row.row,
            outcome: name_of::<SurveyOutcome>(row.outcome),
            reason: name_of::<SurveyRejection>(row.rejection),
            warnings: names_of::<SurveyWarning>(&row.warnings),
            column: row.column,
            elder_id: row.elder_id,
            changed_fields: row.changed_fields,
        }
    }
}

impl Report for Survey {
    fn text(&self) -> String {
        let mut text = format!(
            "{}\n",
            outcomes(
                self.files
                    .iter()
                    .map(|file| (file.file.as_str(), &file.counts))
            )
        );
        text.push_str(&reasons(self.files.iter().map(|file| &file.counts)));
        if self.list_rows {
            let mut rows = table([
                "文件 file",
                "行 row",
                "结果 outcome",
                "原因 reason",
                "提示 warnings",
                "列 column",
                "elder",
            ]);
            for file in &self.files {
                for row in &file.rows {
                    rows.add_row([
                        file.file.clone().into(),
                        number(row.row),
                        row.outcome.map(labelled).unwrap_or_default().into(),
                        row.reason.map(labelled).unwrap_or_default().into(),
                        row.warnings
                            .iter()
                            .map(|name| labelled(name))
                            .collect::<Vec<_>>()
                            .join(", ")
                            .into(),
                        row.column.clone().into(),
                        row.elder_id.clone().into(),
                    ]);
                }
            }
            text.push_str(&format!("\n{rows}"));
        }
        for file in &self.files {
            if let Some(why) = &file.refused {
                text.push_str(&format!("\n退回 refused: {why}"));
            }
            if !file.no_longer_listed.is_empty() {
                let elders = file.no_longer_listed.join(", ");
                text.push_str(&format!(
                    "\n{}: 不再列出 no longer listed: {elders}",
                    file.file
                ));
            }
        }
        if self.dry_run {
            text.push_str("\n试运行，未写入 A dry run: nothing was written.");
        }
        text
    }
}

/// Rows by outcome, file by file and in all. A column for each outcome that there is.
pub fn outcomes<'a>(files: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let files: Vec<_> = files.collect();
    let count = |counts: &Value, outcome: &str| {
        counts
            .get(outcome)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let possible = ["ACCEPTED", "DUPLICATE", "REJECTED", "CHANGED", "UNCHANGED"];
    let shown: Vec<&str> = possible
        .into_iter()
        .enumerate()
        .filter(|(place, outcome)| {
            *place < 3 || files.iter().any(|(_, counts)| count(counts, outcome) > 0)
        })
        .map(|(_, outcome)| outcome)
        .collect();
    let mut table = table(["摸底表 workbook", "行数 rows"]);
    let mut header = vec!["摸底表 workbook".to_owned(), "行数 rows".to_owned()];
    header.extend(shown.iter().map(|outcome| labelled(outcome)));
    table.set_header(header);
    let mut total = vec![0; shown.len() + 1];
    for (name, counts) in &files {
        let mut cells = vec![comfy_table::Cell::new(name)];
        for (place, key) in std::iter::once(&"rows").chain(&shown).enumerate() {
            let rows = count(counts, key);
            total[place] += rows;
            cells.push(number(rows));
        }
        table.add_row(cells);
    }
    let mut cells = vec![comfy_table::Cell::new("合计 total")];
    cells.extend(total.into_iter().map(number));
    table.add_row(cells);
    table.to_string()
}

/// Why rows were rejected, and what is odd about others, over all files.
pub fn reasons<'a>(counts: impl Iterator<Item = &'a Value>) -> String {
    let counts: Vec<_> = counts.collect();
    let mut text = String::new();
    for (key, heading) in [
        ("reasons", "退回原因 rejected because"),
        ("warnings", "提示 warnings"),
    ] {
        let mut sums = std::collections::BTreeMap::new();
        for of_key in counts
            .iter()
            .filter_map(|counts| counts.get(key).and_then(Value::as_object))
        {
            for (name, rows) in of_key {
                *sums.entry(name.clone()).or_insert(0) += rows.as_u64().unwrap_or_default();
            }
        }
        if sums.is_empty() {
            continue;
        }
        let mut table = table([heading, "行数 rows"]);
        for (name, rows) in sums {
            table.add_row([labelled(&name).into(), number(rows)]);
        }
        text.push_str(&format!("\n{table}\n"));
    }
    text
}

//! A county's data set in the format of the sample county: its dates, divisions, survey workbooks, residents, changes and
//! visits, devices and what they say, programmes and service orders.

mod changes;
mod claims;
mod fields;
mod programme;
mod residents;
mod signals;
mod visits;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use civic::{CalendarMonth, LocalDay};
use proto::eldercare::r#type::v1 as types;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use changes::{Change, ChangeKind};
pub use claims::{
    APPEALS, Appeal, CAREGIVERS, Caregiver, Contract, DECISIONS, Decision, ENROLMENTS, Enrolment,
    ORDERS, Order, PROVIDERS,
};
use fields::Fields;
pub use fields::Problem;
pub use programme::{PROGRAMMES, Programme};
pub use residents::Resident;
pub use signals::{Action, Away, Device, Response, Signal};
pub use visits::{Confirmation, Pairing, VISITORS, Visit, Visitor};

/// The name space of the request ids that loading derives from a data set's lines, so that loading twice acts once.
const LOADING: Uuid = Uuid::from_u128(0x6c0f_8f0e_51b4_5d0b_9d3c_3d0c_2f5a_9e41);

/// A folder with a county's data set.
#[derive(Debug, Clone)]
pub struct County {
    folder: PathBuf,
    /// The dates that belong to the set.
    pub set: Set,
}

/// `set.json`: what belongs to the set as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The county's code.
    pub county: String,
    /// The county's name.
    pub county_name: String,
    /// The survey's as-of date.
    pub import_as_of: LocalDay,
    /// The day on which the simulated clock starts.
    pub facts_hold_from: LocalDay,
    /// The days for which tiers are expected.
    pub tier_dates: Vec<LocalDay>,
    /// The month of the visits; none where the set has no visits.
    pub visits_month: Option<CalendarMonth>,
    /// The day on which the county starts visiting.
    pub visits_start_on: Option<LocalDay>,
    /// When coverage and duties are read.
    pub visits_evaluated_at: Option<DateTime<Utc>>,
    /// When alerts are read.
    pub alerts_evaluated_at: Option<DateTime<Utc>>,
    /// The day at whose end orders and funds are read; none where the set has none.
    pub claims_as_of: Option<LocalDay>,
}

/// A survey workbook of one town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its name without the folder.
    pub name: String,
    /// The town's code, with which the name begins.
    pub town_code: String,
}

/// One line of a file, and the id of the request that it becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<T> {
    /// The line's number, from 1.
    pub number: u64,
    /// The same for the same line of the same file of the same county: loading it again changes nothing.
    pub request_id: Uuid,
    /// What the line says.
    pub what: T,
}

impl County {
    /// Reads `set.json` of the folder.
    ///
    /// # Errors
    /// [`Problem`] where it is missing or can't be understood.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Problem> {
        let folder = folder.into();
        let file = "set.json";
        let text = read(&folder.join(file), file)?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| not_json(file, None, &error))?;
        let values = value
            .as_object()
            .ok_or_else(|| Problem::with_file(file, "is no JSON object"))?;
        let fields = Fields::of_file(file, values);
        let set = Set {
            county: fields.text("county")?.to_owned(),
            county_name: fields
                .optional_text("county_name")?
                .unwrap_or_default()
                .to_owned(),
            import_as_of: fields.day("import_as_of")?,
            facts_hold_from: fields.day("facts_hold_from")?,
            tier_dates: fields.days("tier_dates")?,
            visits_month: fields.optional_month("visits_month")?,
            visits_start_on: fields.optional_day("visits_start_on")?,
            visits_evaluated_at: fields.optional_instant("visits_evaluated_at")?,
            alerts_evaluated_at: fields.optional_instant("alerts_evaluated_at")?,
            claims_as_of: fields.optional_day("claims_as_of")?,
        };
        if fields
            .optional_text("time_zone")?
            .is_some_and(|zone| zone != "Asia/Shanghai")
        {
            return Err(fields.problem("time_zone", "is not Asia/Shanghai"));
        }
        Ok(Self { folder, set })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the set has that file, named as in its README.
    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    /// All files of the set except `set.json` and its README, named as in that, in alphabetical order.
    ///
    /// # Errors
    /// [`Problem`] where a folder can't be read.
    pub fn files(&self) -> Result<Vec<String>, Problem> {
        let mut found = Vec::new();
        collect(&self.folder, "", &mut found)?;
        found.retain(|file| file != "set.json" && file != "README.md");
        found.sort();
        Ok(found)
    }

    /// The id of the request that something of this set becomes.
    pub fn request_id(&self, file: &str, line: u64, text: &[u8]) -> Uuid {
        let mut name = format!("{}/{file}/{line}/", self.set.county).into_bytes();
        name.extend_from_slice(text);
        Uuid::new_v5(&LOADING, &name)
    }

    /// The county's divisions, and the id of the request that brings them in.
    ///
    /// # Errors
    /// [`Problem`] for the first row that can't be understood.
    pub fn divisions(&self) -> Result<Line<Vec<types::Division>>, Problem> {
        let file = "divisions.csv";
        let path = self.folder.join(file);
        let text = read(&path, file)?;
        Ok(Line {
            number: 0,
            request_id: self.request_id(file, 0, text.as_bytes()),
            what: parse_divisions(file, &text)?,
        })
    }

    /// The survey workbooks by file name.
    ///
    /// # Errors
    /// [`Problem`] where the folder can't be read, or a name doesn't begin with a town's code.
    pub fn surveys(&self) -> Result<Vec<SurveyFile>, Problem> {
        let folder = "survey";
        if !self.has(folder) {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        collect(&self.folder.join(folder), "", &mut names)?;
        names.retain(|name| name.to_lowercase().ends_with(".xlsx"));
        names.sort();
        names
            .into_iter()
            .map(|name| SurveyFile::at(self.folder.join(folder).join(name)))
            .collect()
    }

    /// The further elders, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] where the file can't be opened; each line has its own.
    pub fn residents(
        &self,
    ) -> Result<impl Iterator<Item = Result<Line<Resident>, Problem>> + use<>, Problem> {
        self.lines("residents.ndjson".to_owned(), Resident::read)
    }

    /// The changes, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] where the file can't be opened; each line has its own.
    pub fn changes(
        &self,
    ) -> Result<impl Iterator<Item = Result<Line<Change>, Problem>> + use<>, Problem> {
        self.lines("changes.ndjson".to_owned(), Change::read)
    }

    /// The visitors, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first row that can't be understood.
    pub fn visitors(&self) -> Result<Vec<Line<Visitor>>, Problem> {
        self.rows(VISITORS, Visitor::read)
    }

    /// Who is paired with whom, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first row that can't be understood.
    pub fn pairings(&self) -> Result<Vec<Line<Pairing>>, Problem> {
        self.rows("pairings.csv", Pairing::read)
    }

    /// The records of visits, in the order of arrival.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn visits(&self) -> Result<Vec<Line<Visit>>, Problem> {
        match self.visits_file() {
            Some(file) => self.lines(file, Visit::read)?.collect(),
            None => Ok(Vec::new()),
        }
    }

    /// The file of these records; none where the set has no visits.
    pub fn visits_file(&self) -> Option<String> {
        let month = self.set.visits_month?;
        Some(format!("visits-{month}.ndjson"))
    }

    /// What supervisors decided, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn confirmations(&self) -> Result<Vec<Line<Confirmation>>, Problem> {
        self.lines("confirmations.ndjson".to_owned(), Confirmation::read)?
            .collect()
    }

    /// The devices, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first row that can't be understood.
    pub fn devices(&self) -> Result<Vec<Line<Device>>, Problem> {
        self.rows("devices.csv", Device::read)
    }

    /// What devices said, in the order of arrival.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn signals(&self) -> Result<Vec<Line<Signal>>, Problem> {
        self.lines("signals.ndjson".to_owned(), Signal::read)?
            .collect()
    }

    /// The day of the first signal; none where the set has no signals.
    ///
    /// # Errors
    /// [`Problem`] where the first line can't be understood.
    pub fn signals_begin_on(&self) -> Result<Option<LocalDay>, Problem> {
        let mut lines = self.lines("signals.ndjson".to_owned(), Signal::read)?;
        let first = lines.next().transpose()?;
        Ok(first.map(|line| LocalDay::of(line.what.arrived_at)))
    }

    /// Who was away and when, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn away(&self) -> Result<Vec<Line<Away>>, Problem> {
        self.lines("away.ndjson".to_owned(), Away::read)?.collect()
    }

    /// What people did about alerts, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn responses(&self) -> Result<Vec<Line<Response>>, Problem> {
        self.lines("acknowledgements.ndjson".to_owned(), Response::read)?
            .collect()
    }

    /// The programmes, and the ids of the requests that define them; none where the set has no claims.
    ///
    /// # Errors
    /// [`Problem`] for the first programme that can't be understood.
    pub fn programmes(&self) -> Result<Vec<Line<Programme>>, Problem> {
        let file = PROGRAMMES;
        if !self.has(file) {
            return Ok(Vec::new());
        }
        let text = read(&self.folder.join(file), file)?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| not_json(file, None, &error))?;
        let values = value
            .as_object()
            .ok_or_else(|| Problem::with_file(file, "is no JSON object"))?;
        let fields = Fields::of_file(file, values);
        values
            .keys()
            .map(|code| {
                Ok(Line {
                    number: 0,
                    request_id: self.request_id(file, 0, format!("{code}/{text}").as_bytes()),
                    what: Programme::read(code, &fields)?,
                })
            })
            .collect()
    }

    /// The providers' contracts, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first row that can't be understood.
    pub fn contracts(&self) -> Result<Vec<Line<Contract>>, Problem> {
        self.rows(PROVIDERS, Contract::read)
    }

    /// The caregivers, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first row that can't be understood.
    pub fn caregivers(&self) -> Result<Vec<Line<Caregiver>>, Problem> {
        self.rows(CAREGIVERS, Caregiver::read)
    }

    /// Who is enrolled, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first row that can't be understood.
    pub fn enrolments(&self) -> Result<Vec<Line<Enrolment>>, Problem> {
        self.rows(ENROLMENTS, Enrolment::read)
    }

    /// The service orders, in the order in which they were handed in.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn orders(&self) -> Result<Vec<Line<Order>>, Problem> {
        self.lines(ORDERS.to_owned(), Order::read)?.collect()
    }

    /// The appeals, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn appeals(&self) -> Result<Vec<Line<Appeal>>, Problem> {
        self.lines(APPEALS.to_owned(), Appeal::read)?.collect()
    }

    /// What reviewers decided, in the order of the file.
    ///
    /// # Errors
    /// [`Problem`] for the first line that can't be understood.
    pub fn decisions(&self) -> Result<Vec<Line<Decision>>, Problem> {
        self.lines(DECISIONS.to_owned(), Decision::read)?.collect()
    }

    /// The rows of a table of comma-separated values; none where the set has no such file.
    fn rows<T>(
        &self,
        file: &str,
        parse: impl Fn(&Fields<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<Line<T>>, Problem> {
        if !self.has(file) {
            return Ok(Vec::new());
        }
        let text = read(&self.folder.join(file), file)?;
        table(file, &text, &[])?
            .into_iter()
            .map(|row| {
                Ok(Line {
                    number: row.number,
                    request_id: self.request_id(file, row.number, row.text.as_bytes()),
                    what: parse(&Fields::of_line(file, row.number, &row.values))?,
                })
            })
            .collect()
    }

    /// What is expected of a part, as JSON; `None` where the set expects nothing of it.
    ///
    /// # Errors
    /// [`Problem`] where the file is there and can't be read.
    pub fn expected(&self, name: &str) -> Result<Option<Value>, Problem> {
        let file = format!("expected/{name}");
        if !self.has(&file) {
            return Ok(None);
        }
        let text = read(&self.folder.join(&file), &file)?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| not_json(&file, None, &error))
    }

    fn lines<T, F>(
        &self,
        file: String,
        parse: F,
    ) -> Result<impl Iterator<Item = Result<Line<T>, Problem>> + use<T, F>, Problem>
    where
        F: Fn(&Fields<'_>) -> Result<T, Problem>,
    {
        let path = self.folder.join(&file);
        let reader = match fs::File::open(&path) {
            Ok(opened) => Some(BufReader::new(opened)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Problem::with_file(&file, error.to_string())),
        };
        let county = self.clone();
        let lines = reader
            .into_iter()
            .flat_map(|reader| reader.lines().zip(1..));
        Ok(lines.filter_map(move |(text, number)| {
            let text = match text {
                Ok(text) if text.trim().is_empty() => return None,
                Ok(text) => text,
                Err(error) => {
                    return Some(Err(Problem::with_line(&file, number, error.to_string())));
                }
            };
            let line = || {
                let value: Value = serde_json::from_str(&text)
                    .map_err(|error| not_json(&file, Some(number), &error))?;
                let values: &Map<String, Value> = value
                    .as_object()
                    .ok_or_else(|| Problem::with_line(&file, number, "is no JSON object"))?;
                let what = parse(&Fields::of_line(&file, number, values))?;
                Ok(Line {
                    number,
                    request_id: county.request_id(&file, number, text.as_bytes()),
                    what,
                })
            };
            Some(line())
        }))
    }
}

impl SurveyFile {
    /// A workbook whose name begins with the code of the town that it surveys.
    ///
    /// # Errors
    /// [`Problem`] where it doesn't.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, Problem> {
        let path = path.into();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let town_code: String = name.chars().take_while(char::is_ascii_digit).collect();
        if town_code.len() != 9 {
            return Err(Problem::with_file(
                &name,
                "its name doesn't begin with the 9 digits of a town's code",
            ));
        }
        Ok(Self {
            path,
            name,
            town_code,
        })
    }
}

/// Reads a table of divisions: code, name, level and parent.
///
/// # Errors
/// [`Problem`] for the first row that can't be understood.
pub fn parse_divisions(file: &str, text: &str) -> Result<Vec<types::Division>, Problem> {
    let rows = table(file, text, &["code", "name", "level"])?;
    let division = |row: TableRow| {
        let fields = Fields::of_line(file, row.number, &row.values);
        let level = match fields.text("level")? {
            "province" => types::DivisionLevel::Province,
            "city" => types::DivisionLevel::City,
            "county" => types::DivisionLevel::County,
            "town" => types::DivisionLevel::Town,
            "village" => types::DivisionLevel::Village,
            _ => {
                return Err(fields.problem(
                    "level",
                    "is none of province, city, county, town and village",
                ));
            }
        };
        Ok(types::Division {
            code: fields.text("code")?.to_owned(),
            name: fields.text("name")?.to_owned(),
            level: level as i32,
            parent: fields
                .optional_text("parent")?
                .unwrap_or_default()
                .to_owned(),
        })
    };
    rows.into_iter().map(division).collect()
}

/// A row of a table of comma-separated values.
struct TableRow {
    /// The line that it begins on, from 1.
    number: u64,
    /// Its cells by the headings above them.
    values: Map<String, Value>,
    /// The cells one after the other, by which the row is known again.
    text: String,
}

/// Reads a table of comma-separated values in UTF-8, which has these columns at least.
fn table(file: &str, text: &str, columns: &[&str]) -> Result<Vec<TableRow>, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| not_csv(file, &error))?;
    let headers = headers.clone();
    let there = |column: &str| headers.iter().any(|header| header == column);
    if let Some(missing) = columns.iter().find(|column| !there(column)) {
        let what = format!("has no column `{missing}`");
        return Err(Problem::with_line(file, 1, what));
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| not_csv(file, &error))?;
        let cells = headers.iter().zip(row.iter());
        rows.push(TableRow {
            number: row.position().map_or(0, csv::Position::line),
            values: cells
                .map(|(header, cell)| (header.to_owned(), Value::from(cell.trim())))
                .collect(),
            text: row.iter().collect::<Vec<_>>().join(","),
        });
    }
    Ok(rows)
}

fn read(path: &Path, file: &str) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|error| Problem::with_file(file, error.to_string()))
}

fn collect(folder: &Path, below: &str, found: &mut Vec<String>) -> Result<(), Problem> {
    let wrong = |error: std::io::Error| {
        Problem::with_file(&folder.display().to_string(), error.to_string())
    };
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), found)?;
        } else {
            found.push(name);
        }
    }
    Ok(())
}

/// Serde's own texts may repeat a value.
fn not_json(file: &str, line: Option<u64>, error: &serde_json::Error) -> Problem {
    let line = line.unwrap_or(u64::try_from(error.line()).unwrap_or_default());
    Problem::with_line(
        file,
        line,
        format!("is no JSON, from column {} on", error.column()),
    )
}

fn not_csv(file: &str, error: &csv::Error) -> Problem {
    let line = error.position().map(csv::Position::line);
    Problem {
        line,
        ..Problem::with_file(
            file,
            "is no table of comma-separated values in UTF-8 with equally long rows",
        )
    }
}

#[cfg(test)]
mod tests;

//! The summary of a town's elders (特殊困难老年人探访关爱服务汇总表, annex 3), as an office prints it and a survey takes it in again.
//!
//! Between the columns of annex 3 stand those that a survey adds to them (village, contact, services, consent,
//! position), so that a summary that a town corrected can be imported as its next survey.

use std::fmt;

use civic::{
    Age, Assistance, CapabilityLevel, Category, ConsentState, GeoPosition, HandicapGrade, IdNumber,
    LocalDay, Observation, ServiceKind, Set,
};
use rust_xlsxwriter::{Format, FormatAlign, Workbook, Worksheet, XlsxError};

use workbooks::printing;
pub use workbooks::printing::PrintError;

use crate::survey::{Column, wording};

/// The most elders of one summary, which is a town's; put together in memory, this many take some 100 MiB.
pub const MOST_ELDERS: usize = 50_000;

/// An elder as the summary lists one. Personal.
#[derive(Clone)]
pub struct Line {
    /// The name.
    pub name: String,
    /// The ID number, which gives sex and age too.
    pub id_number: IdNumber,
    /// The name of the village or community.
    pub village: String,
    /// The address.
    pub address: String,
    /// The home's position, where it is known.
    pub position: Option<GeoPosition>,
    /// The categories.
    pub categories: Set<Category>,
    /// The assistance.
    pub assistance: Set<Assistance>,
    /// The grade of handicap.
    pub handicap_grade: Option<HandicapGrade>,
    /// The level of capability.
    pub capability: CapabilityLevel,
    /// The observations.
    pub observations: Set<Observation>,
    /// The contact who is called first.
    pub contact: Option<ContactLine>,
    /// The services that are wanted.
    pub wanted_services: Set<ServiceKind>,
    /// The consent to visits at home.
    pub consent: ConsentState,
    /// The remarks.
    pub remarks: String,
}

/// A contact as forms list one. Personal.
#[derive(Clone, Default)]
pub struct ContactLine {
    /// The name.
    pub name: String,
    /// The relation to the elder.
    pub relation: String,
    /// The number; empty where none is known.
    pub phone: String,
}

// Personal: nothing of them goes into a log by accident.
impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Line(**)")
    }
}

impl fmt::Debug for ContactLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ContactLine(**)")
    }
}

const SHEET: &str = "汇总表";
const TITLE: &str = "特殊困难老年人探访关爱服务汇总表";
const FONT_SIZE: u8 = 10;
/// From 0, as rows are counted in the file.
const HEADER_ROW: u32 = 2;
const LAST_COLUMN: u16 = Column::COUNT as u16 - 1;

/// Prints annex 3 of a division with the elders in their order, each on the day in the heading.
///
/// Elders without a category are none of this list; the caller leaves them out.
///
/// # Errors
///
/// When there are more than [`MOST_ELDERS`].
pub fn summary(
    division: &str,
    on: LocalDay,
    elders: impl IntoIterator<Item = Line>,
) -> Result<Vec<u8>, PrintError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    set_up(sheet)?;
    heading(sheet, division, on)?;

    let looks = Looks::new();
    let mut count = 0_u32;
    for elder in elders {
        if count as usize == MOST_ELDERS {
            return Err(PrintError::TooManyElders { limit: MOST_ELDERS });
        }
        count += 1;
        line(sheet, HEADER_ROW + count, count, &elder, on, &looks)?;
    }
    closing(sheet, HEADER_ROW + count + 1, count)?;
    Ok(printing::saved(book, on)?)
}

fn set_up(sheet: &mut Worksheet) -> Result<(), XlsxError> {
    sheet.set_name(SHEET)?;
    printing::on_a4(sheet, true);
    sheet.set_repeat_rows(HEADER_ROW, HEADER_ROW)?;
    sheet.set_freeze_panes(HEADER_ROW + 1, 0)?;
    for column in Column::ALL {
        sheet.set_column_width(column as u16, width(column))?;
    }
    Ok(())
}

/// In characters of the font, two for a Chinese one.
const fn width(column: Column) -> f64 {
    match column {
        Column::Sex => 4.0,
        Column::Serial | Column::Age | Column::Consent => 5.0,
        Column::ContactRelation => 7.0,
        Column::Name | Column::ContactName => 8.5,
        Column::Longitude | Column::Latitude => 10.0,
        Column::Capability | Column::Remarks => 11.0,
        Column::ContactPhone => 13.0,
        Column::Village | Column::Category | Column::WantedServices => 15.0,
        Column::IdNumber => 20.0,
        Column::Address => 22.0,
    }
}

fn heading(sheet: &mut Worksheet, division: &str, on: LocalDay) -> Result<(), XlsxError> {
    sheet.set_row_height(0, 32)?;
    sheet.merge_range(0, 0, 0, LAST_COLUMN, TITLE, &printing::title())?;
    sheet.set_row_height(1, 20)?;
    let division = printing::fitting(&format!("镇（办）：{division}"));
    sheet.merge_range(1, 0, 1, 6, &division, &printing::line(FormatAlign::Left))?;
    sheet.merge_range(
        1,
        13,
        1,
        LAST_COLUMN,
        &printing::date(on),
        &printing::line(FormatAlign::Right),
    )?;
    sheet.set_row_height(HEADER_ROW, 30)?;
    for column in Column::ALL {
        sheet.write_string_with_format(
            HEADER_ROW,
            column as u16,
            column.header(),
            &printing::heading(FONT_SIZE),
        )?;
    }
    Ok(())
}

/// How cells look: short facts in the middle of theirs, words at the left.
struct Looks {
    fact: Format,
    words: Format,
    number: Format,
}

impl Looks {
    fn new() -> Self {
        Self {
            fact: printing::cell(FONT_SIZE, FormatAlign::Center),
            words: printing::cell(FONT_SIZE, FormatAlign::Left),
            number: printing::cell(FONT_SIZE, FormatAlign::Center).set_num_format("General"),
        }
    }

    fn of(&self, column: Column) -> &Format {
        match column {
            Column::Serial | Column::Age | Column::Longitude | Column::Latitude => &self.number,
            Column::Name
            | Column::Sex
            | Column::IdNumber
            | Column::ContactName
            | Column::ContactRelation
            | Column::ContactPhone
            | Column::Consent => &self.fact,
            Column::Village
            | Column::Address
            | Column::Category
            | Column::Capability
            | Column::WantedServices
            | Column::Remarks => &self.words,
        }
    }
}

enum Entry {
    Number(f64),
    Text(String),
}

fn line(
    sheet: &mut Worksheet,
    row: u32,
    serial: u32,
    elder: &Line,
    on: LocalDay,
    looks: &Looks,
) -> Result<(), XlsxError> {
    let mut lines: f64 = 1.0;
    for column in Column::ALL {
        let format = looks.of(column);
        match entry(column, serial, elder, on) {
            Entry::Number(number) => {
                sheet.write_number_with_format(row, column as u16, number, format)?
            }
            Entry::Text(text) if text.is_empty() => {
                sheet.write_blank(row, column as u16, format)?
            }
            Entry::Text(text) => {
                let text = printing::fitting(&text);
                lines = lines.max(printing::lines(&text, width(column)));
                sheet.write_string_with_format(row, column as u16, text, format)?
            }
        };
    }
    sheet.set_row_height(row, printing::height(lines, FONT_SIZE, 20.0))?;
    Ok(())
}

fn entry(column: Column, serial: u32, elder: &Line, on: LocalDay) -> Entry {
    let of_contact = |field: fn(&ContactLine) -> &String| {
        elder
            .contact
            .as_ref()
            .map(field)
            .cloned()
            .unwrap_or_default()
    };
    let degrees = |field: fn(&GeoPosition) -> f64| match &elder.position {
        Some(position) => Entry::Number(field(position)),
        None => Entry::Text(String::new()),
    };
    Entry::Text(match column {
        Column::Serial => return Entry::Number(f64::from(serial)),
        Column::Name => elder.name.clone(),
        Column::Sex => elder.id_number.sex().chinese().to_owned(),
        Column::Age => {
            return Entry::Number(f64::from(Age::on(elder.id_number.birth_date(), on).years()));
        }
        Column::IdNumber => elder.id_number.as_str().to_owned(),
        Column::Village => elder.village.clone(),
        Column::Address => elder.address.clone(),
        Column::Category => {
            wording::categories(elder.categories, elder.handicap_grade, elder.assistance)
        }
        Column::Capability => wording::capability(elder.capability, elder.observations),
        Column::ContactName => of_contact(|contact| &contact.name),
        Column::ContactRelation => of_contact(|contact| &contact.relation),
        Column::ContactPhone => of_contact(|contact| &contact.phone),
        Column::WantedServices => wording::services(elder.wanted_services),
        Column::Consent => wording::consent(elder.consent).to_owned(),
        Column::Longitude => return degrees(GeoPosition::longitude),
        Column::Latitude => return degrees(GeoPosition::latitude),
        Column::Remarks => elder.remarks.clone(),
    })
}

fn closing(sheet: &mut Worksheet, row: u32, count: u32) -> Result<(), XlsxError> {
    let left = printing::line(FormatAlign::Left);
    sheet.merge_range(row, 0, row, 6, &format!("合计：{count}人"), &left)?;
    let signatures = format!("填表人：{}分管领导：", " ".repeat(48));
    sheet.merge_range(row + 1, 0, row + 1, LAST_COLUMN, &signatures, &left)?;
    sheet.set_row_height(row + 1, 24)?;
    Ok(())
}

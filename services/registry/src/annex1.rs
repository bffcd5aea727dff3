//! The form of one elder (特殊困难老年人探访关爱服务摸底表, annex 1), as an office prints it and a visitor carries it.

use std::fmt;

use civic::{
    Age, Assistance, CapabilityLevel, Category, HandicapGrade, IdNumber, LocalDay, Observation,
    ServiceKind, Set,
};
use rust_xlsxwriter::{Format, FormatAlign, Workbook, Worksheet, XlsxError};

use workbooks::printing;
pub use workbooks::printing::PrintError;

pub use crate::annex3::ContactLine;
use crate::survey::wording;

/// An elder as the form shows one. Personal.
#[derive(Clone)]
pub struct Form {
    /// The name.
    pub name: String,
    /// The ID number, which gives sex and age too.
    pub id_number: IdNumber,
    /// The address.
    pub address: String,
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
    /// The members of the family and other contacts (家庭成员), in the order of calling.
    pub contacts: Vec<ContactLine>,
    /// The services that are wanted: their boxes are ticked.
    pub wanted_services: Set<ServiceKind>,
}

impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Form(**)")
    }
}

const SHEET: &str = "摸底表";
const TITLE: &str = "特殊困难老年人探访关爱服务摸底表";
const FONT_SIZE: u8 = 12;
const LAST_COLUMN: u16 = 6;
const WIDTHS: [f64; 7] = [13.0, 15.0, 9.0, 15.0, 11.0, 12.0, 12.0];
/// The form has room for so many members of the family, and grows beyond.
const FAMILY_ROWS: usize = 3;
/// The boxes in the rows of annex 1; the ninth, 其他, stands beside the first row.
const SERVICES: [(ServiceKind, ServiceKind); 4] = [
    (ServiceKind::HealthManagement, ServiceKind::SpiritualComfort),
    (ServiceKind::HomeSafety, ServiceKind::EnvironmentSanitation),
    (ServiceKind::DailyCare, ServiceKind::EmergencyRescue),
    (
        ServiceKind::RehabilitationNursing,
        ServiceKind::RecreationSports,
    ),
];

/// Prints annex 1 of an elder on a day.
///
/// # Errors
///
/// Only when the sheet cannot be put together, which would be a bug of ours.
pub fn form(elder: &Form, on: LocalDay) -> Result<Vec<u8>, PrintError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name(SHEET)?;
    printing::on_a4(sheet, false);
    for (column, width) in (0..).zip(WIDTHS) {
        sheet.set_column_width(column, width)?;
    }
    let mut grid = Grid {
        sheet,
        row: 2,
        lines: 1.0,
        label: printing::heading(FONT_SIZE),
        value: printing::cell(FONT_SIZE, FormatAlign::Center),
    };
    grid.sheet.set_row_height(0, 36)?;
    grid.sheet
        .merge_range(0, 0, 0, LAST_COLUMN, TITLE, &printing::title())?;
    let date = printing::line(FormatAlign::Right);
    grid.sheet
        .merge_range(1, 0, 1, LAST_COLUMN, &printing::date(on), &date)?;
    person(&mut grid, elder, on)?;
    family(&mut grid, &elder.contacts)?;
    services(&mut grid, elder.wanted_services)?;
    Ok(printing::saved(book, on)?)
}

/// The grid of the form, filled from the top.
struct Grid<'s> {
    sheet: &'s mut Worksheet,
    row: u32,
    /// How many lines the current row needs.
    lines: f64,
    label: Format,
    value: Format,
}

impl Grid<'_> {
    fn next_row(&mut self, least_height: f64) -> Result<(), XlsxError> {
        self.sheet.set_row_height(
            self.row,
            printing::height(self.lines, FONT_SIZE, least_height),
        )?;
        self.row += 1;
        self.lines = 1.0;
        Ok(())
    }

    fn label(&mut self, first: u16, last: u16, text: &str) -> Result<(), XlsxError> {
        let format = self.label.clone();
        self.fill(self.row, first, last, text, &format)
    }

    fn value(&mut self, first: u16, last: u16, text: &str) -> Result<(), XlsxError> {
        let format = self.value.clone();
        self.fill(self.row, first, last, text, &format)
    }

    /// A label beside the rows from `first_row` to the one before the current.
    fn side_label(&mut self, first_row: u32, text: &str) -> Result<(), XlsxError> {
        self.sheet
            .merge_range(first_row, 0, self.row - 1, 0, text, &self.label)?;
        Ok(())
    }

    /// Text in one cell, or in several that are merged.
    fn fill(
        &mut self,
        row: u32,
        first: u16,
        last: u16,
        text: &str,
        format: &Format,
    ) -> Result<(), XlsxError> {
        let text = printing::fitting(text);
        let width: f64 = WIDTHS[usize::from(first)..=usize::from(last)].iter().sum();
        self.lines = self.lines.max(printing::lines(&text, width));
        if first == last {
            self.sheet
                .write_string_with_format(row, first, text, format)?;
        } else {
            self.sheet
                .merge_range(row, first, row, last, &text, format)?;
        }
        Ok(())
    }
}

fn person(grid: &mut Grid<'_>, elder: &Form, on: LocalDay) -> Result<(), XlsxError> {
    let age = Age::on(elder.id_number.birth_date(), on);
    grid.label(0, 0, "姓名")?;
    grid.value(1, 2, &elder.name)?;
    grid.label(3, 3, "性别")?;
    grid.value(4, 4, elder.id_number.sex().chinese())?;
    grid.label(5, 5, "年龄")?;
    grid.value(6, 6, &age.to_string())?;
    grid.next_row(30.0)?;

    grid.label(0, 0, "身份证号码")?;
    grid.value(1, LAST_COLUMN, elder.id_number.as_str())?;
    grid.next_row(30.0)?;

    let capability = wording::capability(elder.capability, elder.observations);
    let capability = if capability.is_empty() {
        CapabilityLevel::Unassessed.chinese().to_owned()
    } else {
        capability
    };
    grid.label(0, 0, "类别")?;
    grid.value(
        1,
        3,
        &wording::categories(elder.categories, elder.handicap_grade, elder.assistance),
    )?;
    grid.label(4, 4, "身体能力")?;
    grid.value(5, LAST_COLUMN, &capability)?;
    grid.next_row(40.0)?;

    grid.label(0, 0, "家庭住址")?;
    grid.value(1, LAST_COLUMN, &elder.address)?;
    grid.next_row(40.0)
}

fn family(grid: &mut Grid<'_>, contacts: &[ContactLine]) -> Result<(), XlsxError> {
    let first_row = grid.row;
    grid.label(1, 2, "姓名")?;
    grid.label(3, 4, "关系")?;
    grid.label(5, LAST_COLUMN, "联系方式")?;
    grid.next_row(26.0)?;
    let blank = ContactLine::default();
    for place in 0..contacts.len().max(FAMILY_ROWS) {
        let contact = contacts.get(place).unwrap_or(&blank);
        grid.value(1, 2, &contact.name)?;
        grid.value(3, 4, &contact.relation)?;
        grid.value(5, LAST_COLUMN, &contact.phone)?;
        grid.next_row(26.0)?;
    }
    grid.side_label(first_row, "家庭成员")
}

fn services(grid: &mut Grid<'_>, wanted: Set<ServiceKind>) -> Result<(), XlsxError> {
    let first_row = grid.row;
    for (left, right) in SERVICES {
        let other = (grid.row == first_row).then_some(ServiceKind::Other);
        for (column, service) in [(1, Some(left)), (3, Some(right)), (5, other)] {
            grid.label(column, column, service.map_or("", ServiceKind::chinese))?;
            grid.value(
                column + 1,
                column + 1,
                service.map_or("", |service| tick(wanted.contains(service))),
            )?;
        }
        grid.next_row(30.0)?;
    }
    grid.side_label(first_row, "探访关爱\n服务内容")
}

const fn tick(wanted: bool) -> &'static str {
    if wanted { "☑" } else { "□" }
}

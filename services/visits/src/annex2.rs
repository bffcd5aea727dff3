//! The record sheet of an elder (特殊困难老年人探访关爱服务记录表, annex 2), as an office prints it and keeps it.
//!
//! The paper has a line for each visit, with a tick under each service given, the worker's signature and remarks. What the
//! paper has no column for, a visit that was no visit at home, stands before the remarks.

use std::collections::BTreeMap;
use std::fmt;

use civic::{LocalDay, ServiceKind, Set, VisitMode};
use rust_xlsxwriter::{Format, FormatAlign, Workbook, Worksheet, XlsxError};
use workbooks::printing::{self, PrintError};

/// The most elders of one village: a sheet can't have more pages that begin anew.
pub(crate) const MOST_ELDERS: usize = 1_000;

/// The form of an elder. Personal.
#[derive(Clone, Default)]
pub(crate) struct Form {
    /// The name.
    pub(crate) name: String,
    /// The visits, the earliest first.
    pub(crate) lines: Vec<Line>,
}

/// A visit. Personal.
#[derive(Clone)]
pub(crate) struct Line {
    /// The day.
    pub(crate) day: LocalDay,
    /// How.
    pub(crate) mode: VisitMode,
    /// The services given.
    pub(crate) services: Set<ServiceKind>,
    /// The worker's name, where the worker signed.
    pub(crate) signed_by: String,
    /// Remarks.
    pub(crate) remarks: String,
}

/// A village with the forms of its elders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Village {
    /// The name of the town.
    pub(crate) town: String,
    /// The name of the village.
    pub(crate) village: String,
    /// The forms, in their order.
    pub(crate) forms: Vec<Form>,
}

// Personal: nothing of them goes into a log by accident.
impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Form(**)")
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Line(**)")
    }
}

const TITLE: &str = "特殊困难老年人探访关爱服务记录表";
const FONT_SIZE: u8 = 11;
const LAST_COLUMN: u16 = 11;
const WIDTHS: [f64; 12] = [
    15.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 13.0, 28.0,
];
/// The headings as they are printed, broken where the paper breaks them.
const HEADINGS: [&str; 12] = [
    "日期",
    "健康管理",
    "居家\n安全",
    "生活\n照料",
    "康复\n护理",
    "精神\n慰藉",
    "环境\n卫生",
    "应急\n救援",
    "文体\n活动",
    "其他",
    "服务人员\n签字",
    "备注",
];
/// The form has room for so many visits, and grows beyond.
const LEAST_LINES: usize = 12;
/// The longest name of a sheet, in characters.
const LONGEST_SHEET_NAME: usize = 31;

/// Prints annex 2 of elders by village, in the order of the villages' codes; made on a day.
///
/// # Errors
///
/// When a village has more elders than [`MOST_ELDERS`].
pub(crate) fn sheets(
    villages: &BTreeMap<String, Village>,
    on: LocalDay,
) -> Result<Vec<u8>, PrintError> {
    let mut book = Workbook::new();
    let looks = Looks::new();
    for (code, village) in villages {
        if village.forms.len() > MOST_ELDERS {
            return Err(PrintError::TooManyElders { limit: MOST_ELDERS });
        }
        let sheet = book.add_worksheet();
        sheet.set_name(sheet_name(code, &village.village))?;
        printing::on_a4(sheet, true);
        for (column, width) in (0..).zip(WIDTHS) {
            sheet.set_column_width(column, width)?;
        }
        let (mut row, mut breaks) = (0, Vec::new());
        for form in &village.forms {
            if row > 0 {
                breaks.push(row);
            }
            row = fill(sheet, row, village, form, &looks)?;
        }
        if !breaks.is_empty() {
            sheet.set_page_breaks(&breaks)?;
        }
    }
    Ok(printing::saved(book, on)?)
}

struct Looks {
    title: Format,
    line: Format,
    heading: Format,
    cell: Format,
    remarks: Format,
}

impl Looks {
    fn new() -> Self {
        Self {
            title: printing::title(),
            line: printing::line(FormatAlign::Left),
            heading: printing::heading(FONT_SIZE),
            cell: printing::cell(FONT_SIZE, FormatAlign::Center),
            remarks: printing::cell(FONT_SIZE, FormatAlign::Left),
        }
    }
}

/// Fills in a form from a row on; the first row after it.
fn fill(
    sheet: &mut Worksheet,
    first: u32,
    village: &Village,
    form: &Form,
    looks: &Looks,
) -> Result<u32, XlsxError> {
    sheet.set_row_height(first, 36)?;
    sheet.merge_range(first, 0, first, LAST_COLUMN, TITLE, &looks.title)?;
    let whose = format!(
        "{}镇（街道）　　{}村（社区）　　老年人姓名：{}",
        less(&village.town, &["镇", "街道"]),
        less(&village.village, &["村", "社区"]),
        form.name
    );
    let whose = printing::fitting(&whose);
    sheet.set_row_height(first + 1, 24)?;
    sheet.merge_range(first + 1, 0, first + 1, LAST_COLUMN, &whose, &looks.line)?;
    sheet.set_row_height(first + 2, 36)?;
    for (column, heading) in (0..).zip(HEADINGS) {
        sheet.write_string_with_format(first + 2, column, heading, &looks.heading)?;
    }
    let mut row = first + 3;
    for place in 0..form.lines.len().max(LEAST_LINES) {
        let texts = form.lines.get(place).map(texts).unwrap_or_default();
        let mut lines: f64 = 1.0;
        for ((column, text), width) in (0..).zip(&texts).zip(WIDTHS) {
            let look = if column == LAST_COLUMN {
                &looks.remarks
            } else {
                &looks.cell
            };
            lines = lines.max(printing::lines(text, width));
            sheet.write_string_with_format(row, column, text, look)?;
        }
        sheet.set_row_height(row, printing::height(lines, FONT_SIZE, 26.0))?;
        row += 1;
    }
    Ok(row)
}

/// What stands in a line.
fn texts(line: &Line) -> [String; 12] {
    let mut texts: [String; 12] = Default::default();
    let [day, services @ .., signed_by, remarks] = &mut texts;
    *day = printing::date(line.day);
    for (text, service) in services.iter_mut().zip(ServiceKind::ALL) {
        if line.services.contains(*service) {
            *text = "√".to_owned();
        }
    }
    *signed_by = printing::fitting(&line.signed_by);
    let words = match line.mode {
        VisitMode::Home => vec![line.remarks.as_str()],
        VisitMode::Phone | VisitMode::Online | VisitMode::Encounter => {
            vec![line.mode.chinese(), line.remarks.as_str()]
        }
    };
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    *remarks = printing::fitting(&words.join("；"));
    texts
}

/// A name without the ending that the form prints behind it.
fn less<'a>(name: &'a str, endings: &[&str]) -> &'a str {
    endings
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// The name of a village's sheet: no two villages have one code, and what sheets can't be called is left out.
fn sheet_name(code: &str, village: &str) -> String {
    let allowed = |c: &char| !"[]:*?/\\'".contains(*c) && !c.is_control();
    let room = LONGEST_SHEET_NAME.saturating_sub(code.len() + 1);
    let name: String = village.chars().filter(allowed).take(room).collect();
    format!("{name} {code}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_the_paper() {
        for (heading, service) in HEADINGS[1..10].iter().zip(ServiceKind::ALL) {
            assert_eq!(heading.replace('\n', ""), service.chinese());
        }
        assert_eq!(HEADINGS.len(), WIDTHS.len());
    }

    #[test]
    fn a_visit_is_a_line_with_ticks() {
        let line = Line {
            day: "2024-10-08".parse().unwrap(),
            mode: VisitMode::Phone,
            services: [ServiceKind::DailyCare, ServiceKind::Other].into(),
            signed_by: "王网格".to_owned(),
            remarks: "一切安好".to_owned(),
        };
        let expected = [
            "2024年10月8日",
            "",
            "",
            "√",
            "",
            "",
            "",
            "",
            "",
            "√",
            "王网格",
            "电话；一切安好",
        ];
        assert_eq!(texts(&line), expected);
    }

    #[test]
    fn sheets_are_named_so_that_any_program_opens_them() {
        assert_eq!(
            sheet_name("350524100001", "城东/社区"),
            "城东社区 350524100001"
        );
        assert_eq!(sheet_name("350524100001", ""), "350524100001");
        let long = sheet_name("350524100001", &"长".repeat(40));
        assert_eq!(long.chars().count(), LONGEST_SHEET_NAME);
        assert_eq!(less("凤城镇", &["镇", "街道"]), "凤城");
    }
}

//! How printed forms look: fonts, borders and paper, as civil-affairs offices are used to them.

use civic::LocalDay;
use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError,
};

const FONT: &str = "宋体";
const HEADING_FONT: &str = "黑体";
/// A4, in the numbering of printers.
const A4: u8 = 9;
/// The longest text that a cell can hold, in characters.
const LONGEST_CELL: usize = 32_767;

/// Why a form was not printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// More elders than one sheet is printed with.
    #[error("the sheet holds at most {limit} elders")]
    TooManyElders {
        /// The most.
        limit: usize,
    },
    /// The sheet could not be put together. A bug of ours.
    #[error("the sheet could not be put together")]
    Sheet(#[source] XlsxError),
}

impl From<XlsxError> for PrintError {
    fn from(error: XlsxError) -> Self {
        Self::Sheet(error)
    }
}

/// The title of a form.
#[must_use]
pub fn title() -> Format {
    Format::new()
        .set_font_name(HEADING_FONT)
        .set_font_size(18)
        .set_bold()
        .set_align(FormatAlign::Center)
        .set_align(FormatAlign::VerticalCenter)
}

/// A line above or below the grid.
pub fn line(align: FormatAlign) -> Format {
    Format::new()
        .set_font_name(FONT)
        .set_font_size(11)
        .set_align(align)
        .set_align(FormatAlign::VerticalCenter)
}

/// A cell of the grid. Text as it stands: `@` keeps an ID number from turning into a number when the cell is edited.
pub fn cell(size: u8, align: FormatAlign) -> Format {
    Format::new()
        .set_font_name(FONT)
        .set_font_size(size)
        .set_align(align)
        .set_align(FormatAlign::VerticalCenter)
        .set_text_wrap()
        .set_border(FormatBorder::Thin)
        .set_num_format("@")
}

/// A heading cell of the grid.
pub fn heading(size: u8) -> Format {
    cell(size, FormatAlign::Center).set_bold()
}

/// `2024年9月20日`.
pub fn date(day: LocalDay) -> String {
    format!(
        "{}年{}月{}日",
        day.year(),
        day.month_of_year(),
        day.day_of_month()
    )
}

/// How many lines a text takes in a column of a width, which counts characters of one byte: Chinese ones take two.
///
/// Some programs give each row one line, unless they are told its height.
pub fn lines(text: &str, width: f64) -> f64 {
    let room = (width - 1.0).max(2.0);
    let widths = text.split('\n').map(|line| {
        line.chars()
            .map(|c| if c.is_ascii() { 1.0 } else { 2.0 })
            .sum::<f64>()
    });
    widths.map(|width| (width / room).ceil().max(1.0)).sum()
}

/// The height of a row of so many lines, in points, at the least this; no row can be higher than 409.
pub fn height(lines: f64, size: u8, least: f64) -> f64 {
    (lines * f64::from(size) * 1.35 + 5.0).clamp(least, 409.0)
}

/// No longer than a cell can hold.
pub fn fitting(text: &str) -> String {
    text.chars().take(LONGEST_CELL).collect()
}

/// The paper: A4, as wide as one page, with the page's number at its foot.
pub fn on_a4(sheet: &mut Worksheet, landscape: bool) {
    if landscape {
        sheet.set_landscape();
    } else {
        sheet.set_portrait();
    }
    sheet
        .set_paper_size(A4)
        .set_margins(0.4, 0.4, 0.6, 0.6, 0.3, 0.3)
        .set_print_fit_to_pages(1, 0)
        .set_print_center_horizontally(true)
        .set_footer("&C第 &P 页 共 &N 页");
}

/// The file. Its date of making is the form's own, so that the same form is the same file.
///
/// # Errors
/// Only where the sheet can't be put together, which would be a bug of ours.
pub fn saved(mut book: Workbook, on: LocalDay) -> Result<Vec<u8>, XlsxError> {
    let (year, month, day) = (on.year(), on.month_of_year(), on.day_of_month());
    if let (Ok(year), Ok(month), Ok(day)) =
        (u16::try_from(year), u8::try_from(month), u8::try_from(day))
        && let Ok(made_on) = ExcelDateTime::from_ymd(year, month, day)
    {
        book.set_properties(&DocProperties::new().set_creation_datetime(&made_on));
    }
    book.save_to_buffer()
}

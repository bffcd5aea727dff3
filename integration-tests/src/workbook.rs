//! Survey workbooks: a town's, as long as a story needs, and packages put together by hand to do harm.

use std::io::{Cursor, Read as _, Write as _};

use rust_xlsxwriter::Workbook;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{day, id_number};

/// The header of annex 3, as far as it is needed.
pub const HEADER: [&str; 8] = [
    "序号",
    "姓名",
    "身份证号",
    "村(社区)",
    "家庭住址",
    "类别",
    "身体能力",
    "联系电话",
];

/// The workbook of the town 凤城镇 as of 20 September 2024 with `rows` elders, all of whom can be accepted.
///
/// Persons with other `first` numbers are others; each has a name of its own.
pub fn of_elders(first: u32, rows: u32) -> Vec<u8> {
    let village = crate::county::villages("350524100").remove(0).name;
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet
        .write(0, 0, "特殊困难老年人探访关爱服务汇总表")
        .unwrap();
    sheet.write(1, 0, "镇（办）：凤城镇").unwrap();
    sheet.write(1, 6, "2024年9月20日").unwrap();
    for (column, header) in (0..).zip(HEADER) {
        sheet.write(2, column, header).unwrap();
    }
    for number in 0..rows {
        let [name, id] = person(first + number);
        let row = 3 + number;
        sheet.write(row, 0, number + 1).unwrap();
        for (column, text) in (1..).zip([
            name.as_str(),
            &id,
            &village,
            "新民街8号",
            "独居",
            "完好",
            "13800138000",
        ]) {
            sheet.write(row, column, text).unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

/// All parts of a workbook one after another, no longer compressed.
pub fn unpacked(book: &[u8]) -> Vec<u8> {
    let mut package = ZipArchive::new(Cursor::new(book)).unwrap();
    let mut parts = Vec::new();
    for number in 0..package.len() {
        let mut part = package.by_index(number).unwrap();
        part.read_to_end(&mut parts).unwrap();
    }
    parts
}

/// The name and ID number of the person of a number.
pub fn person(number: u32) -> [String; 2] {
    const NAMES: [char; 10] = ['一', '二', '三', '四', '五', '六', '七', '八', '九', '十'];
    let name = number
        .to_string()
        .chars()
        .filter_map(|digit| NAMES.get(digit.to_digit(10)? as usize))
        .collect::<String>();
    let birthday = day("1930-01-01").plus_days(i64::from(number / 500));
    [format!("林{name}"), id_number(birthday, number % 500)]
}

/// Packs parts, in the plainest way that a workbook can be made.
pub fn packed(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in parts {
        archive.start_file(*name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A workbook whose first sheet is this XML.
pub fn of_sheet(sheet: &[u8]) -> Vec<u8> {
    let book = r#"<workbook xmlns="m" xmlns:r="r"><sheets><sheet name="汇总表" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    let parts = r#"<Relationships><Relationship Id="rId1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
    packed(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", parts.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet),
    ])
}

/// The XML of a sheet with title, date and header of annex 3 in rows 1 to 3, and then these rows as they stand.
pub fn sheet(rows: &str) -> String {
    let cell = |column: char, row: u32, text: &str| {
        format!(r#"<c r="{column}{row}" t="inlineStr"><is><t>{text}</t></is></c>"#)
    };
    let header: String = ('A'..)
        .zip(HEADER)
        .map(|(column, text)| cell(column, 3, text))
        .collect();
    format!(
        r#"<worksheet><sheetData><row r="1">{}</row><row r="2">{}</row><row r="3">{header}</row>{rows}</sheetData></worksheet>"#,
        cell('A', 1, "汇总表"),
        cell('A', 2, "2024年9月20日"),
    )
}

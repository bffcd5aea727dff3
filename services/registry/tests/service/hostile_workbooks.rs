//! Workbooks that are broken, odd or made to do harm: each is refused with its reason, or read as a person would read it.

use std::{
    fmt::Write as _,
    fs,
    io::{Cursor, Write as _},
    path::Path,
};

use civic::LocalDay;
use proptest::prelude::*;
use registry::survey::{Column, Limits, Sheet, TownVillages, WorkbookError, row, workbook};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const BOOK: &str = r#"<workbook xmlns="m" xmlns:r="r"><sheets><sheet name="汇总表" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const PARTS_OF_BOOK: &str = r#"<Relationships>
    <Relationship Id="rId1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/>
    <Relationship Id="rId2" Type="http://x/sharedStrings" Target="sharedStrings.xml"/>
    <Relationship Id="rId3" Type="http://x/styles" Target="styles.xml"/>
</Relationships>"#;
const HEADER: &[&str] = &["序号", "姓名", "身份证号", "村(社区)", "类别", "身体能力"];

/// Packs parts, in the plainest way that a workbook can be made.
fn packed(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in parts {
        archive.start_file(*name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn book_of(sheet: &str) -> Vec<u8> {
    packed(&[
        ("xl/workbook.xml", BOOK.as_bytes()),
        ("xl/_rels/workbook.xml.rels", PARTS_OF_BOOK.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

/// A sheet of rows of text, with whatever follows them.
fn sheet_of(rows: &[(u32, &[&str])], after: &str) -> String {
    let mut xml = String::from("<worksheet><sheetData>");
    for (number, cells) in rows {
        write!(xml, r#"<row r="{number}">"#).unwrap();
        for (column, text) in (b'A'..).zip(*cells) {
            if !text.is_empty() {
                let column = char::from(column);
                write!(
                    xml,
                    r#"<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#
                )
                .unwrap();
            }
        }
        xml.push_str("</row>");
    }
    write!(xml, "</sheetData>{after}</worksheet>").unwrap();
    xml
}

fn read(file: &[u8]) -> Result<Sheet, WorkbookError> {
    workbook::read(file, &Limits::DEFAULT)
}

fn refused(file: &[u8]) -> WorkbookError {
    read(file).unwrap_err()
}

/// A sheet with title, date, header and these data rows from row 4.
fn survey(data: &[&[&str]], after: &str) -> String {
    let mut rows: Vec<(u32, &[&str])> = vec![
        (1, &["汇总表"]),
        (2, &["镇（办）：凤城镇", "2024年9月20日"]),
        (3, HEADER),
    ];
    rows.extend((4..).zip(data.iter().copied()));
    sheet_of(&rows, after)
}

fn column_of(sheet: &Sheet, column: Column) -> Vec<(u32, String)> {
    sheet
        .rows()
        .map(|row| (row.number(), row.text(column).into_owned()))
        .collect()
}

#[test]
fn the_plainest_workbook_is_read() {
    let sheet = read(&book_of(&survey(
        &[&["1", "周火", "x", "下西", "独居", "完好"]],
        "",
    )))
    .unwrap();
    assert_eq!(sheet.as_of(), LocalDay::from_ymd(2024, 9, 20).unwrap());
    assert_eq!(sheet.header_row(), 3);
    assert_eq!(column_of(&sheet, Column::Name), [(4, "周火".to_owned())]);
}

#[test]
fn what_is_no_workbook_is_refused() {
    assert_eq!(refused(b""), WorkbookError::NotAWorkbook);
    assert_eq!(refused("序号,姓名".as_bytes()), WorkbookError::NotAWorkbook);
    assert_eq!(
        refused(&packed(&[("word/document.xml", b"<document/>")])),
        WorkbookError::NotAWorkbook
    );
    assert_eq!(
        refused(&packed(&[("xl/workbook.xml", b"<document/>")])),
        WorkbookError::NotAWorkbook
    );
    let compound = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    assert_eq!(refused(&compound), WorkbookError::OldFormat);
    let package = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes);
    let encrypted: Vec<u8> = compound
        .into_iter()
        .chain([0; 100])
        .chain(package)
        .collect();
    assert_eq!(refused(&encrypted), WorkbookError::Encrypted);
    let limits = Limits {
        file_bytes: 100,
        ..Limits::DEFAULT
    };
    assert_eq!(
        workbook::read(&[0; 101], &limits).unwrap_err(),
        WorkbookError::FileTooLarge { limit: 100 }
    );
}

#[test]
fn a_workbook_without_its_first_sheet_is_refused() {
    let no_sheet = "<workbook><sheets/></workbook>".as_bytes();
    let rels = ("xl/_rels/workbook.xml.rels", PARTS_OF_BOOK.as_bytes());
    assert_eq!(
        refused(&packed(&[("xl/workbook.xml", no_sheet), rels])),
        WorkbookError::SheetMissing
    );
    assert_eq!(
        refused(&packed(&[("xl/workbook.xml", BOOK.as_bytes()), rels])),
        WorkbookError::SheetMissing
    );
    assert_eq!(
        refused(&packed(&[("xl/workbook.xml", BOOK.as_bytes())])),
        WorkbookError::SheetMissing
    );
    let chart = PARTS_OF_BOOK.replace("worksheet\"", "chartsheet\"");
    let chart = packed(&[
        ("xl/workbook.xml", BOOK.as_bytes()),
        ("xl/_rels/workbook.xml.rels", chart.as_bytes()),
    ]);
    assert_eq!(refused(&chart), WorkbookError::NotAWorksheet);
    assert_eq!(
        refused(&book_of("<chartsheet/>")),
        WorkbookError::NotAWorksheet
    );
}

#[test]
fn a_sheet_without_header_or_date_is_refused() {
    let no_header = sheet_of(&[(1, &["2024年9月20日"]), (2, &["通知", "正文"])], "");
    assert_eq!(refused(&book_of(&no_header)), WorkbookError::HeaderMissing);
    let no_date = sheet_of(
        &[
            (1, &["    年   月   日"]),
            (2, HEADER),
            (3, &["2024年9月20日"]),
        ],
        "",
    );
    assert_eq!(refused(&book_of(&no_date)), WorkbookError::DateMissing);
    let empty = sheet_of(&[], "");
    assert_eq!(refused(&book_of(&empty)), WorkbookError::HeaderMissing);
}

#[test]
fn a_header_names_each_needed_column_once() {
    for missing in Column::REQUIRED {
        let header: Vec<&str> = HEADER
            .iter()
            .copied()
            .filter(|header| *header != missing.header())
            .collect();
        let sheet = sheet_of(&[(1, &["2024年9月20日"]), (2, &header)], "");
        assert_eq!(
            refused(&book_of(&sheet)),
            WorkbookError::ColumnMissing(missing)
        );
    }
    let twice: Vec<&str> = HEADER.iter().copied().chain(["姓 名"]).collect();
    let sheet = sheet_of(&[(1, &["2024年9月20日"]), (2, &twice)], "");
    assert_eq!(
        refused(&book_of(&sheet)),
        WorkbookError::ColumnTwice(Column::Name)
    );
}

#[test]
fn a_header_of_two_rows_names_the_columns_of_the_contact() {
    let first = [
        "姓名",
        "身份证号码",
        "村（社区）",
        "类别",
        "身体\n能力",
        "联系人信息",
        "",
        "",
        "备注",
    ];
    let second = ["", "", "", "", "", "联系人", "关系", "联系电话"];
    let data = ["周火", "x", "y", "z", "", "林明春", "女", "1", "新增"];
    let merges = r#"<mergeCells><mergeCell ref="A2:A3"/><mergeCell ref="F2:H2"/></mergeCells>"#;
    let rows: [(u32, &[&str]); 6] = [
        (1, &["2024年9月20日"]),
        (2, &first),
        (3, &second),
        (4, &data),
        (5, &first),
        (6, &second),
    ];
    let sheet = read(&book_of(&sheet_of(&rows, merges))).unwrap();
    assert_eq!(
        column_of(&sheet, Column::ContactRelation),
        [(4, "女".to_owned())]
    );
    assert_eq!(column_of(&sheet, Column::Remarks), [(4, "新增".to_owned())]);
}

#[test]
fn rows_that_are_no_data_are_passed_over() {
    let data: &[&[&str]] = &[
        &["1", "周火"],
        &["", "", "", "", "", ""],
        &[" ", "\u{3000}"],
        HEADER,
        &["2"],
        &["合 计：2人", "2"],
        &["填表人：吴俭凤  分管领导："],
    ];
    let sheet = read(&book_of(&survey(data, ""))).unwrap();
    assert_eq!(
        column_of(&sheet, Column::Name),
        [(4, "周火".to_owned()), (8, String::new())]
    );
}

#[test]
fn a_merged_range_gives_its_value_to_each_of_its_rows_but_fills_none() {
    let data: &[&[&str]] = &[
        &["1", "甲", "x", "下西"],
        &["2", "乙", "x", "掩盖"],
        &[],
        &["", "", "", "掩盖"],
        &["3", "丙", "x"],
        &["4", "丁", "x"],
    ];
    let merges = r#"<mergeCells><mergeCell ref="D4:D8"/><mergeCell ref="D9:D1048576"/><mergeCell ref="XFA1:XFD9"/></mergeCells>"#;
    let sheet = read(&book_of(&survey(data, merges))).unwrap();
    let villages: Vec<String> = sheet
        .rows()
        .map(|row| row.text(Column::Village).into_owned())
        .collect();
    assert_eq!(villages, ["下西", "下西", "下西", ""]);
}

#[test]
fn merged_ranges_that_overlap_without_end_are_refused() {
    let data = vec![&["1", "甲"][..]; 2_000];
    let merges = r#"<mergeCell ref="A1:XFD1048576"/>"#.repeat(50_000);
    assert_eq!(
        refused(&book_of(&survey(&data, &merges))),
        WorkbookError::MergesOverlap
    );
    let merges = r#"<mergeCell ref="A1:B1"/>"#.repeat(100_001);
    assert_eq!(
        refused(&book_of(&survey(&data, &merges))),
        WorkbookError::TooManyMerges { limit: 100_000 }
    );
}

/// A survey whose last row is this XML.
fn with_row(xml: &str) -> Vec<u8> {
    book_of(&survey(&[], "").replace("</sheetData>", &format!("{xml}</sheetData>")))
}

#[test]
fn a_formula_counts_by_its_last_value() {
    let row = r#"<row r="9"><c r="A9"><f>ROW()</f><v>1</v></c><c r="B9" t="str"><f>CONCAT("周","火")</f><v>周火</v></c>
        <c r="C9"><f>NOW()</f></c><c r="D9" t="e"><f>1/0</f><v>#DIV/0!</v></c><c r="E9" t="b"><v>1</v></c></row>"#;
    let sheet = read(&with_row(row)).unwrap();
    let row = sheet.rows().next().unwrap();
    assert_eq!(row.text(Column::Name), "周火");
    assert_eq!(row.text(Column::IdNumber), "");
    assert_eq!(row.text(Column::Village), "");
}

#[test]
fn a_cell_far_away_costs_nothing() {
    let far = r#"<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>9</t></is></c><c r="XFD1048576" s="1"/></row>"#;
    let sheet = read(&with_row(far)).unwrap();
    assert_eq!(
        sheet.rows().map(|row| row.number()).collect::<Vec<_>>(),
        [1_048_576]
    );
    let filled = r#"<row r="9"><c r="XFD9"><v>1</v></c></row>"#;
    assert_eq!(
        refused(&with_row(filled)),
        WorkbookError::TooManyColumns { row: 9, limit: 100 }
    );
    let blank: String = (9..300_000)
        .map(|row| format!(r#"<row r="{row}"><c r="A{row}" s="1"/></row>"#))
        .collect();
    assert!(read(&with_row(&blank)).unwrap().is_empty());
    let limits = Limits {
        rows: 10,
        ..Limits::DEFAULT
    };
    let data = vec![&["1"][..]; 10];
    let file = book_of(&survey(&data, ""));
    assert_eq!(
        workbook::read(&file, &limits).unwrap_err(),
        WorkbookError::TooManyRows { limit: 10 }
    );
}

#[test]
fn a_sheet_that_breaks_its_own_form_is_refused() {
    for row in [
        r#"<row r="2"><c r="A2"><v>1</v></c></row>"#,
        r#"<row r="9"><c r="B9"><v>1</v></c><c r="A9"><v>1</v></c></row>"#,
        r#"<row r="9"><c r="A8"><v>1</v></c></row>"#,
        r#"<row r="1048577"><c><v>1</v></c></row>"#,
        r#"<row r="9"><c r="A9" t="s"><v>0</v></c></row>"#,
        r#"<row r="9"><c r="A9"><v>NaN</v></c></row>"#,
        r#"<row r="9"><c r="ZZZZ9"><v>1</v></c></row>"#,
        r#"<row r="9"><c r="A9" t="str"><v>&unknown;</v></c></row>"#,
        r#"<row r="9">"#,
        "<row></sheetData>",
    ] {
        assert_eq!(refused(&with_row(row)), WorkbookError::Damaged, "{row}");
    }
}

#[test]
fn entities_do_not_grow() {
    let bomb = r#"<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>"#;
    assert_eq!(
        refused(&book_of(&format!("{bomb}{}", survey(&[], "")))),
        WorkbookError::Damaged
    );
}

#[test]
fn tags_neither_nest_nor_stretch_without_end() {
    assert_eq!(
        refused(&with_row(&"<a>".repeat(100_000))),
        WorkbookError::Damaged
    );
    let long = format!(
        r#"<row r="9"><c r="A9" t="str"><v>{}</v></c></row>"#,
        "长".repeat(1_000_000)
    );
    assert_eq!(refused(&with_row(&long)), WorkbookError::Damaged);
    let wide = format!(r#"<row r="9" {}></row>"#, r#"a="" "#.repeat(100_000));
    assert!(read(&with_row(&wide)).is_ok());
    let comment = format!("<!-- {} -->", "< ".repeat(1_000_000));
    assert_eq!(refused(&with_row(&comment)), WorkbookError::Damaged);
    let pieces = format!(
        r#"<row r="9"><c r="A9" t="str"><v>{}</v></c></row>"#,
        "长<a/>".repeat(500_000)
    );
    assert_eq!(refused(&with_row(&pieces)).reason(), "TOO_MUCH_TEXT");
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    // Some 2 MiB that unpack to 2 GiB, claimed in the directory, or not.
    let blanks = vec![b' '; 64 << 20];
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive.start_file("xl/workbook.xml", options).unwrap();
    for _ in 0..9 {
        archive.write_all(&blanks).unwrap();
    }
    let mut file = archive.finish().unwrap().into_inner();
    let refusal = WorkbookError::UnpacksTooLarge {
        limit: Limits::DEFAULT.unpacked_bytes,
    };
    assert_eq!(refused(&file), refusal);

    let entry = file
        .windows(4)
        .rposition(|window| window == b"PK\x01\x02")
        .unwrap();
    file[entry + 24..entry + 28].copy_from_slice(&1_u32.to_le_bytes());
    let limits = Limits {
        markup_bytes: usize::MAX,
        ..Limits::DEFAULT
    };
    assert_eq!(workbook::read(&file, &limits).unwrap_err(), refusal);
    // White space of any length is no text of a workbook.
    assert_eq!(refused(&file), WorkbookError::Damaged);
}

#[test]
fn shared_texts_without_end_are_refused() {
    let rels = PARTS_OF_BOOK.as_bytes();
    let texts = format!("<sst>{}</sst>", "<si/>".repeat(101));
    let file = packed(&[
        ("xl/workbook.xml", BOOK.as_bytes()),
        ("xl/_rels/workbook.xml.rels", rels),
        ("xl/sharedStrings.xml", texts.as_bytes()),
        ("xl/worksheets/sheet1.xml", survey(&[], "").as_bytes()),
    ]);
    let limits = Limits {
        shared_texts: 100,
        ..Limits::DEFAULT
    };
    assert_eq!(
        workbook::read(&file, &limits).unwrap_err().reason(),
        "TOO_MUCH_TEXT"
    );
}

#[test]
fn an_archive_with_a_false_directory_is_refused() {
    let names: Vec<String> = (0..1_001).map(|number| format!("part{number}")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(
        refused(&packed(&parts)),
        WorkbookError::TooManyParts { limit: 1_000 }
    );

    let file = book_of(&survey(&[], ""));
    let end = file.len() - 22;
    let entry = file
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    // Each of these fields lies: number of entries, size and place of the directory, method, place of a part.
    for (at, value) in [
        (end + 10, 200),
        (end + 12, 7),
        (end + 16, u16::MAX),
        (entry + 10, 99),
        (entry + 42, 5),
    ] {
        let mut file = file.clone();
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
        assert_eq!(refused(&file), WorkbookError::Damaged, "{at}");
    }
    let mut encrypted = file.clone();
    encrypted[entry + 8] |= 1;
    assert_eq!(refused(&encrypted), WorkbookError::Encrypted);
    let mut twice = packed(&[
        ("xl/workbook.xml", BOOK.as_bytes()),
        ("xl/Workbook.xml", BOOK.as_bytes()),
    ]);
    assert_eq!(refused(&twice), WorkbookError::Damaged);
    twice.truncate(twice.len() - 10);
    assert_eq!(refused(&twice), WorkbookError::NotAWorkbook);
}

#[test]
fn a_date_cell_is_the_date_of_the_sheet() {
    let styles = r#"<styleSheet><numFmts><numFmt numFmtId="176" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/></numFmts>
        <cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>
        <cellXfs><xf numFmtId="0"/><xf numFmtId="176"/><xf numFmtId="31"/></cellXfs></styleSheet>"#;
    for (style, expected) in [
        ("0", None),
        ("1", LocalDay::from_ymd(2024, 9, 20).ok()),
        ("2", LocalDay::from_ymd(2024, 9, 20).ok()),
    ] {
        let date = format!(r#"<row r="1"><c r="A1" s="{style}"><v>45555</v></c></row>"#);
        let sheet =
            sheet_of(&[(2, HEADER)], "").replace("<sheetData>", &format!("<sheetData>{date}"));
        let file = packed(&[
            ("xl/workbook.xml", BOOK.as_bytes()),
            ("xl/_rels/workbook.xml.rels", PARTS_OF_BOOK.as_bytes()),
            ("xl/styles.xml", styles.as_bytes()),
            ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ]);
        assert_eq!(read(&file).ok().map(|sheet| sheet.as_of()), expected);
    }
}

#[test]
fn every_refusal_has_a_reason_for_machines_and_one_for_people() {
    for error in [
        WorkbookError::NotAWorkbook,
        WorkbookError::DateInFuture,
        WorkbookError::ColumnMissing(Column::Village),
        WorkbookError::TooManyColumns { row: 7, limit: 100 },
    ] {
        assert!(
            error
                .reason()
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        );
        assert!(!error.to_string().is_empty() && !error.chinese().is_empty());
    }
    assert_eq!(
        WorkbookError::ColumnMissing(Column::Village).chinese(),
        "表头缺少“村(社区)”列"
    );
}

fn real_workbook() -> Vec<u8> {
    let file = "../../deploy/local/data/anxi/survey/350524210-福田乡.xlsx";
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The parts of a real workbook, unpacked, so that changes get past the checksums.
fn real_parts() -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(real_workbook())).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut part = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            std::io::copy(&mut part, &mut content).unwrap();
            (part.name().to_owned(), content)
        })
        .collect()
}

/// Reads whatever it is, and judges its rows: nothing may panic.
fn survive(file: &[u8]) {
    if let Ok(sheet) = read(file) {
        let town = TownVillages::new([("350524210001".parse().unwrap(), "福前社区居委会")]);
        for sheet_row in sheet.rows() {
            let _ = row::judge(&sheet_row, &town, sheet.as_of());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_real_workbook_with_bytes_changed_does_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut file = real_workbook();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        survive(&file);
    }

    #[test]
    fn a_real_workbook_cut_short_does_no_harm(end in any::<prop::sample::Index>()) {
        let file = real_workbook();
        survive(&file[..end.index(file.len())]);
    }

    #[test]
    fn a_real_sheet_with_its_markup_changed_does_no_harm(
        part in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[<>/&;\"=a-c0-9A-Z: \u{3000}]{0,3}", 0_usize..4), 1..8),
    ) {
        let mut parts = real_parts();
        let part = part.index(parts.len());
        for (at, text, removed) in changes {
            let content = &mut parts[part].1;
            let at = at.index(content.len());
            let end = (at + removed).min(content.len());
            content.splice(at..end, text.bytes());
        }
        let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
        survive(&packed(&parts));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        survive(&bytes);
    }
}

//! Survey workbooks as nobody has filled them in: each is read or refused with a reason that tells nothing of the elders in
//! it, and each of its rows is judged. What bytes of the archive itself do, `hostile_workbooks` tries.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::io::{Cursor, Write as _};

use fuzzing::assert_untold;
use registry::survey::{Column, Limits, TownVillages, row, workbook};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A survey as small as they come, part by part: with styles and shared texts, a merged range, and numbers, dates, formulas
/// and errors among its cells.
const PARTS: [(&str, &str); 5] = [
    (
        "xl/workbook.xml",
        r#"<workbook xmlns="m" xmlns:r="r"><sheets><sheet name="汇总表" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
    ),
    (
        "xl/_rels/workbook.xml.rels",
        r#"<Relationships><Relationship Id="rId1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/>
<Relationship Id="rId2" Type="http://x/sharedStrings" Target="sharedStrings.xml"/>
<Relationship Id="rId3" Type="http://x/styles" Target="styles.xml"/></Relationships>"#,
    ),
    (
        "xl/styles.xml",
        r#"<styleSheet><numFmts><numFmt numFmtId="176" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/></numFmts>
<cellXfs><xf numFmtId="0"/><xf numFmtId="176"/></cellXfs></styleSheet>"#,
    ),
    (
        "xl/sharedStrings.xml",
        "<sst><si><t>姓名</t></si><si><r><t>身份证</t></r><r><t>号</t></r></si><si><t xml:space=\"preserve\"> 独居_x000D_ </t></si></sst>",
    ),
    (
        "xl/worksheets/sheet1.xml",
        r#"<worksheet><sheetData><row r="1"><c r="A1" s="1"><v>45555</v></c></row>
<row r="3"><c r="A3" t="s"><v>0</v></c><c r="B3" t="s"><v>1</v></c><c r="C3" t="inlineStr"><is><t>村(社区)</t></is></c>
<c r="D3" t="str"><v>类别</v></c><c r="E3" t="inlineStr"><is><t>身体能力</t></is></c><c r="F3" t="str"><f>A1</f><v>备注</v></c></row>
<row r="4"><c r="A4" t="inlineStr"><is><t>王秀英</t></is></c><c r="B4" t="inlineStr"><is><t>350524195207209372</t></is></c>
<c r="C4" t="inlineStr"><is><t>福前社区</t></is></c><c r="D4" t="s"><v>2</v></c><c r="E4" t="str"><v>完好</v></c><c r="F4" t="e"><v>#N/A</v></c></row>
<row r="5"><c r="A5" t="inlineStr"><is><t>林&#x4E00;</t></is></c><c r="B5"><v>350524520720937</v></c><c r="E5" t="b"><v>1</v></c></row>
</sheetData><mergeCells><mergeCell ref="C4:C5"/><mergeCell ref="D4:D5"/></mergeCells></worksheet>"#,
    ),
];

/// What must stand in no refusal.
const SECRETS: [&str; 4] = [
    "王秀英",
    "350524195207209372",
    "350524520720937",
    "凤山路8号",
];

/// A row of all columns of the form, one cell after the other.
const ROW: &str = "1\t王秀英\t女\t72\t350524195207209372\t福前社区\t凤山路8号\t独居、失能，低保\t重度失能/痴呆\t林一\t女儿\t13800138000\t健康管理、其他\t是\t118.065535\t25.382679\t新增";

/// A survey in which one part is another one.
fn with_part(name: &str, content: &str) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (part, usual) in PARTS {
        archive
            .start_file(part, SimpleFileOptions::default())
            .unwrap();
        let content = if part == name { content } else { usual };
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Reads a workbook and judges its rows: how many rows it has.
fn judged(file: &[u8]) -> Option<usize> {
    let town = TownVillages::new([("350524210001".parse().unwrap(), "福前社区居委会")]);
    let sheet = match workbook::read(file, &Limits::DEFAULT) {
        Ok(sheet) => sheet,
        Err(error) => {
            assert!(!error.reason().is_empty());
            assert_untold(&error.to_string(), &SECRETS);
            assert_untold(&error.chinese(), &SECRETS);
            return None;
        }
    };
    for row in sheet.rows() {
        if let Ok(candidate) = row::judge(&row, &town, sheet.as_of()) {
            assert_eq!(candidate.row, row.number());
            assert_eq!(
                candidate.id_number.as_str().parse(),
                Ok(candidate.id_number)
            );
            assert_eq!(candidate.name.as_str().parse(), Ok(candidate.name.clone()));
            assert!(!candidate.categories.is_empty());
            assert_untold(&format!("{candidate:?}"), &SECRETS);
        }
    }
    Some(sheet.rows().count())
}

/// A text as it may stand between tags, without the characters that XML does not know.
fn escaped(text: &str) -> String {
    let known = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let text: String = text.chars().filter(known).collect();
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}

/// Cells of a row as text, from the column A on.
fn row_of(number: u32, cells: &[&str]) -> String {
    let cells = (b'A'..=b'Z').zip(cells).map(|(column, text)| {
        let (column, text) = (char::from(column), escaped(text));
        format!(r#"<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#)
    });
    format!(r#"<row r="{number}">{}</row>"#, cells.collect::<String>())
}

/// A survey of one row, with all columns.
fn with_row(cells: &[&str]) -> Vec<u8> {
    let headers = Column::ALL.map(Column::header);
    let rows = [
        row_of(1, &["2024年9月20日"]),
        row_of(2, &headers),
        row_of(3, cells),
    ];
    let sheet = format!(
        "<worksheet><sheetData>{}</sheetData></worksheet>",
        rows.concat()
    );
    with_part("xl/worksheets/sheet1.xml", &sheet)
}

#[test]
fn the_samples_are_surveys() {
    let (part, content) = PARTS[0];
    assert_eq!(judged(&with_part(part, content)), Some(2));
    let cells: Vec<&str> = ROW.split('\t').collect();
    assert_eq!(cells.len(), Column::COUNT);
    assert_eq!(judged(&with_row(&cells)), Some(1));
}

#[test]
fn a_workbook_with_any_part_spoilt_is_read_or_refused() {
    for (part, content) in PARTS {
        fuzzing::text(&[content], 150, |content| {
            judged(&with_part(part, content));
        });
    }
}

#[test]
fn a_row_of_any_cells_is_judged() {
    fuzzing::text(&[ROW], 600, |cells| {
        let cells: Vec<&str> = cells.split('\t').collect();
        judged(&with_row(&cells));
    });
}

#[test]
fn any_bytes_for_an_archive_are_read_or_refused() {
    let (part, content) = PARTS[0];
    let good = with_part(part, content);
    fuzzing::bytes(&[&good], 600, |file| {
        judged(file);
    });
}

//! Workbooks made to do harm: damaged, of another kind, growing beyond all bounds when unpacked.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use integration_tests::{System, import, process::Part, reason, survey, workbook};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tonic::Code;

use super::{is_typed, still_works};

/// A workbook that can't be taken, and the reason that must be given.
fn hostile_workbooks() -> Vec<(&'static str, Vec<u8>)> {
    let good = workbook::of_elders(0, 3);
    let mut books = vec![
        ("WORKBOOK_NOT_XLSX", Vec::new()),
        ("WORKBOOK_NOT_XLSX", "序号,姓名".as_bytes().to_vec()),
        (
            "WORKBOOK_NOT_XLSX",
            workbook::packed(&[("word/document.xml", b"<document/>")]),
        ),
        (
            "WORKBOOK_OLD_FORMAT",
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(),
        ),
        (
            "SHEET_MISSING",
            workbook::packed(&[("xl/workbook.xml", b"<workbook><sheets/></workbook>")]),
        ),
        (
            "SHEET_NOT_A_WORKSHEET",
            workbook::of_sheet(b"<chartsheet/>"),
        ),
        (
            "HEADER_MISSING",
            workbook::of_sheet(b"<worksheet><sheetData/></worksheet>"),
        ),
        (
            "DATE_MISSING",
            workbook::of_sheet(
                workbook::sheet("")
                    .replace("2024年9月20日", "某日")
                    .as_bytes(),
            ),
        ),
        (
            "COLUMN_MISSING",
            workbook::of_sheet(workbook::sheet("").replace("身份证号", "电话").as_bytes()),
        ),
        (
            "COLUMN_TWICE",
            workbook::of_sheet(workbook::sheet("").replace("家庭住址", "姓名").as_bytes()),
        ),
        (
            "WORKBOOK_DAMAGED",
            workbook::of_sheet(workbook::sheet("<row></sheetData>").as_bytes()),
        ),
        (
            "WORKBOOK_DAMAGED",
            workbook::of_sheet(workbook::sheet(&"<a>".repeat(100_000)).as_bytes()),
        ),
    ];
    // Bombs: packed small, unpacked beyond all bounds; entities that grow; a thousand parts.
    let blanks = vec![b' '; 64 << 20];
    let bomb = [blanks.as_slice(); 9].concat();
    books.push((
        "WORKBOOK_UNPACKS_TOO_LARGE",
        workbook::packed(&[("xl/workbook.xml", &bomb)]),
    ));
    let entities = r#"<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>"#;
    books.push((
        "WORKBOOK_DAMAGED",
        workbook::of_sheet(format!("{entities}{}", workbook::sheet("")).as_bytes()),
    ));
    let names: Vec<String> = (0..1_001).map(|number| format!("part{number}")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    books.push(("WORKBOOK_TOO_MANY_PARTS", workbook::packed(&parts)));
    let rows: String = (4..200_010)
        .map(|row| format!(r#"<row r="{row}"><c r="A{row}"><v>1</v></c></row>"#))
        .collect();
    books.push((
        "TOO_MANY_ROWS",
        workbook::of_sheet(workbook::sheet(&rows).as_bytes()),
    ));
    let far = r#"<row r="9"><c r="XFD9"><v>1</v></c></row>"#;
    books.push((
        "TOO_MANY_COLUMNS",
        workbook::of_sheet(workbook::sheet(far).as_bytes()),
    ));
    // Cut short at any place.
    let mut random = StdRng::seed_from_u64(350_524);
    for _ in 0..200 {
        let end = random.random_range(1..good.len() - 30);
        books.push(("WORKBOOK_", good[..end].to_vec()));
    }
    books
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workbooks_made_to_do_harm_are_refused_and_memory_stays_bounded() {
    let mut system = System::start().await;
    let before = system.written().await;
    let memory = system.running(Part::Elders).peak_resident_bytes();
    let books = hostile_workbooks();
    let system_seen = Arc::new(&system);
    stream::iter(books)
        .for_each_concurrent(4, |(expected, book)| {
            let system = Arc::clone(&system_seen);
            async move {
                let options = survey::options();
                let refused = import(&mut system.registry(), options, &book)
                    .await
                    .expect_err(expected);
                is_typed(&refused, expected);
                assert_eq!(
                    refused.code(),
                    Code::InvalidArgument,
                    "{expected}: {refused}"
                );
                assert!(
                    reason(&refused).starts_with(expected),
                    "{expected}: {refused}"
                );
            }
        })
        .await;
    // A file beyond 64 MiB is not taken in to its end.
    let refused = import(
        &mut system.registry(),
        survey::options(),
        &vec![7; 65 << 20],
    )
    .await;
    let refused = refused.unwrap_err();
    is_typed(&refused, "65 MiB");
    assert_eq!(reason(&refused), "WORKBOOK_TOO_LARGE");
    assert_eq!(
        system.written().await,
        before,
        "a workbook that was refused wrote something"
    );
    let grown = system.running(Part::Elders).peak_resident_bytes() - memory;
    assert!(grown < 768 << 20, "memory grew by {} MiB", grown >> 20);
    still_works(&mut system).await;
}

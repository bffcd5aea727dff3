//! Survey imports whose stream breaks the rules, and rows that can't be taken as they are.

use bytes::Bytes;
use integration_tests::{System, county, import, process, reason, survey, workbook};
use prost::Message as _;
use proto::eldercare::registry::v1::{
    ImportSurveyOptions, ImportSurveyRequest, SurveyOutcome, SurveyRejection,
    import_survey_request::Part,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tonic::Code;

use super::{is_typed, send, still_works};

/// The method that imports a workbook.
const IMPORT: &str = "/eldercare.registry.v1.RegistryService/ImportSurvey";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_breaks_the_rules_of_the_stream_is_refused() {
    let mut system = System::start().await;
    let before = system.written().await;
    let book = workbook::of_elders(0, 3);
    let options = survey::options;
    let message = |part| ImportSurveyRequest { part };
    let chunk = |bytes: &[u8]| message(Some(Part::Chunk(bytes.to_vec().into())));
    let with = |options: ImportSurveyOptions| message(Some(Part::Options(options)));
    let streams: Vec<(&str, Vec<ImportSurveyRequest>)> = vec![
        ("nothing at all", vec![]),
        ("an empty message first", vec![message(None)]),
        ("no options first", vec![chunk(&book)]),
        (
            "options twice",
            vec![with(options()), with(options()), chunk(&book)],
        ),
        (
            "an empty message between",
            vec![with(options()), message(None), chunk(&book)],
        ),
        (
            "a piece of over 1 MiB",
            vec![with(options()), chunk(&vec![0; (1 << 20) + 1])],
        ),
        (
            "no import id",
            vec![
                with(ImportSurveyOptions {
                    import_id: String::new(),
                    ..options()
                }),
                chunk(&book),
            ],
        ),
        (
            "no town",
            vec![
                with(ImportSurveyOptions {
                    town_code: VILLAGE_AS_TOWN.to_owned(),
                    ..options()
                }),
                chunk(&book),
            ],
        ),
        (
            "a town that nobody knows",
            vec![
                with(ImportSurveyOptions {
                    town_code: "350524999".to_owned(),
                    ..options()
                }),
                chunk(&book),
            ],
        ),
        ("no workbook", vec![with(options())]),
    ];
    let channel = || system.officer().channel(process::Part::Elders);
    for (wrong, messages) in streams {
        let bytes = messages
            .iter()
            .map(|message| Bytes::from(message.encode_to_vec()))
            .collect();
        let refused = send(channel(), IMPORT, bytes).await.expect_err(wrong);
        is_typed(&refused, wrong);
    }
    let mut random = StdRng::seed_from_u64(99);
    for _ in 0..200 {
        let garbage: Vec<u8> = (0..random.random_range(2..200)).map(|_| 0xFF).collect();
        let messages = vec![
            Bytes::from(with(options()).encode_to_vec()),
            Bytes::from(garbage),
        ];
        let refused = send(channel(), IMPORT, messages).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "MESSAGE_MALFORMED")
        );
    }
    assert_eq!(system.written().await, before);
    still_works(&mut system).await;
}

/// Twelve digits, where a town has nine.
const VILLAGE_AS_TOWN: &str = integration_tests::elders::VILLAGE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_formulas_or_of_another_town_are_rejected_one_by_one() {
    let mut system = System::start().await;
    let before = system.written().await;
    // Formulas count by their last value, and there is none; the sheet of another town names villages that this one lacks.
    let row = |number: u32, id: &str, village: &str| {
        let text = |column: char, text: &str| {
            format!(r#"<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#)
        };
        format!(
            r#"<row r="{number}">{}<c r="C{number}">{id}</c>{}{}{}</row>"#,
            text('B', "林表格"),
            text('D', village),
            text('F', "独居"),
            text('G', "完好"),
        )
    };
    let number = integration_tests::id_number(integration_tests::day("1940-01-01"), 1);
    let rows = [
        row(
            4,
            "<f>HYPERLINK(&quot;http://x&quot;)</f>",
            "下西社区居委会",
        ),
        row(5, "<f>1/0</f>", "下西社区居委会"),
        row(6, "<v>123</v>", "下西社区居委会"),
        row(7, &format!("<v>{number}</v>"), "别处村"),
    ]
    .concat();
    let book = workbook::of_sheet(workbook::sheet(&rows).as_bytes());
    let imported = import(&mut system.registry(), survey::options(), &book)
        .await
        .unwrap();
    assert!(
        imported
            .rows
            .iter()
            .all(|row| row.outcome() == SurveyOutcome::Rejected),
        "{:?}",
        imported.rows
    );
    let rejections: Vec<_> = imported.rows.iter().map(|row| row.rejection()).collect();
    assert_eq!(rejections[..3], [SurveyRejection::IdInvalid; 3]);
    assert_eq!(rejections.len(), 4);

    let other_town = county::workbook("350524101-蓬莱镇");
    let options = ImportSurveyOptions {
        dry_run: true,
        ..survey::options()
    };
    let imported = import(&mut system.registry(), options, &other_town)
        .await
        .unwrap();
    // A few villages of both towns have the same name.
    let unknown = imported
        .rows
        .iter()
        .filter(|row| row.rejection() == SurveyRejection::VillageUnknown)
        .count();
    assert!(
        unknown > imported.rows.len() / 10 * 8,
        "only {unknown} of {} rows",
        imported.rows.len()
    );
    assert_eq!(
        system.written().await,
        before,
        "a rejected row wrote something"
    );
    still_works(&mut system).await;
}

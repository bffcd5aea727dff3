//! Annex 2 on paper: who was visited when, with which services, signed by whom.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use civic::ElderId;
use elders::event::Event;
use eventlog::{RawEvent, Subject};
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use proto::eldercare::visits::v1::export_records_request::Whose;
use service::testing::anybody;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{Ground, Running, VILLAGE, date, reason, visit};

const TOWN: &str = "350524100";

/// Names of the county's divisions, as the registry publishes them.
async fn publish_names(ground: &Ground) {
    let named = |code: &str, name: &str| types::Division {
        code: code.to_owned(),
        name: name.to_owned(),
        ..Default::default()
    };
    let published = registry::DivisionsPublished {
        divisions: vec![
            named("350524", "安溪县"),
            named(TOWN, "凤城镇"),
            named(VILLAGE, "城东社区"),
        ],
    };
    let subject = Subject::new("registry", "divisions", "350524").unwrap();
    let metadata = service::testing::metadata(ground.clock.now(), "350524");
    let events = vec![RawEvent::of(&published)];
    service::testing::write(&*ground.logs.registry, subject, metadata, events).await;
}

fn october(whose: Whose) -> pb::ExportRecordsRequest {
    pb::ExportRecordsRequest {
        whose: Some(whose),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-31")),
        min_position: String::new(),
    }
}

async fn export(
    running: &Running,
    request: pb::ExportRecordsRequest,
) -> Result<Xlsx<Cursor<Vec<u8>>>, Status> {
    running.settled().await;
    let mut pieces = running.client().export_records(request).await?.into_inner();
    let mut workbook = Vec::new();
    while let Some(piece) = pieces.message().await? {
        workbook.extend_from_slice(&piece.chunk);
    }
    Ok(calamine::open_workbook_from_rs(Cursor::new(workbook)).unwrap())
}

/// The filled cells of a sheet, row by row.
fn rows(book: &mut Xlsx<Cursor<Vec<u8>>>, sheet: &str) -> Vec<Vec<String>> {
    let range = book.worksheet_range(sheet).unwrap();
    let text = |cell: &Data| cell.to_string().replace('\n', "");
    range
        .rows()
        .map(|row| row.iter().map(text).collect())
        .collect()
}

#[tokio::test]
async fn a_villages_ledger_has_a_form_for_each_elder_with_what_counts() {
    let ground = Ground::at("2024-10-08 18:00");
    publish_names(&ground).await;
    let (one, other) = (ground.weekly().await, ground.monthly().await);
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let signed = visit(&visitor, one, "2024-10-08 09:00");
    let mut unsigned = visit(&visitor, other, "2024-10-08 10:00");
    unsigned.signed = false;
    unsigned.remarks = String::new();
    let mut nobody_home = visit(&visitor, one, "2024-10-08 11:00");
    nobody_home.result = pb::VisitResult::NotAtHome.into();
    for record in [&signed, &unsigned, &nobody_home] {
        running.send(record).await.unwrap();
    }
    let whose = Whose::DivisionCode("350524".to_owned());
    let mut book = export(&running, october(whose)).await.unwrap();
    assert_eq!(book.sheet_names(), ["城东社区 350524100001"]);
    let rows = rows(&mut book, "城东社区 350524100001");
    assert_eq!(rows[0][0], "特殊困难老年人探访关爱服务记录表");
    assert!(
        rows[1][0].starts_with("凤城镇（街道）　　城东村（社区）　　老年人姓名："),
        "{}",
        rows[1][0]
    );
    assert_eq!(
        rows[2],
        [
            "日期",
            "健康管理",
            "居家安全",
            "生活照料",
            "康复护理",
            "精神慰藉",
            "环境卫生",
            "应急救援",
            "文体活动",
            "其他",
            "服务人员签字",
            "备注"
        ]
    );
    let filled = |row: &&Vec<String>| row[0].starts_with("2024年");
    let lines: Vec<_> = rows.iter().filter(filled).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!((line[0].as_str(), line[5].as_str()), ("2024年10月8日", "√"));
    }
    let mut signatures: Vec<_> = lines.iter().map(|line| (&*line[10], &*line[11])).collect();
    signatures.sort_unstable();
    assert_eq!(signatures, [("", ""), ("王网格", "一切安好")]);
    let titles = rows.iter().filter(|row| row[0] == rows[0][0]).count();
    assert_eq!(titles, 2);
}

#[tokio::test]
async fn one_elders_form_is_printed_also_without_a_visit_and_none_of_an_erased_one() {
    let ground = Ground::at("2024-10-08 18:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    let of_elder = || october(Whose::ElderId(elder.to_string()));
    let mut book = export(&running, of_elder()).await.unwrap();
    // The county's table of divisions is not there yet.
    assert_eq!(book.sheet_names(), [VILLAGE]);
    let rows = rows(&mut book, VILLAGE);
    assert!(rows.iter().all(|row| !row[0].starts_with("2024年")));

    let ground = &running.ground;
    ground.vault.erase(elder.as_uuid()).await.unwrap();
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(elder, &[erasure]).await;
    let refused = export(&running, of_elder()).await.err().unwrap();
    assert_eq!(reason(&refused), "ELDER_NOT_FOUND");
}

#[tokio::test]
async fn wrong_requests_for_a_ledger_are_refused() {
    let ground = Ground::at("2024-10-08 18:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    let refused = async |request| export(&running, request).await.err().unwrap();
    let nobody = Whose::ElderId(ElderId(Uuid::now_v7()).to_string());
    assert_eq!(reason(&refused(october(nobody)).await), "ELDER_NOT_FOUND");
    let empty = Whose::DivisionCode(TOWN.to_owned());
    assert_eq!(reason(&refused(october(empty)).await), "RECORDS_NOT_FOUND");
    let of_elder = october(Whose::ElderId(elder.to_string()));
    let invalid = [
        pb::ExportRecordsRequest {
            whose: None,
            ..of_elder.clone()
        },
        pb::ExportRecordsRequest {
            last_day: Some(date("2024-09-30")),
            ..of_elder.clone()
        },
        pb::ExportRecordsRequest {
            last_day: Some(date("2026-01-01")),
            ..of_elder.clone()
        },
        october(Whose::DivisionCode("x".to_owned())),
    ];
    for request in invalid {
        assert_eq!(refused(request).await.code(), Code::InvalidArgument);
    }
    let mut elsewhere = anybody();
    elsewhere.divisions = vec!["350525".to_owned()];
    let mut client = running.client_of(&elsewhere);
    let unknown = client.export_records(of_elder).await.unwrap_err();
    assert_eq!(reason(&unknown), "ELDER_NOT_FOUND");
    let town = october(Whose::DivisionCode(TOWN.to_owned()));
    let denied = client.export_records(town).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

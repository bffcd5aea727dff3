//! A town's workbook is imported: each row ends as the sample says, once, however often the workbook is sent.

use crate::support::{
    self, Client, Ground, Running, get, instant, request_id, sample, sample_divisions,
};
use proto::eldercare::registry::v1::{self as pb, import_survey_response::Part};
use registry::survey::Column;
use serde_json::Value;
use service::Claims;
use service::testing::reason;
use tonic::{Code, Status};

// The first two by their file names: what the sample expects of a workbook rests on those before it.
const TOWN: &str = "350524100";
const WORKBOOK: &str = "350524100-凤城镇.xlsx";
const SECOND_TOWN: &str = "350524101";
const SECOND_WORKBOOK: &str = "350524101-蓬莱镇.xlsx";
const VILLAGE_OF_SECOND_TOWN: &str = "350524101001";

fn workbook(name: &str) -> Vec<u8> {
    std::fs::read(sample("survey").join(name)).unwrap()
}

fn messages(options: pb::ImportSurveyOptions, file: &[u8]) -> Vec<pb::ImportSurveyRequest> {
    let options = pb::import_survey_request::Part::Options(options);
    let chunks = file
        .chunks(60_000)
        .map(|chunk| pb::import_survey_request::Part::Chunk(chunk.to_vec().into()));
    std::iter::once(options)
        .chain(chunks)
        .map(|part| pb::ImportSurveyRequest { part: Some(part) })
        .collect()
}

fn options(town: &str) -> pb::ImportSurveyOptions {
    pb::ImportSurveyOptions {
        import_id: request_id(),
        town_code: town.to_owned(),
        dry_run: false,
        update: false,
    }
}

#[derive(Debug, Default)]
struct Imported {
    rows: Vec<pb::RowOutcome>,
    progress: Vec<pb::ImportProgress>,
    summary: pb::ImportSummary,
}

async fn import(
    client: &mut Client,
    options: pb::ImportSurveyOptions,
    file: &[u8],
) -> Result<Imported, Status> {
    let requests = tokio_stream::iter(messages(options, file));
    let mut answers = client.import_survey(requests).await?.into_inner();
    let mut imported = Imported::default();
    while let Some(answer) = answers.message().await? {
        match answer.part.unwrap() {
            Part::Row(row) => imported.rows.push(row),
            Part::Progress(progress) => imported.progress.push(progress),
            Part::Summary(summary) => imported.summary = summary,
        }
    }
    Ok(imported)
}

/// What the sample expects of a workbook: row, outcome, reason and warnings.
fn expected(name: &str) -> Vec<(i32, String, String, Vec<String>)> {
    let survey: Value =
        serde_json::from_slice(&std::fs::read(sample("expected/survey.json")).unwrap()).unwrap();
    let rows = survey["files"][name]["rows"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| {
            let warnings = row["warnings"]
                .as_array()
                .unwrap()
                .iter()
                .map(text)
                .collect();
            (
                row["row"].as_i64().unwrap() as i32,
                text(&row["outcome"]),
                text(&row["reason"]),
                warnings,
            )
        })
        .collect()
}

fn told(imported: &Imported) -> Vec<(i32, String, String, Vec<String>)> {
    let bare = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap().to_owned();
    imported
        .rows
        .iter()
        .map(|row| {
            let outcome = bare(row.outcome().as_str_name(), "SURVEY_OUTCOME_");
            let reason = if row.rejection == 0 {
                String::new()
            } else {
                bare(row.rejection().as_str_name(), "SURVEY_REJECTION_")
            };
            let warnings = row
                .warnings()
                .map(|one| bare(one.as_str_name(), "SURVEY_WARNING_"))
                .collect();
            (row.row, outcome, reason, warnings)
        })
        .collect()
}

#[tokio::test]
async fn two_workbooks_of_the_sample_county_end_as_expected() {
    let running = Running::new().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    for (town, name) in [(TOWN, WORKBOOK), (SECOND_TOWN, SECOND_WORKBOOK)] {
        let imported = import(&mut client, options(town), &workbook(name))
            .await
            .unwrap();
        assert_eq!(told(&imported), expected(name));
        assert_eq!(imported.summary.as_of, support::date("2024-09-20"));
        assert_eq!(imported.summary.rows as usize, imported.rows.len());
        assert_eq!(
            imported.progress.last().unwrap().rows_done,
            imported.summary.rows
        );
        let statistics = pb::GetStatisticsRequest {
            division_code: town.to_owned(),
            min_position: imported.summary.position.clone(),
        };
        let statistics = client
            .get_statistics(statistics)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(statistics.elders, i64::from(imported.summary.accepted));
    }
    running.verify().await;
}

#[tokio::test]
async fn the_same_import_sent_again_is_answered_as_before_and_another_one_finds_duplicates() {
    let running = Running::new().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    let (file, options) = (workbook(WORKBOOK), options(TOWN));
    let first = import(&mut client, options.clone(), &file).await.unwrap();
    let written = running.log.last_sequence().await.unwrap();

    let again = import(&mut client, options.clone(), &file).await.unwrap();
    assert_eq!((&again.rows, &again.summary), (&first.rows, &first.summary));
    let running = running.restart().await;
    let mut client = running.client();
    let later = import(&mut client, options.clone(), &file).await.unwrap();
    assert_eq!((&later.rows, &later.summary), (&first.rows, &first.summary));

    let other = import(
        &mut client,
        pb::ImportSurveyOptions {
            import_id: request_id(),
            ..options.clone()
        },
        &file,
    );
    let other = other.await.unwrap();
    assert_eq!(
        other.summary.duplicate,
        first.summary.accepted + first.summary.duplicate
    );
    assert_eq!(
        (other.summary.accepted, other.summary.rejected),
        (0, first.summary.rejected)
    );
    assert_eq!(
        running.log.last_sequence().await.unwrap(),
        written,
        "nothing is written twice"
    );

    // Another workbook under the import's id: one more byte at its end is enough.
    let mut altered = file.clone();
    altered.push(0);
    let status = import(&mut client, options, &altered).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "REQUEST_ID_REUSED")
    );
}

#[tokio::test]
async fn a_dry_run_judges_and_writes_nothing() {
    let running = Running::new().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    let written = running.log.last_sequence().await.unwrap();
    let dry = pb::ImportSurveyOptions {
        dry_run: true,
        ..options(TOWN)
    };
    let imported = import(&mut client, dry, &workbook(WORKBOOK)).await.unwrap();
    assert_eq!(
        told(&imported),
        expected(WORKBOOK),
        "rows that repeat an elder included"
    );
    assert_eq!(imported.summary.position, "");
    assert_eq!(running.log.last_sequence().await.unwrap(), written);
}

#[tokio::test]
async fn an_import_cut_off_in_the_middle_goes_on_where_it_was() {
    let running = Running::new().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    let (file, options) = (workbook(WORKBOOK), options(TOWN));
    let requests = tokio_stream::iter(messages(options.clone(), &file));
    let mut answers = client.import_survey(requests).await.unwrap().into_inner();
    answers.message().await.unwrap();
    // The client goes away, and the registry with it.
    drop(answers);
    let running = running.restart().await;
    let mut client = running.client();
    let resumed = import(&mut client, options.clone(), &file).await.unwrap();
    assert_eq!(told(&resumed), expected(WORKBOOK));
    let elders: std::collections::HashSet<_> = resumed
        .rows
        .iter()
        .filter(|row| row.outcome() == pb::SurveyOutcome::Accepted)
        .map(|row| &row.elder_id)
        .collect();
    assert_eq!(elders.len(), resumed.summary.accepted as usize);
    running.verify().await;
}

/// An ID number that can be: of a birth in 1940, told apart by its serial.
fn id_number(serial: u32) -> civic::IdNumber {
    let digits = format!(
        "350524194{}{:02}{:02}{:03}",
        serial % 10,
        serial / 10 % 12 + 1,
        serial / 120 % 28 + 1,
        serial / 3_360 + 100
    );
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits
        .chars()
        .zip(weights)
        .map(|(digit, weight)| digit.to_digit(10).unwrap() * weight)
        .sum();
    let check = b"10X98765432"[sum as usize % 11];
    format!("{digits}{}", char::from(check)).parse().unwrap()
}

/// A workbook with a row for each name and ID number.
fn workbook_of(village: &str, rows: &[(&str, civic::IdNumber)]) -> Vec<u8> {
    let day = civic::LocalDay::from_ymd(2024, 9, 20).unwrap();
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "特殊困难老年人摸底汇总表").unwrap();
    sheet.write(1, 0, "填表日期：2024年9月20日").unwrap();
    for (place, column) in (0..).zip(Column::ALL) {
        sheet.write(2, place, column.header()).unwrap();
    }
    for (row, (name, number)) in (3..).zip(rows) {
        for (place, column) in (0..).zip(Column::ALL) {
            let text = match column {
                Column::Serial => (row - 2).to_string(),
                Column::Name => (*name).to_owned(),
                Column::Sex => civic::Term::chinese(number.sex()).to_owned(),
                Column::Age => civic::Age::on(number.birth_date(), day).to_string(),
                Column::IdNumber => number.as_str().to_owned(),
                Column::Village => village.to_owned(),
                Column::Category => civic::Term::chinese(civic::Category::LivingAlone).to_owned(),
                Column::Capability => {
                    civic::Term::chinese(civic::CapabilityLevel::Intact).to_owned()
                }
                Column::Consent => "是".to_owned(),
                Column::Address
                | Column::ContactName
                | Column::ContactRelation
                | Column::ContactPhone
                | Column::WantedServices
                | Column::Remarks
                | Column::Longitude
                | Column::Latitude => continue,
            };
            sheet.write(row, place, text).unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

#[tokio::test]
async fn of_rows_far_apart_with_one_number_the_upper_has_the_say() {
    let running = Running::new().await;
    let mut client = running.client();
    let divisions = sample_divisions();
    let village = divisions.divisions.iter();
    let village = village
        .filter(|division| division.parent == TOWN)
        .map(|division| division.name.clone())
        .next()
        .unwrap();
    client.import_divisions(divisions).await.unwrap();
    // More rows than are decided together: the same elders again in the next piece and in the one after it.
    let mut rows: Vec<_> = (0..1_300).map(|row| ("王秀英", id_number(row))).collect();
    let first = |row: usize| id_number(u32::try_from(row).unwrap());
    for (row, name, of) in [
        (520, "王秀英", 510),
        (521, "李桂兰", 3),
        (1_290, "王秀英", 3),
        (1_291, "王秀英", 700),
    ] {
        rows[row] = (name, first(of));
    }
    let file = workbook_of(&village, &rows);
    let options = options(TOWN);
    let imported = import(&mut client, options.clone(), &file).await.unwrap();
    let numbers: Vec<_> = imported.rows.iter().map(|row| row.row).collect();
    assert!(numbers.is_sorted() && numbers.len() == rows.len());
    for (place, row) in imported.rows.iter().enumerate() {
        let expected = match place {
            520 | 1_290 | 1_291 => pb::SurveyOutcome::Duplicate,
            521 => pb::SurveyOutcome::Rejected,
            _ => pb::SurveyOutcome::Accepted,
        };
        assert_eq!(row.outcome(), expected, "row {place}");
    }
    assert_eq!(imported.rows[520].elder_id, imported.rows[510].elder_id);
    assert_eq!(imported.rows[1_290].elder_id, imported.rows[3].elder_id);
    assert_eq!(
        (
            imported.summary.accepted,
            imported.summary.duplicate,
            imported.summary.rejected
        ),
        (1_296, 3, 1)
    );
    // Sent again it is answered as before, and nothing is written.
    let written = running.log.last_sequence().await.unwrap();
    let again = import(&mut client, options, &file).await.unwrap();
    assert_eq!(told(&again), told(&imported));
    assert_eq!(running.log.last_sequence().await.unwrap(), written);
    running.verify().await;
}

#[tokio::test]
async fn a_number_that_was_freed_on_another_replica_is_free_here() {
    let running = Running::new().await;
    let mut client = running.client();
    let divisions = sample_divisions();
    let mut villages = divisions.divisions.iter();
    let village = villages.find(|division| division.parent == TOWN);
    let village = village.unwrap().name.clone();
    client.import_divisions(divisions).await.unwrap();
    let rows = [("王秀英", id_number(1)), ("李桂兰", id_number(2))];
    let file = workbook_of(&village, &rows);
    let first = import(&mut client, options(TOWN), &file).await.unwrap();
    assert_eq!(first.summary.accepted, 2);

    let other = running.beside().await;
    let mut there = other.client();
    let erase = pb::EraseElderRequest {
        request_id: request_id(),
        elder_id: first.rows[0].elder_id.clone(),
        reason: "REQUEST_OF_THE_PERSON".to_owned(),
        ..pb::EraseElderRequest::default()
    };
    there.erase_elder(erase).await.unwrap();
    let correct = pb::CorrectIdentityRequest {
        request_id: request_id(),
        elder_id: first.rows[1].elder_id.clone(),
        id_number: id_number(3).as_str().to_owned(),
        reason: "MISREAD".to_owned(),
        ..pb::CorrectIdentityRequest::default()
    };
    there.correct_identity(correct).await.unwrap();

    let second = import(&mut client, options(TOWN), &file).await.unwrap();
    assert_eq!(second.summary.accepted, 2, "{:?}", told(&second));
    for (before, after) in first.rows.iter().zip(&second.rows) {
        assert_ne!(before.elder_id, after.elder_id);
    }
    running.verify().await;
    other.stop().await;
}

#[tokio::test]
async fn a_newer_survey_changes_what_differs_and_tells_who_is_missing() {
    let running = Running::new().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    let file = workbook(WORKBOOK);
    let first = import(&mut client, options(TOWN), &file).await.unwrap();
    let accepted = || {
        first
            .rows
            .iter()
            .filter(|row| row.outcome() == pb::SurveyOutcome::Accepted)
    };
    let changed = accepted().next().unwrap().elder_id.clone();
    // Since the survey the file was changed by hand, with effect from before the survey's date.
    let update = pb::UpdateElderRequest {
        request_id: request_id(),
        elder_id: changed.clone(),
        profile: Some(pb::ElderProfile {
            categories: vec![4],
            ..pb::ElderProfile::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["categories".to_owned()],
        }),
        on: support::date("2024-09-01"),
        ..pb::UpdateElderRequest::default()
    };
    client.update_elder(update).await.unwrap();
    // And somebody moved into the town of whom the survey knows nothing.
    let stranger = pb::RegisterElderRequest {
        division_code: get(&mut client, &changed, &first.summary.position)
            .await
            .division_code,
        ..support::wang_xiuying()
    };
    let (stranger, _) = support::register(&mut client, stranger).await;

    let options = pb::ImportSurveyOptions {
        update: true,
        ..options(TOWN)
    };
    let updated = import(&mut client, options.clone(), &file).await.unwrap();
    assert_eq!(updated.summary.rejected, first.summary.rejected);
    let summary = &updated.summary;
    assert_eq!(
        (summary.accepted, summary.duplicate, summary.changed),
        (0, first.summary.duplicate, 1)
    );
    let row = updated
        .rows
        .iter()
        .find(|row| row.outcome() == pb::SurveyOutcome::Changed)
        .unwrap();
    assert_eq!(
        (row.elder_id.as_str(), row.changed_fields.as_slice()),
        (changed.as_str(), &["categories".to_owned()][..])
    );
    assert_eq!(updated.summary.no_longer_listed_elder_ids, [stranger]);

    // The very import again gives the same answer, and writes nothing.
    let written = running.log.last_sequence().await.unwrap();
    let again = import(&mut client, options.clone(), &file).await.unwrap();
    assert_eq!(again.rows, updated.rows);
    assert_eq!(running.log.last_sequence().await.unwrap(), written);
    // As another import it finds all as listed on that very day.
    let options = pb::ImportSurveyOptions {
        import_id: request_id(),
        ..options
    };
    let another = import(&mut client, options, &file).await.unwrap();
    assert_eq!(
        (another.summary.changed, another.summary.unchanged),
        (0, updated.summary.changed + updated.summary.unchanged)
    );
    assert_eq!(running.log.last_sequence().await.unwrap(), written);
    running.verify().await;
}

#[tokio::test]
async fn a_newer_survey_takes_no_elder_out_of_a_town_that_its_clerk_has_no_say_in() {
    let running = Running::new().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    let file = workbook(WORKBOOK);
    let first = import(&mut client, options(TOWN), &file).await.unwrap();
    let accepted = |row: &&pb::RowOutcome| row.outcome() == pb::SurveyOutcome::Accepted;
    let moved = first.rows.iter().find(accepted).unwrap();
    let relocation = pb::RelocateElderRequest {
        request_id: request_id(),
        elder_id: moved.elder_id.clone(),
        on: support::date("2024-09-10"),
        division_code: VILLAGE_OF_SECOND_TOWN.to_owned(),
        ..pb::RelocateElderRequest::default()
    };
    let relocated = client.relocate_elder(relocation).await.unwrap();
    let position = relocated.into_inner().committed.unwrap().position;
    let there = get(&mut client, &moved.elder_id, &position).await;

    let clerk = Claims::officer("clerk-7", "civil_affairs")
        .role("clerk")
        .division(TOWN)
        .purpose("test");
    let mut clerk = running.clients.of(&clerk);
    for dry_run in [true, false] {
        let options = pb::ImportSurveyOptions {
            update: true,
            dry_run,
            ..options(TOWN)
        };
        let updated = import(&mut clerk, options, &file).await.unwrap();
        let row = updated.rows.iter().find(|row| row.row == moved.row);
        let told = row.map(|row| {
            let fields = row.changed_fields.len();
            (row.outcome(), row.elder_id.as_str(), fields)
        });
        // That the number is registered, and not as whose.
        assert_eq!(told, Some((pb::SurveyOutcome::Duplicate, "", 0)));
        let position = updated.summary.position;
        let still = get(&mut client, &moved.elder_id, &position).await;
        assert_eq!(still, there, "nothing happened to the file");
    }

    let options = pb::ImportSurveyOptions {
        update: true,
        ..options(TOWN)
    };
    let updated = import(&mut client, options, &file).await.unwrap();
    let row = updated.rows.iter().find(|row| row.row == moved.row);
    let told = row.map(pb::RowOutcome::outcome);
    assert_eq!(told, Some(pb::SurveyOutcome::Changed), "who may, does");
    running.verify().await;
}

#[tokio::test]
async fn a_newer_survey_of_a_day_to_come_is_refused() {
    let ground = Ground::new().await;
    let ground = Ground {
        clock: service::Clock::stopped_at(instant("2024-09-19T23:59:00+08:00")),
        ..ground
    };
    let running = ground.start().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    let written = running.log.last_sequence().await.unwrap();
    let file = workbook(WORKBOOK);
    let update = || pb::ImportSurveyOptions {
        update: true,
        ..options(TOWN)
    };
    let status = import(&mut client, update(), &file).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "DATE_IN_FUTURE")
    );
    assert_eq!(running.log.last_sequence().await.unwrap(), written);
    // A first one may come before its day, as a county's data are made ready.
    assert!(import(&mut client, options(TOWN), &file).await.is_ok());
    let tomorrow = instant("2024-09-20T00:00:00+08:00");
    running.ground.clock.advance_to(tomorrow).unwrap();
    assert!(import(&mut client, update(), &file).await.is_ok());
}

#[tokio::test]
async fn uploads_that_stand_still_stop_no_other_import() {
    let running = Running::new().await;
    let mut client = running.client();
    client.import_divisions(sample_divisions()).await.unwrap();
    let file = workbook(WORKBOOK);
    // Each has sent half of its workbook, and then nothing more.
    let (mut half_sent, mut held) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (sender, pieces) = tokio::sync::mpsc::channel(100);
        for message in messages(options(TOWN), &file[..file.len() / 2]) {
            sender.send(message).await.unwrap();
        }
        let mut client = running.client();
        let pieces = tokio_stream::wrappers::ReceiverStream::new(pieces);
        half_sent.push(tokio::spawn(
            async move { client.import_survey(pieces).await },
        ));
        // All was taken from the channel, so that it is on its way or there.
        while sender.capacity() < sender.max_capacity() {
            tokio::task::yield_now().await;
        }
        held.push(sender);
    }
    assert!(import(&mut client, options(TOWN), &file).await.is_ok());
    drop(held);
    for upload in half_sent {
        let outcome = upload.await.unwrap().unwrap().into_inner().message().await;
        assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn what_is_no_workbook_or_no_town_is_refused() {
    let running = Running::new().await;
    let mut client = running.client();
    let status = import(&mut client, options(TOWN), &workbook(WORKBOOK))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "DIVISION_UNKNOWN")
    );
    client.import_divisions(sample_divisions()).await.unwrap();
    let status = import(&mut client, options(TOWN), b"no workbook")
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "WORKBOOK_NOT_XLSX")
    );
    let status = import(&mut client, options("350524"), &workbook(WORKBOOK))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let chunk = pb::import_survey_request::Part::Chunk(Vec::new().into());
    let headless = tokio_stream::iter([pb::ImportSurveyRequest { part: Some(chunk) }]);
    assert_eq!(
        client.import_survey(headless).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

//! `import`: a county's survey workbooks are streamed in, one after the other.

use std::{path::PathBuf, time::Instant};

use backing_services::Syncing;
use proto::eldercare::registry::v1 as pb;
use registry::survey::Column;
use rust_xlsxwriter::Workbook;
use uuid::Uuid;

use super::register::{self, MESSAGES};
use crate::{
    bench::{
        Ground, Measured,
        callers::rate,
        people::{self, AS_OF, Person, TOWNS},
        processes::per_command,
        service::Role,
        stage::Stage,
    },
    county::SurveyFile,
    load::{self, SurveyOptions},
};

/// Rows in all, and in one town's workbook.
const ROWS: usize = 380_000;
const ROWS_EACH: usize = 20_000;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let folder = ground.folder.join("workbooks");
    std::fs::create_dir_all(&folder)?;
    let (towns, rows_each) = ((ROWS / ROWS_EACH) as u64, ground.scaled(ROWS_EACH));
    let step = ground.progress.begin("workbooks", towns);
    let mut files = Vec::new();
    for town in 0..towns {
        let folder = folder.clone();
        files.push(tokio::task::spawn_blocking(move || workbook(folder, town, rows_each)).await??);
        step.advance(1);
    }
    step.done(&format!("{towns} of {rows_each} rows"));

    let stage = Stage::set(ground, "import", Syncing::EveryTwoMinutes).await?;
    let served = stage.start(Role::Registry).await?;
    let client = served.clients()?.swap_remove(0);
    client
        .registry()
        .import_divisions(people::divisions())
        .await?;
    let rows = rows_each * files.len();
    let step = ground.progress.begin("ImportSurvey", rows as u64);
    let (since, before) = (Instant::now(), served.processor_time());
    let (mut accepted, mut slowest, mut first_rejected) = (0, 0.0_f64, None);
    for file in &files {
        let since = Instant::now();
        let done = load::survey(
            &client,
            file,
            |_| Uuid::new_v4(),
            SurveyOptions::default(),
            &|rows| step.so_far(rows.done),
        )
        .await?;
        accepted += done.summary.accepted;
        first_rejected = first_rejected.or_else(|| rejected(&done.rows));
        slowest = slowest.max(since.elapsed().as_secs_f64());
    }
    let seconds = since.elapsed().as_secs_f64();
    let rate = rate(rows as u64, seconds);
    step.done(&format!("{rate:.0} rows/s"));
    anyhow::ensure!(
        usize::try_from(accepted)? == rows,
        "{accepted} of {rows} rows were accepted; the first that was not: {first_rejected:?}"
    );
    let processor = served.processor_time_since(before);
    let peak = served.peak_rss();

    let limits = register::limits(ground, &stage, 50_000).await?;
    served.stop().await?;
    let measured = Measured::new("import", rate, "rows/s")
        .limit(limits.publishes)
        .peak(peak)
        .with("rows", rows)
        .with("workbooks", files.len())
        .with("at_a_time", 1)
        .with("sync_interval", "2m")
        .with_rounded("seconds", seconds)
        .with_rounded("slowest_workbook_seconds", slowest)
        .with("messages_each", MESSAGES)
        .with_rounded("limit_atomic_batches_of_64", limits.batches)
        .with("service_processor_us", per_command(processor, rows));
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(vec![measured])
}

/// Why the first row was rejected that was.
fn rejected(rows: &[pb::RowOutcome]) -> Option<pb::SurveyRejection> {
    let mut rejected = rows
        .iter()
        .filter(|row| row.outcome() == pb::SurveyOutcome::Rejected);
    rejected.next().map(pb::RowOutcome::rejection)
}

/// Writes a town's workbook as its office would: heading, header, one row for each elder.
fn workbook(folder: PathBuf, town: u64, rows: usize) -> anyhow::Result<SurveyFile> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "特殊困难老年人摸底汇总表")?;
    let day = people::day(AS_OF);
    let date = format!(
        "填表日期：{}年{}月{}日",
        day.year(),
        day.month_of_year(),
        day.day_of_month()
    );
    sheet.write(1, 0, date)?;
    for (place, column) in (0..).zip(Column::ALL) {
        sheet.write(2, place, column.header())?;
    }
    let own = (0..).map(|number| Person(town + TOWNS * number)).take(rows);
    for (row, person) in (3..).zip(own) {
        let (contact, relation, phone) = person.contact();
        let number = person.id_number();
        let position = person.position();
        for (place, column) in (0..).zip(Column::ALL) {
            let text = match column {
                Column::Serial => (row - 2).to_string(),
                Column::Name => person.name(),
                Column::Sex => civic::Term::chinese(number.sex()).to_owned(),
                Column::Age => civic::Age::on(number.birth_date(), day).to_string(),
                Column::IdNumber => number.as_str().to_owned(),
                Column::Village => person.village_name(),
                Column::Address => person.address(),
                Column::Category => civic::Term::chinese(category(person)).to_owned(),
                Column::Capability => civic::CapabilityLevel::Intact.chinese().to_owned(),
                Column::ContactName => contact.clone(),
                Column::ContactRelation => relation.to_owned(),
                Column::ContactPhone => phone.clone(),
                Column::WantedServices | Column::Remarks => continue,
                Column::Consent => "是".to_owned(),
                Column::Longitude => {
                    sheet.write(row, place, position.longitude)?;
                    continue;
                }
                Column::Latitude => {
                    sheet.write(row, place, position.latitude)?;
                    continue;
                }
            };
            sheet.write(row, place, text)?;
        }
    }
    let town_code = people::town_code(town);
    let name = format!("{town_code}.xlsx");
    let path = folder.join(&name);
    book.save(&path)?;
    Ok(SurveyFile {
        name,
        path,
        town_code,
    })
}

fn category(person: Person) -> civic::Category {
    let all = [
        civic::Category::LivingAlone,
        civic::Category::EmptyNest,
        civic::Category::LeftBehind,
    ];
    all[usize::try_from(person.0 % 3).expect("a small number")]
}

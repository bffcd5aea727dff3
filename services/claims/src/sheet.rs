//! A settlement as the finance office files it (结算单): a sheet to print, or CSV. It names orders and sums, and no elders.

use civic::{CalendarMonth, Fen, LocalDay, SettlementStage};
use rust_xlsxwriter::{FormatAlign, Workbook, XlsxError};
use workbooks::printing::{self, PrintError};

const SHEET: &str = "结算单";
const FONT_SIZE: u8 = 11;
const WIDTHS: [f64; 5] = [8.0, 30.0, 16.0, 24.0, 16.0];
const LAST_COLUMN: u16 = 4;
const HEADINGS: [&str; 5] = ["序号", "工单编号", "服务日期", "待遇类别", "金额（元）"];

/// What stands on the sheet.
#[derive(Clone, Debug)]
pub(crate) struct Printed {
    pub(crate) programme: String,
    /// What the programme is called.
    pub(crate) programme_name: String,
    pub(crate) provider: String,
    /// What the provider is called.
    pub(crate) provider_name: String,
    pub(crate) number: u32,
    pub(crate) month: CalendarMonth,
    pub(crate) stage: SettlementStage,
    pub(crate) lines: Vec<Line>,
    pub(crate) adjustments: Vec<Adjusted>,
    pub(crate) total: Fen,
    /// When it was paid, and by which voucher.
    pub(crate) paid: Option<(LocalDay, String)>,
}

/// An order of the settlement.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) order: String,
    pub(crate) day: LocalDay,
    pub(crate) entitled_by: String,
    pub(crate) amount: Fen,
}

/// An adjustment that the settlement bears.
#[derive(Clone, Debug)]
pub(crate) struct Adjusted {
    pub(crate) corrected: u32,
    pub(crate) reason: String,
    pub(crate) amount: Fen,
}

/// The sheet. Its date is that of the payment, or else the day on which it is printed.
pub(crate) fn xlsx(printed: &Printed, on: LocalDay) -> Result<Vec<u8>, PrintError> {
    let mut book = Workbook::new();
    fill(&mut book, printed, on)?;
    Ok(printing::saved(book, on)?)
}

fn fill(book: &mut Workbook, printed: &Printed, on: LocalDay) -> Result<(), XlsxError> {
    let sheet = book.add_worksheet();
    sheet.set_name(SHEET)?;
    printing::on_a4(sheet, false);
    for (column, width) in (0..).zip(WIDTHS) {
        sheet.set_column_width(column, width)?;
    }
    let line = printing::line(FormatAlign::Left);
    let title = title(printed);
    sheet.set_row_height(0, 36)?;
    sheet.merge_range(0, 0, 0, LAST_COLUMN, &title, &printing::title())?;
    let provider = format!(
        "服务机构：{}（{}）",
        printed.provider_name, printed.provider
    );
    sheet.merge_range(1, 0, 1, LAST_COLUMN, &provider, &line)?;
    let about = format!(
        "结算月份：{}    单号：{}-{}-{}    状态：{}",
        printed.month,
        printed.programme,
        printed.provider,
        printed.number,
        printed.stage.chinese()
    );
    sheet.merge_range(2, 0, 2, LAST_COLUMN, &about, &line)?;
    let heading = printing::heading(FONT_SIZE);
    for (column, text) in (0..).zip(HEADINGS) {
        sheet.write_string_with_format(3, column, text, &heading)?;
    }
    let (text, sum) = (
        printing::cell(FONT_SIZE, FormatAlign::Center),
        printing::cell(FONT_SIZE, FormatAlign::Right),
    );
    let mut row = 4;
    let lines = printed.lines.iter().map(|line| {
        let day = line.day.to_string();
        [
            line.order.clone(),
            day,
            line.entitled_by.clone(),
            line.amount.to_string(),
        ]
    });
    let adjustments = printed.adjustments.iter().map(|one| {
        let about = format!("调整第 {} 号结算单", one.corrected);
        [
            about,
            String::new(),
            one.reason.clone(),
            one.amount.to_string(),
        ]
    });
    for (number, cells) in (1..).zip(lines.chain(adjustments)) {
        let number: u32 = number;
        sheet.write_string_with_format(row, 0, number.to_string(), &text)?;
        for (column, cell) in (1..).zip(cells) {
            let format = if column == LAST_COLUMN { &sum } else { &text };
            sheet.write_string_with_format(row, column, printing::fitting(&cell), format)?;
        }
        row += 1;
    }
    sheet.merge_range(row, 0, row, LAST_COLUMN - 1, "合计", &heading)?;
    sheet.write_string_with_format(row, LAST_COLUMN, printed.total.to_string(), &sum)?;
    let words = format!("大写：人民币{}", printed.total.in_words());
    sheet.merge_range(row + 1, 0, row + 1, LAST_COLUMN, &words, &text)?;
    let foot = match &printed.paid {
        Some((paid_on, voucher)) => {
            format!(
                "支付日期：{}    凭证号：{voucher}",
                printing::date(*paid_on)
            )
        }
        None => format!("打印日期：{}", printing::date(on)),
    };
    sheet.merge_range(row + 2, 0, row + 2, LAST_COLUMN, &foot, &line)?;
    let signed = "制表：                审核：                负责人：";
    sheet.merge_range(row + 3, 0, row + 3, LAST_COLUMN, signed, &line)?;
    Ok(())
}

fn title(printed: &Printed) -> String {
    let (name, code) = (&printed.programme_name, &printed.programme);
    printing::fitting(&format!("{name}（{code}）服务费用结算单"))
}

/// The same as CSV.
pub(crate) fn csv(printed: &Printed) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "programme_code",
        "provider_id",
        "settlement_number",
        "month",
        "kind",
        "order_id",
        "service_day",
        "entitled_by",
        "corrected_number",
        "reason",
        "amount_fen",
    ])?;
    let (number, month) = (printed.number.to_string(), printed.month.to_string());
    for line in &printed.lines {
        writer.write_record([
            &printed.programme,
            &printed.provider,
            &number,
            &month,
            "ORDER",
            &plain(&line.order),
            &line.day.to_string(),
            &line.entitled_by,
            "",
            "",
            &line.amount.0.to_string(),
        ])?;
    }
    for one in &printed.adjustments {
        writer.write_record([
            &printed.programme,
            &printed.provider,
            &number,
            &month,
            "ADJUSTMENT",
            "",
            "",
            "",
            &one.corrected.to_string(),
            &plain(&one.reason),
            &one.amount.0.to_string(),
        ])?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// What a spreadsheet would take for a formula becomes a text.
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed() -> Printed {
        Printed {
            programme: "LTCI".to_owned(),
            programme_name: "长期护理险".to_owned(),
            provider: "P01".to_owned(),
            provider_name: "禾康养老服务有限公司".to_owned(),
            number: 2,
            month: "2024-03-01".parse::<LocalDay>().unwrap().month(),
            stage: SettlementStage::Confirmed,
            lines: vec![Line {
                order: "=O1".to_owned(),
                day: "2024-03-02".parse().unwrap(),
                entitled_by: "LOW_INCOME".to_owned(),
                amount: Fen(20_000),
            }],
            adjustments: vec![Adjusted {
                corrected: 1,
                reason: "死亡后服务".to_owned(),
                amount: Fen(-20_000),
            }],
            total: Fen(0),
            paid: None,
        }
    }

    #[test]
    fn each_order_and_adjustment_is_a_line_and_no_text_is_a_formula() {
        let text = String::from_utf8(csv(&printed()).unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "LTCI,P01,2,2024-03,ORDER,'=O1,2024-03-02,LOW_INCOME,,,20000",
                "LTCI,P01,2,2024-03,ADJUSTMENT,,,,1,死亡后服务,-20000",
            ]
        );
    }

    #[test]
    fn the_title_names_the_programme_as_people_do_and_by_its_code() {
        assert_eq!(title(&printed()), "长期护理险（LTCI）服务费用结算单");
    }

    #[test]
    fn the_sheet_is_the_same_file_each_time() {
        let on = "2024-04-05".parse().unwrap();
        let book = xlsx(&printed(), on).unwrap();
        assert!(book.starts_with(b"PK"));
        assert_eq!(book, xlsx(&printed(), on).unwrap());
    }
}

//! `claims`: service orders and why they are not paid, who is enrolled and may have what, settlements, funds and figures.

use civic::Fen;
use comfy_table::Cell;
use proto::eldercare::{claims::v1 as pb, r#type::v1 as types};

use crate::{cli::WhichOrders, output::number, wire, words::Word};

mod enrolments;
mod entitlement;
mod explained;
mod figures;
mod fund;
mod held;
mod order;
mod orders;
mod programme;
mod settlement;
mod suspicions;

pub use enrolments::{Enrolled, EnrolmentList, enrolments};
pub use entitlement::{Entitlement, entitlement};
pub use figures::{Figures, figures};
pub use fund::{FundAccount, fund};
pub use held::{HeldList, decide_hold, held};
pub use order::{OrderStory, show};
pub use orders::{OrderList, Row, list};
pub use programme::{ProgrammeVersion, programme};
pub use settlement::{How, Settled, settle};
pub use suspicions::{SuspicionList, suspicions};

/// Orders, enrolments, settlements and entries on one page.
const PAGE: i32 = 1_000;

impl WhichOrders {
    /// The same as the API has it.
    ///
    /// # Errors
    /// A state or code that there is not.
    fn filter(&self) -> anyhow::Result<pb::OrderFilter> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let states = self.states.iter().map(|name| {
            word::<pb::OrderState>(name).ok_or_else(|| {
                anyhow::anyhow!("there is no state of orders `{name}` / 没有该工单状态")
            })
        });
        let code = self.code.as_ref().map(|name| {
            word::<pb::OrderCode>(name)
                .ok_or_else(|| anyhow::anyhow!("there is no code `{name}` / 没有该异常代码"))
        });
        Ok(pb::OrderFilter {
            division_code: self.division.clone(),
            programme_code: text(&self.programme),
            provider_id: text(&self.provider),
            elder_id: text(&self.elder),
            states: states.collect::<anyhow::Result<_>>()?,
            code: code.transpose()?.unwrap_or_default(),
            first_service_day: self.from.map(wire::date),
            last_service_day: self.until.map(wire::date),
            approved_in_month_of: self.approved_in.map(|month| wire::date(month.first_day())),
            entitled_by: text(&self.entitled_by),
            abnormal_at_submission: self.abnormal_at_submission,
            without_code: self.without_code,
            not_approved: self.not_approved,
        })
    }
}

/// The number of a word by its name.
fn word<W: Word + Into<i32>>(name: &str) -> Option<i32> {
    W::named(name).map(Into::into)
}

/// A text that is there.
fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A day of the API.
fn day(day: Option<types::Date>) -> Option<String> {
    Some(wire::from_date(day?)?.to_string())
}

/// An instant of the API in local time.
fn at(at: Option<prost_types::Timestamp>) -> Option<String> {
    Some(wire::local_time(wire::from_timestamp(at?)?))
}

/// A cell with an amount in yuan.
fn yuan(fen: i64) -> Cell {
    number(Fen(fen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_named_by_state_code_and_days() {
        let wanted = WhichOrders {
            division: "350524".to_owned(),
            states: vec!["ABNORMAL_OPEN".to_owned(), "NOT_SETTLED".to_owned()],
            code: Some("DURATION_SHORT".to_owned()),
            from: Some("2024-02-01".parse().unwrap()),
            approved_in: Some("2024-03".parse().unwrap()),
            abnormal_at_submission: true,
            ..WhichOrders::default()
        };
        let filter = wanted.filter().unwrap();
        let states = [pb::OrderState::AbnormalOpen, pb::OrderState::NotSettled];
        assert_eq!(filter.division_code, "350524");
        assert_eq!(filter.states, states.map(i32::from));
        assert_eq!(filter.code, i32::from(pb::OrderCode::DurationShort));
        assert!(filter.abnormal_at_submission);
        assert!(!filter.without_code && !filter.not_approved);
        assert_eq!(day(filter.first_service_day).unwrap(), "2024-02-01");
        assert_eq!(day(filter.approved_in_month_of).unwrap(), "2024-03-01");
        assert_eq!(
            WhichOrders::default().filter().unwrap(),
            pb::OrderFilter::default()
        );
    }

    #[test]
    fn words_that_there_are_not_are_told() {
        let state = WhichOrders {
            states: vec!["OPEN".to_owned()],
            ..WhichOrders::default()
        };
        let code = WhichOrders {
            code: Some("SHORT".to_owned()),
            ..WhichOrders::default()
        };
        for (wanted, word) in [(state, "`OPEN`"), (code, "`SHORT`")] {
            let told = wanted.filter().unwrap_err().to_string();
            assert!(told.contains(word) && told.contains("没有该"), "{told}");
        }
    }
}

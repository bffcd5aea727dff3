//! Judging a row of a survey: whether the elder can be registered from it, and what is odd about it.

use civic::{
    Age, CapabilityLevel, ConsentState, GeoPosition, IdNumber, LocalDay, PersonName, Phone, Sex,
};

pub use super::workbook::Row;
use super::{
    Column, TownVillages,
    candidate::{Candidate, Contact, LONGEST_ADDRESS, LONGEST_RELATION, LONGEST_REMARKS},
    cells::{CellValue, half_width, is_blank},
    tokens,
    verdict::{Rejection, Warning},
};

/// The ages of those whom a survey may list, both included.
const AGES: std::ops::RangeInclusive<u16> = 60..=120;

/// Judges a row by itself, without the registry: the facts that it gives, or the first reason against it.
///
/// What depends on the registry comes last in the order of reasons: [`Candidate::identity`].
///
/// # Errors
///
/// The reason for which the row is rejected.
pub fn judge(row: &Row<'_>, town: &TownVillages, as_of: LocalDay) -> Result<Candidate, Rejection> {
    let name = name(&row.text(Column::Name)).ok_or(Rejection::NameMissing)?;
    let id_number = id_number(row.cell(Column::IdNumber)).ok_or(Rejection::IdInvalid)?;
    let birth_date = id_number.birth_date();
    let age = Age::on(birth_date, as_of).years();
    if birth_date > as_of || !AGES.contains(&age) {
        return Err(Rejection::AgeOutOfRange);
    }
    let category_cell = row.text(Column::Category);
    let found = tokens::categories(&category_cell).map_err(|_| Rejection::CategoryUnknown)?;
    if found.categories.is_empty() {
        return Err(Rejection::CategoryMissing);
    }
    let capability_cell = row.text(Column::Capability);
    let capability =
        tokens::capability(&capability_cell).map_err(|_| Rejection::CapabilityUnknown)?;
    let village = town
        .find(&row.text(Column::Village))
        .ok_or(Rejection::VillageUnknown)?;

    let mut warnings = Vec::new();
    if sex(&row.text(Column::Sex)).is_some_and(|sex| sex != id_number.sex()) {
        warnings.push(Warning::SexMismatch);
    }
    if contradicts_age(&row.text(Column::Age), age) {
        warnings.push(Warning::AgeMismatch);
    }
    if tokens::is_empty(&capability_cell) {
        warnings.push(Warning::CapabilityBlank);
    }
    let (contact, phone_is_valid) = contact(row);
    if !phone_is_valid {
        warnings.push(Warning::PhoneInvalid);
    }
    if found.handicap_grade.is_some_and(|grade| !grade.is_severe()) {
        warnings.push(Warning::GradeConflict);
    }
    Ok(Candidate {
        row: row.number(),
        name,
        id_number,
        village,
        address: trimmed(&row.text(Column::Address), LONGEST_ADDRESS),
        position: position(row),
        categories: found.categories,
        assistance: found.assistance,
        handicap_grade: found.handicap_grade,
        capability: capability.level.unwrap_or(CapabilityLevel::Unassessed),
        observations: capability.observations,
        contact,
        wanted_services: tokens::services(&row.text(Column::WantedServices)),
        consent: consent(&row.text(Column::Consent)),
        remarks: trimmed(&row.text(Column::Remarks), LONGEST_REMARKS),
        warnings,
    })
}

/// A name, without the invisible marks that copying from web pages leaves in a cell.
fn name(cell: &str) -> Option<PersonName> {
    let is_mark = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    cell.chars()
        .filter(|c| !is_mark(*c))
        .collect::<String>()
        .parse()
        .ok()
}

fn id_number(cell: CellValue<'_>) -> Option<IdNumber> {
    match cell {
        CellValue::Blank => None,
        CellValue::Text(text) => text.parse().ok(),
        CellValue::Number(number) => IdNumber::from_number_cell(number).ok(),
    }
}

fn sex(cell: &str) -> Option<Sex> {
    match tidied(cell).as_str() {
        "男" | "男性" => Some(Sex::Male),
        "女" | "女性" => Some(Sex::Female),
        _ => None,
    }
}

/// Whether the cell gives another age. What is no number contradicts nothing.
fn contradicts_age(cell: &str, age: u16) -> bool {
    let cell = tidied(cell);
    let number = cell
        .strip_suffix("周岁")
        .or_else(|| cell.strip_suffix('岁'))
        .unwrap_or(&cell);
    number
        .parse::<f64>()
        .is_ok_and(|years| years != f64::from(age))
}

fn consent(cell: &str) -> ConsentState {
    match tidied(cell).as_str() {
        "是" => ConsentState::Granted,
        "否" => ConsentState::Refused,
        // Nothing but a clear yes opens a door.
        _ => ConsentState::Unknown,
    }
}

/// The contact, and whether the number is valid or blank.
fn contact(row: &Row<'_>) -> (Option<Contact>, bool) {
    let relation = trimmed(&row.text(Column::ContactRelation), LONGEST_RELATION);
    let phone_cell = tidied(&row.text(Column::ContactPhone));
    let phone = phone_cell.parse::<Phone>().ok();
    let is_valid = phone_cell.is_empty() || phone.is_some();
    // A number without a name is worth keeping: somebody answers it. It then goes by the relation, or by 联系人.
    let name = name(&row.text(Column::ContactName)).or_else(|| {
        phone.as_ref()?;
        name(&relation).or_else(|| name(Column::ContactName.header()))
    });
    (
        name.map(|name| Contact {
            name,
            relation,
            phone,
        }),
        is_valid,
    )
}

fn position(row: &Row<'_>) -> Option<GeoPosition> {
    let degrees = |column| match row.cell(column) {
        CellValue::Blank => None,
        CellValue::Number(number) => Some(number),
        CellValue::Text(text) => tidied(text).parse::<f64>().ok(),
    };
    GeoPosition::new(degrees(Column::Latitude)?, degrees(Column::Longitude)?).ok()
}

/// Half-width and without white space.
fn tidied(cell: &str) -> String {
    cell.chars()
        .map(half_width)
        .filter(|c| !is_blank(*c))
        .collect()
}

/// Without white space at its ends, and no longer than this.
fn trimmed(cell: &str, longest: usize) -> String {
    cell.trim_matches(is_blank).chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::candidate::Identity;

    const ID_NUMBER: &str = "350524195907162472";

    fn as_of() -> LocalDay {
        LocalDay::from_ymd(2024, 9, 20).unwrap()
    }

    fn town() -> TownVillages {
        TownVillages::new([("350524100001".parse().unwrap(), "下西社区居委会")])
    }

    /// 周火, of whom the sheet says no more than it must.
    fn somebody() -> Row<'static> {
        Row::blank(4)
            .with(Column::Name, CellValue::Text("周火"))
            .with(Column::IdNumber, CellValue::Text(ID_NUMBER))
            .with(Column::Village, CellValue::Text("下西社区居委会"))
            .with(Column::Category, CellValue::Text("独居"))
            .with(Column::Capability, CellValue::Text("完好"))
    }

    fn with(column: Column, text: &str) -> Result<Candidate, Rejection> {
        judge(
            &somebody().with(column, CellValue::Text(text)),
            &town(),
            as_of(),
        )
    }

    fn with_number(column: Column, number: f64) -> Result<Candidate, Rejection> {
        judge(
            &somebody().with(column, CellValue::Number(number)),
            &town(),
            as_of(),
        )
    }

    #[track_caller]
    fn rejected(column: Column, text: &str, reason: Rejection) {
        assert_eq!(with(column, text), Err(reason), "{text}");
        assert_eq!(reason.column(), column);
    }

    #[track_caller]
    fn warned(column: Column, text: &str, warnings: &[Warning]) {
        assert_eq!(with(column, text).unwrap().warnings, warnings, "{text}");
    }

    fn id_number_of(birth_date: &str) -> String {
        let digits = format!("350524{birth_date}247");
        format!("{digits}{}", IdNumber::compute_check_char(&digits).unwrap())
    }

    #[test]
    fn a_plain_row_gives_its_facts_and_no_warning() {
        let candidate = judge(&somebody(), &town(), as_of()).unwrap();
        assert_eq!(candidate.name.as_str(), "周火");
        assert_eq!(candidate.id_number.as_str(), ID_NUMBER);
        assert_eq!(candidate.village.as_str(), "350524100001");
        assert_eq!(
            (candidate.contact, candidate.consent),
            (None, ConsentState::Unknown)
        );
        assert_eq!(candidate.warnings, []);
    }

    #[test]
    fn each_reason_rejects_a_row() {
        rejected(Column::Name, "\u{3000}", Rejection::NameMissing);
        rejected(Column::IdNumber, "350524195907162473", Rejection::IdInvalid);
        rejected(Column::IdNumber, "", Rejection::IdInvalid);
        rejected(Column::Category, "低保、五老", Rejection::CategoryMissing);
        rejected(Column::Category, "、", Rejection::CategoryMissing);
        rejected(Column::Category, "低保、孤寡", Rejection::CategoryUnknown);
        rejected(Column::Capability, "一般", Rejection::CapabilityUnknown);
        rejected(Column::Village, "不详", Rejection::VillageUnknown);
    }

    #[test]
    fn the_first_reason_is_the_one_given() {
        let mut row = Row::blank(4).with(Column::Capability, CellValue::Text("一般"));
        for (column, text, reason) in [
            (Column::Name, "周火", Rejection::NameMissing),
            (Column::IdNumber, "350524199207162470", Rejection::IdInvalid),
            (Column::IdNumber, ID_NUMBER, Rejection::IdInvalid),
            (Column::Category, "独居", Rejection::CategoryMissing),
            (Column::Capability, "完好", Rejection::CapabilityUnknown),
            (Column::Village, "下西", Rejection::VillageUnknown),
        ] {
            assert_eq!(judge(&row, &town(), as_of()), Err(reason));
            row = row.with(column, CellValue::Text(text));
        }
        assert!(judge(&row, &town(), as_of()).is_ok());
    }

    #[test]
    fn ages_from_60_to_120_are_in_range_on_the_birthday_itself() {
        for (birth_date, accepted) in [
            ("19640920", true),
            ("19640921", false),
            ("19040920", true),
            ("19030921", true),
            ("19030920", false),
            ("20250101", false),
        ] {
            let outcome = with(Column::IdNumber, &id_number_of(birth_date));
            assert_eq!(
                outcome.map(|_| ()),
                if accepted {
                    Ok(())
                } else {
                    Err(Rejection::AgeOutOfRange)
                },
                "{birth_date}"
            );
        }
    }

    #[test]
    fn an_id_number_in_a_number_cell_is_read_by_its_digits() {
        assert_eq!(
            with_number(Column::IdNumber, 350_524_195_907_162_472.0),
            Err(Rejection::IdInvalid)
        );
        let upgraded = with_number(Column::IdNumber, 350_524_590_716_247.0).unwrap();
        assert_eq!(upgraded.id_number.as_str(), ID_NUMBER);
    }

    #[test]
    fn sex_and_age_may_contradict_the_id_number_but_a_blank_cannot() {
        warned(Column::Sex, "女", &[Warning::SexMismatch]);
        for age in ["65", "65岁", "６５ 岁", "65周岁", "", "不详"] {
            warned(Column::Age, age, &[]);
        }
        warned(Column::Age, "66岁", &[Warning::AgeMismatch]);
        assert_eq!(
            with_number(Column::Age, 64.0).unwrap().warnings,
            [Warning::AgeMismatch]
        );
    }

    #[test]
    fn capability_may_be_blank_or_observed_only() {
        warned(Column::Capability, "", &[Warning::CapabilityBlank]);
        let observed = with(Column::Capability, "卧床").unwrap();
        assert_eq!(observed.capability, CapabilityLevel::Unassessed);
        assert_eq!(observed.warnings, []);
    }

    #[test]
    fn a_grade_of_three_or_four_is_no_severe_handicap() {
        warned(Column::Category, "重残(三级)", &[Warning::GradeConflict]);
        warned(Column::Category, "重残(三级)、重残(二级)", &[]);
        warned(Column::Category, "重残", &[]);
    }

    #[test]
    fn a_contact_is_kept_without_an_invalid_number() {
        let row = somebody()
            .with(Column::ContactName, CellValue::Text("林 明春"))
            .with(Column::ContactRelation, CellValue::Text(" 女 "));
        let contact_of = |phone| {
            let candidate =
                judge(&row.with(Column::ContactPhone, phone), &town(), as_of()).unwrap();
            (
                candidate
                    .contact
                    .unwrap()
                    .phone
                    .map(|phone| phone.as_str().to_owned()),
                candidate.warnings,
            )
        };
        assert_eq!(contact_of(CellValue::Blank), (None, vec![]));
        assert_eq!(
            contact_of(CellValue::Text("不详")),
            (None, vec![Warning::PhoneInvalid])
        );
        assert_eq!(
            contact_of(CellValue::Number(15_977_642_397.0)),
            (Some("15977642397".into()), vec![])
        );
        // A landline in a number cell has lost its leading nought.
        assert_eq!(
            contact_of(CellValue::Number(59_523_012_243.0)),
            (None, vec![Warning::PhoneInvalid])
        );
    }

    #[test]
    fn a_number_without_a_name_is_kept_under_the_relation() {
        let contact = with(Column::ContactPhone, "15977642397")
            .unwrap()
            .contact
            .unwrap();
        assert_eq!(contact.name.as_str(), "联系人");
        assert_eq!(with(Column::ContactPhone, "1").unwrap().contact, None);
    }

    #[test]
    fn nothing_but_a_clear_yes_is_consent() {
        for (cell, consent) in [
            ("是", ConsentState::Granted),
            (" 否", ConsentState::Refused),
            ("", ConsentState::Unknown),
            ("考虑中", ConsentState::Unknown),
        ] {
            assert_eq!(with(Column::Consent, cell).unwrap().consent, consent);
        }
    }

    #[test]
    fn a_position_needs_both_degrees_in_range() {
        let position_of = |latitude, longitude| {
            let row = somebody()
                .with(Column::Latitude, latitude)
                .with(Column::Longitude, longitude);
            judge(&row, &town(), as_of()).unwrap().position
        };
        let expected = GeoPosition::new(24.927048, 117.725709).ok();
        assert_eq!(
            position_of(CellValue::Number(24.927048), CellValue::Text("117.725709 ")),
            expected
        );
        assert_eq!(
            position_of(CellValue::Number(24.927048), CellValue::Blank),
            None
        );
        assert_eq!(
            position_of(CellValue::Number(117.725709), CellValue::Number(24.927048)),
            None
        );
    }

    #[test]
    fn an_id_number_is_new_or_known_or_in_conflict() {
        let candidate = judge(&somebody(), &town(), as_of()).unwrap();
        let name = |name: &str| name.parse::<PersonName>().unwrap();
        assert_eq!(candidate.identity(None), Identity::New);
        assert_eq!(candidate.identity(Some(&name("周 火"))), Identity::Known);
        assert_eq!(candidate.identity(Some(&name("周炎"))), Identity::Conflict);
    }
}

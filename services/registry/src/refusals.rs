//! Refusals become status codes with a reason for programs and a text for people, here and nowhere else.

use eventlog::{ExecuteError, LoadError};
use service::{Violation, errors};
use tonic::{Code, Status};

use crate::{divisions, duplicate, elder, identity, survey::WorkbookError};

/// A refusal of an elder's file.
pub(crate) fn of_elder(refusal: &elder::Refusal) -> Status {
    use elder::Refusal;
    match refusal {
        Refusal::NotRegistered => elder_not_found(),
        Refusal::AlreadyRegistered => errors::failed_precondition(
            "ALREADY_REGISTERED",
            "the elder is registered already",
            "该老年人已建档",
        ),
        Refusal::Erased => errors::failed_precondition(
            "ELDER_ERASED",
            "the elder's personal data have been erased: the file can't change any more",
            "该老年人的个人信息已删除，档案不能再变更",
        ),
        // Which one is not named: it may lie where the caller has no business.
        Refusal::MergedInto(_) => service::Refusal::new(
            Code::FailedPrecondition,
            "ELDER_MERGED",
            "the file has been merged into another one",
            "该档案已合并到另一份档案",
        )
        .into(),
        Refusal::InFuture(field) => {
            Violation::new(*field, "IN_FUTURE", "lies in the future", "不能晚于今天").into()
        }
        Refusal::BeforeBirth(field) => service::Refusal::new(
            Code::FailedPrecondition,
            "BEFORE_BIRTH",
            "the day lies before the elder's birth",
            "日期早于出生日期",
        )
        .with("field", *field)
        .precondition(*field)
        .into(),
        Refusal::Deceased => errors::failed_precondition(
            "ELDER_DECEASED",
            "the elder is recorded as deceased",
            "该老年人已登记死亡",
        ),
        Refusal::NotClosed => errors::failed_precondition(
            "NOT_CLOSED",
            "the file is active on that day",
            "该日档案为在册状态，无需恢复",
        ),
        Refusal::ClosedLater => errors::failed_precondition(
            "CLOSED_LATER",
            "the file was closed on a later day, which would prevail: reinstate it from that day on",
            "档案在更晚的日期已注销，请从该日起恢复",
        ),
        Refusal::UnknownCircumstance => errors::not_found(
            "circumstance",
            "",
            "the file has no such circumstance",
            "档案中没有该情形",
        ),
        Refusal::LastDayBeforeFirst => service::Refusal::new(
            Code::FailedPrecondition,
            "LAST_DAY_BEFORE_FIRST",
            "the last day lies before the first",
            "结束日期早于开始日期",
        )
        .precondition("last_day")
        .into(),
        Refusal::MergeWithItself => Violation::new(
            "merged_elder_id",
            "SAME_ELDER",
            "is the same elder",
            "两份档案相同",
        )
        .into(),
        Refusal::NotMerged => errors::failed_precondition(
            "NOT_MERGED",
            "the two files are not merged in this way",
            "两份档案并未如此合并",
        ),
    }
}

/// A refusal of a claim to an ID number. The holder is not named: the caller may have no business with them.
pub(crate) fn of_claim(refusal: identity::Refusal) -> Status {
    match refusal {
        identity::Refusal::HeldByAnother(_) => id_number_taken(),
    }
}

/// Another elder holds the ID number.
pub(crate) fn id_number_taken() -> Status {
    errors::already_exists(
        "elder",
        "",
        "ID_NUMBER_REGISTERED",
        "the ID number is registered already, as another elder's",
        "该身份证号已建档",
    )
}

/// A refusal of a pair.
pub(crate) fn of_pair(refusal: duplicate::Refusal) -> Status {
    match refusal {
        duplicate::Refusal::NotReported => errors::not_found(
            "duplicate",
            "",
            "the pair was never reported",
            "未曾上报该疑似重复档案",
        ),
        duplicate::Refusal::AlreadyMerged => errors::failed_precondition(
            "ALREADY_MERGED",
            "the two files are merged: unmerge them first",
            "两份档案已合并，请先撤销合并",
        ),
        duplicate::Refusal::NotMerged => errors::failed_precondition(
            "NOT_MERGED",
            "the two files are not merged in this way",
            "两份档案并未如此合并",
        ),
    }
}

/// A refusal of a county's table.
pub(crate) fn of_divisions(refusal: &divisions::Refusal) -> Status {
    use divisions::Refusal;
    let at = |place: &usize, field: &str| format!("divisions[{place}].{field}");
    match refusal {
        Refusal::CountyMissing => Violation::new(
            "divisions",
            "COUNTY_MISSING",
            "hold no county of 6 digits",
            "缺少县级区划",
        )
        .into(),
        Refusal::OutsideCounty(place) => Violation::new(
            at(place, "code"),
            "OUTSIDE_COUNTY",
            "lies outside the county",
            "不属于该县",
        )
        .into(),
        Refusal::CodeRepeated(place) => Violation::new(
            at(place, "code"),
            "CODE_REPEATED",
            "stands in the table twice",
            "代码重复",
        )
        .into(),
        Refusal::ParentMissing(place) => Violation::new(
            at(place, "parent"),
            "PARENT_MISSING",
            "is not in the table",
            "上级区划不在表中",
        )
        .into(),
        Refusal::NameMissing(place) => {
            Violation::new(at(place, "name"), "REQUIRED", "is required", "不能为空").into()
        }
    }
}

/// A workbook that can't be taken.
pub(crate) fn of_workbook(error: &WorkbookError) -> Status {
    let refusal = service::Refusal::new(
        Code::InvalidArgument,
        error.reason(),
        error.to_string(),
        error.chinese(),
    );
    match error.column() {
        Some(column) => refusal.with("column", column.header()).into(),
        None => refusal.into(),
    }
}

/// There is no such elder, or none any more.
pub(crate) fn elder_not_found() -> Status {
    errors::not_found("elder", "", "there is no such elder", "没有该老年人的档案")
}

/// Keys that can't be wrapped anew.
pub(crate) fn of_rotation(error: vault::RotationError) -> Status {
    use vault::RotationError;
    match error {
        RotationError::Unavailable(away) => of_keys(away),
        RotationError::UnknownKey(_) => errors::failed_precondition(
            "KEY_ENCRYPTION_KEY_UNKNOWN",
            "the registry is not configured with this key-encryption key",
            "登记服务未配置该主密钥",
        ),
        unreadable @ RotationError::Unreadable { .. } => {
            tracing::error!(error = %unreadable, "keys are left under a former key-encryption key");
            errors::failed_precondition(
                "KEYS_UNREADABLE",
                "some keys can't be unwrapped and were left as they are: a key-encryption key is missing in the configuration",
                "部分密钥无法解开，保持原样：配置中缺少主密钥",
            )
        }
    }
}

/// One rotation at a time.
pub(crate) fn rotation_under_way() -> Status {
    errors::failed_precondition(
        "ROTATION_UNDER_WAY",
        "keys are being wrapped anew already: wait until that is done",
        "密钥轮换正在进行，请稍候",
    )
}

/// Nobody lives there, and no county's table has it.
pub(crate) fn no_such_division(division: &civic::DivisionCode) -> Status {
    errors::not_found(
        "division",
        division.to_string(),
        "no county's table of divisions has it",
        "区划表中没有该区划",
    )
}

/// The village is none of its county's.
pub(crate) fn division_unknown() -> Status {
    service::Refusal::new(
        Code::FailedPrecondition,
        "DIVISION_UNKNOWN",
        "the county's table of divisions has no such village or community",
        "本县区划表中没有该村（社区）",
    )
    .precondition("division_code")
    .into()
}

/// What came of a command that was not carried out; the closure of the decision refuses with a status of its own.
pub(crate) fn of_execution(error: ExecuteError<Status>) -> Status {
    service::not_executed(error, |status| status)
}

/// An aggregate that can't be loaded.
pub(crate) fn of_loading(error: LoadError) -> Status {
    service::not_loaded(error)
}

/// A key that can't be had.
pub(crate) fn of_keys(_error: vault::Unavailable) -> Status {
    errors::unavailable("vault")
}

/// A key that could not be made.
pub(crate) fn of_new_key(error: vault::KeyError) -> Status {
    match error {
        // Destroyed while it was being made: asking again settles it.
        vault::KeyError::Erased => errors::unavailable("vault"),
        vault::KeyError::Unavailable(away) => of_keys(away),
    }
}

/// A query that the database did not answer.
pub(crate) fn of_database(error: impl Into<readmodel::DatabaseError>) -> Status {
    let error = error.into();
    if error.is_away() {
        return errors::unavailable("read model");
    }
    // The server's own text may quote values of rows; this shows none.
    errors::internal(&error)
}

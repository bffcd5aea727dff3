//! Why a file cannot be taken as a survey workbook, told to the person who sent it.

use super::Column;

/// Why a workbook was not read. Names columns and rows, never what stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkbookError {
    /// The file is larger than is taken.
    #[error("the file has over {limit} bytes")]
    FileTooLarge {
        /// The most that is taken.
        limit: usize,
    },
    /// The file is none of Excel's, or not a workbook.
    #[error("the file is no .xlsx workbook")]
    NotAWorkbook,
    /// A workbook of the form before 2007.
    #[error("the file is an old .xls workbook: save it as .xlsx")]
    OldFormat,
    /// The workbook asks for a password.
    #[error("the workbook is protected by a password: save it without one")]
    Encrypted,
    /// The file breaks the rules of its own form, or was cut off.
    #[error("the workbook is damaged")]
    Damaged,
    /// The file holds more parts than a workbook has.
    #[error("the workbook has over {limit} parts")]
    TooManyParts {
        /// The most that is taken.
        limit: usize,
    },
    /// Unpacked, the workbook would be larger than is taken.
    #[error("the workbook unpacks to over {limit} bytes")]
    UnpacksTooLarge {
        /// The most that is taken.
        limit: u64,
    },
    /// The workbook has no sheet.
    #[error("the workbook has no sheet")]
    SheetMissing,
    /// The first sheet is a chart or a macro sheet.
    #[error("the first sheet is no worksheet")]
    NotAWorksheet,
    /// No row of the first sheet looks like the header of annex 3.
    #[error("the first sheet has no header row of annex 3")]
    HeaderMissing,
    /// The header lacks a column without which no row can be judged.
    #[error("the header lacks the column {}", .0.header())]
    ColumnMissing(Column),
    /// Two columns have the same header, so that it is open which counts.
    #[error("the header has the column {} twice", .0.header())]
    ColumnTwice(Column),
    /// No date stands above the header.
    #[error("the sheet bears no date above its header")]
    DateMissing,
    /// The sheet's date lies in the future, where nobody has surveyed yet.
    #[error("the sheet bears a date in the future")]
    DateInFuture,
    /// More rows than a workbook may hold.
    #[error("the sheet has over {limit} rows")]
    TooManyRows {
        /// The most that is taken.
        limit: usize,
    },
    /// A filled cell too far to the right.
    #[error("row {row} has cells beyond the {limit}th column")]
    TooManyColumns {
        /// The row.
        row: u32,
        /// The most that is taken.
        limit: u16,
    },
    /// More text than a survey of a town has.
    #[error("the sheet holds over {limit} bytes of text")]
    TooMuchText {
        /// The most that is taken.
        limit: usize,
    },
    /// More merged ranges than a survey of a town has.
    #[error("the sheet has over {limit} merged ranges")]
    TooManyMerges {
        /// The most that is taken.
        limit: usize,
    },
    /// Merged ranges lie over each other, so that it is open whose value counts.
    #[error("merged ranges of the sheet overlap")]
    MergesOverlap,
}

impl WorkbookError {
    /// The reason by its name, for machines.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::FileTooLarge { .. } => "WORKBOOK_TOO_LARGE",
            Self::NotAWorkbook => "WORKBOOK_NOT_XLSX",
            Self::OldFormat => "WORKBOOK_OLD_FORMAT",
            Self::Encrypted => "WORKBOOK_ENCRYPTED",
            Self::Damaged => "WORKBOOK_DAMAGED",
            Self::TooManyParts { .. } => "WORKBOOK_TOO_MANY_PARTS",
            Self::UnpacksTooLarge { .. } => "WORKBOOK_UNPACKS_TOO_LARGE",
            Self::SheetMissing => "SHEET_MISSING",
            Self::NotAWorksheet => "SHEET_NOT_A_WORKSHEET",
            Self::HeaderMissing => "HEADER_MISSING",
            Self::ColumnMissing(_) => "COLUMN_MISSING",
            Self::ColumnTwice(_) => "COLUMN_TWICE",
            Self::DateMissing => "DATE_MISSING",
            Self::DateInFuture => "DATE_IN_FUTURE",
            Self::TooManyRows { .. } => "TOO_MANY_ROWS",
            Self::TooManyColumns { .. } => "TOO_MANY_COLUMNS",
            Self::TooMuchText { .. } => "TOO_MUCH_TEXT",
            Self::TooManyMerges { .. } => "TOO_MANY_MERGES",
            Self::MergesOverlap => "MERGES_OVERLAP",
        }
    }

    /// The reason in Chinese, for people. [`std::fmt::Display`] gives the English one.
    #[must_use]
    pub fn chinese(&self) -> String {
        match self {
            Self::FileTooLarge { limit } => format!("文件超过{limit}字节"),
            Self::NotAWorkbook => "文件不是.xlsx工作簿".into(),
            Self::OldFormat => "文件是旧版.xls工作簿，请另存为.xlsx后再导入".into(),
            Self::Encrypted => "工作簿设有密码，请取消密码后再导入".into(),
            Self::Damaged => "工作簿已损坏".into(),
            Self::TooManyParts { limit } => format!("工作簿的内部文件超过{limit}个"),
            Self::UnpacksTooLarge { limit } => format!("工作簿解压后超过{limit}字节"),
            Self::SheetMissing => "工作簿中没有工作表".into(),
            Self::NotAWorksheet => "第一张表不是普通工作表".into(),
            Self::HeaderMissing => "第一张工作表中没有汇总表的表头".into(),
            Self::ColumnMissing(column) => format!("表头缺少“{}”列", column.header()),
            Self::ColumnTwice(column) => format!("表头中“{}”列重复", column.header()),
            Self::DateMissing => "表头上方没有填表日期".into(),
            Self::DateInFuture => "填表日期晚于今天".into(),
            Self::TooManyRows { limit } => format!("工作表超过{limit}行"),
            Self::TooManyColumns { row, limit } => format!("第{row}行超过{limit}列"),
            Self::TooMuchText { limit } => format!("工作表的文字超过{limit}字节"),
            Self::TooManyMerges { limit } => format!("合并单元格超过{limit}处"),
            Self::MergesOverlap => "合并单元格相互重叠".into(),
        }
    }

    /// The column concerned, where there is one.
    #[must_use]
    pub const fn column(&self) -> Option<Column> {
        match self {
            Self::ColumnMissing(column) | Self::ColumnTwice(column) => Some(*column),
            Self::FileTooLarge { .. }
            | Self::NotAWorkbook
            | Self::OldFormat
            | Self::Encrypted
            | Self::Damaged
            | Self::TooManyParts { .. }
            | Self::UnpacksTooLarge { .. }
            | Self::SheetMissing
            | Self::NotAWorksheet
            | Self::HeaderMissing
            | Self::DateMissing
            | Self::DateInFuture
            | Self::TooManyRows { .. }
            | Self::TooManyColumns { .. }
            | Self::TooMuchText { .. }
            | Self::TooManyMerges { .. }
            | Self::MergesOverlap => None,
        }
    }
}

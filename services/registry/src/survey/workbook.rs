//! A town's survey sheet (汇总表), as it was handed in: its date, and its rows by the columns of annex 3.

use civic::LocalDay;

pub use super::cells::CellValue;
use super::{Column, WorkbookError, read};

/// The bounds of a workbook that is taken. A survey of a whole town lies far within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the file.
    pub file_bytes: usize,
    /// The most parts (files within the file).
    pub parts: usize,
    /// The most bytes that may unpack, over all parts that are read.
    pub unpacked_bytes: u64,
    /// The most bytes of one tag or one piece of text in a part.
    pub markup_bytes: usize,
    /// The most bytes of text that is kept.
    pub text_bytes: usize,
    /// The most texts in the table that cells share.
    pub shared_texts: usize,
    /// The most rows with anything in them, the header and rows above it included.
    pub rows: usize,
    /// The most columns with anything in them; at most 128.
    pub columns: u16,
    /// The most merged ranges.
    pub merges: usize,
}

impl Limits {
    /// What the registry takes: 64 MiB packed, 200,000 rows of 100 columns. Reading stays under some 250 MiB of memory
    /// besides the file, whatever it holds.
    pub const DEFAULT: Self = Self {
        file_bytes: 64 << 20,
        parts: 1_000,
        unpacked_bytes: 512 << 20,
        markup_bytes: 1 << 20,
        text_bytes: 128 << 20,
        shared_texts: 4_000_000,
        rows: 200_000,
        columns: 100,
        merges: 100_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The data of a survey sheet. Holds personal data.
pub struct Sheet {
    pub(super) as_of: LocalDay,
    pub(super) header_row: u32,
    /// All text of the sheet, which the cells point into.
    pub(super) text: String,
    pub(super) rows: Vec<RowHead>,
    /// [`Column::COUNT`] for each row.
    pub(super) cells: Vec<Stored>,
}

/// What is kept of a row besides its cells.
#[derive(Clone, Copy)]
pub(super) struct RowHead {
    /// Which columns of the sheet, by their place, have something in this very row.
    pub(super) filled: u128,
    pub(super) number: u32,
}

/// A cell, its text kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Stored {
    #[default]
    Blank,
    Text {
        start: u32,
        length: u32,
    },
    Number(f64),
}

/// Reads the first sheet of an `.xlsx` file in the layout of annex 3 (domain section 1, survey import).
///
/// Merged ranges give their value to each of their cells. Rows with no cell of their own filled, repeated header rows
/// and total rows are left out. A formula counts by the value that the sheet last showed for it. Columns of other
/// headers are passed over.
///
/// # Errors
///
/// When the file is no such workbook, or beyond the limits; see [`WorkbookError`].
pub fn read(file: &[u8], limits: &Limits) -> Result<Sheet, WorkbookError> {
    read::sheet(file, limits)
}

impl Sheet {
    /// The sheet's own date, as of which its rows are judged.
    #[must_use]
    pub fn as_of(&self) -> LocalDay {
        self.as_of
    }

    /// The number of the header row, from 1.
    #[must_use]
    pub fn header_row(&self) -> u32 {
        self.header_row
    }

    /// How many data rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no data row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The data rows, from the top.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.rows
            .iter()
            .zip(self.cells.chunks_exact(Column::COUNT))
            .map(|(head, cells)| Row {
                number: head.number,
                cells: std::array::from_fn(|column| self.value(cells[column])),
            })
    }

    fn value(&self, cell: Stored) -> CellValue<'_> {
        match cell {
            Stored::Blank => CellValue::Blank,
            Stored::Number(number) => CellValue::Number(number),
            Stored::Text { start, length } => {
                let (start, length) = (start as usize, length as usize);
                CellValue::Text(&self.text[start..start + length])
            }
        }
    }
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sheet")
            .field("as_of", &self.as_of)
            .field("header_row", &self.header_row)
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

/// One data row. Holds personal data.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    number: u32,
    cells: [CellValue<'a>; Column::COUNT],
}

impl<'a> Row<'a> {
    /// A row of that number with nothing in it.
    #[must_use]
    pub const fn blank(number: u32) -> Self {
        Self {
            number,
            cells: [CellValue::Blank; Column::COUNT],
        }
    }

    /// The row with another value in one column.
    #[must_use]
    pub fn with(mut self, column: Column, value: CellValue<'a>) -> Self {
        self.cells[column as usize] = value;
        self
    }

    /// The row's number in the sheet, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// What stands in a column.
    #[must_use]
    pub fn cell(&self, column: Column) -> CellValue<'a> {
        self.cells[column as usize]
    }

    /// What stands in a column, as text.
    #[must_use]
    pub fn text(&self, column: Column) -> std::borrow::Cow<'_, str> {
        self.cells[column as usize].text()
    }
}

impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Row")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

//! Making sense of a sheet's rows as they come: the heading with its date, the header, the data, and what is no data.

use civic::LocalDay;

use super::{
    Column, WorkbookError,
    cells::{date_within, is_blank, unescaped},
    headers::is_contact_group,
    merges::Merge,
    workbook::{Limits, RowHead, Sheet, Stored},
};

/// A header row is told by at least so many of its columns.
const TELLING_HEADERS: usize = 3;
/// The header stands among the first filled rows of a sheet.
const LAST_HEADING_ROW: usize = 50;
/// How the first filled cell of a row begins that sums up or signs the sheet.
const CLOSING_WORDS: [&str; 2] = ["合计", "填表人"];

/// A filled cell as it stands in its row.
pub(super) struct RawCell {
    /// From 0.
    pub(super) column: u16,
    pub(super) value: Stored,
    /// The day, where the cell shows its number as a date.
    pub(super) date: Option<LocalDay>,
}

/// The sheet as far as it is understood.
pub(super) struct Layout<'l> {
    limits: &'l Limits,
    text: String,
    seen_rows: usize,
    as_of: Option<LocalDay>,
    header: Header,
    header_row: u32,
    /// Which column of annex 3 each column of the sheet is, by its place.
    columns: Vec<Option<Column>>,
    rows: Vec<RowHead>,
    cells: Vec<Stored>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    /// Not yet come.
    Awaited,
    /// Come; the next row may be its second one.
    First,
    /// Complete.
    Done,
}

impl<'l> Layout<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            text: String::new(),
            seen_rows: 0,
            as_of: None,
            header: Header::Awaited,
            header_row: 0,
            columns: vec![None; usize::from(limits.columns)],
            rows: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Keeps a text for cells to point to.
    pub(super) fn keep(&mut self, text: &str) -> Result<Stored, WorkbookError> {
        let text = &*unescaped(text);
        if text.chars().all(is_blank) {
            return Ok(Stored::Blank);
        }
        let too_much = || WorkbookError::TooMuchText {
            limit: self.limits.text_bytes,
        };
        if self.text.len() + text.len() > self.limits.text_bytes {
            return Err(too_much());
        }
        let start = u32::try_from(self.text.len()).map_err(|_| too_much())?;
        let length = u32::try_from(text.len()).map_err(|_| too_much())?;
        self.text.push_str(text);
        Ok(Stored::Text { start, length })
    }

    /// Takes the next row with its filled cells, from left to right.
    pub(super) fn row(&mut self, number: u32, cells: &[RawCell]) -> Result<(), WorkbookError> {
        let Some(first) = cells.first() else {
            return Ok(());
        };
        self.seen_rows += 1;
        if self.seen_rows > self.limits.rows {
            return Err(WorkbookError::TooManyRows {
                limit: self.limits.rows,
            });
        }
        match self.header {
            Header::Awaited => return self.heading(number, cells),
            Header::First => {
                self.header = Header::Done;
                if number == self.header_row + 1 && self.is_second_header(cells) {
                    self.learn_columns(cells)?;
                    return self.check_columns();
                }
                self.check_columns()?;
            }
            Header::Done => {}
        }
        if !self.is_closing(first) && !self.repeats_header(cells) {
            self.data(number, cells);
        }
        Ok(())
    }

    /// A row above the header, or the header itself.
    fn heading(&mut self, number: u32, cells: &[RawCell]) -> Result<(), WorkbookError> {
        let known = cells
            .iter()
            .filter(|cell| Column::under(self.text_of(cell.value)).is_some())
            .count();
        if known >= TELLING_HEADERS {
            self.header = Header::First;
            self.header_row = number;
            return self.learn_columns(cells);
        }
        if self.seen_rows >= LAST_HEADING_ROW {
            return Err(WorkbookError::HeaderMissing);
        }
        if self.as_of.is_none() {
            self.as_of = cells
                .iter()
                .find_map(|cell| cell.date.or_else(|| date_within(self.text_of(cell.value))));
        }
        Ok(())
    }

    fn learn_columns(&mut self, cells: &[RawCell]) -> Result<(), WorkbookError> {
        for cell in cells {
            let Some(column) = Column::under(self.text_of(cell.value)) else {
                continue;
            };
            let place = usize::from(cell.column);
            if self
                .columns
                .iter()
                .enumerate()
                .any(|(at, known)| *known == Some(column) && at != place)
            {
                return Err(WorkbookError::ColumnTwice(column));
            }
            self.columns[place] = Some(column);
        }
        Ok(())
    }

    fn check_columns(&self) -> Result<(), WorkbookError> {
        match Column::REQUIRED
            .into_iter()
            .find(|column| !self.columns.contains(&Some(*column)))
        {
            Some(missing) => Err(WorkbookError::ColumnMissing(missing)),
            None => Ok(()),
        }
    }

    /// The second of two header rows holds nothing but headers.
    fn is_second_header(&self, cells: &[RawCell]) -> bool {
        cells.iter().all(|cell| {
            let text = self.text_of(cell.value);
            Column::under(text).is_some() || is_contact_group(text)
        })
    }

    /// Whether each cell under a known column holds that column's header, as on a new page.
    fn repeats_header(&self, cells: &[RawCell]) -> bool {
        let mut known = cells
            .iter()
            .filter_map(|cell| Some((self.column_of(cell)?, cell)))
            .peekable();
        known.peek().is_some()
            && known.all(|(column, cell)| column.is_headed(self.text_of(cell.value)))
    }

    fn is_closing(&self, first: &RawCell) -> bool {
        let text: String = self
            .text_of(first.value)
            .chars()
            .filter(|c| !is_blank(*c))
            .take(4)
            .collect();
        CLOSING_WORDS.iter().any(|word| text.starts_with(word))
    }

    fn data(&mut self, number: u32, cells: &[RawCell]) {
        let start = self.cells.len();
        self.cells.resize(start + Column::COUNT, Stored::Blank);
        let mut filled = 0_u128;
        for cell in cells {
            filled |= bit(cell.column.into());
            if let Some(column) = self.column_of(cell) {
                self.cells[start + column as usize] = cell.value;
            }
        }
        self.rows.push(RowHead { filled, number });
    }

    fn column_of(&self, cell: &RawCell) -> Option<Column> {
        self.columns
            .get(usize::from(cell.column))
            .copied()
            .flatten()
    }

    fn text_of(&self, value: Stored) -> &str {
        match value {
            Stored::Text { start, length } => &self.text[start as usize..(start + length) as usize],
            Stored::Blank | Stored::Number(_) => "",
        }
    }

    /// Spreads the values of merged ranges, drops rows that have nothing of their own, and closes the sheet.
    pub(super) fn finish(mut self, merges: &[Merge]) -> Result<Sheet, WorkbookError> {
        match self.header {
            Header::Awaited => return Err(WorkbookError::HeaderMissing),
            Header::First => self.check_columns()?,
            Header::Done => {}
        }
        let as_of = self.as_of.ok_or(WorkbookError::DateMissing)?;
        self.spread(merges)?;
        let filled: Vec<bool> = self.rows.iter().map(|row| row.filled != 0).collect();
        if filled.contains(&false) {
            let mut of_row = filled.iter();
            self.rows.retain(|_| of_row.next().copied().unwrap_or(true));
            let mut place = 0;
            self.cells.retain(|_| {
                place += 1;
                filled
                    .get((place - 1) / Column::COUNT)
                    .copied()
                    .unwrap_or(true)
            });
        }
        Ok(Sheet {
            as_of,
            header_row: self.header_row,
            text: self.text,
            rows: self.rows,
            cells: self.cells,
        })
    }

    fn spread(&mut self, merges: &[Merge]) -> Result<(), WorkbookError> {
        // Ranges that do not overlap cover each cell once at the most.
        let width = usize::from(self.limits.columns);
        let mut left = self.rows.len().saturating_mul(width);
        for merge in merges {
            let (first_column, last_column) = (
                usize::from(merge.first_column),
                usize::from(merge.last_column).min(width.saturating_sub(1)),
            );
            if first_column > last_column {
                continue;
            }
            let first = self
                .rows
                .partition_point(|row| row.number < merge.first_row);
            let end = self
                .rows
                .partition_point(|row| row.number <= merge.last_row);
            if first == end {
                continue;
            }
            let area = (end - first) * (last_column - first_column + 1);
            left = left.checked_sub(area).ok_or(WorkbookError::MergesOverlap)?;
            let starts_here = self.rows[first].number == merge.first_row;
            let value = match self.columns[first_column] {
                Some(column) if starts_here => self.cells[first * Column::COUNT + column as usize],
                Some(_) | None => Stored::Blank,
            };
            for row in first..end {
                for place in first_column..=last_column {
                    if starts_here && row == first && place == first_column {
                        continue;
                    }
                    // What a merged cell still holds beneath is not shown, and does not fill it.
                    self.rows[row].filled &= !bit(place);
                    if let Some(column) = self.columns.get(place).copied().flatten() {
                        self.cells[row * Column::COUNT + column as usize] = value;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The place of a sheet's column in a row's set of filled ones.
fn bit(place: usize) -> u128 {
    u32::try_from(place)
        .ok()
        .and_then(|place| 1_u128.checked_shl(place))
        .unwrap_or(0)
}

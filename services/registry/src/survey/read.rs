//! Reading a workbook from its parts: which sheet comes first, the texts that cells share, and then row by row.

use std::collections::HashSet;

use civic::LocalDay;
use quick_xml::events::BytesStart;

use super::{
    WorkbookError,
    cells::is_blank,
    container::Container,
    layout::{Layout, RawCell},
    markup::{Markup, Node, attribute},
    merges::{LAST_ROW, Merge, place},
    workbook::{Limits, Sheet, Stored},
};

/// Cell formats beyond this many are taken as showing no date; Excel itself knows no more.
const MOST_FORMATS: usize = 65_536;

/// Reads the first sheet of the file.
pub(super) fn sheet(file: &[u8], limits: &Limits) -> Result<Sheet, WorkbookError> {
    let container = Container::open(file, limits)?;
    let book = Book::find(&container)?;
    let mut layout = Layout::new(limits);
    let shared = match &book.shared_texts {
        Some(part) => shared_texts(&container, part, limits, &mut layout)?,
        None => Vec::new(),
    };
    let formats = match &book.styles {
        Some(part) => date_formats(&container, part)?,
        None => Vec::new(),
    };
    let dates = Dates {
        formats,
        from_1904: book.from_1904,
    };
    let part = container.part(&book.sheet)?.ok_or(WorkbookError::Damaged)?;
    let merges = SheetReader {
        markup: Markup::of(part),
        shared: &shared,
        dates: &dates,
        limits,
    }
    .read(&mut layout)?;
    layout.finish(&merges)
}

/// Where the parts of the workbook are.
struct Book {
    sheet: String,
    shared_texts: Option<String>,
    styles: Option<String>,
    from_1904: bool,
}

struct Relationship {
    id: String,
    kind: String,
    target: String,
}

impl Book {
    fn find(container: &Container<'_>) -> Result<Self, WorkbookError> {
        let book = relationships(container, "_rels/.rels", "")?
            .into_iter()
            .find(|r| r.kind == "officeDocument")
            .map_or_else(|| "xl/workbook.xml".to_owned(), |r| r.target);
        let part = container.part(&book)?.ok_or(WorkbookError::NotAWorkbook)?;
        let (folder, file) = book.rsplit_once('/').unwrap_or(("", &book));
        let of_book = if folder.is_empty() {
            format!("_rels/{file}.rels")
        } else {
            format!("{folder}/_rels/{file}.rels")
        };

        let (mut first, mut from_1904, mut is_workbook) = (None, false, false);
        let mut markup = Markup::of(part);
        loop {
            match markup.next()? {
                Node::Open(element) => match element.local_name().as_ref() {
                    b"workbook" => is_workbook = true,
                    b"sheet" if first.is_none() => first = attribute(&element, "id"),
                    b"workbookPr" => {
                        from_1904 = matches!(
                            attribute(&element, "date1904").as_deref(),
                            Some("1" | "true")
                        );
                    }
                    _ => {}
                },
                Node::Close(_) | Node::Text(_) | Node::Aside => {}
                Node::End => break,
            }
        }
        if !is_workbook {
            return Err(WorkbookError::NotAWorkbook);
        }
        let first = first.ok_or(WorkbookError::SheetMissing)?;
        let parts = relationships(container, &of_book, folder)?;
        let sheet = parts
            .iter()
            .find(|r| r.id == first)
            .ok_or(WorkbookError::SheetMissing)?;
        if sheet.kind != "worksheet" {
            return Err(WorkbookError::NotAWorksheet);
        }
        if !container.has(&sheet.target) {
            return Err(WorkbookError::SheetMissing);
        }
        let part_of = |kind: &str| {
            parts
                .iter()
                .find(|r| r.kind == kind)
                .map(|r| r.target.clone())
        };
        Ok(Self {
            sheet: sheet.target.clone(),
            shared_texts: part_of("sharedStrings"),
            styles: part_of("styles"),
            from_1904,
        })
    }
}

/// What a part refers to. A missing list of relationships is an empty one.
fn relationships(
    container: &Container<'_>,
    part: &str,
    folder: &str,
) -> Result<Vec<Relationship>, WorkbookError> {
    let Some(part) = container.part(part)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut markup = Markup::of(part);
    loop {
        match markup.next()? {
            Node::Open(element) if element.local_name().as_ref() == b"Relationship" => {
                let text = |name| attribute(&element, name).unwrap_or_default();
                let kind = text("Type");
                found.push(Relationship {
                    id: text("Id"),
                    kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                    target: resolve(folder, &text("Target")),
                });
            }
            Node::Open(_) | Node::Close(_) | Node::Text(_) | Node::Aside => {}
            Node::End => return Ok(found),
        }
    }
}

/// A target is relative to the folder of the part that refers to it, unless it begins with a slash.
fn resolve(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            step => path.push(step),
        }
    }
    path.join("/")
}

/// The texts that cells refer to by number. Their phonetic hints are left out.
fn shared_texts(
    container: &Container<'_>,
    part: &str,
    limits: &Limits,
    layout: &mut Layout<'_>,
) -> Result<Vec<Stored>, WorkbookError> {
    let Some(part) = container.part(part)? else {
        return Ok(Vec::new());
    };
    let mut markup = Markup::of(part);
    let mut texts = Vec::new();
    let mut text = String::new();
    let (mut in_text, mut in_phonetic) = (false, false);
    loop {
        match markup.next()? {
            Node::Open(element) => match element.local_name().as_ref() {
                b"si" => text.clear(),
                b"t" => in_text = true,
                b"rPh" => in_phonetic = true,
                _ => {}
            },
            Node::Close(element) => match element.local_name().as_ref() {
                b"si" => {
                    if texts.len() == limits.shared_texts {
                        return Err(WorkbookError::TooMuchText {
                            limit: limits.text_bytes,
                        });
                    }
                    texts.push(layout.keep(&text)?);
                }
                b"t" => in_text = false,
                b"rPh" => in_phonetic = false,
                _ => {}
            },
            Node::Text(piece) if in_text && !in_phonetic => append(&mut text, &piece, limits)?,
            Node::Text(_) | Node::Aside => {}
            Node::End => return Ok(texts),
        }
    }
}

/// Which cell formats show a date.
fn date_formats(container: &Container<'_>, part: &str) -> Result<Vec<bool>, WorkbookError> {
    let Some(part) = container.part(part)? else {
        return Ok(Vec::new());
    };
    let mut markup = Markup::of(part);
    let mut of_office = HashSet::new();
    let mut formats = Vec::new();
    let mut in_cell_formats = false;
    loop {
        match markup.next()? {
            Node::Open(element) => match element.local_name().as_ref() {
                b"numFmt"
                    if attribute(&element, "formatCode")
                        .is_some_and(|code| shows_a_date(&code)) =>
                {
                    of_office.extend(number(&element, "numFmtId"));
                }
                b"cellXfs" => in_cell_formats = true,
                b"xf" if in_cell_formats && formats.len() < MOST_FORMATS => {
                    let id = number(&element, "numFmtId").unwrap_or(0);
                    formats.push(is_built_in_date(id) || of_office.contains(&id));
                }
                _ => {}
            },
            Node::Close(element) if element.local_name().as_ref() == b"cellXfs" => {
                in_cell_formats = false
            }
            Node::Close(_) | Node::Text(_) | Node::Aside => {}
            Node::End => return Ok(formats),
        }
    }
}

fn number(element: &BytesStart<'_>, name: &str) -> Option<u32> {
    attribute(element, name)?.parse().ok()
}

/// The formats that every program knows by number, those of the Chinese editions included.
fn is_built_in_date(id: u32) -> bool {
    matches!(id, 14..=17 | 22 | 27..=31 | 34..=36 | 50..=54 | 57 | 58)
}

/// Whether a format code has a year or a day in it, outside of what it quotes.
fn shows_a_date(code: &str) -> bool {
    let mut characters = code.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                characters.by_ref().find(|c| *c == '"');
            }
            '[' => {
                characters.by_ref().find(|c| *c == ']');
            }
            '\\' | '_' | '*' => {
                characters.next();
            }
            'y' | 'Y' | 'd' | 'D' => return true,
            _ => {}
        }
    }
    false
}

/// How this workbook writes dates as numbers.
struct Dates {
    formats: Vec<bool>,
    from_1904: bool,
}

impl Dates {
    fn day(&self, serial: f64) -> Option<LocalDay> {
        // Day 60 is the 29 February 1900 that Excel believes in; from then on the count is off by one.
        let (year, month, day) = if self.from_1904 {
            (1904, 1, 1)
        } else {
            (1899, 12, 30)
        };
        let plausible = (61.0..3_000_000.0).contains(&serial);
        plausible
            .then(|| LocalDay::from_ymd(year, month, day).ok())?
            .map(|first| first.plus_days(serial as i64))
    }
}

/// The sheet, as it is read from the top.
struct SheetReader<'a> {
    markup: Markup<'a>,
    shared: &'a [Stored],
    dates: &'a Dates,
    limits: &'a Limits,
}

/// What an element `c` says of itself before its value comes.
struct CellHead {
    column: u16,
    kind: Kind,
    is_date: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Shared,
    Text,
    Error,
}

impl SheetReader<'_> {
    /// Gives the rows to the layout, and answers the merged ranges, which come last.
    fn read(mut self, layout: &mut Layout<'_>) -> Result<Vec<Merge>, WorkbookError> {
        let mut merges = Vec::new();
        let mut row = Vec::new();
        let mut row_number = 0_u32;
        let mut next_column = 0_u16;
        let mut cell: Option<CellHead> = None;
        let mut value = String::new();
        let (mut is_worksheet, mut in_value, mut in_inline, mut in_phonetic) =
            (false, false, false, false);
        loop {
            match self.markup.next()? {
                Node::Open(element) => match element.local_name().as_ref() {
                    b"worksheet" => is_worksheet = true,
                    b"row" => {
                        let given = number(&element, "r");
                        let number = given.unwrap_or(row_number.saturating_add(1));
                        if number <= row_number || number > LAST_ROW {
                            return Err(WorkbookError::Damaged);
                        }
                        (row_number, next_column) = (number, 0);
                        row.clear();
                    }
                    b"c" => {
                        let head = cell_head(&element, next_column, row_number, self.dates)?;
                        next_column = head.column.saturating_add(1);
                        value.clear();
                        cell = Some(head);
                    }
                    b"v" => in_value = true,
                    b"is" => in_inline = true,
                    b"t" if in_inline => in_value = true,
                    b"rPh" => in_phonetic = true,
                    b"mergeCell" => {
                        if merges.len() == self.limits.merges {
                            return Err(WorkbookError::TooManyMerges {
                                limit: self.limits.merges,
                            });
                        }
                        merges.extend(attribute(&element, "ref").as_deref().and_then(Merge::parse));
                    }
                    _ => {}
                },
                Node::Text(piece) if in_value && !in_phonetic && cell.is_some() => {
                    append(&mut value, &piece, self.limits)?;
                }
                Node::Close(element) => match element.local_name().as_ref() {
                    b"v" | b"t" => in_value = false,
                    b"is" => in_inline = false,
                    b"rPh" => in_phonetic = false,
                    b"c" => {
                        if let Some(head) = cell.take()
                            && let Some(raw) =
                                raw_cell(&head, &value, self.shared, self.dates, layout)?
                        {
                            if head.column >= self.limits.columns {
                                let limit = self.limits.columns;
                                return Err(WorkbookError::TooManyColumns {
                                    row: row_number,
                                    limit,
                                });
                            }
                            row.push(raw);
                        }
                    }
                    b"row" => layout.row(row_number, &row)?,
                    _ => {}
                },
                Node::Text(_) | Node::Aside => {}
                Node::End => {
                    return if is_worksheet {
                        Ok(merges)
                    } else {
                        Err(WorkbookError::NotAWorksheet)
                    };
                }
            }
        }
    }
}

fn cell_head(
    element: &BytesStart<'_>,
    next: u16,
    row: u32,
    dates: &Dates,
) -> Result<CellHead, WorkbookError> {
    let (mut column, mut kind, mut format) = (next, Kind::Number, None);
    for attribute in element.attributes().with_checks(false).flatten() {
        let value = str::from_utf8(&attribute.value).map_err(|_| WorkbookError::Damaged)?;
        match attribute.key.local_name().as_ref() {
            b"r" => {
                let (at, in_row) = place(value).ok_or(WorkbookError::Damaged)?;
                // Cells stand in their row from left to right.
                if in_row != row || at < next {
                    return Err(WorkbookError::Damaged);
                }
                column = at;
            }
            b"t" => {
                kind = match value {
                    "n" => Kind::Number,
                    "s" => Kind::Shared,
                    "e" => Kind::Error,
                    _ => Kind::Text,
                }
            }
            b"s" => format = value.parse::<usize>().ok(),
            _ => {}
        }
    }
    let is_date = format
        .and_then(|format| dates.formats.get(format))
        .is_some_and(|is_date| *is_date);
    Ok(CellHead {
        column,
        kind,
        is_date,
    })
}

/// The cell, if there is anything in it.
fn raw_cell(
    head: &CellHead,
    value: &str,
    shared: &[Stored],
    dates: &Dates,
    layout: &mut Layout<'_>,
) -> Result<Option<RawCell>, WorkbookError> {
    if value.is_empty() {
        return Ok(None);
    }
    let (stored, date) = match head.kind {
        Kind::Shared => {
            let place: usize = value.trim().parse().map_err(|_| WorkbookError::Damaged)?;
            match *shared.get(place).ok_or(WorkbookError::Damaged)? {
                Stored::Blank => return Ok(None),
                stored @ (Stored::Text { .. } | Stored::Number(_)) => (stored, None),
            }
        }
        Kind::Text if value.chars().all(is_blank) => return Ok(None),
        Kind::Text => (layout.keep(value)?, None),
        // It fills the cell, but says nothing.
        Kind::Error => (Stored::Blank, None),
        Kind::Number => match value.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => (
                Stored::Number(number),
                head.is_date.then(|| dates.day(number)).flatten(),
            ),
            _ => return Err(WorkbookError::Damaged),
        },
    };
    Ok(Some(RawCell {
        column: head.column,
        value: stored,
        date,
    }))
}

/// Adds a piece of text, of which a cell cannot hold any amount.
fn append(text: &mut String, piece: &str, limits: &Limits) -> Result<(), WorkbookError> {
    if text.len() + piece.len() > limits.markup_bytes {
        return Err(WorkbookError::TooMuchText {
            limit: limits.markup_bytes,
        });
    }
    text.push_str(piece);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_with_a_year_or_a_day_show_a_date() {
        for code in [
            "yyyy\"年\"m\"月\"d\"日\"",
            "[$-804]yyyy年m月d日",
            "YYYY-MM-DD",
            "d",
        ] {
            assert!(shows_a_date(code), "{code}");
        }
        for code in [
            "0.00", "General", "[Red]0", "\"day\"0", "h:mm:ss", "@", "\\d0", "_d0",
        ] {
            assert!(!shows_a_date(code), "{code}");
        }
    }

    #[test]
    fn a_day_is_counted_from_1900_or_from_1904() {
        let from_1900 = Dates {
            formats: Vec::new(),
            from_1904: false,
        };
        assert_eq!(from_1900.day(45555.0), LocalDay::from_ymd(2024, 9, 20).ok());
        let from_1904 = Dates {
            formats: Vec::new(),
            from_1904: true,
        };
        assert_eq!(from_1904.day(44093.0), LocalDay::from_ymd(2024, 9, 20).ok());
        assert_eq!(from_1900.day(1e300), None);
    }

    #[test]
    fn targets_are_resolved_against_their_folder() {
        assert_eq!(
            resolve("xl", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml"
        );
        assert_eq!(
            resolve("xl", "/xl/worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml"
        );
        assert_eq!(resolve("xl", "../other/./sheet1.xml"), "other/sheet1.xml");
    }
}

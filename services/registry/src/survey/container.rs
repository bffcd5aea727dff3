//! The container of a workbook: an `.xlsx` file is a ZIP archive, opened here with care, since anybody may have made it.
//!
//! The directory is read by hand and once: general ZIP libraries look for further directories in a broken file, and
//! trust the number of entries that it claims. Sizes in the directory are a hint; what counts is what unpacks.

use std::{
    cell::Cell,
    collections::HashMap,
    io::{self, BufRead, BufReader, Read},
};

use flate2::{Crc, read::DeflateDecoder};

use super::{WorkbookError, workbook::Limits};

const DIRECTORY_END: &[u8; 4] = b"PK\x05\x06";
const DIRECTORY_ENTRY: &[u8; 4] = b"PK\x01\x02";
const LOCAL_HEADER: &[u8; 4] = b"PK\x03\x04";
/// The compound file of old workbooks, and of new ones that are encrypted.
const COMPOUND_FILE: &[u8; 8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

const DIRECTORY_END_LENGTH: usize = 22;
const DIRECTORY_ENTRY_LENGTH: usize = 46;
const LOCAL_HEADER_LENGTH: usize = 30;
const LONGEST_COMMENT: usize = u16::MAX as usize;

/// How much of a part is unpacked at a time.
const CHUNK: usize = 64 * 1024;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The parts of a workbook, none of them unpacked yet.
pub(super) struct Container<'a> {
    file: &'a [u8],
    parts: HashMap<String, Entry>,
    /// How many bytes may still be unpacked, over all parts.
    budget: Cell<u64>,
    limits: &'a Limits,
}

#[derive(Clone, Copy)]
struct Entry {
    encrypted: bool,
    method: u16,
    checksum: u32,
    packed: usize,
    header_at: usize,
}

impl<'a> Container<'a> {
    /// Reads the directory of the file.
    pub(super) fn open(file: &'a [u8], limits: &'a Limits) -> Result<Self, WorkbookError> {
        if file.len() > limits.file_bytes {
            return Err(WorkbookError::FileTooLarge {
                limit: limits.file_bytes,
            });
        }
        if file.starts_with(COMPOUND_FILE) {
            return Err(if holds_encrypted_package(file) {
                WorkbookError::Encrypted
            } else {
                WorkbookError::OldFormat
            });
        }
        let end_at = find_directory_end(file).ok_or(WorkbookError::NotAWorkbook)?;
        let end = Fields(&file[end_at..]);
        let count = usize::from(end.u16(10)?);
        if count > limits.parts {
            return Err(WorkbookError::TooManyParts {
                limit: limits.parts,
            });
        }
        let start = end_at
            .checked_sub(end.size(12)?)
            .ok_or(WorkbookError::Damaged)?;
        // Bytes before the archive proper shift every offset by the same amount.
        let shift = start
            .checked_sub(end.size(16)?)
            .ok_or(WorkbookError::Damaged)?;

        let mut parts = HashMap::with_capacity(count);
        let mut claimed = 0_u64;
        let mut rest = &file[start..end_at];
        for _ in 0..count {
            let fields = Fields(rest);
            if !rest.starts_with(DIRECTORY_ENTRY) {
                return Err(WorkbookError::Damaged);
            }
            let (name, extra, comment) = (fields.u16(28)?, fields.u16(30)?, fields.u16(32)?);
            let name_end = DIRECTORY_ENTRY_LENGTH + usize::from(name);
            let length = name_end + usize::from(extra) + usize::from(comment);
            let name = rest
                .get(DIRECTORY_ENTRY_LENGTH..name_end)
                .ok_or(WorkbookError::Damaged)?;
            claimed = claimed.saturating_add(u64::from(fields.u32(24)?));
            let entry = Entry {
                encrypted: fields.u16(8)? & 1 != 0,
                method: fields.u16(10)?,
                checksum: fields.u32(16)?,
                packed: fields.size(20)?,
                header_at: fields
                    .size(42)?
                    .checked_add(shift)
                    .ok_or(WorkbookError::Damaged)?,
            };
            // Two parts of one name would let two readers see two different workbooks.
            if parts
                .insert(part_name(&String::from_utf8_lossy(name)), entry)
                .is_some()
            {
                return Err(WorkbookError::Damaged);
            }
            rest = rest.get(length..).ok_or(WorkbookError::Damaged)?;
        }
        if claimed > limits.unpacked_bytes {
            return Err(WorkbookError::UnpacksTooLarge {
                limit: limits.unpacked_bytes,
            });
        }
        Ok(Self {
            file,
            parts,
            budget: Cell::new(limits.unpacked_bytes),
            limits,
        })
    }

    /// Whether there is such a part. Names know no case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(&part_name(name))
    }

    /// Starts to unpack a part; `None` if there is no such part.
    pub(super) fn part(&self, name: &str) -> Result<Option<PartBytes<'_>>, WorkbookError> {
        let Some(entry) = self.parts.get(&part_name(name)) else {
            return Ok(None);
        };
        if entry.encrypted {
            return Err(WorkbookError::Encrypted);
        }
        let header = self
            .file
            .get(entry.header_at..)
            .ok_or(WorkbookError::Damaged)?;
        if !header.starts_with(LOCAL_HEADER) {
            return Err(WorkbookError::Damaged);
        }
        let fields = Fields(header);
        let start =
            LOCAL_HEADER_LENGTH + usize::from(fields.u16(26)?) + usize::from(fields.u16(28)?);
        let end = start
            .checked_add(entry.packed)
            .ok_or(WorkbookError::Damaged)?;
        let packed = header.get(start..end).ok_or(WorkbookError::Damaged)?;
        let source = match entry.method {
            STORED => Source::Stored(packed),
            DEFLATED => Source::Deflated(Box::new(BufReader::with_capacity(
                CHUNK,
                DeflateDecoder::new(packed),
            ))),
            _ => return Err(WorkbookError::Damaged),
        };
        Ok(Some(PartBytes {
            source,
            checksum: Crc::new(),
            expected_checksum: entry.checksum,
            budget: &self.budget,
            since_mark: 0,
            longest_markup: self.limits.markup_bytes,
            failure: None,
            limits: self.limits,
        }))
    }
}

/// The bytes of a part as they unpack, within the budget of the whole workbook.
pub(super) struct PartBytes<'a> {
    source: Source<'a>,
    checksum: Crc,
    expected_checksum: u32,
    budget: &'a Cell<u64>,
    since_mark: usize,
    longest_markup: usize,
    failure: Option<WorkbookError>,
    limits: &'a Limits,
}

enum Source<'a> {
    Stored(&'a [u8]),
    Deflated(Box<BufReader<DeflateDecoder<&'a [u8]>>>),
}

impl PartBytes<'_> {
    /// Says that a tag or a piece of text has been read: the next may be as long again.
    ///
    /// The XML reader keeps one of these in memory, whole; without this bound it could be as long as the part.
    pub(super) fn mark(&mut self) {
        self.since_mark = 0;
    }

    /// Why reading failed, if it was for a bound of ours.
    pub(super) fn failure(&mut self) -> WorkbookError {
        self.failure.take().unwrap_or(WorkbookError::Damaged)
    }

    fn fail(&mut self, failure: WorkbookError) -> io::Error {
        self.failure = Some(failure);
        io::Error::other("beyond the bounds of a workbook")
    }
}

impl BufRead for PartBytes<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.since_mark > self.longest_markup {
            return Err(self.fail(WorkbookError::Damaged));
        }
        let (left, limit) = (self.budget.get(), self.limits.unpacked_bytes);
        let bytes = match &mut self.source {
            Source::Stored(bytes) => chunk(bytes),
            Source::Deflated(reader) => reader.fill_buf()?,
        };
        if bytes.is_empty() {
            return if self.checksum.sum() == self.expected_checksum {
                Ok(&[])
            } else {
                Err(io::Error::other("the checksum does not agree"))
            };
        }
        if bytes.len() as u64 > left {
            self.failure = Some(WorkbookError::UnpacksTooLarge { limit });
            return Err(io::Error::other("beyond the bounds of a workbook"));
        }
        Ok(match &self.source {
            Source::Stored(bytes) => chunk(bytes),
            Source::Deflated(reader) => reader.buffer(),
        })
    }

    fn consume(&mut self, count: usize) {
        match &mut self.source {
            Source::Stored(bytes) => {
                let (read, rest) = bytes.split_at(count.min(bytes.len()));
                self.checksum.update(read);
                *bytes = rest;
            }
            Source::Deflated(reader) => {
                let read = reader.buffer();
                self.checksum.update(&read[..count.min(read.len())]);
                reader.consume(count);
            }
        }
        self.budget
            .set(self.budget.get().saturating_sub(count as u64));
        self.since_mark = self.since_mark.saturating_add(count);
    }
}

impl Read for PartBytes<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

fn chunk(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(CHUNK)]
}

/// Little-endian numbers at fixed places.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> Result<u16, WorkbookError> {
        self.0
            .get(at..at + 2)
            .and_then(|b| b.try_into().ok())
            .map(u16::from_le_bytes)
            .ok_or(WorkbookError::Damaged)
    }

    fn u32(&self, at: usize) -> Result<u32, WorkbookError> {
        self.0
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_le_bytes)
            .ok_or(WorkbookError::Damaged)
    }

    fn size(&self, at: usize) -> Result<usize, WorkbookError> {
        usize::try_from(self.u32(at)?).map_err(|_| WorkbookError::Damaged)
    }
}

fn find_directory_end(file: &[u8]) -> Option<usize> {
    let last = file.len().checked_sub(DIRECTORY_END_LENGTH)?;
    let first = last.saturating_sub(LONGEST_COMMENT);
    (first..=last).rev().find(|at| {
        let end = Fields(&file[*at..]);
        file[*at..].starts_with(DIRECTORY_END)
            && end
                .u16(20)
                .is_ok_and(|comment| at + DIRECTORY_END_LENGTH + usize::from(comment) <= file.len())
    })
}

/// An encrypted workbook is a compound file with a stream of this name, in UTF-16.
fn holds_encrypted_package(file: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    file.windows(name.len()).any(|window| window == name)
}

fn part_name(name: &str) -> String {
    name.trim_start_matches(['/', '\\'])
        .replace('\\', "/")
        .to_ascii_lowercase()
}

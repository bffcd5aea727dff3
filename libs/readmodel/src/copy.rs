//! Many rows at once: PostgreSQL's COPY in its binary format, typed.
//!
//! For rows that are surely new, [`copy_rows`] writes ten times as many a second as single INSERTs. Rows that may exist
//! are upserted by arrays, each key once in a statement (fold the batch by key first):
//!
//! ```sql
//! INSERT INTO elder (id, village, capability)
//! SELECT * FROM unnest($1::uuid[], $2::text[], $3::int2[])
//! ON CONFLICT (id) DO UPDATE SET village = excluded.village, capability = excluded.capability
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// Rows are handed to the server in pieces of this size: it works on one while the next is being made.
const PIECE: usize = 256 << 10;

/// Writes rows into a table: `columns` are those that `write` puts, in order. Returns the number of rows.
///
/// The types put must be those of the columns: an `i32` doesn't fit a `bigint`. Making a row can't fail, so that a COPY
/// once begun is always brought to its end; what may fail is done before.
///
/// ```no_run
/// # async fn example(db: &mut sqlx::PgConnection, elders: Vec<(uuid::Uuid, String, Option<i16>)>) -> sqlx::Result<()> {
/// readmodel::copy_rows(db, "elder", &["id", "village", "capability"], &elders, |row, (id, village, capability)| {
///     row.put(id).put(village).put(capability);
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The database's: a key that exists, a type that doesn't fit.
pub async fn copy_rows<T>(
    db: &mut PgConnection,
    table: &str,
    columns: &[&str],
    rows: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut CopyRow<'_>, T),
) -> Result<u64, sqlx::Error> {
    let fields = i16::try_from(columns.len()).expect("a table has at most 1,600 columns");
    let columns: Vec<_> = columns
        .iter()
        .map(|column| crate::checkpoint::quoted(column))
        .collect();
    let table: Vec<_> = table.split('.').map(crate::checkpoint::quoted).collect();
    let statement = format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        table.join("."),
        columns.join(", ")
    );
    let mut copy = db.copy_in_raw(&statement).await?;
    let mut buffer = BytesMut::with_capacity(PIECE + (8 << 10));
    // Signature, flags, no extension of the header.
    buffer.put_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    for item in rows {
        buffer.put_i16(fields);
        let mut row = CopyRow {
            buffer: &mut buffer,
            fields: 0,
        };
        write(&mut row, item);
        debug_assert_eq!(
            row.fields, fields,
            "a row of {statement} has as many fields as columns"
        );
        if buffer.len() >= PIECE {
            copy.send(buffer.as_ref()).await?;
            buffer.clear();
        }
    }
    buffer.put_i16(-1);
    copy.send(buffer.as_ref()).await?;
    copy.finish().await
}

/// The fields of one row of a [`copy_rows`].
#[derive(Debug)]
pub struct CopyRow<'a> {
    buffer: &'a mut BytesMut,
    fields: i16,
}

impl CopyRow<'_> {
    /// Puts the next field.
    pub fn put(&mut self, field: impl CopyField) -> &mut Self {
        self.fields += 1;
        if field.is_null() {
            self.buffer.put_i32(-1);
        } else {
            sized(self.buffer, |buffer| field.write(buffer));
        }
        self
    }
}

/// Writes a value behind its length.
fn sized(buffer: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = buffer.len();
    buffer.put_i32(0);
    write(buffer);
    let length = i32::try_from(buffer.len() - start - 4).expect("a field is smaller than 2 GiB");
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A value that can be put into a row of [`copy_rows`].
pub trait CopyField {
    /// The type's number in PostgreSQL's catalogue, for arrays of it.
    const OID: u32;

    /// Appends the value in PostgreSQL's binary form.
    fn write(&self, buffer: &mut BytesMut);

    /// Whether it is NULL.
    fn is_null(&self) -> bool {
        false
    }
}

macro_rules! fields {
    ($($type:ty, $oid:literal, |$value:ident, $buffer:ident| $write:expr;)*) => {$(
        impl CopyField for $type {
            const OID: u32 = $oid;

            fn write(&self, $buffer: &mut BytesMut) {
                let $value = self;
                $write
            }
        }
    )*};
}

fields! {
    bool, 16, |value, buffer| buffer.put_u8(u8::from(*value));
    i16, 21, |value, buffer| buffer.put_i16(*value);
    i32, 23, |value, buffer| buffer.put_i32(*value);
    i64, 20, |value, buffer| buffer.put_i64(*value);
    f64, 701, |value, buffer| buffer.put_f64(*value);
    str, 25, |value, buffer| buffer.put_slice(value.as_bytes());
    String, 25, |value, buffer| buffer.put_slice(value.as_bytes());
    [u8], 17, |value, buffer| buffer.put_slice(value);
    Vec<u8>, 17, |value, buffer| buffer.put_slice(value);
    Bytes, 17, |value, buffer| buffer.put_slice(value);
    Uuid, 2950, |value, buffer| buffer.put_slice(value.as_bytes());
    NaiveDate, 1082, |value, buffer| buffer.put_i32(days(*value));
    DateTime<Utc>, 1184, |value, buffer| buffer.put_i64(value.timestamp_micros() - MICROSECONDS_TO_2000);
}

/// Fixed-size digests are `bytea` too.
impl<const N: usize> CopyField for [u8; N] {
    const OID: u32 = 17;

    fn write(&self, buffer: &mut BytesMut) {
        buffer.put_slice(self);
    }
}

/// JSON text for a `jsonb` column.
#[derive(Debug, Clone, Copy)]
pub struct Jsonb<'a>(pub &'a str);

impl CopyField for Jsonb<'_> {
    const OID: u32 = 3802;

    fn write(&self, buffer: &mut BytesMut) {
        // The version of the format.
        buffer.put_u8(1);
        buffer.put_slice(self.0.as_bytes());
    }
}

/// A one-dimensional array.
#[derive(Debug, Clone, Copy)]
pub struct Array<'a, T>(pub &'a [T]);

impl<T: CopyField> CopyField for Array<'_, T> {
    const OID: u32 = 0;

    fn write(&self, buffer: &mut BytesMut) {
        let length = i32::try_from(self.0.len()).expect("an array of a row is short");
        buffer.put_i32(i32::from(length > 0));
        buffer.put_i32(i32::from(self.0.iter().any(CopyField::is_null)));
        buffer.put_u32(T::OID);
        if length == 0 {
            return;
        }
        buffer.put_i32(length);
        buffer.put_i32(1);
        for item in self.0 {
            if item.is_null() {
                buffer.put_i32(-1);
            } else {
                sized(buffer, |buffer| item.write(buffer));
            }
        }
    }
}

impl<T: CopyField> CopyField for Option<T> {
    const OID: u32 = T::OID;

    fn write(&self, buffer: &mut BytesMut) {
        if let Some(value) = self {
            value.write(buffer);
        }
    }

    fn is_null(&self) -> bool {
        self.as_ref().is_none_or(CopyField::is_null)
    }
}

impl<T: CopyField + ?Sized> CopyField for &T {
    const OID: u32 = T::OID;

    fn write(&self, buffer: &mut BytesMut) {
        (**self).write(buffer);
    }

    fn is_null(&self) -> bool {
        (**self).is_null()
    }
}

/// PostgreSQL counts from 2000-01-01.
const MICROSECONDS_TO_2000: i64 = 946_684_800_000_000;

fn days(date: NaiveDate) -> i32 {
    let epoch = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a date of the calendar");
    i32::try_from(date.signed_duration_since(epoch).num_days())
        .expect("chrono's dates span fewer days")
}

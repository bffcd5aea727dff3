//! `audit`: the log of sharing taken out, and held against the signed heads of its chain; for that no system is needed.

use std::{
    fs,
    io::{self, BufRead, BufReader, BufWriter, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use serde::Serialize;
use sharing::audit_chain::{self, Fault, Head, Tampered, Verified, Verifier};

use crate::{
    client::{Client, call, in_words},
    output::{Progress, Report},
    wire,
};

/// No record is larger: the log's server takes no message of this size.
const LARGEST: u64 = 64 << 20;

/// The public key, and the newest signed head.
#[derive(Debug, Serialize)]
pub struct Key {
    /// The public key, PEM.
    pub public_key: String,
    /// Its name.
    pub key_id: String,
    /// The newest signed head, as `audit verify --head` takes it.
    pub head: String,
    /// When it was signed, local time.
    pub signed_at: String,
}

impl Report for Key {
    fn text(&self) -> String {
        format!(
            "{}密钥 key: {}\n链头 head: {}\n签名时间 signed at: {}",
            self.public_key, self.key_id, self.head, self.signed_at
        )
    }
}

/// An export that was written.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// Where.
    pub file: String,
    /// How many records.
    pub records: u64,
}

impl Report for Exported {
    fn text(&self) -> String {
        format!("已导出 wrote {} ({} records)", self.file, self.records)
    }
}

/// What came of verifying an export.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether no fault was found, and a signed head proves it.
    pub sound: bool,
    /// How many records were looked at without a fault.
    pub records: u64,
    /// How many signed heads were found; none where there is a fault.
    pub signed_heads: Option<u64>,
    /// The last record that a signed head proves; none where there is a fault.
    pub signed_through: Option<u64>,
    /// How many records after that are not signed yet; none where there is a fault.
    pub unsigned: Option<u64>,
    /// The chain's head after the last record, SEQUENCE:HEX; none where there is a fault.
    pub head: Option<String>,
    /// What is wrong.
    pub fault: Option<Wrong>,
}

/// What is wrong with an export.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// The record at which it shows.
    pub sequence: u64,
    /// What, in English.
    pub en: String,
    /// The same in Chinese.
    pub zh: String,
}

impl Outcome {
    fn of(found: Result<Verified, Tampered>) -> Self {
        match found {
            Ok(verified) => Self {
                sound: verified.signed_heads > 0,
                records: verified.records,
                signed_heads: Some(verified.signed_heads),
                signed_through: Some(verified.signed_through),
                unsigned: Some(verified.unsigned()),
                head: Some(written(verified.records, &verified.head)),
                fault: None,
            },
            Err(tampered) => Self {
                sound: false,
                records: tampered.sequence.saturating_sub(1),
                signed_heads: None,
                signed_through: None,
                unsigned: None,
                head: None,
                fault: Some(Wrong {
                    sequence: tampered.sequence,
                    en: tampered.en(),
                    zh: tampered.zh(),
                }),
            },
        }
    }
}

impl Report for Outcome {
    fn text(&self) -> String {
        if let Some(fault) = &self.fault {
            return format!("审计日志被篡改 TAMPERED: {}\n{}", fault.en, fault.zh);
        }
        let signed_through = self.signed_through.unwrap_or_default();
        let unsigned = self.unsigned.unwrap_or_default();
        if !self.sound {
            return format!(
                "无签名，不能证明 nothing is signed, so nothing is proved: {} records",
                self.records
            );
        }
        format!(
            "审计日志完整 sound: {} records, {} signed heads; proved up to record {signed_through}, {unsigned} after it not \
             signed yet\n未被篡改至第 {signed_through} 条，其后 {unsigned} 条尚未签名\n链头 head: {}",
            self.records,
            self.signed_heads.unwrap_or_default(),
            self.head.as_deref().unwrap_or_default(),
        )
    }
}

/// The public key, and the newest signed head.
///
/// # Errors
/// Sharing's refusal: before the first hour is over nothing is signed.
pub async fn key(client: &Client) -> anyhow::Result<Key> {
    let sharing = client.sharing();
    let answer = call(pb::GetAuditHeadRequest {}, async |request| {
        sharing.clone().get_audit_head(request).await
    })
    .await?;
    let head = answer.head.context("the answer has no head")?;
    let signed_at = answer.signed_at.and_then(wire::from_timestamp);
    Ok(Key {
        public_key: answer.public_key,
        key_id: head.key_id,
        head: format!("{}:{}", head.sequence, hex(&head.head)),
        signed_at: signed_at.map(wire::local_time).unwrap_or_default(),
    })
}

/// Writes the records of sharing's log to a file, whole or not at all: each as a protobuf message after its length.
///
/// # Errors
/// Sharing's refusal, or a file that can't be written.
pub async fn export(client: &Client, file: &Path, progress: Progress) -> anyhow::Result<Exported> {
    let doing = || format!("write {}", file.display());
    let request = pb::ExportAuditRequest { first_sequence: 1 };
    let pieces = client.sharing().export_audit(request).await;
    let mut pieces = pieces.map_err(|status| in_words(&status))?.into_inner();
    let unfinished = file.with_extension("unfinished");
    let mut out = create(&unfinished).with_context(doing)?;
    let step = progress.begin("导出审计日志 audit", 0);
    let mut records = 0;
    while let Some(piece) = pieces.message().await.map_err(|status| in_words(&status))? {
        for record in &piece.records {
            out.write_all(&record.encode_length_delimited_to_vec())
                .with_context(doing)?;
            records += 1;
        }
        step.so_far(records);
    }
    let out = out.into_inner().map_err(io::IntoInnerError::into_error);
    out.and_then(|out| out.sync_all()).with_context(doing)?;
    fs::rename(&unfinished, file).with_context(doing)?;
    step.done(&format!("{records} records"));
    Ok(Exported {
        file: file.display().to_string(),
        records,
    })
}

/// A new file that its owner alone may read.
pub(crate) fn create(path: &Path) -> io::Result<BufWriter<fs::File>> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(BufWriter::new(file))
}

/// Verifies an export with nothing but public keys, and a head that is known from elsewhere, if one is.
///
/// # Errors
/// Files that can't be read, or keys that are none. What was tampered with is no error: the outcome tells it.
pub fn verify(file: &Path, keys: &[PathBuf], head: Option<(u64, Head)>) -> anyhow::Result<Outcome> {
    let keys = keys.iter().map(|path| {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        audit_chain::public_key(&text).with_context(|| {
            format!(
                "{} holds no Ed25519 public key in PEM / 该文件不含 Ed25519 公钥",
                path.display()
            )
        })
    });
    let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
    let doing = || format!("read {}", file.display());
    let opened = fs::File::open(file).with_context(doing)?;
    let found = look_through(BufReader::new(opened), Verifier::new(&keys, head));
    Ok(Outcome::of(found.with_context(doing)?))
}

fn look_through(
    mut records: impl BufRead,
    mut verifier: Verifier,
) -> io::Result<Result<Verified, Tampered>> {
    loop {
        let taken = match next(&mut records)? {
            Entry::Record(record) => verifier.take(&record),
            Entry::Broken => Err(verifier.wrong(Fault::Unreadable)),
            Entry::End => return Ok(verifier.end()),
        };
        if let Err(tampered) = taken {
            return Ok(Err(tampered));
        }
    }
}

/// What comes next in an export.
enum Entry {
    Record(pb::AuditRecord),
    Broken,
    End,
}

fn next(records: &mut impl BufRead) -> io::Result<Entry> {
    let mut length = 0;
    let mut shift = 0;
    loop {
        let mut byte = [0];
        if records.by_ref().take(1).read(&mut byte)? == 0 {
            let begun = shift > 0;
            return Ok(if begun { Entry::Broken } else { Entry::End });
        }
        length |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            break;
        }
        shift += 7;
        if shift > 35 {
            return Ok(Entry::Broken);
        }
    }
    if length > LARGEST {
        return Ok(Entry::Broken);
    }
    let mut bytes = Vec::new();
    records.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Ok(Entry::Broken);
    }
    Ok(match pb::AuditRecord::decode(&bytes[..]) {
        // Nothing but the record itself: what a reader passes over could be anything.
        Ok(record) if record.encode_to_vec() == bytes => Entry::Record(record),
        Ok(_) | Err(_) => Entry::Broken,
    })
}

/// A head as `--head` takes it.
fn written(sequence: u64, head: &Head) -> String {
    format!("{sequence}:{}", hex(head))
}

/// Bytes as they are written in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a head as it is written: SEQUENCE:HEX.
///
/// # Errors
/// Text that is none, in words.
pub fn parse_head(text: &str) -> Result<(u64, Head), String> {
    let parsed = text.split_once(':').and_then(|(sequence, hex)| {
        let sequence = sequence.parse().ok().filter(|sequence| *sequence > 0)?;
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut head = [0; 32];
        for (place, byte) in head.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).ok()?;
        }
        Some((sequence, head))
    });
    parsed.ok_or_else(|| {
        "give a head like 1200:5f0c…, with 64 hexadecimal digits, as `audit key` prints it"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: i64) -> pb::AuditRecord {
        pb::AuditRecord {
            sequence,
            subject: "eldercare.sharing.looks.1".to_owned(),
            headers: vec![pb::AuditHeader {
                name: "ce-id".to_owned(),
                value: sequence.to_string(),
            }],
            body: b"a look".to_vec().into(),
        }
    }

    fn exported() -> Vec<u8> {
        (1..=20)
            .flat_map(|sequence| record(sequence).encode_length_delimited_to_vec())
            .collect()
    }

    fn found(bytes: &[u8], head: Option<(u64, Head)>) -> Outcome {
        Outcome::of(look_through(bytes, Verifier::new(&[], head)).unwrap())
    }

    #[test]
    fn what_no_head_proves_is_not_called_sound() {
        let outcome = found(&exported(), None);
        assert_eq!(
            (outcome.records, outcome.sound, outcome.fault),
            (20, false, None)
        );
    }

    #[test]
    fn a_byte_flipped_anywhere_in_the_file_is_found_by_a_head_from_elsewhere() {
        let bytes = exported();
        let head = parse_head(&found(&bytes, None).head.unwrap()).unwrap();
        assert_eq!(found(&bytes, Some(head)).fault, None);
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x10;
            assert!(found(&flipped, Some(head)).fault.is_some(), "byte {place}");
        }
        let cut_off = bytes.len() - record(20).encode_length_delimited_to_vec().len();
        assert!(found(&bytes[..cut_off], Some(head)).fault.is_some());
    }

    #[test]
    fn a_head_is_a_sequence_and_32_bytes() {
        let head = (7, [0xab; 32]);
        assert_eq!(parse_head(&written(7, &head.1)), Ok(head));
        let digits = "0".repeat(64);
        for wrong in ["", "7", "7:ab", &format!("0:{digits}"), &digits] {
            assert!(parse_head(wrong).is_err(), "{wrong}");
        }
    }
}

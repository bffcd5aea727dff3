//! The chain over what is on record: whatever was changed, removed or put in between is found, with nothing but the records and
//! the public key.

use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use eventlog::{Aggregate as _, Repository};
use proptest::prelude::*;
use prost::Message as _;
use proto::eldercare::log::v1 as log;
use proto::eldercare::sharing::v1 as pb;
use sharing::audit_chain::{
    BEGINNING, Fault, HEAD_SUBJECT, Head, Tampered, Verified, link, public_key, public_pem, sign,
    verify,
};
use sharing::look::{AuditHeads, HeadSigned};
use uuid::Uuid;

/// How many records there are, the last of them a signed head.
const COUNT: u64 = 10_000;
/// Each of these is a signed head.
const EVERY: u64 = 500;

static LOG: LazyLock<Log> = LazyLock::new(|| Log::signed_by(&key()));

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

struct Log {
    records: Vec<pb::AuditRecord>,
    /// The head after each.
    heads: Vec<Head>,
}

impl Log {
    fn signed_by(key: &SigningKey) -> Self {
        let mut log = Self {
            records: Vec::new(),
            heads: Vec::new(),
        };
        for sequence in 1..=COUNT {
            let record = if sequence.is_multiple_of(EVERY) {
                // Some came while it was signed.
                let came = if sequence == COUNT {
                    0
                } else {
                    sequence / EVERY % 3
                };
                let through = sequence - 1 - came;
                let head = log.heads[usize::try_from(through).unwrap() - 1];
                head_record(sequence, through, head, key)
            } else {
                look(sequence)
            };
            log.push(record);
        }
        log
    }

    fn push(&mut self, record: pb::AuditRecord) {
        let before = self.heads.last().unwrap_or(&BEGINNING);
        self.heads.push(link(before, &record));
        self.records.push(record);
    }

    fn refs(&self) -> Vec<&pb::AuditRecord> {
        self.records.iter().collect()
    }
}

fn written(sequence: u64, subject: &str, events: Vec<log::Event>) -> pb::AuditRecord {
    let id = Uuid::from_u128(sequence.into()).to_string();
    let body = log::Record {
        events,
        request_digest: vec![0; 16].into(),
        answers: String::new(),
    };
    let headers = [("ce-id", id.as_str()), ("ce-time", "2024-11-01T00:00:00Z")];
    pb::AuditRecord {
        sequence: sequence.cast_signed(),
        subject: subject.to_owned(),
        headers: headers
            .map(|(name, value)| pb::AuditHeader {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .into(),
        body: body.encode_to_vec().into(),
    }
}

fn look(sequence: u64) -> pb::AuditRecord {
    let event = log::Event {
        r#type: "eldercare.sharing.v1.AccessRecorded".to_owned(),
        data: sequence.to_be_bytes().to_vec().into(),
    };
    written(sequence, "eldercare.sharing.looks.1", vec![event])
}

fn head_record(sequence: u64, through: u64, head: Head, key: &SigningKey) -> pb::AuditRecord {
    let raw = AuditHeads::encode(&HeadSigned {
        sequence: through,
        head,
        key: "audit_1".to_owned(),
        signature: sign(key, through, &head),
    });
    let event = log::Event {
        r#type: raw.event_type,
        data: raw.data,
    };
    written(sequence, HEAD_SUBJECT, vec![event])
}

fn verified(records: &[&pb::AuditRecord]) -> Result<Verified, Tampered> {
    verify(records.iter().copied(), &[key().verifying_key()], None)
}

/// The records numbered anew, as somebody would who has put one in or taken one out.
fn numbered(records: Vec<&pb::AuditRecord>) -> Vec<pb::AuditRecord> {
    let numbered = records.into_iter().cloned().zip(1..);
    numbered
        .map(|(record, sequence)| pb::AuditRecord { sequence, ..record })
        .collect()
}

/// One byte of a record is another one.
fn flipped(record: &pb::AuditRecord, place: usize) -> pb::AuditRecord {
    let mut record = record.clone();
    let flip = |text: &mut String, place: usize| {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes[place] ^= 1;
        *text = String::from_utf8(bytes).unwrap();
    };
    let mut place = place % size(&record);
    if place < record.subject.len() {
        flip(&mut record.subject, place);
        return record;
    }
    place -= record.subject.len();
    for header in 0..record.headers.len() {
        for of_value in [false, true] {
            let header = &mut record.headers[header];
            let text = match of_value {
                false => &mut header.name,
                true => &mut header.value,
            };
            if place < text.len() {
                flip(text, place);
                return record;
            }
            place -= text.len();
        }
    }
    let mut body = record.body.to_vec();
    body[place] ^= 1;
    record.body = body.into();
    record
}

fn size(record: &pb::AuditRecord) -> usize {
    let headers = record.headers.iter();
    let headers: usize = headers
        .map(|header| header.name.len() + header.value.len())
        .sum();
    record.subject.len() + headers + record.body.len()
}

#[test]
fn records_as_they_were_are_proved_up_to_the_last_signed_head() {
    let found = verified(&LOG.refs()).unwrap();
    assert_eq!(
        found,
        Verified {
            records: COUNT,
            head: *LOG.heads.last().unwrap(),
            signed_heads: COUNT / EVERY,
            signed_through: COUNT - 1,
        }
    );
    assert_eq!(found.unsigned(), 1);
    let none: [&pb::AuditRecord; 0] = [];
    assert_eq!(verified(&none).unwrap().records, 0);
}

#[test]
fn one_byte_of_one_record_is_found() {
    // Every byte of one record.
    let records = LOG.refs();
    for place in 0..size(records[123]) {
        let changed = flipped(records[123], place);
        let mut records = records[..600].to_vec();
        records[123] = &changed;
        assert!(verified(&records).is_err(), "byte {place}");
    }
    // It shows at the next head.
    let changed = flipped(records[6_000], 77);
    let mut records = records;
    records[6_000] = &changed;
    let fault = verified(&records).unwrap_err();
    assert_eq!(fault.sequence, 6_500);
    let Fault::OtherRecords { first, last } = fault.fault else {
        panic!("{fault}")
    };
    assert!((first..=last).contains(&6_001), "{fault}");
}

#[test]
fn one_record_removed_is_found() {
    let mut records = LOG.refs();
    records.remove(4_321);
    let fault = Fault::OutOfOrder { found: 4_323 };
    let sequence = 4_322;
    assert_eq!(verified(&records), Err(Tampered { sequence, fault }));
    let numbered = numbered(records);
    assert!(verified(&numbered.iter().collect::<Vec<_>>()).is_err());
}

#[test]
fn two_records_swapped_are_found() {
    let mut records = LOG.refs();
    records.swap(17, 18);
    assert_eq!(verified(&records).unwrap_err().sequence, 18);
    let numbered = numbered(records);
    let fault = verified(&numbered.iter().collect::<Vec<_>>()).unwrap_err();
    assert_eq!(fault.sequence, EVERY);
}

#[test]
fn one_record_put_in_between_is_found() {
    let another = look(COUNT + 1);
    let mut records = LOG.refs();
    records.insert(9_000, &another);
    assert!(verified(&records).is_err());
    assert!(verified(&numbered(records).iter().collect::<Vec<_>>()).is_err());
}

#[test]
fn a_head_of_another_key_or_from_another_place_is_found() {
    let forged = Log::signed_by(&SigningKey::from_bytes(&[8; 32]));
    let bad = |sequence| {
        Err(Tampered {
            sequence,
            fault: Fault::BadSignature,
        })
    };
    assert_eq!(verified(&forged.refs()), bad(EVERY));
    // From some record on.
    let mut records = LOG.refs();
    records.truncate(600);
    let mut log = Log {
        records: records.into_iter().cloned().collect(),
        heads: LOG.heads[..600].to_vec(),
    };
    log.push(head_record(
        601,
        600,
        log.heads[599],
        &SigningKey::from_bytes(&[8; 32]),
    ));
    assert_eq!(verified(&log.refs()), bad(601));
    // An earlier head once more.
    log.records.pop();
    let mut again = log.records[499].clone();
    again.sequence = 601;
    log.records.push(again);
    let fault = verified(&log.refs()).unwrap_err().fault;
    assert!(matches!(fault, Fault::OutOfPlace { .. }), "{fault:?}");
    // What is no head does not lie there.
    log.records.pop();
    log.records.push(written(601, HEAD_SUBJECT, Vec::new()));
    assert_eq!(verified(&log.refs()).unwrap_err().fault, Fault::NoHead);
    // Whoever knows both keys, because one took over, goes by both.
    let keys = [8, 7].map(|seed| SigningKey::from_bytes(&[seed; 32]).verifying_key());
    assert!(verify(LOG.refs(), &keys, None).is_ok());
}

#[test]
fn what_was_cut_off_is_found_by_a_head_from_elsewhere() {
    let keys = [key().verifying_key()];
    let known = (COUNT - 1, LOG.heads[9_998]);
    assert!(verify(LOG.refs(), &keys, Some(known)).is_ok());
    let cut = &LOG.records[..9_000];
    assert_eq!(verify(cut, &keys, None).unwrap().records, 9_000);
    let fault = verify(cut, &keys, Some(known)).unwrap_err();
    assert_eq!((fault.sequence, fault.fault), (9_001, Fault::CutOff));
    let other = verify(LOG.refs(), &keys, Some((70, [1; 32]))).unwrap_err();
    assert_eq!((other.sequence, other.fault), (70, Fault::OtherHead));
}

#[test]
fn what_is_moved_from_one_part_of_a_record_to_the_next_is_another_record() {
    let record = look(1);
    let mut moved = record.clone();
    moved.headers[0].name.push('0');
    moved.headers[0].value.remove(0);
    let mut fewer = record.clone();
    let last = fewer.headers.pop().unwrap();
    fewer.headers[0].value += &(last.name + &last.value);
    let heads = [&record, &moved, &fewer].map(|record| link(&BEGINNING, record));
    assert!(heads[0] != heads[1] && heads[0] != heads[2] && heads[1] != heads[2]);
}

#[test]
fn heads_lie_where_they_are_looked_for() {
    let subject = Repository::<AuditHeads>::subject("head").unwrap();
    assert_eq!(subject.as_str(), HEAD_SUBJECT);
}

#[test]
fn a_public_key_is_read_from_what_is_printed() {
    let key = key().verifying_key();
    let pem = public_pem(&key).unwrap();
    assert_eq!(public_key(&format!("key:\n{pem}head: 7\n")), Some(key));
    for text in ["", "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"] {
        assert_eq!(public_key(text), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_was_done_anywhere_is_found(
        at in 0..9_999_usize,
        other in 0..9_999_usize,
        byte in any::<prop::sample::Index>(),
        renumber in any::<bool>(),
        how in 0..4,
    ) {
        let mut records = LOG.refs();
        let changed = flipped(records[at], byte.index(size(records[at])));
        let another = look(COUNT + 7);
        match how {
            0 => records[at] = &changed,
            1 => {
                records.remove(at);
            }
            2 => records.insert(at, &another),
            _ if at == other => return Ok(()),
            _ => records.swap(at, other),
        }
        let found = if renumber {
            verified(&numbered(records).iter().collect::<Vec<_>>())
        } else {
            verified(&records)
        };
        let fault = found.unwrap_err();
        // Never before the place where it was done.
        prop_assert!(fault.sequence > at.min(if how == 3 { other } else { at }) as u64, "{}", fault);
        prop_assert!(!fault.zh().is_empty());
    }
}

//! The chain over the records of `SHARING` (审计链): each link is made of the one before and of a record as it lies in the log, and
//! the head is signed from time to time. Whoever has an export of the log and the public key sees that no record was changed,
//! removed or put in between, up to the last signed head; nothing else is needed for that.
//!
//! link = SM3(tag ‖ link before ‖ sequence ‖ subject ‖ number of headers ‖ each name and value ‖ body), the first link before is
//! 32 zeros, numbers have 8 bytes, big-endian, and each text or body comes after its length. A head is signed with Ed25519 over
//! tag ‖ stream ‖ sequence ‖ head.

use std::collections::VecDeque;
use std::fmt;

use ed25519_dalek::pkcs8::{
    DecodePublicKey as _, EncodePublicKey as _, spki::der::pem::LineEnding,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use prost::{Message as _, Name as _};
use proto::eldercare::log::v1 as log;
use proto::eldercare::sharing::v1 as pb;
use sm3::{Digest as _, Sm3};

/// A link of the chain.
pub type Head = [u8; 32];

/// The link before the first record.
pub const BEGINNING: Head = [0; 32];

/// The stream that is chained.
pub const STREAM: &str = "SHARING";

/// Where the signed heads lie in it.
pub const HEAD_SUBJECT: &str = "eldercare.sharing.audit.head";

/// A link is never taken for anything else.
const LINK: &[u8] = b"eldercare.sharing.audit.link.v1";

/// A statement is never taken for anything else.
const STATEMENT: &[u8] = b"eldercare.sharing.audit.head.v1";

/// The link after a record.
#[must_use]
pub fn link(previous: &Head, record: &pb::AuditRecord) -> Head {
    let mut digest = Sm3::new();
    digest.update(LINK);
    digest.update(previous);
    digest.update(record.sequence.to_be_bytes());
    part(&mut digest, record.subject.as_bytes());
    digest.update((record.headers.len() as u64).to_be_bytes());
    for header in &record.headers {
        part(&mut digest, header.name.as_bytes());
        part(&mut digest, header.value.as_bytes());
    }
    part(&mut digest, &record.body);
    digest.finalize().into()
}

fn part(digest: &mut Sm3, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}

/// What is signed: that the chain over a stream has this head after this record.
#[must_use]
pub fn statement(stream: &str, sequence: u64, head: &Head) -> Vec<u8> {
    let mut bytes = STATEMENT.to_vec();
    bytes.extend_from_slice(&(stream.len() as u64).to_be_bytes());
    bytes.extend_from_slice(stream.as_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(head);
    bytes
}

/// Signs the head of the chain after a record.
#[must_use]
pub fn sign(key: &SigningKey, sequence: u64, head: &Head) -> [u8; 64] {
    key.sign(&statement(STREAM, sequence, head)).to_bytes()
}

/// A public key as PEM (SubjectPublicKeyInfo); text before and after it is not minded.
#[must_use]
pub fn public_key(text: &str) -> Option<VerifyingKey> {
    const END: &str = "-----END PUBLIC KEY-----";
    let begin = text.find("-----BEGIN PUBLIC KEY-----")?;
    let end = begin + text[begin..].find(END)? + END.len();
    VerifyingKey::from_public_key_pem(&text[begin..end]).ok()
}

/// The PEM of a public key; none where it can't be written.
#[must_use]
pub fn public_pem(key: &VerifyingKey) -> Option<String> {
    key.to_public_key_pem(LineEnding::LF).ok()
}

/// The head that a record states; none where it states none that can be read.
#[must_use]
pub fn signed_head(record: &pb::AuditRecord) -> Option<pb::AuditHeadSigned> {
    if record.subject != HEAD_SUBJECT {
        return None;
    }
    let body = log::Record::decode(record.body.clone()).ok()?;
    let [event] = body.events.as_slice() else {
        return None;
    };
    if event.r#type != pb::AuditHeadSigned::full_name() {
        return None;
    }
    pb::AuditHeadSigned::decode(event.data.clone()).ok()
}

/// What holds of records in which no fault was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records there are.
    pub records: u64,
    /// The head after the last one.
    pub head: Head,
    /// How many signed heads there are among them.
    pub signed_heads: u64,
    /// The last record that a signed head holds; 0 where there is none. The ones after it are not signed yet: nothing proves
    /// them.
    pub signed_through: u64,
}

impl Verified {
    /// How many records no signed head holds yet.
    #[must_use]
    pub fn unsigned(&self) -> u64 {
        self.records - self.signed_through
    }
}

/// Records are not as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tampered {
    /// The record at which it shows.
    pub sequence: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another record comes in its place: records were removed, put in between, or swapped.
    OutOfOrder {
        /// The sequence of the other one.
        found: i64,
    },
    /// Its bytes are no record.
    Unreadable,
    /// It lies where signed heads lie, and is none.
    NoHead,
    /// It states a head of records that are not before it, or that an earlier one holds already.
    OutOfPlace {
        /// The last record that the head is to hold.
        through: i64,
    },
    /// The signature is not of a key that is known.
    BadSignature,
    /// What is signed is another chain: a record among these was changed, or is not the one that was there.
    OtherRecords {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// The chain has another head here than the one that is known from elsewhere.
    OtherHead,
    /// The head that is known from elsewhere holds this record, and it is not there: the end was cut off.
    CutOff,
}

impl Tampered {
    /// In English.
    #[must_use]
    pub fn en(&self) -> String {
        let sequence = self.sequence;
        match self.fault {
            Fault::OutOfOrder { found } => format!(
                "record {sequence} is missing, record {found} comes in its place: records were removed, put in between or swapped"
            ),
            Fault::Unreadable => format!("record {sequence} can't be read: its bytes were changed"),
            Fault::NoHead => {
                format!("record {sequence} lies where signed heads lie, and is none")
            }
            Fault::OutOfPlace { through } => format!(
                "record {sequence} states a head up to record {through}, which is not its place"
            ),
            Fault::BadSignature => {
                format!("the signature in record {sequence} is not of this public key")
            }
            Fault::OtherRecords { first, last } => format!(
                "the head signed in record {sequence} is of other records: among {first} to {last} a record was changed, removed \
                 or put in between"
            ),
            Fault::OtherHead => format!(
                "the head after record {sequence} is not the one that is known: a record up to there was changed"
            ),
            Fault::CutOff => format!(
                "record {sequence} is missing, and the head that is known holds it: the end was cut off"
            ),
        }
    }

    /// In Chinese.
    #[must_use]
    pub fn zh(&self) -> String {
        let sequence = self.sequence;
        match self.fault {
            Fault::OutOfOrder { found } => {
                format!("缺少第 {sequence} 条记录，其位置为第 {found} 条：记录被删除、插入或调换")
            }
            Fault::Unreadable => format!("第 {sequence} 条记录无法读取：内容被篡改"),
            Fault::NoHead => format!("第 {sequence} 条记录位于审计链签名处，但不是签名"),
            Fault::OutOfPlace { through } => {
                format!("第 {sequence} 条记录所签范围至第 {through} 条，位置不符")
            }
            Fault::BadSignature => format!("第 {sequence} 条记录中的签名与公钥不符"),
            Fault::OtherRecords { first, last } => format!(
                "第 {sequence} 条记录所签内容与现有记录不符：第 {first} 至 {last} 条中有记录被篡改、删除或插入"
            ),
            Fault::OtherHead => {
                format!("第 {sequence} 条记录处的链头与已知链头不符：此前有记录被篡改")
            }
            Fault::CutOff => format!("缺少第 {sequence} 条记录，而已知链头包含该记录：末尾被截断"),
        }
    }
}

impl fmt::Display for Tampered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.en(), self.zh())
    }
}

impl std::error::Error for Tampered {}

/// Looks at records one after the other.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Vec<VerifyingKey>,
    expected: Option<(u64, Head)>,
    /// The last record that was looked at, and the head there.
    last: u64,
    head: Head,
    /// The last record that a signed head holds.
    signed_through: u64,
    signed_heads: u64,
    /// The heads after each of the records since.
    since: VecDeque<Head>,
}

impl Verifier {
    /// Begins before the first record. Signed heads bear a signature of one of these keys. A head that is known from
    /// elsewhere, such as one that was published, is found again, so that nothing can be cut off before it.
    #[must_use]
    pub fn new(keys: &[VerifyingKey], expected: Option<(u64, Head)>) -> Self {
        Self {
            keys: keys.to_vec(),
            expected,
            last: 0,
            head: BEGINNING,
            signed_through: 0,
            signed_heads: 0,
            since: VecDeque::new(),
        }
    }

    /// The sequence of the record that comes next.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.last + 1
    }

    /// Looks at the next record.
    ///
    /// # Errors
    /// What is wrong with it, or with the ones before it. No other record may be looked at then.
    pub fn take(&mut self, record: &pb::AuditRecord) -> Result<(), Tampered> {
        let sequence = self.next_sequence();
        if u64::try_from(record.sequence) != Ok(sequence) {
            let found = record.sequence;
            return Err(self.wrong(Fault::OutOfOrder { found }));
        }
        if record.subject == HEAD_SUBJECT {
            self.check(record)?;
        }
        self.head = link(&self.head, record);
        self.since.push_back(self.head);
        if let Some((at, expected)) = self.expected
            && at == sequence
            && expected != self.head
        {
            return Err(self.wrong(Fault::OtherHead));
        }
        self.last = sequence;
        Ok(())
    }

    /// There are no more records.
    ///
    /// # Errors
    /// Where some are missing at the end.
    pub fn end(self) -> Result<Verified, Tampered> {
        if self.expected.is_some_and(|(at, _)| at > self.last) {
            return Err(self.wrong(Fault::CutOff));
        }
        Ok(Verified {
            records: self.last,
            head: self.head,
            signed_heads: self.signed_heads,
            signed_through: self.signed_through,
        })
    }

    /// The next record is wrong.
    #[must_use]
    pub fn wrong(&self, fault: Fault) -> Tampered {
        Tampered {
            sequence: self.next_sequence(),
            fault,
        }
    }

    /// Holds a signed head against the records before it.
    fn check(&mut self, record: &pb::AuditRecord) -> Result<(), Tampered> {
        let signed = signed_head(record).ok_or_else(|| self.wrong(Fault::NoHead))?;
        let through = signed.sequence;
        let place = u64::try_from(through)
            .ok()
            .and_then(|through| through.checked_sub(self.signed_through + 1))
            .and_then(|place| usize::try_from(place).ok());
        let there = place.and_then(|place| Some((place, *self.since.get(place)?)));
        let (place, own) = there.ok_or_else(|| self.wrong(Fault::OutOfPlace { through }))?;
        let through = through.cast_unsigned();
        let stated = Head::try_from(&signed.head[..]);
        let stated = stated.map_err(|_other_length| self.wrong(Fault::NoHead))?;
        let signature = Signature::from_slice(&signed.signature);
        let signature = signature.map_err(|_other_length| self.wrong(Fault::BadSignature))?;
        let statement = statement(STREAM, through, &stated);
        let of = |key: &VerifyingKey| key.verify_strict(&statement, &signature).is_ok();
        if !self.keys.iter().any(of) {
            return Err(self.wrong(Fault::BadSignature));
        }
        if stated != own {
            return Err(self.wrong(Fault::OtherRecords {
                first: self.signed_through + 1,
                last: through,
            }));
        }
        drop(self.since.drain(..=place));
        self.signed_through = through;
        self.signed_heads += 1;
        Ok(())
    }
}

/// Looks at all records, the first one first.
///
/// # Errors
/// The first fault.
pub fn verify<R>(
    records: impl IntoIterator<Item = R>,
    keys: &[VerifyingKey],
    expected: Option<(u64, Head)>,
) -> Result<Verified, Tampered>
where
    R: std::borrow::Borrow<pb::AuditRecord>,
{
    let mut verifier = Verifier::new(keys, expected);
    for record in records {
        verifier.take(record.borrow())?;
    }
    verifier.end()
}

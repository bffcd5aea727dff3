//! Envelopes and digests as nobody has written them: refused by their form, or opened by nobody.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::cell::Cell;

use fuzzing::assert_untold;
use proto::eldercare::r#type::v1 as pb;
use vault::{Algorithm, DataKey, Digest, PersonId, Sealed};

const PURPOSE: &str = "registry.identity";
const NAME: &str = "王秀英";

/// A protobuf string stands for any message.
type Envelope = Sealed<String>;

#[test]
fn a_spoilt_envelope_is_no_envelope_or_does_not_open() {
    for algorithm in [Algorithm::Sm4Gcm, Algorithm::Aes256Gcm] {
        let (key, person) = (DataKey::generate(algorithm), PersonId::from_u128(7));
        let good: Envelope = key.seal(PURPOSE, person, &NAME.to_owned());
        let opened = Cell::new(0);
        fuzzing::bytes(&[&good.as_bytes()[..]], 3_000, |encoded| {
            let sealed = match Envelope::from_bytes(encoded) {
                Ok(sealed) => sealed,
                Err(error) => return assert_untold(&error.to_string(), &[NAME]),
            };
            // It reads back from what it says that it is, and shows nothing of itself.
            assert_eq!(Envelope::from_bytes(sealed.as_bytes()).unwrap(), sealed);
            assert_eq!(
                Envelope::try_from(pb::Sealed::from(&sealed)).unwrap(),
                sealed
            );
            assert!(format!("{sealed:?}").len() < 60);
            let whose = sealed.person().to_string();
            assert!(!sealed.purpose().is_empty());
            match key.open(PURPOSE, person, &sealed) {
                // Fields that nobody knows are left out, and nothing else may be changed.
                Ok(name) => {
                    assert_eq!((name.as_str(), &sealed), (NAME, &good));
                    opened.set(opened.get() + 1);
                }
                Err(error) => {
                    assert_ne!(sealed, good);
                    assert_untold(&error.to_string(), &[NAME, &whose]);
                }
            }
        });
        assert!(opened.get() > 0, "not even the sample opens");
    }
}

#[test]
fn an_envelope_in_json_is_read_or_refused() {
    let key = DataKey::generate(Algorithm::Sm4Gcm);
    let good: Envelope = key.seal(PURPOSE, PersonId::from_u128(7), &NAME.to_owned());
    let sample = serde_json::to_value(&good).unwrap();
    let written = sample.as_str().unwrap().to_owned();
    fuzzing::documents(&[sample], 500, |document| {
        match serde_json::from_str::<Envelope>(document) {
            Ok(sealed) => {
                let again = serde_json::to_string(&sealed).unwrap();
                assert_eq!(serde_json::from_str::<Envelope>(&again).unwrap(), sealed);
            }
            Err(error) => assert_untold(&error.to_string(), &[&written]),
        }
    });
}

#[test]
fn a_digest_is_read_as_it_is_written_or_refused() {
    let sample = format!("2026_a-{}", "0123456789abcdef".repeat(4));
    fuzzing::text(&[&sample], 2_000, |token| {
        if let Ok(digest) = token.parse::<Digest>() {
            assert_eq!(digest.to_string(), token);
            assert_eq!(digest.subject_token().parse(), Ok(digest));
        }
    });
}

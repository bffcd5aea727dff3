//! What is sealed opens for its person and field, unchanged, and for nothing else.

use std::collections::HashSet;

use proptest::prelude::*;
use prost::Message as _;
use proto::eldercare::r#type::v1 as pb;
use vault::{Algorithm, DataKey, EnvelopeError, OpenError, PersonId, Sealed, WrongKeyLength};

const IDENTITY: &str = "registry.identity";
const BOTH: [Algorithm; 2] = [Algorithm::Sm4Gcm, Algorithm::Aes256Gcm];

/// A protobuf string stands for any message.
fn sealed(key: &DataKey, person: PersonId) -> Sealed<String> {
    key.seal(IDENTITY, person, &"王秀英".to_owned())
}

/// The same envelope with one part exchanged.
fn exchanged(sealed: &Sealed<String>, change: impl FnOnce(&mut pb::Sealed)) -> Sealed<String> {
    let mut envelope = pb::Sealed::from(sealed);
    change(&mut envelope);
    envelope.try_into().unwrap()
}

#[test]
fn a_sealed_value_opens_as_it_was() {
    for algorithm in BOTH {
        let key = DataKey::generate(algorithm);
        let person = PersonId::now_v7();
        let sealed = sealed(&key, person);
        assert_eq!(sealed.algorithm(), algorithm);
        assert_eq!(sealed.person(), person);
        assert_eq!(sealed.purpose(), IDENTITY);
        assert_eq!(key.open(IDENTITY, person, &sealed).unwrap(), "王秀英");

        let elsewhere = DataKey::from_bytes(algorithm, key.expose()).unwrap();
        assert_eq!(elsewhere.open(IDENTITY, person, &sealed).unwrap(), "王秀英");
    }
}

#[test]
fn an_empty_value_and_a_large_one_open() {
    let key = DataKey::generate(Algorithm::Sm4Gcm);
    let person = PersonId::now_v7();
    for length in [0, 1, 15, 16, 17, 127, 128, 16_383, 16_384, 1 << 20] {
        let value = "x".repeat(length);
        let sealed = key.seal(IDENTITY, person, &value);
        assert_eq!(key.open(IDENTITY, person, &sealed).unwrap(), value);
    }
}

#[test]
fn an_envelope_of_another_person_does_not_open() {
    for algorithm in BOTH {
        let (key, other_key) = (DataKey::generate(algorithm), DataKey::generate(algorithm));
        let (person, other) = (PersonId::now_v7(), PersonId::now_v7());
        let own = sealed(&key, person);
        assert_eq!(
            key.open(IDENTITY, other, &own),
            Err(OpenError::AnotherPerson)
        );
        assert_eq!(
            other_key.open(IDENTITY, person, &own),
            Err(OpenError::Forged)
        );

        let renamed = exchanged(&own, |envelope| {
            envelope.person = other.as_bytes().to_vec().into()
        });
        assert_eq!(key.open(IDENTITY, other, &renamed), Err(OpenError::Forged));
        assert_eq!(
            other_key.open(IDENTITY, other, &renamed),
            Err(OpenError::Forged)
        );
    }
}

#[test]
fn an_envelope_moved_to_another_field_does_not_open() {
    let key = DataKey::generate(Algorithm::Sm4Gcm);
    let person = PersonId::now_v7();
    let own = sealed(&key, person);
    assert_eq!(
        key.open("registry.address", person, &own),
        Err(OpenError::AnotherPurpose)
    );
    let moved = exchanged(&own, |envelope| {
        envelope.purpose = "registry.address".into()
    });
    assert_eq!(
        key.open("registry.address", person, &moved),
        Err(OpenError::Forged)
    );
}

#[test]
fn an_envelope_of_another_cipher_does_not_open() {
    let person = PersonId::now_v7();
    let key = DataKey::generate(Algorithm::Aes256Gcm);
    let own = sealed(&key, person);
    let sm4 = DataKey::generate(Algorithm::Sm4Gcm);
    assert_eq!(
        sm4.open(IDENTITY, person, &own),
        Err(OpenError::AnotherAlgorithm)
    );
    let renamed = exchanged(&own, |envelope| {
        envelope.set_algorithm(pb::SealingAlgorithm::Sm4Gcm);
    });
    assert_eq!(
        key.open(IDENTITY, person, &renamed),
        Err(OpenError::AnotherAlgorithm)
    );
    assert_eq!(sm4.open(IDENTITY, person, &renamed), Err(OpenError::Forged));
}

#[test]
fn no_two_envelopes_of_one_value_are_alike() {
    let key = DataKey::generate(Algorithm::Sm4Gcm);
    let person = PersonId::now_v7();
    let envelopes: HashSet<_> = (0..1_000).map(|_| sealed(&key, person)).collect();
    assert_eq!(envelopes.len(), 1_000);
}

#[test]
fn malformed_envelopes_are_refused_by_what_is_wrong() {
    let good = pb::Sealed::from(sealed(
        &DataKey::generate(Algorithm::Sm4Gcm),
        PersonId::now_v7(),
    ));
    let check = |expected, change: &dyn Fn(&mut pb::Sealed)| {
        let mut envelope = good.clone();
        change(&mut envelope);
        assert_eq!(
            Sealed::<String>::from_bytes(&envelope.encode_to_vec()),
            Err(expected)
        );
    };
    check(EnvelopeError::UnknownAlgorithm, &|envelope| {
        envelope.algorithm = 0
    });
    check(EnvelopeError::UnknownAlgorithm, &|envelope| {
        envelope.algorithm = 3
    });
    check(EnvelopeError::UnknownAlgorithm, &|envelope| {
        envelope.algorithm = -1
    });
    check(EnvelopeError::Person, &|envelope| {
        envelope.person.truncate(15)
    });
    check(EnvelopeError::Person, &|envelope| envelope.person.clear());
    check(EnvelopeError::Purpose, &|envelope| envelope.purpose.clear());
    check(EnvelopeError::Purpose, &|envelope| {
        envelope.purpose = "a".repeat(65)
    });
    check(EnvelopeError::Purpose, &|envelope| {
        envelope.purpose = "registry/姓名".into()
    });
    check(EnvelopeError::Nonce, &|envelope| {
        envelope.nonce.truncate(11)
    });
    check(EnvelopeError::Nonce, &|envelope| {
        envelope.nonce = vec![0; 13].into()
    });
    check(EnvelopeError::Ciphertext, &|envelope| {
        envelope.ciphertext.truncate(15)
    });
    assert_eq!(
        Sealed::<String>::from_bytes(b"\xff\xff"),
        Err(EnvelopeError::Malformed)
    );
    assert_eq!(
        Sealed::<String>::from_bytes(b""),
        Err(EnvelopeError::UnknownAlgorithm)
    );
}

#[test]
fn an_envelope_survives_every_encoding() {
    let key = DataKey::generate(Algorithm::Sm4Gcm);
    let own = sealed(&key, PersonId::now_v7());
    assert_eq!(Sealed::from_bytes(own.as_bytes()).unwrap(), own);
    assert_eq!(
        pb::Sealed::from(&own).encode_to_vec(),
        own.as_bytes().to_vec()
    );
    assert_eq!(
        Sealed::try_from(pb::Sealed::from(own.clone())).unwrap(),
        own
    );
    let json = serde_json::to_string(&own).unwrap();
    assert_eq!(serde_json::from_str::<Sealed<String>>(&json).unwrap(), own);
    assert!(serde_json::from_str::<Sealed<String>>(r#""AAAA""#).is_err());
}

#[test]
fn debug_shows_neither_key_nor_content() {
    let key = DataKey::generate(Algorithm::Sm4Gcm);
    assert_eq!(format!("{key:?}"), "DataKey(Sm4Gcm, ****)");
    let sealed = sealed(&key, PersonId::now_v7());
    let length = sealed.as_bytes().len();
    assert_eq!(
        format!("{sealed:?}"),
        format!("Sealed(Sm4Gcm, {length} bytes)")
    );
}

#[test]
fn key_material_of_another_length_is_refused() {
    for (algorithm, length) in [(Algorithm::Sm4Gcm, 16), (Algorithm::Aes256Gcm, 32)] {
        for wrong in [0, 15, 17, 31, 33] {
            assert_eq!(
                DataKey::from_bytes(algorithm, &vec![0; wrong]).unwrap_err(),
                WrongKeyLength
            );
        }
        assert!(DataKey::from_bytes(algorithm, &vec![0; length]).is_ok());
    }
}

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(BOTH.to_vec())
}

proptest! {
    #[test]
    fn any_value_survives_sealing(value: String, algorithm in any_algorithm()) {
        let key = DataKey::generate(algorithm);
        let person = PersonId::now_v7();
        let sealed = key.seal(IDENTITY, person, &value);
        prop_assert_eq!(key.open(IDENTITY, person, &sealed).unwrap(), value);
    }

    #[test]
    fn a_changed_envelope_does_not_open(
        value: String,
        algorithm in any_algorithm(),
        at: prop::sample::Index,
        flip in 1_u8..=255,
    ) {
        let key = DataKey::generate(algorithm);
        let person = PersonId::now_v7();
        let mut bytes = key.seal(IDENTITY, person, &value).as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(changed) = Sealed::<String>::from_bytes(&bytes) {
            prop_assert!(key.open(IDENTITY, person, &changed).is_err());
        }
    }

    #[test]
    fn a_truncated_envelope_does_not_open(value: String, algorithm in any_algorithm(), at: prop::sample::Index) {
        let key = DataKey::generate(algorithm);
        let person = PersonId::now_v7();
        let bytes = key.seal(IDENTITY, person, &value).as_bytes().to_vec();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(Sealed::<String>::from_bytes(cut).is_err());
        // Also where the envelope's own length was corrected.
        let mut shorter = pb::Sealed::decode(bytes.as_slice()).unwrap();
        shorter.ciphertext.truncate(at.index(shorter.ciphertext.len()));
        if let Ok(shorter) = Sealed::<String>::try_from(shorter) {
            prop_assert!(key.open(IDENTITY, person, &shorter).is_err());
        }
    }

    #[test]
    fn any_bytes_are_an_envelope_or_refused(bytes: Vec<u8>) {
        if let Ok(sealed) = Sealed::<String>::from_bytes(&bytes) {
            let _shown = format!("{sealed:?} {} {}", sealed.person(), sealed.purpose());
        }
    }
}

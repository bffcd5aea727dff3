//! An ID number is found by its digest, also after the index key was changed, and digests of different fields never meet.

use vault::{BlindIndex, ConfigError, Digest, KeysConfig, MalformedDigest, Mode, SecretKey};

fn secret(byte: u8) -> SecretKey {
    SecretKey::new(std::array::from_fn(|index| byte ^ index as u8))
}

/// The digest of a request under the current key.
fn request_digest(index: &BlindIndex, method: &str, request: &[u8]) -> [u8; 16] {
    index.request_digests(method, request).next().unwrap()
}

fn index(current: &str, keys: &[(&str, u8)]) -> BlindIndex {
    let config = KeysConfig {
        current: current.into(),
        keys: keys
            .iter()
            .map(|(name, byte)| ((*name).to_owned(), secret(*byte)))
            .collect(),
    };
    BlindIndex::from_config(&config, Mode::Production).unwrap()
}

#[test]
fn equal_values_meet_and_different_ones_do_not() {
    let index = index("a", &[("a", 1)]);
    let digest = index.digest("id_number", "11010519491231002X");
    assert_eq!(digest, index.digest("id_number", "11010519491231002X"));
    assert_ne!(digest, index.digest("id_number", "110105194912310021"));
    assert_ne!(digest, index.digest("name", "11010519491231002X"));
    // No domain runs over into its value.
    assert_ne!(
        index.digest("id", "_number1"),
        index.digest("id_number", "1")
    );
}

#[test]
fn the_key_decides() {
    let (one, other) = (index("a", &[("a", 1)]), index("a", &[("a", 2)]));
    assert_ne!(one.digest("name", "王秀英"), other.digest("name", "王秀英"));
    assert_ne!(
        request_digest(&one, "Get", b"x"),
        request_digest(&other, "Get", b"x")
    );
}

#[test]
fn after_a_change_of_keys_older_digests_are_still_found() {
    let before = index("2025", &[("2025", 1)]).digest("id_number", "1");
    let index = index("2026", &[("2025", 1), ("2026", 2)]);
    let digests: Vec<_> = index.digests("id_number", "1").collect();
    assert_eq!(digests, [index.digest("id_number", "1"), before]);
    assert_eq!(digests[0].key_id(), "2026");
}

#[test]
fn a_digest_is_one_token_of_a_subject() {
    let digest = index("2026_a", &[("2026_a", 1)]).digest("id_number", "1");
    let token = digest.subject_token();
    assert_eq!(token, format!("2026_a-{}", digest.hex()));
    assert!(
        token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    );
    assert_eq!(token.parse::<Digest>(), Ok(digest));
    for malformed in [
        "",
        "a",
        "a-",
        "-00",
        &token[1..token.len() - 1],
        &token.to_uppercase(),
        &format!("a.b{token}"),
    ] {
        assert_eq!(malformed.parse::<Digest>(), Err(MalformedDigest));
    }
}

#[test]
fn requests_are_told_apart_by_method_and_bytes() {
    let index = index("a", &[("a", 1)]);
    let digest = request_digest(&index, "RegisterElder", b"body");
    assert_eq!(digest, request_digest(&index, "RegisterElder", b"body"));
    assert_ne!(digest, request_digest(&index, "RegisterElder", b"other"));
    assert_ne!(digest, request_digest(&index, "UpdateElder", b"body"));
    assert_ne!(
        request_digest(&index, "A", b"Bx"),
        request_digest(&index, "AB", b"x")
    );
}

#[test]
fn the_well_known_index_is_for_local_mode_alone() {
    assert!(BlindIndex::local_default(Mode::Local).is_ok());
    assert_eq!(
        BlindIndex::local_default(Mode::Production).unwrap_err(),
        ConfigError::WellKnown("local".into())
    );
    // The one of the key ring is as well known.
    assert!(
        BlindIndex::from_config(&vault::KeyRing::local_default_config(), Mode::Production).is_err()
    );
    assert_ne!(
        vault::KeyRing::local_default_config(),
        BlindIndex::local_default_config()
    );
}

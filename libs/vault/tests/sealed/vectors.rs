//! The national algorithms give the results that their standards print.

use hmac::{Hmac, Mac as _};
use sm3::{Digest as _, Sm3};
use sm4::{
    Sm4,
    cipher::{BlockCipherEncrypt as _, KeyInit as _},
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sm3_gives_the_examples_of_gb_t_32905() {
    assert_eq!(
        hex(&Sm3::digest("abc")),
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    );
    assert_eq!(
        hex(&Sm3::digest("abcd".repeat(16))),
        "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    );
}

#[test]
fn sm4_gives_the_examples_of_gb_t_32907() {
    let key = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
    let cipher = Sm4::new(&key.into());
    let mut block = key.into();
    cipher.encrypt_block(&mut block);
    assert_eq!(hex(&block), "681edf34d206965e86b3e94f536e4246");
    for _ in 1..1_000_000 {
        cipher.encrypt_block(&mut block);
    }
    assert_eq!(hex(&block), "595298c7c6fd271f0402f804c33d3f66");
}

/// The key "Jefe" is the second example of RFC 2202 with SM3 for the hash; both results agree with OpenSSL's.
#[test]
fn hmac_sm3_gives_the_known_results() {
    let counting: Vec<u8> = (1..=32).collect();
    for (key, message, expected) in [
        (
            b"Jefe".as_slice(),
            "what do ya want for nothing?".to_owned(),
            "2e87f1d16862e6d964b50a5200bf2b10b764faa9680a296a2405f24bec39f882",
        ),
        (
            counting.as_slice(),
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".repeat(2),
            "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a",
        ),
    ] {
        let mut mac = Hmac::<Sm3>::new_from_slice(key).unwrap();
        mac.update(message.as_bytes());
        assert_eq!(hex(&mac.finalize().into_bytes()), expected);
    }
}

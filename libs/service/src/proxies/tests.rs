use http::HeaderValue;

use super::*;

/// Where the service is called at.
const OWN: &str = "10.1.0.7";

fn proxies(written: &[&str]) -> Vec<TrustedProxy> {
    let proxies = written
        .iter()
        .map(|one| TrustedProxy::try_from((*one).to_owned()));
    proxies.collect::<Result<_, _>>().unwrap()
}

/// A connection of a peer, to the service's own address.
fn connected(peer: &str) -> Extensions {
    let end = |address: &str, port| Some(SocketAddr::new(address.parse().unwrap(), port));
    let mut connection = Extensions::new();
    connection.insert(TcpConnectInfo {
        local_addr: end(OWN, 7000),
        remote_addr: end(peer, 50_000),
    });
    connection
}

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        let value = HeaderValue::from_bytes(value).unwrap();
        headers.append(FORWARDED_FOR, value);
    }
    headers
}

/// From where a call comes, in words.
fn from(peer: &str, trusted: &[&str], values: &[&str]) -> String {
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    let origin = origin(&connected(peer), &headers(&values), &proxies(trusted));
    origin.unwrap().to_string()
}

const PROXY: &str = "10.2.0.1";
const PROXIES: [&str; 1] = ["10.2.0.0/16"];

#[test]
fn a_trusted_proxy_says_whom_it_has_the_call_from() {
    for (said, expected) in [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("203.0.113.9:41000", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:41000", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:41000", "203.0.113.9"),
    ] {
        assert_eq!(from(PROXY, &PROXIES, &[said]), expected, "{said}");
    }
}

#[test]
fn of_everybody_else_the_header_is_not_read() {
    let said = ["203.0.113.9"];
    assert_eq!(from(PROXY, &[], &said), PROXY, "nobody is trusted");
    for stranger in ["10.3.0.1", "203.0.113.1", "2001:db8::1", "127.0.0.1"] {
        assert_eq!(from(stranger, &PROXIES, &said), stranger);
    }
}

#[test]
fn what_stands_before_the_word_of_the_last_proxy_may_be_made_up() {
    for (said, expected) in [
        // Two proxies of ours, and what the caller wrote before them.
        ("198.51.100.1, 203.0.113.9, 10.2.0.5", "203.0.113.9"),
        ("10.2.0.9, 203.0.113.9, 10.2.0.5", "203.0.113.9"),
        ("nonsense, 203.0.113.9", "203.0.113.9"),
        (",,,203.0.113.9", "203.0.113.9"),
        // A proxy that nobody trusts is as far as it is known.
        ("198.51.100.1, 10.3.0.1, 10.2.0.5", "10.3.0.1"),
        // From within: the farthest.
        ("10.2.0.8, 10.2.0.5", "10.2.0.8"),
    ] {
        assert_eq!(from(PROXY, &PROXIES, &[said]), expected, "{said}");
    }
    // Several headers are one.
    let said = ["198.51.100.1", "203.0.113.9, 10.2.0.6", "10.2.0.5"];
    assert_eq!(from(PROXY, &PROXIES, &said), "203.0.113.9");
    // Nobody hides behind what is no text.
    let said = headers(&[b"198.51.100.1\xe9, 203.0.113.9, 10.2.0.5".as_slice()]);
    let origin = origin(&connected(PROXY), &said, &proxies(&PROXIES));
    assert_eq!(origin.unwrap().to_string(), "203.0.113.9");
}

#[test]
fn what_is_no_address_leaves_the_peer() {
    assert_eq!(from(PROXY, &PROXIES, &[]), PROXY, "it says nothing");
    for said in [
        "",
        " ",
        ",",
        "203.0.113.9,",
        "unknown",
        "203.0.113.9, unknown",
        "203.0.113.9, nonsense, 10.2.0.5",
        "203.0.113.256",
        "203.0.113",
        "0xcb.0.113.9",
        "203.0.113.9:",
        "203.0.113.9:70000",
        "[203.0.113.9]",
        "[2001:db8::9",
        "fe80::9%eth0",
        "gateway.example",
    ] {
        assert_eq!(from(PROXY, &PROXIES, &[said]), PROXY, "{said}");
    }
    let connection = connected(PROXY);
    let said = headers(&["203.0.113.9\u{e9}".as_bytes()]);
    let origin = origin(&connection, &said, &proxies(&PROXIES));
    assert_eq!(origin.unwrap().to_string(), PROXY);
}

#[test]
fn a_header_without_end_is_not_followed() {
    let hops = |many: usize| vec!["10.2.0.5"; many].join(", ");
    let behind = |many| format!("203.0.113.9, {}", hops(many));
    let told = |said: String| from(PROXY, &PROXIES, &[said.as_str()]);
    assert_eq!(told(behind(MOST_PROXIES)), "203.0.113.9");
    assert_eq!(told(behind(MOST_PROXIES + 1)), PROXY);
    assert_eq!(told(hops(5_000)), PROXY);
}

#[test]
fn a_sidecar_calls_from_an_address_of_the_service() {
    let trusted = ["sidecar"];
    for beside in [OWN, "127.0.0.1", "127.0.0.6", "::1", "::ffff:10.1.0.7"] {
        assert_eq!(
            from(beside, &trusted, &["203.0.113.9"]),
            "203.0.113.9",
            "{beside}"
        );
        let peer = from(beside, &[], &["203.0.113.9"]);
        assert_eq!(peer, beside.trim_start_matches("::ffff:"));
    }
    // Another pod is none, and an address in the header is beside nobody.
    assert_eq!(from("10.1.0.8", &trusted, &["203.0.113.9"]), "10.1.0.8");
    let said = ["203.0.113.9, 127.0.0.1"];
    assert_eq!(from(OWN, &trusted, &said), "127.0.0.1");
    let with_gateways = ["sidecar", "10.2.0.0/16"];
    let said = ["198.51.100.1, 203.0.113.9, 10.2.0.5"];
    assert_eq!(from(OWN, &with_gateways, &said), "203.0.113.9");
}

#[test]
fn a_proxy_is_an_address_or_a_network_of_either_kind() {
    for (written, peer) in [
        ("10.2.0.1", "10.2.0.1"),
        ("10.2.0.1", "::ffff:10.2.0.1"),
        ("10.0.0.0/8", "10.255.0.1"),
        ("10.2.0.1/8", "10.9.9.9"),
        ("::ffff:10.0.0.0/104", "10.9.9.9"),
        ("2001:db8::/32", "2001:db8:1::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("0.0.0.0/0", "192.0.2.1"),
        ("::/0", "2001:db8::1"),
    ] {
        let told = from(peer, &[written], &["203.0.113.9"]);
        assert_eq!(told, "203.0.113.9", "{written}: {peer}");
    }
    for (written, peer) in [
        ("10.2.0.1", "10.2.0.2"),
        ("10.0.0.0/8", "11.0.0.1"),
        ("2001:db8::/32", "2001:db9::1"),
        ("::/0", "10.2.0.1"),
        ("0.0.0.0/0", "2001:db8::1"),
    ] {
        assert_eq!(from(peer, &[written], &["203.0.113.9"]), peer, "{written}");
    }
    for nonsense in [
        "",
        "Sidecar",
        "everybody",
        "10.0.0.0/33",
        "2001:db8::/129",
        "10.0.0/8",
        "10.0.0.0/8/8",
        "gateway.example",
        "10.2.0.1:7000",
    ] {
        let refused = TrustedProxy::try_from(nonsense.to_owned()).unwrap_err();
        assert!(refused.to_string().contains(nonsense), "{refused}");
    }
}

#[test]
fn what_is_printed_can_be_read_again() {
    for (written, printed) in [
        ("sidecar", "sidecar"),
        ("10.2.0.1", "10.2.0.1/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ] {
        let proxy = TrustedProxy::try_from(written.to_owned()).unwrap();
        let again = String::from(proxy.clone());
        assert_eq!(again, printed);
        assert_eq!(TrustedProxy::try_from(again).unwrap(), proxy);
    }
}

#[test]
fn any_header_names_somebody_or_nobody() {
    let samples: [&[u8]; 3] = [
        b"203.0.113.9, 10.2.0.5",
        b"[2001:db8::9]:41000, 10.2.0.5, 10.2.0.6",
        b"::ffff:203.0.113.9",
    ];
    let connection = connected(PROXY);
    fuzzing::bytes(&samples, 1_000, |value| {
        if HeaderValue::from_bytes(value).is_ok() {
            let headers = headers(&[value]);
            let told = origin(&connection, &headers, &proxies(&PROXIES)).unwrap();
            assert_eq!(told, told.to_canonical());
            // What nobody trusted has said is not read at all.
            let peer = origin(&connection, &headers, &[]).unwrap();
            assert_eq!(peer.to_string(), PROXY);
        }
    });
}

//! One attempt to tell somebody: what receivers get, and what becomes of it whatever they do.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod in_the_log;
mod over_tls;

use std::time::Duration;

use civic::NoticeChannel;
use futures::FutureExt as _;
use notices::{
    Address, ChannelSettings, Channels, Delivered, Failure, Notice, Reason, SettingsError, Text,
    settings::Gateway,
    signature::SigningKey,
    testing::{Manner, Sample},
};
use serde_json::json;
use service::Secret;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use uuid::Uuid;

const KEY: &str = "a key of tests, of thirty-two bytes";
const TOKEN: &str = "token-of-tests";
const PHONE: &str = "13811178935";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const LONG: Duration = Duration::from_secs(600);

fn notice(channel: NoticeChannel, address: &str) -> Notice {
    Notice {
        key: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
        channel,
        address: Address::new(address),
        attempt: 1,
        text: Text {
            zh: "张三家中发出紧急呼叫".to_owned(),
            en: "A call for help from the home of Zhang San".to_owned(),
        },
        data: json!({
            "alert_id": "01900000-0000-7000-8000-00000000000a",
            "kind": "SOS",
            "severity": "CRITICAL",
            "level": 0,
            "division": "350524100001",
            "elder": { "name": "张三", "home": "城厢镇1号" },
        }),
        traceparent: Some(TRACE.to_owned()),
    }
}

/// No test waits for these, but those that say so.
fn settings() -> ChannelSettings {
    let mut settings = ChannelSettings::default();
    settings.webhook.signing_key = Some(Secret::new(KEY));
    settings.webhook.timeout = LONG;
    settings.webhook.connect_timeout = LONG;
    settings
}

fn with_gateway(url: &str) -> ChannelSettings {
    let mut gateway = Gateway::at(url, TOKEN);
    gateway.timeout = LONG;
    gateway.connect_timeout = LONG;
    ChannelSettings {
        gateway: Some(gateway),
        ..settings()
    }
}

/// How one attempt by a webhook ends where the receiver behaves like this.
async fn told(manner: Manner) -> Result<Delivered, Failure> {
    let receiver = Sample::receiver("key_1", KEY).await.unwrap();
    receiver.behaves(manner);
    let channels = Channels::new(&settings()).unwrap();
    let notice = notice(NoticeChannel::Webhook, &receiver.url("/hook"));
    channels.send(&notice).await
}

/// How one attempt by SMS ends where the gateway behaves like this.
async fn handed_over(manner: Manner) -> Result<Delivered, Failure> {
    let gateway = Sample::gateway(TOKEN).await.unwrap();
    gateway.behaves(manner);
    let channels = Channels::new(&with_gateway(&gateway.url("/notices"))).unwrap();
    channels.send(&notice(NoticeChannel::Sms, PHONE)).await
}

fn reference(reference: &str) -> Result<Delivered, Failure> {
    Ok(Delivered {
        reference: Some(reference.to_owned()),
    })
}

const UNNAMED: Result<Delivered, Failure> = Ok(Delivered { reference: None });

#[tokio::test]
async fn a_receiver_gets_what_it_can_check_and_knows_it_again() {
    let receiver = Sample::receiver("key_1", KEY).await.unwrap();
    let channels = Channels::new(&settings()).unwrap();
    let mut notice = notice(NoticeChannel::Webhook, &receiver.url("/duty-centre"));
    assert_eq!(channels.send(&notice).await, reference("sample-1"));
    notice.attempt = 2;
    assert_eq!(channels.send(&notice).await, reference("sample-1"));
    notice.key = Uuid::from_u128(2);
    assert_eq!(channels.send(&notice).await, reference("sample-3"));
    let heard = receiver.heard();
    assert_eq!(heard.len(), 3);
    assert_eq!(heard[0].to, "/duty-centre");
    assert_eq!(heard[0].traceparent.as_deref(), Some(TRACE));
    assert_eq!((heard[0].attempt, heard[1].attempt), (1, 2));
    assert_eq!(
        heard[0].body,
        json!({
            "idempotency_key": "01900000-0000-7000-8000-000000000001",
            "attempt": 1,
            "text": { "zh": notice.text.zh, "en": notice.text.en },
            "data": notice.data,
        })
    );
}

#[tokio::test]
async fn a_tampered_body_is_not_taken() {
    let receiver = Sample::receiver("key_1", KEY).await.unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let body = r#"{"idempotency_key":"01900000-0000-7000-8000-000000000001","attempt":1}"#;
    let tampered = body.replace(":1}", ":2}");
    let key = SigningKey::new(KEY).unwrap();
    for (at, sent, status) in [
        (now, body, "200"),
        (now, &tampered, "401"),
        // Signed, but long ago.
        (now - 3_600, body, "401"),
    ] {
        let signature = key.sign(&at.to_string(), body.as_bytes());
        let mut connection = TcpStream::connect(receiver.at()).await.unwrap();
        let request = format!(
            "POST /hook HTTP/1.1\r\nhost: receiver\r\nconnection: close\r\n\
             idempotency-key: 01900000-0000-7000-8000-000000000001\r\n\
             eldercare-timestamp: {at}\r\neldercare-key-id: key_1\r\n\
             eldercare-signature: {signature}\r\ncontent-length: {}\r\n\r\n{sent}",
            sent.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status));
    }
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn another_key_is_refused_by_the_receiver() {
    let receiver = Sample::receiver("key_1", "another key, also of thirty-two bytes").await;
    let receiver = receiver.unwrap();
    let channels = Channels::new(&settings()).unwrap();
    let notice = notice(NoticeChannel::Webhook, &receiver.url("/"));
    let refused = Err(Failure::Final(Reason::Unauthorized));
    assert_eq!(channels.send(&notice).await, refused);
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn what_a_receiver_answers_says_whether_another_attempt_may_help() {
    for (status, expected) in [
        (200, UNNAMED),
        (204, UNNAMED),
        (300, Err(Failure::Final(Reason::Refused))),
        (400, Err(Failure::Final(Reason::Refused))),
        (401, Err(Failure::Final(Reason::Unauthorized))),
        (403, Err(Failure::Final(Reason::Unauthorized))),
        (408, Err(Failure::Passing(Reason::Overloaded))),
        (410, Err(Failure::Final(Reason::Refused))),
        (425, Err(Failure::Passing(Reason::Overloaded))),
        (429, Err(Failure::Passing(Reason::Overloaded))),
        (500, Err(Failure::Passing(Reason::ReceiverFailed))),
        (503, Err(Failure::Passing(Reason::ReceiverFailed))),
    ] {
        assert_eq!(told(Manner::Status(status)).await, expected, "{status}");
        // A gateway says in its answer that it has taken the notice.
        let expected = match status {
            200 | 204 => Err(Failure::Passing(Reason::BrokenAnswer)),
            _ => expected,
        };
        assert_eq!(
            handed_over(Manner::Status(status)).await,
            expected,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Sample::receiver("key_1", KEY).await.unwrap();
    let refused = Err(Failure::Final(Reason::Refused));
    assert_eq!(told(Manner::Redirect(elsewhere.url("/"))).await, refused);
    assert!(elsewhere.heard().is_empty());
}

#[tokio::test]
async fn of_an_answer_so_much_is_read_and_no_more() {
    let padded = |length: usize| {
        let room = " ".repeat(length - r#"{"reference":"x"}"#.len());
        Manner::Says(format!(r#"{{"reference":"x"}}{room}"#))
    };
    let broken = Err(Failure::Passing(Reason::BrokenAnswer));
    assert_eq!(told(padded(16 * 1024)).await, reference("x"));
    assert_eq!(told(padded(16 * 1024 + 1)).await, UNNAMED);
    assert_eq!(told(Manner::Endless).await, UNNAMED);
    assert_eq!(told(Manner::Says("<html>".to_owned())).await, UNNAMED);
    assert_eq!(handed_over(padded(16 * 1024)).await, reference("x"));
    assert_eq!(handed_over(padded(16 * 1024 + 1)).await, broken);
    assert_eq!(handed_over(Manner::Endless).await, broken);
    assert_eq!(handed_over(Manner::Says("<html>".to_owned())).await, broken);
    assert_eq!(handed_over(Manner::Says("{}".to_owned())).await, UNNAMED);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_cut_off() {
    let receiver = Sample::receiver("key_1", KEY).await.unwrap();
    let gateway = Sample::gateway(TOKEN).await.unwrap();
    let mut settings = with_gateway(&gateway.url("/"));
    settings.webhook.timeout = Duration::from_millis(300);
    settings.gateway.as_mut().unwrap().timeout = Duration::from_millis(300);
    let channels = Channels::new(&settings).unwrap();
    let timeout = Err(Failure::Passing(Reason::Timeout));
    let hook = notice(NoticeChannel::Webhook, &receiver.url("/"));
    receiver.behaves(Manner::Hangs);
    assert_eq!(channels.send(&hook).await, timeout);
    // That it takes it was said; what it calls it was not.
    receiver.behaves(Manner::HangsInAnswer);
    assert_eq!(channels.send(&hook).await, UNNAMED);
    let call = notice(NoticeChannel::Voice, PHONE);
    gateway.behaves(Manner::Hangs);
    assert_eq!(channels.send(&call).await, timeout);
    gateway.behaves(Manner::HangsInAnswer);
    assert_eq!(channels.send(&call).await, timeout);
}

#[tokio::test]
async fn who_hangs_delays_nobody_else() {
    let gateway = Sample::gateway(TOKEN).await.unwrap();
    let channels = Channels::new(&with_gateway(&gateway.url("/"))).unwrap();
    gateway.behaves_towards("12349", Manner::Hangs);
    let hanging = notice(NoticeChannel::Voice, "12349");
    let mut hanging = Box::pin(channels.send(&hanging));
    let heard = gateway.until(|heard| heard.iter().any(|one| one.to == "12349"));
    tokio::select! {
        _ = &mut hanging => panic!("it hangs"),
        heard = heard => assert!(!heard[0].taken),
    }
    let mut other = notice(NoticeChannel::Voice, PHONE);
    other.key = Uuid::from_u128(2);
    assert_eq!(channels.send(&other).await, reference("sample-2"));
    assert!(hanging.as_mut().now_or_never().is_none());
}

#[tokio::test]
async fn where_nobody_listens_nobody_is_reached() {
    // A port that is taken, on which nobody listens.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}/", taken.local_addr().unwrap());
    let channels = Channels::new(&settings()).unwrap();
    let notice = notice(NoticeChannel::Webhook, &address);
    let unreachable = Err(Failure::Passing(Reason::Unreachable));
    assert_eq!(channels.send(&notice).await, unreachable);
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for said in ["+OK ready\r\n", "HTTP/1.1 200 OK\r\ncontent-"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let answering = async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}}}") {
                assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0);
            }
            connection.write_all(said.as_bytes()).await.unwrap();
        };
        let channels = Channels::new(&settings()).unwrap();
        let notice = notice(NoticeChannel::Webhook, &address);
        let (outcome, ()) = tokio::join!(channels.send(&notice), answering);
        let broken = Err(Failure::Passing(Reason::BrokenAnswer));
        assert_eq!(outcome, broken, "{said}");
    }
}

#[tokio::test]
async fn a_receiver_that_fails_is_left_alone_and_tried_after_a_while() {
    let receiver = Sample::receiver("key_1", KEY).await.unwrap();
    let channels = Channels::new(&settings()).unwrap();
    let hook = notice(NoticeChannel::Webhook, &receiver.url("/"));
    let failed = Err(Failure::Passing(Reason::ReceiverFailed));
    let open = Err(Failure::Passing(Reason::CircuitOpen));
    receiver.behaves(Manner::Status(500));
    for _ in 0..5 {
        assert_eq!(channels.send(&hook).await, failed);
    }
    assert_eq!(channels.send(&hook).await, open);
    assert_eq!(receiver.heard().len(), 5);
    // Others are told meanwhile.
    let other = Sample::receiver("key_1", KEY).await.unwrap();
    let to_other = notice(NoticeChannel::Webhook, &other.url("/"));
    assert_eq!(channels.send(&to_other).await, reference("sample-1"));
    half_a_minute_passes().await;
    assert_eq!(channels.send(&hook).await, failed);
    assert_eq!(channels.send(&hook).await, open);
    half_a_minute_passes().await;
    receiver.behaves(Manner::Well);
    assert_eq!(channels.send(&hook).await, reference("sample-1"));
    assert_eq!(channels.send(&hook).await, reference("sample-1"));
    assert_eq!(receiver.heard().len(), 8);
}

/// Time stands still but for this: requests are not under way, and none ends by it.
async fn half_a_minute_passes() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_gateway_is_handed_over_what_is_documented() {
    let gateway = Sample::gateway(TOKEN).await.unwrap();
    let channels = Channels::new(&with_gateway(&gateway.url("/notices"))).unwrap();
    for (channel, address, to) in [
        (NoticeChannel::Sms, "138 1117 8935", PHONE),
        (NoticeChannel::Voice, "0595-71335677", "059571335677"),
        (NoticeChannel::Push, "user-17", "user-17"),
    ] {
        let notice = notice(channel, address);
        assert_eq!(channels.send(&notice).await, reference("sample-1"));
        let heard = gateway.heard().pop().unwrap();
        assert_eq!((heard.channel, heard.to.as_str()), (channel, to));
        assert_eq!(heard.traceparent.as_deref(), Some(TRACE));
        assert_eq!(
            heard.body,
            json!({
                "idempotency_key": "01900000-0000-7000-8000-000000000001",
                "channel": channel.name(),
                "to": to,
                "text": notice.text.zh,
                "language": "zh-CN",
                "attempt": 1,
            })
        );
    }
}

#[tokio::test]
async fn who_is_no_number_is_not_handed_over() {
    let gateway = Sample::gateway(TOKEN).await.unwrap();
    let channels = Channels::new(&with_gateway(&gateway.url("/"))).unwrap();
    let invalid = Err(Failure::Final(Reason::AddressInvalid));
    for (channel, address) in [
        (NoticeChannel::Sms, "1381117893a"),
        (NoticeChannel::Voice, "119"),
        (NoticeChannel::Push, "张三"),
        (NoticeChannel::Webhook, PHONE),
        (NoticeChannel::Webhook, "http://10.1.2.3/"),
    ] {
        let notice = notice(channel, address);
        assert_eq!(channels.send(&notice).await, invalid, "{channel}");
    }
    let metadata = notice(NoticeChannel::Webhook, "https://169.254.169.254/latest");
    let forbidden = Err(Failure::Final(Reason::AddressForbidden));
    assert_eq!(channels.send(&metadata).await, forbidden);
    assert!(gateway.heard().is_empty());
}

#[tokio::test]
async fn a_gateway_that_does_not_know_the_token_takes_nothing() {
    let gateway = Sample::gateway("another token").await.unwrap();
    let channels = Channels::new(&with_gateway(&gateway.url("/"))).unwrap();
    let refused = Err(Failure::Final(Reason::Unauthorized));
    let notice = notice(NoticeChannel::Sms, PHONE);
    assert_eq!(channels.send(&notice).await, refused);
}

#[tokio::test]
async fn what_is_not_configured_is_not_there_or_goes_to_the_log() {
    use NoticeChannel::{Log, Push, Record, Sms, Voice, Webhook};
    let none = Channels::new(&ChannelSettings::default()).unwrap();
    let local = Channels::new(&ChannelSettings {
        log: true,
        ..ChannelSettings::default()
    });
    let local = local.unwrap();
    for channel in [Sms, Voice, Push, Webhook, Log] {
        let notice = notice(channel, "not even an address");
        assert!(!none.has(channel) && local.has(channel), "{channel}");
        let missing = Err(Failure::Final(Reason::NotConfigured));
        assert_eq!(none.send(&notice).await, missing, "{channel}");
        assert_eq!(local.send(&notice).await, UNNAMED, "{channel}");
    }
    for channels in [none, local] {
        assert!(channels.has(Record));
        assert_eq!(channels.send(&notice(Record, "119")).await, UNNAMED);
    }
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_without_being_shown() {
    let refused = |change: fn(&mut ChannelSettings)| {
        let mut settings = with_gateway("https://gateway.example/");
        change(&mut settings);
        Channels::new(&settings).unwrap_err().to_string()
    };
    let errors = [
        refused(|s| s.webhook.signing_key = Some(Secret::new("hush"))),
        refused(|s| s.webhook.key_id = "hush hush".to_owned()),
        refused(|s| s.webhook.timeout = Duration::ZERO),
        refused(|s| s.gateway = Some(Gateway::at("http://hush.example/", TOKEN))),
        refused(|s| s.gateway = Some(Gateway::at("https://u:hush@gateway.example/", TOKEN))),
        refused(|s| s.gateway = Some(Gateway::at("https://gateway.example/", "hush\n"))),
        refused(|s| s.circuit.failures = 0),
        refused(|s| s.ca = Some("/nowhere/ca.pem".into())),
    ];
    for (error, key) in errors.iter().zip([
        "webhook.signing_key",
        "webhook.key_id",
        "webhook.timeout",
        "gateway.url",
        "gateway.url",
        "gateway.token",
        "circuit.failures",
        "ca",
    ]) {
        assert!(error.starts_with(&format!("{key}: ")), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let key = SettingsError::SigningKey.to_string();
    assert_eq!(errors[0], key);
}

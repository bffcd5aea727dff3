//! What of a notice stands in the log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use civic::NoticeChannel;
use notices::{
    ChannelSettings, Channels,
    testing::{Manner, Sample},
};
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use crate::{KEY, PHONE, TOKEN, notice, with_gateway};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// All that this thread logs from now on, whoever says it.
fn captured() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

#[track_caller]
fn shows_nothing_personal(text: &str) {
    for personal in [
        "张三",
        "Zhang",
        "城厢",
        "紧急呼叫",
        PHONE,
        "secret-path",
        TOKEN,
        KEY,
    ] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
}

#[tokio::test]
async fn a_line_says_what_an_operator_may_know() {
    let (lines, _guard) = captured();
    let settings = ChannelSettings {
        log: true,
        ..ChannelSettings::default()
    };
    let channels = Channels::new(&settings).unwrap();
    let mut told = notice(NoticeChannel::Sms, PHONE);
    channels.send(&told).await.unwrap();
    let line = lines.text();
    for coded in [
        "01900000-0000-7000-8000-00000000000a",
        "SMS",
        "SOS",
        "CRITICAL",
        "level=0",
        "350524100001",
    ] {
        assert!(line.contains(coded), "{coded} in {line}");
    }
    // Where something else stands in these places, it does not get through.
    told.data = json!({
        "alert_id": "张三", "kind": "张三", "severity": PHONE, "level": PHONE, "division": "城厢",
    });
    channels.send(&told).await.unwrap();
    told.data = json!("张三");
    channels.send(&told).await.unwrap();
    assert_eq!(lines.text().matches("told to nobody").count(), 3);
    shows_nothing_personal(&lines.text());
}

#[tokio::test]
async fn nothing_personal_is_logged_by_whoever_has_a_part_in_it() {
    let (lines, _guard) = captured();
    let receiver = Sample::receiver("key_1", KEY).await.unwrap();
    let gateway = Sample::gateway(TOKEN).await.unwrap();
    let settings = with_gateway(&gateway.url("/notices"));
    let channels = Channels::new(&settings).unwrap();
    let mut shown = format!("{settings:?} {channels:?}");
    for manner in [Manner::Well, Manner::Status(500), Manner::Endless] {
        receiver.behaves(manner.clone());
        gateway.behaves(manner);
        // Often enough that circuits open.
        for _ in 0..6 {
            for notice in [
                notice(NoticeChannel::Webhook, &receiver.url("/secret-path")),
                notice(NoticeChannel::Sms, PHONE),
                notice(NoticeChannel::Voice, "张三"),
                notice(NoticeChannel::Webhook, "https://169.254.1.1/secret-path"),
            ] {
                let outcome = channels.send(&notice).await;
                shown += &format!("{notice:?} {outcome:?} ");
                if let Err(failure) = outcome {
                    shown += &format!("{failure} {}", failure.reason().english());
                }
            }
        }
    }
    assert!(shown.contains("CIRCUIT_OPEN"));
    assert!(lines.text().contains("left alone"));
    shows_nothing_personal(&shown);
    shows_nothing_personal(&lines.text());
}

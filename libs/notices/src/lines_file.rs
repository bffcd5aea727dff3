//! Writes each notice into a file, as a line of JSON: for local runs, where nobody else is told. All of a notice stands there, so the
//! file is its owner's alone.
//!
//! ```text
//! {"key":"01900000-…","to":"supervisor","attempt":1,"text":{"zh":"…","en":"…"},"data":{…}}
//! ```

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Channel, Delivered, Failure, Notice, Reason, Text};

pub(crate) struct LinesFile(Mutex<File>);

#[derive(Serialize)]
struct Line<'a> {
    key: Uuid,
    to: &'a str,
    attempt: u32,
    text: &'a Text,
    data: &'a Value,
}

impl LinesFile {
    /// Goes on after what stands in the file, and makes it where it is missing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self(Mutex::new(file)))
    }
}

#[async_trait]
impl Channel for LinesFile {
    async fn send(&self, notice: &Notice) -> Result<Delivered, Failure> {
        let mut line = serde_json::to_vec(&Line {
            key: notice.key,
            to: notice.address.expose(),
            attempt: notice.attempt,
            text: &notice.text,
            data: &notice.data,
        })
        .expect("JSON of text and JSON");
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In one go: whoever reads meanwhile finds whole lines.
        file.write_all(&line)
            .map_err(|_full| Reason::ReceiverFailed)?;
        Ok(Delivered::default())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use civic::NoticeChannel;
    use serde_json::json;

    use super::*;
    use crate::{Address, ChannelSettings, Channels, SettingsError};

    fn notice(number: u128) -> Notice {
        Notice {
            key: Uuid::from_u128(number),
            channel: NoticeChannel::Log,
            address: Address::new("supervisor"),
            attempt: 1,
            text: Text {
                zh: "请核实".to_owned(),
                en: "look into it".to_owned(),
            },
            data: json!({ "event": "GLASS_BROKEN" }),
            traceparent: None,
        }
    }

    #[tokio::test]
    async fn each_notice_is_a_line_that_its_owner_alone_reads_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notices.ndjson");
        let settings = ChannelSettings {
            file: Some(path.clone()),
            ..ChannelSettings::default()
        };
        for number in [1, 2] {
            let channels = Channels::new(&settings).unwrap();
            assert!(channels.has(NoticeChannel::Log) && !channels.has(NoticeChannel::Sms));
            channels.send(&notice(number)).await.unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let line = |number| {
            json!({
                "key": Uuid::from_u128(number),
                "to": "supervisor",
                "attempt": 1,
                "text": { "zh": "请核实", "en": "look into it" },
                "data": { "event": "GLASS_BROKEN" },
            })
        };
        assert_eq!(lines, [line(1), line(2)]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let settings = ChannelSettings {
            file: Some(folder.path().join("missing").join("notices.ndjson")),
            ..ChannelSettings::default()
        };
        let refused = Channels::new(&settings).unwrap_err();
        assert!(matches!(refused, SettingsError::File(_)), "{refused}");
    }
}

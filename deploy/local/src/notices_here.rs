//! `audit notices`: what was told on this machine of dossiers that were opened beyond all agreements, where the settings name nobody
//! else who is told.

use std::{collections::BTreeSet, fs, io, path::Path};

use anyhow::Context as _;
use civic::NoticeChannel;
use serde::{Deserialize, Serialize};
use service::Secret;
use sharing::{NoticeRecipient, NoticeSettings};
use uuid::Uuid;

use crate::output::{Report, table};

/// Who is told.
const SUPERVISORS: &str = "supervisors of civil_affairs";

/// How each line begins.
const BEGINS: &str = r#"{"key":"#;

/// Has notices written into a file where the settings name nobody who is told.
pub(crate) fn tell_here(file: &Path, settings: &mut NoticeSettings) {
    if settings.broken_glass.is_empty() {
        settings.channels.file = Some(file.to_owned());
        settings.broken_glass.push(NoticeRecipient {
            division: None,
            channel: NoticeChannel::Log,
            address: Secret::new(SUPERVISORS),
        });
    }
}

/// Notices, the first one first.
#[derive(Debug, Serialize)]
pub struct NoticesHere {
    /// The notices.
    pub notices: Vec<Notice>,
    /// The lines that are no notices, counted from 1: one that was broken off is told once more further down.
    pub unreadable: Vec<usize>,
}

/// That a dossier was opened.
#[derive(Debug, Serialize, Deserialize)]
pub struct Notice {
    /// When, local time.
    pub opened_at: String,
    /// By whom.
    pub opened_by: String,
    /// Whose.
    pub elder_id: String,
    /// Where the elder lives.
    pub division: String,
    /// Where it stands in the log.
    pub position: String,
}

/// A line of the file, as far as it is needed.
#[derive(Deserialize)]
struct Line {
    key: Uuid,
    data: Notice,
}

/// What was told; nothing where there is no such file. A line that is no notice does not hide the others.
///
/// # Errors
/// A file that can't be read.
pub fn told_here(file: &Path) -> anyhow::Result<NoticesHere> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        bytes => bytes.with_context(|| format!("read {}", file.display()))?,
    };
    // Whoever was told twice was told the same.
    let (mut known, mut notices, mut unreadable) = (BTreeSet::new(), Vec::new(), Vec::new());
    // A character may be broken off as well.
    for (line, place) in String::from_utf8_lossy(&bytes).lines().zip(1..) {
        match Line::last_in(line) {
            Some(line) if known.insert(line.key) => notices.push(line.data),
            Some(_told_before) => {}
            None => unreadable.push(place),
        }
    }
    Ok(NoticesHere {
        notices,
        unreadable,
    })
}

impl Line {
    /// The notice in a line, which follows at once where another one was broken off before.
    fn last_in(line: &str) -> Option<Self> {
        let whole = serde_json::from_str(line).ok();
        whole.or_else(|| {
            let (begins, _) = line.rmatch_indices(BEGINS).next()?;
            serde_json::from_str(&line[begins..]).ok()
        })
    }
}

impl NoticesHere {
    /// Whether all lines are notices.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unreadable.is_empty()
    }
}

impl Report for NoticesHere {
    fn text(&self) -> String {
        let mut rows = table([
            "时间 at",
            "人员 caller",
            "老年人 elder",
            "区划 division",
            "记录 record",
        ]);
        for notice in &self.notices {
            rows.add_row([
                &notice.opened_at,
                &notice.opened_by,
                &notice.elder_id,
                &notice.division,
                &notice.position,
            ]);
        }
        let mut text = rows.to_string();
        for place in &self.unreadable {
            text.push_str(&format!(
                "\n第 {place} 行不是通知 line {place} is no notice"
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_the_settings_name_is_told_and_nobody_else() {
        let file = Path::new("notices.ndjson");
        let mut nobody = NoticeSettings::default();
        tell_here(file, &mut nobody);
        assert_eq!(nobody.channels.file.as_deref(), Some(file));
        assert_eq!(nobody.broken_glass.len(), 1);
        let mut somebody = NoticeSettings {
            broken_glass: nobody.broken_glass.clone(),
            ..NoticeSettings::default()
        };
        tell_here(file, &mut somebody);
        assert_eq!(somebody.channels.file, None);
        assert_eq!(somebody.broken_glass, nobody.broken_glass);
    }

    #[test]
    fn what_was_told_twice_is_shown_once_and_what_is_no_notice_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notices.ndjson");
        assert!(told_here(&file).unwrap().notices.is_empty());
        let line = |key: u128| {
            let data = serde_json::json!({
                "event": "GLASS_BROKEN",
                "opened_at": "2024-03-01T09:10:00+08:00",
                "opened_by": "officer:supervisor",
                "elder_id": "e",
                "division": "350524100001",
                "position": "SHARING:17",
            });
            format!(r#"{{"key":"{}","data":{data}}}"#, Uuid::from_u128(key))
        };
        let lines = [line(1), line(2), line(1)].join("\n");
        fs::write(&file, &lines).unwrap();
        let told = told_here(&file).unwrap();
        assert_eq!(told.notices.len(), 2);
        assert!(told.is_whole() && told.text().contains("officer:supervisor"));
        // One was broken off in a character, and another one follows; one was broken off at the end.
        let mut bytes = format!("hello\n{lines}\n{}", &line(3)[..20]).into_bytes();
        bytes.extend([0xe6, 0x9d]);
        bytes.extend(format!("{}\n{}", line(4), &line(5)[..30]).bytes());
        fs::write(&file, bytes).unwrap();
        let told = told_here(&file).unwrap();
        assert_eq!(told.notices.len(), 3);
        assert_eq!(told.unreadable, [1, 6]);
        assert!(told.text().contains("line 6 is no notice"));
    }
}

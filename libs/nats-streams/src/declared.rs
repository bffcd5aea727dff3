//! The file that declares streams and users, read once.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::{
    settings,
    stream::{Kept, Stream},
    user::{DraftUser, Rights, User},
};

const FILE: &str = include_str!("../../../deploy/streams.yaml");

/// What the file calls the way in which logs are kept.
const LOG: &str = "log";

/// All streams and users.
#[derive(Debug)]
pub struct Declared {
    /// The streams, in the file's order.
    pub streams: Vec<Stream>,
    /// The users, in the file's order.
    pub users: Vec<User>,
    log: Kept,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    kept: BTreeMap<String, Kept>,
    streams: Vec<DraftStream>,
    rights: Rights,
    users: Vec<DraftUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftStream {
    name: String,
    purpose: String,
    subjects: Vec<String>,
    kept: String,
}

/// What is declared.
pub fn declared() -> &'static Declared {
    static DECLARED: LazyLock<Declared> = LazyLock::new(|| {
        Declared::read(FILE).expect("deploy/streams.yaml is well formed: a test reads it")
    });
    &DECLARED
}

/// The stream of a service, by its name.
#[must_use]
pub fn stream(name: &'static str) -> Stream {
    let found = declared().stream(name);
    found
        .expect("the streams of services are declared: their tests open them")
        .clone()
}

/// The log of a context, under this name. Those of the services are declared, and as this says.
#[must_use]
pub fn log(name: &str, context: &str) -> Stream {
    Stream::new(
        name.to_owned(),
        format!("The event log of {context}, append-only"),
        vec![format!("eldercare.{context}.>")],
        declared().log.clone(),
    )
}

impl Declared {
    /// A stream, by its name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.name() == name)
    }

    /// A user, by its name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    fn read(yaml: &str) -> Result<Self, String> {
        let draft: Draft = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        let kept = |name: &str| {
            let found = draft.kept.get(name).cloned();
            found.ok_or_else(|| format!("`{name}` is nowhere among `kept`"))
        };
        for left in draft.kept.values().flat_map(Kept::left_as_found) {
            if !settings::is_known(left) {
                return Err(format!("`{left}` is no setting"));
            }
        }
        let streams = draft.streams.iter().map(|stream| {
            Ok(Stream::new(
                stream.name.clone(),
                stream.purpose.clone(),
                stream.subjects.clone(),
                kept(&stream.kept)?,
            ))
        });
        let streams = streams.collect::<Result<Vec<_>, String>>()?;
        let is_stream = |name: &str| streams.iter().any(|stream| stream.name() == name);
        let users = draft.users.into_iter();
        let users = users.map(|user| user.with(&draft.rights, is_stream));
        Ok(Self {
            users: users.collect::<Result<_, _>>()?,
            log: kept(LOG)?,
            streams,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGS: [&str; 6] = [
        "REGISTRY", "TIERING", "VISITS", "ALERTS", "CLAIMS", "SHARING",
    ];

    fn fault(from: &str, to: &str) -> String {
        let changed = FILE.replacen(from, to, 1);
        assert_ne!(changed, FILE, "{from}");
        Declared::read(&changed).unwrap_err()
    }

    #[test]
    fn every_stream_is_declared_once() {
        let mut names: Vec<_> = declared().streams.iter().map(Stream::name).collect();
        names.sort_unstable();
        let others = ["VAULT", "SIGNALS", "FEEDS", "ACCESS"];
        let mut wanted = [LOGS.as_slice(), &others].concat();
        wanted.sort_unstable();
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_declared_log_is_what_any_log_is() {
        for name in LOGS {
            assert_eq!(stream(name), log(name, &name.to_lowercase()));
        }
    }

    #[test]
    fn streams_share_no_subject() {
        let subjects = declared().streams.iter().flat_map(Stream::subjects);
        let mut beginnings: Vec<_> = subjects
            .map(|subject| subject.trim_end_matches(['>', '*']))
            .collect();
        beginnings.sort_unstable();
        for pair in beginnings.windows(2) {
            let signals = pair[0] == "eldercare.signals.";
            assert!(signals || !pair[1].starts_with(pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_declaration() {
        assert!(fault("kept: log\n", "kept: logs\n").contains("`logs`"));
        assert!(fault("[max_age]", "[max_mage]").contains("`max_mage`"));
        assert!(fault("follow: [REGISTRY]", "follow: [REGISTER]").contains("`REGISTER`"));
        assert!(fault("follow: [REGISTRY]", "swallow: [REGISTRY]").contains("`swallow`"));
        assert!(fault("    deny_purge: true", "    deny_urge: true").contains("deny_urge"));
    }
}

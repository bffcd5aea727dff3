//! The settings of a stream that matter: what each is, and how a stream that is there gets another.

use std::fmt::Debug;

use async_nats::jetstream::stream::{Compression, Config};

/// A setting in which a stream is not as declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {found}, and must be {declared}")]
pub struct Deviation {
    /// The setting, as the server calls it.
    pub setting: &'static str,
    /// What it is.
    pub found: String,
    /// What it must be.
    pub declared: String,
}

/// A setting.
pub(crate) struct Setting {
    /// As the server calls it.
    pub(crate) name: &'static str,
    /// What it is.
    text: fn(&Config) -> String,
    /// Sets it as declared where nothing can be lost by that, and says whether it did.
    mend: fn(&mut Config, &Config) -> bool,
}

impl Setting {
    pub(crate) fn deviation(&self, found: &Config, declared: &Config) -> Option<Deviation> {
        let [found, declared] = [found, declared].map(self.text);
        (found != declared).then_some(Deviation {
            setting: self.name,
            found,
            declared,
        })
    }
}

/// Whether there is a setting of this name.
pub(crate) fn is_known(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
}

/// Sets a setting as declared where nothing can be lost by that, and says whether it did.
pub(crate) fn mend(name: &str, config: &mut Config, declared: &Config) -> bool {
    let found = SETTINGS.iter().find(|setting| setting.name == name);
    found.is_some_and(|setting| (setting.mend)(config, declared))
}

/// All settings that are looked at.
pub(crate) static SETTINGS: [Setting; 25] = [
    Setting {
        name: "subjects",
        text: |config| {
            let mut subjects = config.subjects.clone();
            subjects.sort_unstable();
            subjects.join(" ")
        },
        // What a stream takes no longer is lost to those who still publish it.
        mend: |config, declared| {
            let takes_more = |subject: &String| declared.subjects.contains(subject);
            let mends = config.subjects.iter().all(takes_more);
            if mends {
                config.subjects.clone_from(&declared.subjects);
            }
            mends
        },
    },
    fixed("storage", |config| word(config.storage)),
    fixed("retention", |config| word(config.retention)),
    Setting {
        name: "max_age",
        text: |config| {
            if config.max_age.is_zero() {
                limit(0)
            } else {
                word(config.max_age)
            }
        },
        mend: |config, declared| {
            // Zero is for ever.
            let [is, should] = [config.max_age, declared.max_age];
            let mends = should.is_zero() || (!is.is_zero() && should > is);
            if mends {
                config.max_age = should;
            }
            mends
        },
    },
    Setting {
        name: "max_msgs",
        text: |config| limit(config.max_messages),
        mend: |config, declared| set(&mut config.max_messages, declared.max_messages),
    },
    Setting {
        name: "max_bytes",
        text: |config| limit(config.max_bytes),
        mend: |config, declared| set(&mut config.max_bytes, declared.max_bytes),
    },
    Setting {
        name: "max_msgs_per_subject",
        text: |config| limit(config.max_messages_per_subject),
        mend: |config, declared| {
            let limit = declared.max_messages_per_subject;
            set(&mut config.max_messages_per_subject, limit)
        },
    },
    Setting {
        name: "max_msg_size",
        text: |config| limit(config.max_message_size.into()),
        mend: |config, declared| set(&mut config.max_message_size, declared.max_message_size),
    },
    Setting {
        name: "max_consumers",
        text: |config| limit(config.max_consumers.into()),
        mend: |config, declared| set(&mut config.max_consumers, declared.max_consumers),
    },
    Setting {
        name: "duplicate_window",
        text: |config| word(config.duplicate_window),
        mend: |config, declared| set(&mut config.duplicate_window, declared.duplicate_window),
    },
    Setting {
        name: "no_ack",
        text: |config| word(config.no_ack),
        mend: |config, declared| set(&mut config.no_ack, declared.no_ack),
    },
    fixed("sealed", |config| word(config.sealed)),
    Setting {
        name: "allow_rollup_hdrs",
        text: |config| word(config.allow_rollup),
        mend: |config, declared| set(&mut config.allow_rollup, declared.allow_rollup),
    },
    Setting {
        name: "deny_delete",
        text: |config| word(config.deny_delete),
        mend: |config, declared| declared.deny_delete && set(&mut config.deny_delete, true),
    },
    Setting {
        name: "deny_purge",
        text: |config| word(config.deny_purge),
        mend: |config, declared| declared.deny_purge && set(&mut config.deny_purge, true),
    },
    fixed("allow_msg_ttl", |config| word(config.allow_message_ttl)),
    Setting {
        name: "allow_direct",
        text: |config| word(config.allow_direct),
        mend: |config, declared| set(&mut config.allow_direct, declared.allow_direct),
    },
    Setting {
        name: "allow_atomic",
        text: |config| word(config.allow_atomic_publish),
        mend: |config, declared| {
            set(
                &mut config.allow_atomic_publish,
                declared.allow_atomic_publish,
            )
        },
    },
    // What is there stays compressed.
    fixed("compression", |config| match &config.compression {
        Some(Compression::S2) => "s2".to_owned(),
        Some(Compression::None) | None => "none".to_owned(),
    }),
    fixed("persist_mode", |config| {
        word(config.persist_mode.unwrap_or_default())
    }),
    fixed("mirror", |config| presence(config.mirror.as_ref())),
    fixed("sources", |config| presence(config.sources.as_ref())),
    fixed("subject_transform", |config| {
        presence(config.subject_transform.as_ref())
    }),
    fixed("republish", |config| presence(config.republish.as_ref())),
    Setting {
        name: "num_replicas",
        text: |config| word(config.num_replicas),
        mend: |config, declared| {
            let more = declared.num_replicas > config.num_replicas;
            more && set(&mut config.num_replicas, declared.num_replicas)
        },
    },
];

/// A value in one word, as the server writes it.
fn word(value: impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn limit(limit: i64) -> String {
    if limit > 0 {
        limit.to_string()
    } else {
        "unlimited".to_owned()
    }
}

fn presence<T>(value: Option<&T>) -> String {
    let text = if value.is_some() { "set" } else { "unset" };
    text.to_owned()
}

fn set<T>(place: &mut T, value: T) -> bool {
    *place = value;
    true
}

/// A setting that can't be changed, or not without losing something.
const fn fixed(name: &'static str, text: fn(&Config) -> String) -> Setting {
    Setting {
        name,
        text,
        mend: |_, _| false,
    }
}

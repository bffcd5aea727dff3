//! The users of the server, and what each may do.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Stands for a stream's name in a right.
const STREAM: &str = "<stream>";

/// What a user may publish for a stream, by the right's name.
pub(crate) type Rights = BTreeMap<String, Vec<String>>;

/// A user of the server. It may publish and subscribe to nothing but this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name; of a service, the service's own.
    pub name: String,
    /// The subjects that it may publish to, requests to the server among them.
    pub publish: Vec<String>,
    /// The subjects that it may subscribe to, its inboxes among them.
    pub subscribe: Vec<String>,
}

/// A user as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DraftUser {
    name: String,
    #[serde(default)]
    may: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
}

impl DraftUser {
    /// The user, with what its rights are for the streams that it has them for.
    pub(crate) fn with(
        self,
        rights: &Rights,
        is_stream: impl Fn(&str) -> bool,
    ) -> Result<User, String> {
        let mut publish = self.publish;
        for (right, streams) in &self.may {
            let subjects = rights.get(right);
            let subjects =
                subjects.ok_or_else(|| format!("`{right}` is nowhere among `rights`"))?;
            for stream in streams {
                if !is_stream(stream) {
                    return Err(format!("`{stream}` is nowhere among `streams`"));
                }
                let subjects = subjects.iter();
                publish.extend(subjects.map(|subject| subject.replace(STREAM, stream)));
            }
        }
        let mut subscribe = vec![format!("_INBOX_{}.>", self.name)];
        subscribe.extend(self.subscribe);
        Ok(User {
            name: self.name,
            publish,
            subscribe,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::declared;

    const SERVICES: [&str; 6] = [
        "registry", "tiering", "visits", "alerts", "claims", "sharing",
    ];

    /// Those who may publish a subject, which holds no wildcard.
    fn publishers(subject: &str) -> Vec<&'static str> {
        let users = declared().users.iter();
        let may = users.filter(|user| user.publish.iter().any(|allowed| covers(allowed, subject)));
        may.map(|user| user.name.as_str()).collect()
    }

    fn covers(allowed: &str, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for token in allowed.split('.') {
            let next = tokens.next();
            match token {
                ">" => return next.is_some(),
                "*" if next.is_some() => {}
                token if next == Some(token) => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    #[test]
    fn a_log_is_written_by_its_owner_alone() {
        for service in SERVICES {
            let subject = format!("eldercare.{service}.aggregate.one");
            assert_eq!(publishers(&subject), [service]);
        }
        assert_eq!(publishers("eldercare.vault.key.one"), ["registry"]);
        assert_eq!(publishers("eldercare.signals.one"), ["alerts"]);
        assert_eq!(publishers("feed.health.one.two.three"), ["sharing"]);
        assert_eq!(publishers("feeds.position"), ["sharing"]);
    }

    #[test]
    fn nothing_is_taken_out_but_by_whom_it_belongs_to() {
        for stream in &declared().streams {
            let name = stream.name();
            let [erases, purges]: [&[&str]; 2] = match name {
                "VAULT" => [&["registry"], &["registry"]],
                "SIGNALS" => [&["alerts"], &[]],
                "FEEDS" => [&["sharing"], &["sharing"]],
                "ACCESS" => [&[], &["sharing"]],
                _ => [&[], &[]],
            };
            let delete = format!("$JS.API.STREAM.MSG.DELETE.{name}");
            assert_eq!(publishers(&delete), erases);
            let purge = format!("$JS.API.STREAM.PURGE.{name}");
            assert_eq!(publishers(&purge), purges);
            let config = stream.config(1);
            assert!(erases.is_empty() || !config.deny_delete, "{name}");
            assert!(purges.is_empty() || !config.deny_purge, "{name}");
            let delete = format!("$JS.API.STREAM.DELETE.{name}");
            assert_eq!(publishers(&delete), [""; 0]);
        }
    }

    #[test]
    fn streams_are_changed_by_the_operator_alone() {
        for stream in &declared().streams {
            for request in ["CREATE", "UPDATE"] {
                let request = format!("$JS.API.STREAM.{request}.{}", stream.name());
                assert_eq!(publishers(&request), ["streams"]);
            }
        }
    }

    #[test]
    fn nobody_hears_what_others_are_answered() {
        for user in &declared().users {
            let own = format!("_INBOX_{}.>", user.name);
            let mut others = user.subscribe.iter().filter(|subject| **subject != own);
            assert!(
                others.all(|subject| subject == "$SYS.REQ.USER.AUTH"),
                "{user:?}"
            );
        }
    }

    #[test]
    fn who_looked_at_what_is_told_by_each_under_its_own_name() {
        for service in SERVICES {
            // Sharing writes its looks into its log itself.
            let wanted = if service == "sharing" {
                vec![]
            } else {
                vec![service]
            };
            assert_eq!(publishers(&format!("access.{service}")), wanted);
        }
    }
}

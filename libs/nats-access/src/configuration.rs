//! The part of the NATS server's configuration that lets strangers in by our word.

use std::{fmt, path::PathBuf, time::Duration};

use serde_json::Value;

use crate::relay::RelaySettings;

/// A user of our own, whom the server knows by itself. Its `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password, or its bcrypt hash.
    pub password: String,
    /// What it may do; all, if nothing is said.
    pub permissions: Option<Permissions>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("permissions", &self.permissions)
            .finish_non_exhaustive()
    }
}

/// The subjects that a user may publish and subscribe to. It may also answer what it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// To these alone.
    pub publish: Vec<String>,
    /// To these alone.
    pub subscribe: Vec<String>,
}

impl Permissions {
    /// What a service needs for [`crate::AuthCallout`] and [`crate::Relay`], beside what it needs for its own streams.
    /// `inboxes` is its prefix of inboxes (`_INBOX` unless it has one of its own).
    #[must_use]
    pub fn of_callout_and_relay(relay: &RelaySettings, inboxes: &str) -> Self {
        let RelaySettings {
            stream,
            subjects,
            consumer,
            replicas: _,
        } = relay;
        let publish = [
            subjects.clone(),
            format!("$JS.API.DIRECT.GET.{stream}"),
            format!("$JS.API.CONSUMER.CREATE.{stream}"),
            format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.>"),
            "$JS.API.STREAM.INFO.$MQTT_msgs".to_owned(),
            "$JS.API.STREAM.CREATE.$MQTT_msgs".to_owned(),
            format!("$JS.API.CONSUMER.CREATE.$MQTT_msgs.{consumer}.>"),
            format!("$JS.API.CONSUMER.MSG.NEXT.$MQTT_msgs.{consumer}"),
            format!("$JS.ACK.$MQTT_msgs.{consumer}.>"),
        ];
        Self {
            publish: publish.to_vec(),
            subscribe: vec!["$SYS.REQ.USER.AUTH".to_owned(), format!("{inboxes}.>")],
        }
    }
}

/// Where devices speak MQTT. Whoever publishes with quality 2 is refused: the server may have acknowledged half of such an
/// exchange when it is killed, and forgets the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttListener {
    /// Address and port (`0.0.0.0:8883`).
    pub listen: String,
    /// The copies of the server's own streams for MQTT; 3 in a cluster of three.
    pub replicas: usize,
    /// PEM files of its certificate and its key. Without them passwords go over the wire as they are.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// The account of our services, with all streams, and of those who speak MQTT.
pub const SERVICES_ACCOUNT: &str = "ELDERCARE";

/// The account of all others who speak NATS. It has no streams, and hears of ours what [`ServerAccess::offered`] lists.
pub const OUTSIDE_ACCOUNT: &str = "OUTSIDE";

/// Subjects of our account that others may publish to, as far as a [`crate::Grant`] lets each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The subjects; they may hold wildcards.
    pub subjects: String,
    /// Whether one request has many answers.
    pub many: bool,
}

impl Offered {
    /// Subjects where a request has one answer.
    pub fn one(subjects: impl Into<String>) -> Self {
        Self {
            subjects: subjects.into(),
            many: false,
        }
    }

    /// Subjects where a request has many answers.
    pub fn many(subjects: impl Into<String>) -> Self {
        Self {
            subjects: subjects.into(),
            many: true,
        }
    }
}

/// Who has access to the server.
///
/// Services and streams live in one account, strangers in another: the server checks where somebody publishes, but not where
/// they want to be answered, and answers are publications too. Across accounts they come back to the stranger's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAccess {
    /// The services, the one that answers the callout among them.
    pub services: Vec<User>,
    /// The user of the system account by whom connections are cut. Its permissions are set here.
    pub system: User,
    /// The public key of [`crate::Issuer`].
    pub issuer: String,
    /// The public key of [`crate::SealingKey`], if questions are to be sealed.
    pub sealing: Option<String>,
    /// How long the server waits for an answer about a user, whole seconds. [`crate::Connections::cut_off`] reckons with
    /// three at most.
    pub answered_within: Duration,
    /// What strangers may publish to over NATS.
    pub offered: Vec<Offered>,
    /// MQTT, unless it is set elsewhere (`NatsOptions::mqtt_port` sets it for one machine).
    pub mqtt: Option<MqttListener>,
}

impl ServerAccess {
    /// These users, no sealing, three seconds, nothing offered, and no MQTT set here.
    #[must_use]
    pub fn new(services: Vec<User>, system: User, issuer: impl Into<String>) -> Self {
        Self {
            services,
            system,
            issuer: issuer.into(),
            sealing: None,
            answered_within: Duration::from_secs(3),
            offered: Vec::new(),
            mqtt: None,
        }
    }

    /// The blocks `accounts`, `authorization` and `mqtt` in the server's own language. Passwords stand in it.
    #[must_use]
    pub fn server_configuration(&self) -> String {
        self.written(quoted)
    }

    /// The same for a file that everybody may read: what stands here for passwords, issuer and sealing key are the names of
    /// variables, which the server finds in its environment.
    #[must_use]
    pub fn server_template(&self) -> String {
        self.written(variable)
    }

    /// The blocks, with what belongs to one installation written in this way.
    fn written(&self, own: fn(&str) -> String) -> String {
        let system = User {
            permissions: Some(Permissions {
                publish: vec![
                    "$SYS.REQ.SERVER.PING.CONNZ".to_owned(),
                    "$SYS.REQ.SERVER.*.KICK".to_owned(),
                ],
                subscribe: vec!["_INBOX.>".to_owned()],
            }),
            ..self.system.clone()
        };
        let mut lines = vec![
            "accounts {".to_owned(),
            "  $SYS {".to_owned(),
            "    users: [".to_owned(),
            format!("      {}", user(&system, own)),
            "    ]".to_owned(),
            "  }".to_owned(),
            format!("  {SERVICES_ACCOUNT} {{"),
            "    jetstream: enabled".to_owned(),
            "    users: [".to_owned(),
        ];
        let services = self.services.iter();
        lines.extend(services.map(|service| format!("      {}", user(service, own))));
        lines.push("    ]".to_owned());
        lines.push("    exports: [".to_owned());
        lines.extend(self.offered.iter().map(exported));
        lines.push("    ]".to_owned());
        lines.push("  }".to_owned());
        lines.push(format!("  {OUTSIDE_ACCOUNT} {{"));
        lines.push("    imports: [".to_owned());
        lines.extend(self.offered.iter().map(imported));
        lines.push("    ]".to_owned());
        lines.push("  }".to_owned());
        lines.push("}".to_owned());
        lines.push("authorization {".to_owned());
        lines.push(format!(
            "  timeout: {}",
            self.answered_within.as_secs().max(1)
        ));
        lines.push("  auth_callout {".to_owned());
        lines.push(format!("    account: {SERVICES_ACCOUNT}"));
        lines.push(format!("    issuer: {}", own(&self.issuer)));
        if let Some(sealing) = &self.sealing {
            lines.push(format!("    xkey: {}", own(sealing)));
        }
        let known = self.services.iter().chain([&self.system]);
        let known: Vec<_> = known.map(|user| user.name.clone()).collect();
        lines.push(format!("    auth_users: {}", list(&known)));
        lines.push("  }".to_owned());
        lines.push("}".to_owned());
        if let Some(mqtt) = &self.mqtt {
            lines.push("mqtt {".to_owned());
            lines.push(format!("  listen: {}", quoted(&mqtt.listen)));
            lines.push(format!("  stream_replicas: {}", mqtt.replicas));
            lines.push("  reject_qos2_publish: true".to_owned());
            if let Some((certificate, key)) = &mqtt.tls {
                lines.push("  tls {".to_owned());
                let certificate = quoted(&certificate.to_string_lossy());
                lines.push(format!("    cert_file: {certificate}"));
                lines.push(format!("    key_file: {}", quoted(&key.to_string_lossy())));
                lines.push("  }".to_owned());
            }
            lines.push("}".to_owned());
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

fn exported(offered: &Offered) -> String {
    let subjects = quoted(&offered.subjects);
    let answers = if offered.many { "stream" } else { "singleton" };
    format!("      {{ service: {subjects}, response_type: {answers} }}")
}

fn imported(offered: &Offered) -> String {
    let subjects = quoted(&offered.subjects);
    format!("      {{ service: {{ account: {SERVICES_ACCOUNT}, subject: {subjects} }} }}")
}

fn user(user: &User, own: fn(&str) -> String) -> String {
    let mut text = format!(
        "{{ user: {}, password: {}",
        quoted(&user.name),
        own(&user.password)
    );
    if let Some(Permissions { publish, subscribe }) = &user.permissions {
        text += ", permissions: {\n";
        text += &allowed("publish", publish);
        text += &allowed("subscribe", subscribe);
        text += "        allow_responses: true\n      }";
    }
    text + " }"
}

/// A line for each subject: they are many.
fn allowed(what: &str, subjects: &[String]) -> String {
    let mut text = format!("        {what}: [\n");
    for subject in subjects {
        text += &format!("          {}\n", quoted(subject));
    }
    text + "        ]\n"
}

fn list(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// JSON is valid in the server's language.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn variable(name: &str) -> String {
    format!("${name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> ServerAccess {
        let user = |name: &str| User {
            name: name.to_owned(),
            password: format!("{name}\"s secret"),
            permissions: None,
        };
        ServerAccess::new(
            vec![user("alerts"), user("registry")],
            user("system"),
            "AISSUER",
        )
    }

    #[test]
    fn whoever_the_server_knows_is_not_asked_about() {
        let text = access().server_configuration();
        assert!(text.contains(r#"auth_users: ["alerts", "registry", "system"]"#));
        assert!(text.contains(r#"password: "alerts\"s secret""#));
        assert!(!text.contains("mqtt") && !text.contains("xkey"));
    }

    #[test]
    fn a_template_names_what_an_installation_has_of_its_own() {
        let user = |name: &str| User {
            name: name.to_owned(),
            password: format!("{}_PASSWORD", name.to_uppercase()),
            permissions: Some(Permissions {
                publish: vec![format!("eldercare.{name}.>")],
                subscribe: vec![format!("_INBOX_{name}.>")],
            }),
        };
        let access = ServerAccess::new(vec![user("alerts")], user("system"), "ISSUER");
        let text = access.server_template();
        assert!(text.contains(r#"{ user: "alerts", password: $ALERTS_PASSWORD, permissions: {"#));
        assert!(text.contains("    issuer: $ISSUER\n"));
        assert!(text.contains("          \"eldercare.alerts.>\"\n"));
    }

    #[test]
    fn passwords_are_not_shown() {
        assert!(!format!("{:?}", access()).contains("secret"));
    }
}

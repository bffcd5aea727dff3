//! The users of a log's server as they are declared for every installation, whatever their passwords are.

use nats_access::{Permissions, ServerAccess, User, inbox_prefix};

/// The user of the system account, by whom services cut off whom they let in no longer.
pub(crate) const SYSTEM: &str = "system";

/// The user by whom streams are made.
pub(crate) const STREAMS: &str = "streams";

/// What a server is told of them. `password` is what each has; the keys are the public halves of those by which services say who
/// else may come in.
pub(crate) fn server_access(
    password: impl Fn(&str) -> String,
    issuer: String,
    sealing: String,
) -> ServerAccess {
    let services = nats_streams::declared().users.iter();
    let services = services.map(|user| User {
        name: user.name.clone(),
        password: password(&user.name),
        permissions: Some(Permissions {
            publish: user.publish.clone(),
            subscribe: user.subscribe.clone(),
        }),
    });
    let system = User {
        name: SYSTEM.to_owned(),
        password: password(SYSTEM),
        permissions: None,
    };
    ServerAccess {
        sealing: Some(sealing),
        offered: alerts::doors::offered()
            .into_iter()
            .chain(sharing::offered_to_departments())
            .collect(),
        ..ServerAccess::new(services.collect(), system, issuer)
    }
}

/// The settings by which a service, or who makes streams, comes in.
pub(crate) fn come_in(nats: &mut service::settings::Nats, user: &str, password: &str) {
    nats.user = Some(user.to_owned());
    nats.password = Some(service::Secret::new(password));
    nats.inbox_prefix = Some(inbox_prefix(user));
}

#[cfg(test)]
mod tests {
    use nats_access::RelaySettings;

    use super::*;

    #[test]
    fn each_may_hear_the_answers_that_it_asks_for() {
        for user in &nats_streams::declared().users {
            let inboxes = format!("{}.>", inbox_prefix(&user.name));
            assert!(user.subscribe.contains(&inboxes), "{user:?}");
        }
    }

    #[test]
    fn alerts_may_let_devices_in_and_relay_what_they_send() {
        let alerts = nats_streams::declared().user("alerts").unwrap();
        let relay = RelaySettings::new(alerts::signals::STREAM, alerts::signals::DEVICES);
        let needed = Permissions::of_callout_and_relay(&relay, &inbox_prefix("alerts"));
        for subject in needed.publish {
            assert!(alerts.publish.contains(&subject), "{subject}");
        }
        for subject in needed.subscribe {
            assert!(alerts.subscribe.contains(&subject), "{subject}");
        }
    }
}

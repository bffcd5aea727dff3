//! Thousands of malformed messages, of every method that reads one.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use integration_tests::{
    Setup, System, an_elder, contracts,
    malformed::{self, Known, Malformed},
    process::Part,
    reason,
    visiting::visitor,
    wrong_fields,
};
use rand::{SeedableRng as _, rngs::StdRng};
use tonic::Code;

use super::{is_typed, send, still_works};

/// Malformed messages beside tokens and workbooks.
const MESSAGES: usize = 18_000;

/// How many are on their way at once.
const AT_ONCE: usize = 48;

/// Services that officers don't call, and the clock, which stands still in this story.
const APART: [&str; 2] = [
    "eldercare.registry.v1.VaultService",
    "eldercare.simulation.v1.SimulationService",
];

/// The methods of all services but these that read one message, as the contracts have them.
fn methods() -> BTreeSet<String> {
    let mut services = contracts::services();
    for service in APART {
        assert!(services.remove(service), "there is no service {service}");
    }
    let mut paths = BTreeSet::new();
    for service in services {
        let methods = contracts::methods(&service).into_iter();
        let unary = methods.filter(|method| !method.reads_a_stream);
        paths.extend(unary.map(|method| format!("/{service}/{}", method.name)));
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_malformed_messages_are_refused_each_with_its_reason() {
    let mut system = System::start_with(Setup::with_sharing()).await;
    let known = Known {
        elder: system.register(an_elder("林一")).await,
        other: system.register(an_elder("林二")).await,
        visitor: visitor(&system, "王一").await,
        policy: include_str!("../../../libs/tier-policy/policies/default.yaml"),
    };
    let makers = malformed::makers(&known);
    let before = system.written().await;
    let memory = |system: &System| Part::ALL.map(|part| system.running(part).peak_resident_bytes());
    let memory_before = memory(&system);

    // Always the same requests: what fails can be looked at again.
    let mut random = StdRng::seed_from_u64(20_241_001);
    let requests: Vec<Malformed> = (0..MESSAGES)
        .map(|number| makers[number % makers.len()](&mut random))
        .collect();
    let officer = system.officer();
    let refusals = stream::iter(requests)
        .map(|request| {
            let channel = officer.channel(Part::serving(request.path));
            async move {
                let outcome = send(channel, request.path, request.messages).await;
                let wrong = format!("{} with wrong {}", request.path, request.wrong);
                let status = outcome.expect_err(&wrong);
                is_typed(&status, &wrong);
                assert_eq!(status.code(), Code::InvalidArgument, "{wrong}: {status}");
                if request.names_fields {
                    assert!(
                        !wrong_fields(&status).is_empty(),
                        "{wrong}: no field is named in {status}"
                    );
                } else {
                    assert_eq!(reason(&status), "MESSAGE_MALFORMED", "{wrong}: {status}");
                }
                (request.path, reason(&status))
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    assert_eq!(refusals.len(), MESSAGES);
    let tried: BTreeSet<_> = refusals
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .collect();
    assert_eq!(tried, methods(), "every method is tried");

    assert_eq!(
        system.written().await,
        before,
        "a malformed request wrote something"
    );
    for (now, before) in memory(&system).into_iter().zip(memory_before) {
        let grown = now - before;
        assert!(grown < 256 << 20, "memory grew by {} MiB", grown >> 20);
    }
    still_works(&mut system).await;
}

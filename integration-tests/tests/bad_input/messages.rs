//! Ten thousand malformed messages, of every method that reads one.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use integration_tests::{
    System, an_elder,
    malformed::{self, Known, Malformed},
    reason, wrong_fields,
};
use rand::{SeedableRng as _, rngs::StdRng};
use tonic::Code;

use super::{is_typed, send, still_works, written};

/// Malformed messages beside tokens and workbooks.
const MESSAGES: usize = 10_000;

/// How many are on their way at once.
const AT_ONCE: usize = 48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_malformed_messages_are_refused_each_with_its_reason() {
    let mut system = System::start().await;
    let known = Known {
        elder: system.register(an_elder("林一")).await,
        other: system.register(an_elder("林二")).await,
        policy: include_str!("../../../libs/tier-policy/policies/default.yaml"),
    };
    let makers = malformed::makers(&known);
    let before = written(&system).await;
    let memory = system.running().peak_resident_bytes();

    // Always the same requests: what fails can be looked at again.
    let mut random = StdRng::seed_from_u64(20_241_001);
    let requests: Vec<Malformed> = (0..MESSAGES)
        .map(|number| makers[number % makers.len()](&mut random))
        .collect();
    let channel = system.officer().channel();
    let refusals = stream::iter(requests)
        .map(|request| {
            let channel = channel.clone();
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
    let mut by_path: BTreeMap<_, usize> = BTreeMap::new();
    for (path, _) in &refusals {
        *by_path.entry(path).or_default() += 1;
    }
    assert_eq!(refusals.len(), MESSAGES);
    assert_eq!(by_path.len(), makers.len(), "every method was tried");

    assert_eq!(
        written(&system).await,
        before,
        "a malformed request wrote something"
    );
    let grown = system.running().peak_resident_bytes() - memory;
    assert!(grown < 256 << 20, "memory grew by {} MiB", grown >> 20);
    still_works(&mut system).await;
}

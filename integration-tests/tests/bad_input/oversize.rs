//! Requests that are larger than a service takes: refused with a reason, and nothing is written by them.

use integration_tests::{System, an_elder, officer, process::Part, reason};
use proto::eldercare::registry::v1::{
    ListEldersRequest, RegisterElderRequest, registry_service_client::RegistryServiceClient,
};
use tonic::Code;

use super::{is_typed, still_works};

/// The largest message that services take, in bytes, unless they are told otherwise.
const MOST: usize = 4 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_too_large_are_refused_and_nobody_else_is_held_up() {
    let mut system = System::start().await;
    let before = system.written().await;
    let memory = system.running(Part::Elders).peak_resident_bytes();
    let apart = system.caller_apart(&officer());
    for bytes in [MOST, MOST + 1, 16 << 20] {
        let large = RegisterElderRequest {
            remarks: "长".repeat(bytes / 3 + 1),
            ..an_elder("林大")
        };
        let mut registry = RegistryServiceClient::new(system.officer().channel(Part::Elders));
        let refused = registry.register_elder(large).await.unwrap_err();
        is_typed(&refused, "a large request");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "MESSAGE_TOO_LARGE")
        );
        let list = ListEldersRequest {
            division_code: "350524".to_owned(),
            ..ListEldersRequest::default()
        };
        apart.registry().list_elders(list).await.unwrap();
    }
    assert_eq!(system.written().await, before);
    let grown = system.running(Part::Elders).peak_resident_bytes() - memory;
    assert!(grown < 64 << 20, "memory grew by {} MiB", grown >> 20);
    still_works(&mut system).await;
}

//! Somebody who is known to every service is erased: nothing of what was personal is left in any stream, database, backup or answer,
//! departments are asked to forget, and the ID number is free.

mod answers;
mod life;
mod restored;

use integration_tests::{
    Setup, System,
    agreements::{DEPARTMENT, doctor, feed},
    new_id,
    on_disk::{checkpoint, lying_about},
};
use proto::eldercare::{
    registry::v1::{RegisterElderRequest, SearchEldersRequest},
    sharing::v1::{ConfirmErasureRequest, ErasureReceipt, ListErasuresRequest},
};
use tonic::Code;

use self::{
    answers::{PERSONAL, REFUSED, answers},
    life::{Life, supervisor},
    restored::{backed_up, put_back},
};

/// Each method that tells of the person does so, and what is looked for is found where it lies.
async fn everybody_knows(system: &System, life: &Life) {
    let secrets = &life.secrets;
    for (method, told) in answers(system, life).await {
        let told = told.unwrap_or_else(|refused| panic!("{method}: {refused}"));
        let personal = secrets.in_bytes(&told).is_some();
        assert!(personal || !PERSONAL.contains(&method), "{method}");
    }
    checkpoint(system).await;
    let lying = secrets.in_files(&system.streams_folder());
    // What the department is granted in plain, where the button was, and the key, as it is wrapped.
    for stream in ["FEEDS", "SIGNALS", "VAULT"] {
        let of_it = format!("/{stream}/");
        assert!(lying.iter().any(|one| one.contains(&of_it)), "{lying:?}");
    }
}

/// No method tells anything of the person any more.
async fn nobody_knows(system: &System, life: &Life) {
    for (method, told) in answers(system, life).await {
        match told {
            Ok(told) => {
                assert!(!REFUSED.contains(&method), "{method} is answered");
                assert_eq!(life.secrets.in_bytes(&told), None, "{method}");
            }
            Err(refused) => {
                assert_eq!(refused.code(), Code::NotFound, "{method}: {refused}");
                let words = refused.message().as_bytes();
                assert_eq!(life.secrets.in_bytes(words), None, "{method}");
            }
        }
    }
}

/// Who was asked to erase what they hold of the elder.
async fn receipts(system: &System, elder: &str) -> Vec<ErasureReceipt> {
    let request = ListErasuresRequest::default();
    let listed = system.sharing().list_erasures(request).await;
    let mut receipts = listed.unwrap().into_inner().receipts;
    receipts.retain(|one| one.elder_id == elder);
    receipts
}

/// The department is asked on its feeds to erase what it holds, finds nothing there any more, and says that it has.
async fn departments_forget(system: &System, life: &Life) {
    let events = feed(system.caller(&doctor()).sharing()).await;
    let of_the_elder = events.iter().filter(|one| one.elder_id == life.elder);
    let mut left: Vec<_> = of_the_elder
        .map(|one| (one.event.as_str(), one.product.as_str()))
        .collect();
    left.sort_unstable();
    // Of each product the department had been told something, in the one county.
    let products = ["alert", "elder", "enrolment", "order", "tier", "visit"];
    assert_eq!(left, products.map(|product| ("ElderErased", product)));
    let asked = receipts(system, &life.elder).await;
    let of_whom: Vec<_> = asked.iter().map(|one| one.department.as_str()).collect();
    assert_eq!(of_whom, [DEPARTMENT]);
    assert_eq!(asked[0].confirmed_at, None);
    let confirmed = ConfirmErasureRequest {
        request_id: new_id(),
        elder_id: life.elder.clone(),
    };
    let mut department = system.caller(&supervisor()).sharing();
    department.confirm_erasure(confirmed).await.unwrap();
    system.settled().await;
    let asked = receipts(system, &life.elder).await;
    assert_eq!(asked[0].confirmed_by, "officer:test-supervisor");
}

/// What the devices of the home have sent is gone; what others sent is there.
async fn signals_are_gone(system: &System, life: &Life) {
    let signals = system
        .jetstream()
        .await
        .get_stream("SIGNALS")
        .await
        .unwrap();
    let stands = async |device: &str| {
        let subject = format!("eldercare.signals.{device}.arrived");
        let last = signals.get_last_raw_message_by_subject(&subject).await;
        last.is_ok()
    };
    assert!(!stands(&life.device).await);
    assert!(stands(&life.device_beside).await);
}

/// Somebody with the same number is another elder.
async fn the_number_is_free(system: &System, life: &Life) {
    let again = RegisterElderRequest {
        request_id: new_id(),
        ..life.person.clone()
    };
    let id_number = again.id_number.clone();
    let (again, min_position) = system.registered(again).await;
    assert_ne!(again, life.elder);
    let search = SearchEldersRequest {
        id_number,
        min_position,
        ..SearchEldersRequest::default()
    };
    assert_eq!(system.ids_found(search).await, [again]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_erased_elder_whom_every_service_knew_nothing_is_left_anywhere() {
    let mut system = System::start_with(Setup {
        own_postgres: true,
        ..Setup::with_sharing()
    })
    .await;
    let life = Life::lived(&mut system).await;
    everybody_knows(&system, &life).await;

    system.erase(&life.elder).await;
    system.settled().await;

    nobody_knows(&system, &life).await;
    departments_forget(&system, &life).await;
    signals_are_gone(&system, &life).await;
    // What was asked just now has left nothing either.
    let nothing = Vec::<String>::new();
    assert_eq!(lying_about(&system, &life.secrets).await, nothing);
    let shelf = tempfile::tempdir().unwrap();
    let backup = backed_up(&system, shelf.path()).await;
    let restored = put_back(&backup, &life.secrets, &life.neighbour).await;
    assert_eq!(restored, nothing, "in a backup of the log");
    system.verify().await;
    the_number_is_free(&system, &life).await;
}

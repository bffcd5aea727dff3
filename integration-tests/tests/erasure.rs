//! An erased person is unreadable for good: in the log's files, in the databases' files, in any backup taken afterwards.

use integration_tests::{
    Setup, System, an_elder, county, new_id,
    on_disk::{backup, backups, checkpoint, folders, holding, lying_about, tells},
    reason,
    secrets::Secrets,
};
use proto::eldercare::{
    registry::v1::{
        Elder, GetElderRequest, GetKeysRequest, ListEldersRequest, RegisterElderRequest,
        SearchEldersRequest, SetContactsRequest,
    },
    r#type::v1::{Contact, ElderStatus},
};
use tonic::Code;

async fn everybody(system: &System, min_position: &str) -> Vec<Elder> {
    let list = ListEldersRequest {
        division_code: county::COUNTY.to_owned(),
        statuses: vec![
            ElderStatus::Active.into(),
            ElderStatus::Deceased.into(),
            ElderStatus::MovedOut.into(),
        ],
        page_size: 1_000,
        min_position: min_position.to_owned(),
        ..ListEldersRequest::default()
    };
    system
        .registry()
        .list_elders(list)
        .await
        .unwrap()
        .into_inner()
        .elders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_is_nowhere_and_nobody_else_has_changed() {
    let system = System::start_with(Setup {
        own_postgres: true,
        ..Setup::default()
    })
    .await;
    let mut registry = system.registry();
    for number in 0..20 {
        system.register(an_elder(&format!("邻居{number}"))).await;
    }
    let person = RegisterElderRequest {
        address: "梧桐巷三十七号后院".to_owned(),
        remarks: "左耳听力弱，喜欢听南音".to_owned(),
        ..an_elder("欧阳望舒")
    };
    let elder_id = system.register(person.clone()).await;
    let contact = Contact {
        name: "欧阳小满".to_owned(),
        relation: "女".to_owned(),
        phone: "13959951234".to_owned(),
        ..Contact::default()
    };
    let contacts = SetContactsRequest {
        request_id: new_id(),
        elder_id: elder_id.clone(),
        contacts: vec![contact.clone()],
        ..SetContactsRequest::default()
    };
    let committed = registry
        .set_contacts(contacts)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap();
    system.settled().await;
    let before = everybody(&system, &committed.position).await;
    let [others, erased]: [Vec<_>; 2] = [false, true].map(|the_person| {
        before
            .iter()
            .filter(|elder| (elder.elder_id == elder_id) == the_person)
            .cloned()
            .collect()
    });
    assert_eq!(
        (
            others.len(),
            erased[0].name.as_str(),
            erased[0].contacts[0].phone.as_str()
        ),
        (20, "欧阳望舒", "13959951234")
    );

    // The key as it lies in the vault, wrapped.
    let vault = system.jetstream().await.get_stream("VAULT").await.unwrap();
    let keys = vault.get_info().await.unwrap().state.messages;
    let mut wrapped = None;
    for sequence in 1..=vault.get_info().await.unwrap().state.last_sequence {
        let message = vault.get_raw_message(sequence).await.unwrap();
        if message.subject.contains(&elder_id) {
            wrapped = Some(message.payload);
        }
    }
    let wrapped = wrapped.expect("the vault has a key of the person");
    let wrapped = &wrapped[wrapped.len() - 32..];
    checkpoint(&system).await;
    // The search below does find what is there.
    let key = Secrets::of(&[], &[], &[wrapped]);
    assert!(!key.in_files(&system.streams_folder()).is_empty());
    for folder in folders(&system) {
        assert!(!holding(&folder, |content| tells(content, &others[0].division_code)).is_empty());
    }

    let erased_at = system.erase(&elder_id).await;
    system.settled().await;

    // Nothing finds the person any more.
    let get = GetElderRequest {
        elder_id: elder_id.clone(),
        min_position: erased_at.clone(),
        ..Default::default()
    };
    assert_eq!(
        registry.get_elder(get).await.unwrap_err().code(),
        Code::NotFound
    );
    let by_number = SearchEldersRequest {
        id_number: person.id_number.clone(),
        ..Default::default()
    };
    let by_name = SearchEldersRequest {
        name: person.name.clone(),
        division_code: county::COUNTY.to_owned(),
        ..Default::default()
    };
    for search in [by_number.clone(), by_name] {
        assert_eq!(system.found(search).await, []);
    }
    assert_eq!(system.tier(&elder_id, &erased_at).await, None);
    // Who may see every division is told what happened when, and nothing about the person.
    let changes = system.changes(&elder_id).await;
    let erased = changes.last().map(|change| change.event.as_str());
    assert_eq!(erased, Some("ElderErased"));
    let mut personal = changes
        .iter()
        .flat_map(|change| &change.fields)
        .filter(|field| field.personal);
    assert!(
        personal.all(|field| field.value.is_empty()),
        "the history still tells"
    );
    let keys_asked = GetKeysRequest {
        elder_ids: vec![elder_id.clone()],
    };
    assert_eq!(
        system
            .service()
            .vault()
            .get_keys(keys_asked)
            .await
            .unwrap()
            .into_inner()
            .keys,
        []
    );
    let contacts = SetContactsRequest {
        request_id: new_id(),
        elder_id: elder_id.clone(),
        contacts: vec![contact],
        ..Default::default()
    };
    assert_eq!(
        reason(&registry.set_contacts(contacts).await.unwrap_err()),
        "ELDER_ERASED"
    );

    // No plaintext and no usable key in any file of either server, nor in a backup taken now.
    assert_eq!(vault.get_info().await.unwrap().state.messages, keys - 1);
    let backups = backups(&system).await.into_iter();
    let holding_others = backups.filter(|(_, one)| tells(one, &others[0].elder_id));
    assert_eq!(
        holding_others.count(),
        2,
        "the backups of registry and tiering hold the others"
    );
    // The id alone stands in the list of those whose keys must never come back. Tiering keeps, under that id, that there was
    // a tier and when it ended.
    let of_registry = backup(&system, system.registry_database());
    let text = String::from_utf8_lossy(&of_registry);
    let mut rows = text.lines().filter(|line| line.contains(&elder_id));
    assert!(
        rows.all(|row| row == elder_id),
        "a backup still has a row of the person"
    );
    let words = [
        person.name.as_str(),
        &person.id_number,
        &person.address,
        &person.remarks,
        "欧阳小满",
        "13959951234",
    ];
    let secrets = Secrets::of(&words, &[], &[wrapped]);
    assert_eq!(lying_about(&system, &secrets).await, Vec::<String>::new());

    // Everybody else is as before, also in a read model built anew.
    assert_eq!(everybody(&system, &erased_at).await, others);
    let parts = system.registry_parts().await;
    readmodel::rebuild(&parts.pool(), parts.log(), parts.projection(), |_| {})
        .await
        .unwrap();
    assert_eq!(everybody(&system, &erased_at).await, others);
    system.verify().await;

    // The number is free, for another elder.
    let again = RegisterElderRequest {
        request_id: new_id(),
        ..person.clone()
    };
    let (again, min_position) = system.registered(again).await;
    assert_ne!(again, elder_id);
    let search = SearchEldersRequest {
        min_position,
        ..by_number
    };
    assert_eq!(system.ids_found(search).await, [again]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_survives_the_loss_of_the_database() {
    let mut system = System::start().await;
    let person = an_elder("司马知秋");
    let elder_id = system.register(person.clone()).await;
    system.register(an_elder("司马邻")).await;
    let erased_at = system.erase(&elder_id).await;
    system.kill().await;
    system.lose_databases().await;
    system.restart().await;
    let left = everybody(&system, &erased_at).await;
    assert_eq!(
        left.iter()
            .map(|elder| elder.name.as_str())
            .collect::<Vec<_>>(),
        ["司马邻"]
    );
    let search = SearchEldersRequest {
        id_number: person.id_number,
        ..SearchEldersRequest::default()
    };
    assert_eq!(system.found(search).await, []);
}

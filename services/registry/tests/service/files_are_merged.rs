//! Two files of one person: reported, dismissed, merged so that the one stands for the other, and taken apart again.

use crate::accesses::last_looks;
use crate::support::{
    OTHER_VILLAGE, Running, another, get, id_number, instant, register, request_id, timestamp,
    wang_xiuying,
};
use proto::eldercare::registry::v1 as pb;
use service::testing::{anybody, anybody_of, reason};
use tonic::Code;

fn merge(surviving: &str, merged: &str) -> pb::MergeEldersRequest {
    pb::MergeEldersRequest {
        request_id: request_id(),
        surviving_elder_id: surviving.to_owned(),
        merged_elder_id: merged.to_owned(),
        reason: "ONE_PERSON".to_owned(),
    }
}

fn grade(elder_id: &str, grade: i32) -> pb::RecordHandicapRequest {
    pb::RecordHandicapRequest {
        request_id: request_id(),
        elder_id: elder_id.to_owned(),
        grade,
        ..pb::RecordHandicapRequest::default()
    }
}

#[tokio::test]
async fn a_merged_file_sends_commands_and_queries_to_the_surviving_one_until_it_is_unmerged() {
    let running = Running::new().await;
    let mut client = running.client();
    let (surviving, _) = register(&mut client, wang_xiuying()).await;
    let (merged, _) = register(&mut client, another(3)).await;
    let before = grade(&merged, 4);
    let answered = client
        .record_handicap(before.clone())
        .await
        .unwrap()
        .into_inner();

    let merging = merge(&surviving, &merged);
    let first = client
        .merge_elders(merging.clone())
        .await
        .unwrap()
        .into_inner();
    let position = first.committed.clone().unwrap().position;
    assert_eq!(
        get(&mut client, &merged, &position).await.elder_id,
        surviving
    );
    let search = pb::SearchEldersRequest {
        id_number: id_number("1944-07-01", 3),
        ..Default::default()
    };
    let found = client
        .search_elders(search)
        .await
        .unwrap()
        .into_inner()
        .elders;
    assert_eq!(found[0].elder_id, surviving);
    let batch = pb::BatchGetEldersRequest {
        elder_ids: vec![merged.clone(), surviving.clone()],
        ..Default::default()
    };
    let both = client
        .batch_get_elders(batch)
        .await
        .unwrap()
        .into_inner()
        .elders;
    assert!(both.iter().all(|elder| elder.elder_id == surviving));
    let list = pb::ListEldersRequest {
        division_code: "350524".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client
            .list_elders(list.clone())
            .await
            .unwrap()
            .into_inner()
            .elders
            .len(),
        1
    );
    let statistics = pb::GetStatisticsRequest {
        division_code: "350524".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client
            .get_statistics(statistics)
            .await
            .unwrap()
            .into_inner()
            .elders,
        1
    );

    let during = grade(&merged, 1);
    let done = client
        .record_handicap(during.clone())
        .await
        .unwrap()
        .into_inner();
    let committed = done.committed.clone().unwrap();
    assert_eq!(committed.elder_id, surviving);
    assert_eq!(
        get(&mut client, &surviving, &committed.position)
            .await
            .handicap_grade,
        1
    );
    // What the merged file itself had answered before, it answers still.
    assert_eq!(
        client.record_handicap(before).await.unwrap().into_inner(),
        answered
    );
    let status = client
        .merge_elders(merge(&merged, &surviving))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "ALREADY_MERGED")
    );

    let running = running.restart().await;
    let mut client = running.client();
    assert_eq!(
        client
            .merge_elders(merging.clone())
            .await
            .unwrap()
            .into_inner()
            .committed
            .unwrap()
            .position,
        position
    );
    let unmerging = pb::UnmergeEldersRequest {
        request_id: request_id(),
        surviving_elder_id: surviving.clone(),
        merged_elder_id: merged.clone(),
        reason: "TWO_PERSONS".to_owned(),
    };
    let unmerged = client
        .unmerge_elders(unmerging)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap();
    let elder = get(&mut client, &merged, &unmerged.position).await;
    assert_eq!(
        (elder.elder_id.as_str(), elder.handicap_grade),
        (merged.as_str(), 4)
    );
    // What the surviving file answered meanwhile is answered from there, and not done again to the merged one.
    let repeated = client
        .record_handicap(during.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(repeated, done);
    let elder = get(&mut client, &merged, &unmerged.position).await;
    assert_eq!(elder.handicap_grade, 4);
    let mut other = during;
    other.grade = 2;
    let status = client.record_handicap(other).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");
    assert_eq!(
        client
            .list_elders(list)
            .await
            .unwrap()
            .into_inner()
            .elders
            .len(),
        2
    );
    running.verify().await;
}

#[tokio::test]
async fn a_reported_pair_waits_for_a_reviewer() {
    let running = Running::new().await;
    let mut client = running.client();
    let (one, _) = register(&mut client, wang_xiuying()).await;
    let (other, _) = register(&mut client, another(3)).await;
    let report = pb::ReportDuplicateRequest {
        request_id: request_id(),
        elder_id: one.clone(),
        other_elder_id: other.clone(),
        reason: "SAME_HOME".to_owned(),
    };
    let reported = client
        .report_duplicate(report.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        client.report_duplicate(report).await.unwrap().into_inner(),
        reported
    );
    let mut pairs = async |state: pb::DuplicateState, min_position: &str| {
        let list = pb::ListDuplicatesRequest {
            division_code: "350524100".to_owned(),
            state: state.into(),
            min_position: min_position.to_owned(),
            ..pb::ListDuplicatesRequest::default()
        };
        client
            .list_duplicates(list)
            .await
            .unwrap()
            .into_inner()
            .duplicates
    };
    let position = reported.committed.unwrap().position;
    let open = pairs(pb::DuplicateState::Unspecified, &position).await;
    assert_eq!(
        (open.len(), open[0].duplicate_id.as_str()),
        (1, reported.duplicate_id.as_str())
    );
    let dismiss = pb::DismissDuplicateRequest {
        request_id: request_id(),
        elder_id: other,
        other_elder_id: one.clone(),
        reason: "MOTHER_AND_DAUGHTER".to_owned(),
    };
    let mut reviewer = running.client();
    let dismissed = reviewer
        .dismiss_duplicate(dismiss)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap();
    assert!(
        pairs(pb::DuplicateState::Open, &dismissed.position)
            .await
            .is_empty()
    );
    let closed = pairs(pb::DuplicateState::Dismissed, "").await;
    assert_eq!(
        (closed[0].reason.as_str(), closed[0].decided_by.as_str()),
        ("MOTHER_AND_DAUGHTER", "officer:test-officer")
    );
    let unknown = pb::ReportDuplicateRequest {
        request_id: request_id(),
        elder_id: one,
        other_elder_id: request_id(),
        reason: "SAME_HOME".to_owned(),
    };
    assert_eq!(
        reviewer.report_duplicate(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    running.verify().await;
}

#[tokio::test]
async fn erasing_a_person_erases_the_files_that_were_merged_too() {
    let running = Running::new().await;
    let mut client = running.client();
    let (surviving, _) = register(&mut client, wang_xiuying()).await;
    let (merged, _) = register(&mut client, another(3)).await;
    client
        .merge_elders(merge(&surviving, &merged))
        .await
        .unwrap();
    let erase = pb::EraseElderRequest {
        request_id: request_id(),
        elder_id: merged.clone(),
        reason: "REQUEST_OF_THE_PERSON".to_owned(),
        ..pb::EraseElderRequest::default()
    };
    let first = client.erase_elder(erase.clone()).await.unwrap();
    let committed = first.get_ref().committed.as_ref().unwrap();
    assert_eq!(committed.elder_id, surviving);
    let again = client.erase_elder(erase).await.unwrap().into_inner();
    assert_eq!(again, first.into_inner());
    let persons: Vec<_> = [surviving, merged]
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(running.vault.keys(&persons).await.unwrap().is_empty());
    assert!(client.register_elder(another(3)).await.is_ok());
    running.verify().await;
}

#[tokio::test]
async fn an_erasure_is_answered_alike_whichever_of_the_files_stood_for_the_other_before() {
    let running = Running::new().await;
    let mut client = running.client();
    let (surviving, _) = register(&mut client, wang_xiuying()).await;
    let (merged, _) = register(&mut client, another(3)).await;
    // The other way round at first.
    client
        .merge_elders(merge(&merged, &surviving))
        .await
        .unwrap();
    let unmerge = pb::UnmergeEldersRequest {
        request_id: request_id(),
        surviving_elder_id: merged.clone(),
        merged_elder_id: surviving.clone(),
        reason: "WRONG_WAY_ROUND".to_owned(),
    };
    client.unmerge_elders(unmerge).await.unwrap();
    client
        .merge_elders(merge(&surviving, &merged))
        .await
        .unwrap();
    let erase = pb::EraseElderRequest {
        request_id: request_id(),
        elder_id: merged,
        reason: "REQUEST_OF_THE_PERSON".to_owned(),
        ..pb::EraseElderRequest::default()
    };
    let first = client.erase_elder(erase.clone()).await.unwrap();
    let first = first.into_inner().committed.unwrap();
    assert_eq!(first.elder_id, surviving);
    let again = client.erase_elder(erase).await.unwrap().into_inner();
    assert_eq!(again.committed.unwrap(), first);
    running.verify().await;
}

#[tokio::test]
async fn what_a_file_answered_for_another_is_not_done_again_by_the_one_that_stands_for_it_now() {
    let running = Running::new().await;
    let mut client = running.client();
    let (then, _) = register(&mut client, wang_xiuying()).await;
    let (now, _) = register(&mut client, another(3)).await;
    let (moved, _) = register(&mut client, another(4)).await;
    client.merge_elders(merge(&then, &moved)).await.unwrap();
    let asked = grade(&moved, 1);
    let first = client.record_handicap(asked.clone()).await;
    let first = first.unwrap().into_inner();
    let unmerge = pb::UnmergeEldersRequest {
        request_id: request_id(),
        surviving_elder_id: then.clone(),
        merged_elder_id: moved.clone(),
        reason: "TWO_PERSONS".to_owned(),
    };
    client.unmerge_elders(unmerge).await.unwrap();
    let merged = client.merge_elders(merge(&now, &moved)).await.unwrap();
    let position = merged.into_inner().committed.unwrap().position;
    let again = client.record_handicap(asked).await.unwrap().into_inner();
    assert_eq!(again, first);
    let elder = get(&mut client, &moved, &position).await;
    assert_eq!((elder.elder_id, elder.handicap_grade), (now, 3));
    running.verify().await;
}

#[tokio::test]
async fn of_the_time_of_a_merge_taken_back_only_those_are_told_who_are_in_charge_of_both() {
    let running = Running::new().await;
    let mut client = running.client();
    let (here, _) = register(&mut client, wang_xiuying()).await;
    let there = pb::RegisterElderRequest {
        division_code: OTHER_VILLAGE.to_owned(),
        ..another(3)
    };
    let (there, _) = register(&mut client, there).await;
    client.merge_elders(merge(&there, &here)).await.unwrap();
    let later = instant("2024-11-02T09:00:00+08:00");
    running.ground.clock.advance_to(later).unwrap();
    let unmerge = pb::UnmergeEldersRequest {
        request_id: request_id(),
        surviving_elder_id: there.clone(),
        merged_elder_id: here.clone(),
        reason: "TWO_PERSONS".to_owned(),
    };
    client.unmerge_elders(unmerge).await.unwrap();

    let then = |hour: &str| pb::GetElderRequest {
        elder_id: here.clone(),
        as_of: timestamp(&format!("{hour}:00+08:00")),
        ..pb::GetElderRequest::default()
    };
    let (merged, apart) = ("2024-11-01T12:00", "2024-11-02T09:00");
    for (caller, expected) in [
        (anybody(), Some(&there)),
        (anybody_of("350524100"), None),
        // Nor those who are in charge of the other file alone.
        (anybody_of("350524101"), None),
    ] {
        let told = running.clients.of(&caller).get_elder(then(merged)).await;
        match told {
            Ok(told) => {
                let told = told.into_inner().elder.unwrap().elder_id;
                assert_eq!(Some(&told), expected);
            }
            Err(status) => assert_eq!((status.code(), expected), (Code::NotFound, None)),
        }
    }
    let mut own = running.clients.of(&anybody_of("350524100"));
    let told = own.get_elder(then(apart)).await.unwrap().into_inner();
    assert_eq!(told.elder.unwrap().elder_id, here);
}

#[tokio::test]
async fn of_a_pair_in_two_towns_each_town_is_told_of_its_own_file_and_that_is_on_record() {
    let running = Running::new().await;
    let mut client = running.client();
    let (one, _) = register(&mut client, wang_xiuying()).await;
    let there = pb::RegisterElderRequest {
        division_code: OTHER_VILLAGE.to_owned(),
        ..another(3)
    };
    let (other, _) = register(&mut client, there).await;
    let report = pb::ReportDuplicateRequest {
        request_id: request_id(),
        elder_id: one.clone(),
        other_elder_id: other.clone(),
        reason: "SAME_HOME".to_owned(),
    };
    let reported = client.report_duplicate(report).await.unwrap().into_inner();
    let position = reported.committed.unwrap().position;
    let files = |pairs: &[pb::Duplicate]| {
        let files = pairs
            .iter()
            .flat_map(|pair| [pair.elder_id.clone(), pair.other_elder_id.clone()]);
        let mut files: Vec<String> = files.filter(|id| !id.is_empty()).collect();
        files.sort();
        files
    };
    let mut both = [one.clone(), other.clone()];
    both.sort();
    for (town, own) in [("350524100", &one), ("350524101", &other)] {
        let list = pb::ListDuplicatesRequest {
            division_code: town.to_owned(),
            min_position: position.clone(),
            ..pb::ListDuplicatesRequest::default()
        };
        let mut officer = running.clients.of(&anybody_of(town));
        let told = officer.list_duplicates(list.clone()).await.unwrap();
        let told = told.into_inner().duplicates;
        assert_eq!(files(&told), std::slice::from_ref(own));
        let looks = last_looks(&running).await;
        let look = looks.last().unwrap();
        assert_eq!(look.method, "ListDuplicates");
        assert_eq!(look.elder_ids, std::slice::from_ref(own));
        let whole = client.list_duplicates(list).await.unwrap().into_inner();
        assert_eq!(files(&whole.duplicates), both);
    }
    running.stop().await;
}

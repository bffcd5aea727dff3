//! What stories ask of registry and tiering again and again.

use proto::eldercare::{
    registry::v1::{
        Elder, ElderChange, EraseElderRequest, GetElderHistoryRequest, ImportDivisionsRequest,
        ListDivisionsRequest, RegisterElderRequest, SearchEldersRequest,
    },
    tiering::v1::{GetTierRequest, Tier},
};
use tonic::Code;

use super::System;
use crate::{county, new_id};

impl System {
    /// Registers an elder: its id.
    pub async fn register(&self, elder: RegisterElderRequest) -> String {
        self.registered(elder).await.0
    }

    /// Registers an elder: its id, and the position from which on it is known.
    pub async fn registered(&self, elder: RegisterElderRequest) -> (String, String) {
        let registered = self.registry().register_elder(elder).await.unwrap();
        let registered = registered.into_inner();
        (registered.elder_id, registered.committed.unwrap().position)
    }

    /// Erases an elder at the elder's own wish: the position from which on nobody knows it any more.
    pub async fn erase(&self, elder_id: &str) -> String {
        let request = EraseElderRequest {
            request_id: new_id(),
            elder_id: elder_id.to_owned(),
            reason: "ASKED_BY_ELDER".to_owned(),
            ..EraseElderRequest::default()
        };
        let erased = self.registry().erase_elder(request).await.unwrap();
        erased.into_inner().committed.unwrap().position
    }

    /// The files that a search finds.
    pub async fn found(&self, search: SearchEldersRequest) -> Vec<Elder> {
        let answer = self.registry().search_elders(search).await.unwrap();
        answer.into_inner().elders
    }

    /// The ids of the elders that a search finds.
    pub async fn ids_found(&self, search: SearchEldersRequest) -> Vec<String> {
        let found = self.found(search).await;
        found.into_iter().map(|elder| elder.elder_id).collect()
    }

    /// Every change of an elder's file, oldest first.
    pub async fn changes(&self, elder_id: &str) -> Vec<ElderChange> {
        let request = GetElderHistoryRequest {
            elder_id: elder_id.to_owned(),
            page_size: 1_000,
            ..GetElderHistoryRequest::default()
        };
        let answer = self.registry().get_elder_history(request).await.unwrap();
        answer.into_inner().changes
    }

    /// An elder's tier once the position is taken into account; none where the elder has none.
    pub async fn tier(&self, elder_id: &str, min_position: &str) -> Option<Tier> {
        let request = GetTierRequest {
            elder_id: elder_id.to_owned(),
            min_position: min_position.to_owned(),
        };
        match self.tiering().get_tier(request).await {
            Ok(answer) => Some(answer.into_inner().tier.unwrap()),
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status}");
                None
            }
        }
    }

    /// Imports the sample county's divisions, and waits until they can be listed.
    pub async fn import_divisions(&self) {
        let request = ImportDivisionsRequest {
            request_id: new_id(),
            divisions: county::divisions(),
        };
        let mut registry = self.registry();
        let imported = registry
            .import_divisions(request)
            .await
            .unwrap()
            .into_inner();
        let min_position = imported.committed.unwrap().position;
        let request = ListDivisionsRequest {
            min_position,
            ..ListDivisionsRequest::default()
        };
        registry.list_divisions(request).await.unwrap();
    }
}

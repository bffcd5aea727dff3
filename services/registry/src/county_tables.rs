//! Counties' tables of divisions at work: replaced as a whole, and asked whether a village is there.

use std::sync::Arc;

use civic::{DivisionCode, VillageCode};
use decider::Decider as _;
use eventlog::{Loaded, RequestDigest};
use proto::eldercare::registry::v1 as pb;
use tonic::Status;

use crate::{
    call::Call, divisions::Divisions, parse::tables_and_pairs::DivisionTable, refusals,
    registry::Registry,
};

impl Registry {
    /// Replaces a county's table.
    pub(crate) async fn import_divisions(
        &self,
        call: &Call,
        table: &DivisionTable,
        digest: RequestDigest,
    ) -> Result<pb::Committed, Status> {
        call.caller.may_where_asked(&table.county)?;
        let context = call.context(table.request_id, digest, Some(table.county.to_string()));
        let committed = self
            .counties
            .execute_with(table.county.as_str(), &context, |known| async move {
                known
                    .state
                    .decide(&table.publish)
                    .map_err(|refusal| refusals::of_divisions(&refusal))
            })
            .await
            .map_err(refusals::of_execution)?;
        self.tables.invalidate(&table.county);
        Ok(pb::Committed {
            position: committed.position.to_string(),
            etag: service::etag(committed.version),
            changed: committed.changed,
            elder_id: String::new(),
        })
    }

    /// Refuses a village that its county's table does not have. A county without a table is not known by its villages
    /// yet, and takes any code.
    pub(crate) async fn check_village(&self, village: &VillageCode) -> Result<(), Status> {
        let county = village.county();
        let known = |table: &Loaded<Divisions>| {
            table.is_new() || table.state.name(&village.division()).is_some()
        };
        // Another replica may have replaced the table since: only a refusal needs the newest one.
        if let Some(table) = self.tables.get(&county)
            && known(&table)
        {
            return Ok(());
        }
        let table = self.county(&county).await?;
        let is_known = known(&table);
        self.tables.insert(county, table);
        if is_known {
            Ok(())
        } else {
            Err(refusals::division_unknown())
        }
    }

    /// A county's table as it is now.
    pub(crate) async fn county(
        &self,
        county: &DivisionCode,
    ) -> Result<Arc<Loaded<Divisions>>, Status> {
        self.counties
            .load_newest(county.as_str())
            .await
            .map_err(refusals::of_loading)
    }
}

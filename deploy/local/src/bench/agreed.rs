//! What a department is granted of the county's elders: two officers agree on it, and an officer of the department asks by it.

use proto::eldercare::sharing::v1::sharing_service_client::SharingServiceClient;
use serde_json::{Value, json};
use service::{Claims, Secret};

use super::{
    people::COUNTY,
    stage::{CONNECTIONS, Served, Stage},
};
use crate::{
    client::{Channel, Client},
    connection::Connection,
    departments::{self, Terms},
};

/// The department, and its officer.
pub(super) const DEPARTMENT: &str = "health";
pub(super) const OFFICER: &str = "bench-doctor";

/// What for.
const PURPOSE: &str = "家庭医生签约";

/// When it is agreed, and until when.
pub(super) const NOW: &str = "2024-12-02T08:00:00+08:00";
const UNTIL: &str = "2024-12-31";

/// Callers of sharing, each with a connection of its own, who know tokens of a reviewer and of the department's officer.
pub(super) fn clients(stage: &Stage, served: &Served) -> anyhow::Result<Vec<Client>> {
    let officer = Claims::officer(OFFICER, DEPARTMENT)
        .division(COUNTY)
        .role("viewer")
        .purpose(PURPOSE);
    let token = Secret::new(stage.token_of(&officer)?);
    let connection = Connection {
        departments: [(DEPARTMENT.to_owned(), token)].into(),
        ..stage.reviewed(served)?
    };
    (0..CONNECTIONS).map(|_| Client::new(&connection)).collect()
}

/// The department's officer on each of some connections.
pub(super) fn officers(clients: &[Client]) -> anyhow::Result<Vec<SharingServiceClient<Channel>>> {
    let officers = clients.iter().map(|client| client.department(DEPARTMENT));
    officers.collect()
}

/// Puts an agreement over the county in force, by which everybody goes from now on: its id. It grants these fields, by product
/// and name, each `plain` or `masked`.
pub(super) async fn agree(client: &Client, products: Value) -> anyhow::Result<String> {
    let terms: Terms = serde_json::from_value(json!({
        "department": DEPARTMENT,
        "purpose": PURPOSE,
        "legal_basis": "川民〔2023〕100号",
        "divisions": [COUNTY],
        "until": UNTIL,
        "products": products,
    }))?;
    let (agreement, _) = departments::propose(client, &terms).await?;
    let position = departments::approve(client, &agreement).await?;
    departments::agreement(client, &agreement, &position).await?;
    Ok(agreement)
}

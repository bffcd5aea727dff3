//! By what right somebody is told of elders, and how that goes on record.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use service::Caller;
use uuid::Uuid;

use crate::cut::{CutDocument, Grants};
use crate::look::{Look, Recorded};

/// By what right somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    /// What is granted.
    pub(crate) grants: Grants,
    /// None where the caller's department owns the data.
    pub(crate) agreements: Option<Vec<Uuid>>,
}

/// A look by a caller, so far at nobody.
pub(crate) fn look_by(caller: &Caller, method: &str, address: String, at: DateTime<Utc>) -> Look {
    Look {
        caller: caller.actor(),
        department: caller.department.clone(),
        purpose: caller.purpose().unwrap_or_default().to_owned(),
        method: method.to_owned(),
        address,
        at,
        elders: vec![],
        fields: vec![],
    }
}

/// Which personal fields documents tell, each once.
pub(crate) fn fields_of<'a>(left: impl IntoIterator<Item = &'a CutDocument>) -> Vec<String> {
    let fields: BTreeSet<&String> = left.into_iter().flat_map(|one| &one.told).collect();
    fields.into_iter().cloned().collect()
}

/// A look under agreements; without them the caller's department owns the data.
pub(crate) fn recorded(look: Look, agreements: Option<Vec<Uuid>>) -> Recorded {
    match agreements {
        None => Recorded::Access(look),
        Some(agreements) => Recorded::Provided { look, agreements },
    }
}

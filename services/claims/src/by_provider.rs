//! What a care provider's own system may see (机构自有系统): its own orders and what becomes of them. Another provider's are not
//! there for it, and of an elder it is told no more than it needs.

use proto::eldercare::claims::v1 as pb;
use service::Caller;
use uuid::Uuid;

use crate::orders::Filter;

/// An order as a caller names it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) provider: String,
    pub(crate) key: Uuid,
}

/// Whether a provider's orders are there for the caller: for all but another provider's system.
pub(crate) fn are_there(caller: &Caller, provider: &str) -> bool {
    let own = caller.provider.as_deref();
    own.is_none_or(|own| own == provider)
}

/// What a list holds for the caller; none where it holds nothing.
pub(crate) fn narrowed(caller: &Caller, filter: &Filter) -> Option<Filter> {
    let Some(own) = &caller.provider else {
        return Some(filter.clone());
    };
    let asked = filter.provider.as_ref();
    // What is left out of an answer can't be found out by a filter either.
    let told = asked.is_none_or(|asked| asked == own) && filter.entitled_by.is_none();
    told.then(|| Filter {
        provider: Some(own.clone()),
        ..filter.clone()
    })
}

/// Where an order stands, as the caller is told: a provider's system not by which rule the elder is entitled.
pub(crate) fn standing(caller: &Caller, standing: pb::OrderStanding) -> pb::OrderStanding {
    if caller.provider.is_none() {
        return standing;
    }
    pb::OrderStanding {
        entitled_by: String::new(),
        ..standing
    }
}

/// An order, as the caller is told: a provider's system neither the elder's facts nor another provider's orders, nor who
/// decided on its appeal.
pub(crate) fn order(caller: &Caller, order: pb::GetOrderResponse) -> pb::GetOrderResponse {
    let Some(own) = &caller.provider else {
        return order;
    };
    let explanations = order.explanations.into_iter().map(|mut explanation| {
        explanation.earlier.retain(|one| one.provider_id == *own);
        explanation
    });
    pb::GetOrderResponse {
        standing: order.standing.map(|told| standing(caller, told)),
        facts: None,
        explanations: explanations.collect(),
        appeal: order.appeal.map(|appeal| pb::Appeal {
            decided_by: String::new(),
            ..appeal
        }),
        hold: order.hold.map(|hold| pb::OrderHold {
            etag: String::new(),
            facts: None,
            ..hold
        }),
        ..order
    }
}

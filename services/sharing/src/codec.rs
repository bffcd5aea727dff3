//! Events become wire bytes and back, here and nowhere else.

use civic::{DivisionCode, ElderId};
use elders::codec::write_day;
use elders::wire::{self, write_time};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;

use crate::agreement::{self, Agreement, Terms};
use crate::credential::{self, Credential};
use crate::cut::{Cut, Grants};
use crate::erasure::{self, Erasure};
use crate::look::{AuditHeads, BrokenGlass, GlassBroken, HeadSigned, Look, Looks, Recorded};
use crate::products::{ProductName, product};

/// The context that owns all aggregates.
pub const CONTEXT: &str = "sharing";

/// What each sealed field is sealed for: a ciphertext opens only for its own purpose.
pub mod purpose {
    /// Why an officer opened a dossier beyond all agreements.
    pub const BREAK_GLASS_REASON: &str = "sharing.break_glass_reason";
}

impl Aggregate for Agreement {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "agreement";

    fn encode(event: &agreement::Event) -> RawEvent {
        match event {
            agreement::Event::Proposed { terms, by } => RawEvent::of(&pb::AgreementProposed {
                terms: Some(write_terms(terms)),
                proposed_by: by.clone(),
            }),
            agreement::Event::Approved { by } => RawEvent::of(&pb::AgreementApproved {
                approved_by: by.clone(),
            }),
            agreement::Event::Suspended { reason, by } => RawEvent::of(&pb::AgreementSuspended {
                reason: reason.clone(),
                suspended_by: by.clone(),
            }),
            agreement::Event::Ended { reason } => RawEvent::of(&pb::AgreementEnded {
                reason: reason.clone(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<agreement::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::AgreementProposed::full_name() {
            let message: pb::AgreementProposed = wire::message(raw)?;
            Ok(agreement::Event::Proposed {
                terms: read_terms(wire::present(message.terms, "terms")?)?,
                by: message.proposed_by,
            })
        } else if name == pb::AgreementApproved::full_name() {
            let message: pb::AgreementApproved = wire::message(raw)?;
            let by = message.approved_by;
            Ok(agreement::Event::Approved { by })
        } else if name == pb::AgreementSuspended::full_name() {
            let message: pb::AgreementSuspended = wire::message(raw)?;
            Ok(agreement::Event::Suspended {
                reason: message.reason,
                by: message.suspended_by,
            })
        } else if name == pb::AgreementEnded::full_name() {
            let message: pb::AgreementEnded = wire::message(raw)?;
            let reason = message.reason;
            Ok(agreement::Event::Ended { reason })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Looks {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "looks";

    fn encode(event: &Recorded) -> RawEvent {
        match event {
            Recorded::Access(look) => RawEvent::of(&pb::AccessRecorded {
                look: Some(write_look(look)),
            }),
            Recorded::Provided { look, agreements } => RawEvent::of(&pb::DataProvided {
                look: Some(write_look(look)),
                agreement_ids: agreements.iter().map(Uuid::to_string).collect(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Recorded, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::AccessRecorded::full_name() {
            let message: pb::AccessRecorded = wire::message(raw)?;
            Ok(Recorded::Access(read_look(message.look)?))
        } else if name == pb::DataProvided::full_name() {
            let message: pb::DataProvided = wire::message(raw)?;
            let ids = message.agreement_ids.iter();
            Ok(Recorded::Provided {
                look: read_look(message.look)?,
                agreements: ids
                    .map(|id| wire::id(id, "agreement_ids"))
                    .collect::<Result<_, _>>()?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for BrokenGlass {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "break_glass";

    fn encode(event: &GlassBroken) -> RawEvent {
        RawEvent::of(&pb::GlassBroken {
            look: Some(write_look(&event.look)),
            reason: Some(types::Sealed::from(&event.reason)),
        })
    }

    fn decode(raw: &RawEvent) -> Result<GlassBroken, DecodeError> {
        if raw.event_type != pb::GlassBroken::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::GlassBroken = wire::message(raw)?;
        Ok(GlassBroken {
            look: read_look(message.look)?,
            reason: wire::sealed(message.reason, "reason")?,
        })
    }
}

impl Aggregate for AuditHeads {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "audit";

    fn encode(event: &HeadSigned) -> RawEvent {
        RawEvent::of(&pb::AuditHeadSigned {
            sequence: event.sequence.cast_signed(),
            head: event.head.to_vec().into(),
            key_id: event.key.clone(),
            signature: event.signature.to_vec().into(),
        })
    }

    fn decode(raw: &RawEvent) -> Result<HeadSigned, DecodeError> {
        if raw.event_type != pb::AuditHeadSigned::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::AuditHeadSigned = wire::message(raw)?;
        Ok(HeadSigned {
            sequence: wire::present(message.sequence.try_into().ok(), "sequence")?,
            head: wire::present(<[u8; 32]>::try_from(&message.head[..]).ok(), "head")?,
            signature: wire::present(
                <[u8; 64]>::try_from(&message.signature[..]).ok(),
                "signature",
            )?,
            key: message.key_id,
        })
    }
}

impl Aggregate for Credential {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "credential";

    fn encode(event: &credential::Event) -> RawEvent {
        match event {
            credential::Event::Issued { credential, by } => {
                RawEvent::of(&pb::FeedCredentialIssued {
                    credential_id: credential.to_string(),
                    issued_by: by.clone(),
                })
            }
            credential::Event::Revoked { credential, reason } => {
                RawEvent::of(&pb::FeedCredentialRevoked {
                    credential_id: credential.to_string(),
                    reason: reason.clone(),
                })
            }
        }
    }

    fn decode(raw: &RawEvent) -> Result<credential::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::FeedCredentialIssued::full_name() {
            let message: pb::FeedCredentialIssued = wire::message(raw)?;
            Ok(credential::Event::Issued {
                credential: wire::id(&message.credential_id, "credential_id")?,
                by: message.issued_by,
            })
        } else if name == pb::FeedCredentialRevoked::full_name() {
            let message: pb::FeedCredentialRevoked = wire::message(raw)?;
            Ok(credential::Event::Revoked {
                credential: wire::id(&message.credential_id, "credential_id")?,
                reason: message.reason,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Erasure {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "erasure";

    fn encode(event: &erasure::Event) -> RawEvent {
        match event {
            erasure::Event::Asked { departments } => RawEvent::of(&pb::TombstonesSent {
                departments: departments.iter().cloned().collect(),
            }),
            erasure::Event::Confirmed { department, by } => RawEvent::of(&pb::ErasureConfirmed {
                department: department.clone(),
                confirmed_by: by.clone(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<erasure::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::TombstonesSent::full_name() {
            let message: pb::TombstonesSent = wire::message(raw)?;
            Ok(erasure::Event::Asked {
                departments: message.departments.into_iter().collect(),
            })
        } else if name == pb::ErasureConfirmed::full_name() {
            let message: pb::ErasureConfirmed = wire::message(raw)?;
            Ok(erasure::Event::Confirmed {
                department: message.department,
                by: message.confirmed_by,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

/// The message of an agreement's terms, in the order of the catalogue and of the codes.
pub(crate) fn write_terms(terms: &Terms) -> pb::AgreementTerms {
    pb::AgreementTerms {
        department: terms.department.clone(),
        purpose: terms.purpose.clone(),
        legal_basis: terms.legal_basis.clone(),
        products: write_grants(&terms.products),
        division_codes: terms
            .divisions
            .iter()
            .map(DivisionCode::to_string)
            .collect(),
        until: Some(write_day(terms.until)),
    }
}

/// The terms of such a message.
pub(crate) fn read_terms(message: pb::AgreementTerms) -> Result<Terms, DecodeError> {
    let codes = message.division_codes.iter();
    Ok(Terms {
        department: message.department,
        purpose: message.purpose,
        legal_basis: message.legal_basis,
        products: read_grants(&message.products)?,
        divisions: codes
            .map(|code| wire::division(code))
            .collect::<Result<_, _>>()?,
        until: wire::day(message.until, "until")?,
    })
}

fn write_grants(grants: &Grants) -> Vec<pb::ProductGrant> {
    let granted = grants.products().map(|name| pb::ProductGrant {
        product: name.name().to_owned(),
        fields: grants
            .fields(name)
            .map(|(field, cut)| pb::FieldGrant {
                field: field.name.to_owned(),
                cut: write_cut(cut).into(),
            })
            .collect(),
    });
    granted.collect()
}

fn read_grants(products: &[pb::ProductGrant]) -> Result<Grants, DecodeError> {
    let mut grants = Grants::default();
    for granted in products {
        let name = wire::present(ProductName::parse(&granted.product), "product")?;
        for grant in &granted.fields {
            let field = wire::present(product(name).field(&grant.field), "field")?;
            grants.grant(name, field.name, read_cut(grant.cut)?);
        }
    }
    Ok(grants)
}

fn write_cut(cut: Cut) -> pb::Cut {
    match cut {
        Cut::Masked => pb::Cut::Masked,
        Cut::Plain => pb::Cut::Plain,
    }
}

fn read_cut(number: i32) -> Result<Cut, DecodeError> {
    match pb::Cut::try_from(number) {
        Ok(pb::Cut::Masked) => Ok(Cut::Masked),
        Ok(pb::Cut::Plain) => Ok(Cut::Plain),
        Ok(pb::Cut::Unspecified) | Err(_) => Err(DecodeError::malformed("cut")),
    }
}

/// The message of a look.
pub(crate) fn write_look(look: &Look) -> pb::Look {
    pb::Look {
        caller: look.caller.clone(),
        department: look.department.clone(),
        purpose: look.purpose.clone(),
        method: look.method.clone(),
        address: look.address.clone(),
        at: Some(write_time(look.at)),
        elder_ids: look.elders.iter().map(ElderId::to_string).collect(),
        fields: look.fields.clone(),
    }
}

/// The look of such a message.
pub(crate) fn read_look(message: Option<pb::Look>) -> Result<Look, DecodeError> {
    let message = wire::present(message, "look")?;
    let ids = message.elder_ids.iter();
    Ok(Look {
        elders: ids.map(|id| wire::elder(id)).collect::<Result<_, _>>()?,
        caller: message.caller,
        department: message.department,
        purpose: message.purpose,
        method: message.method,
        address: message.address,
        at: wire::time(message.at, "at")?,
        fields: message.fields,
    })
}

//! Who has looked at whose data, and why where that is told; and the newest signed head of the chain over all on record.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use elders::wire::write_time;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use service::{Action, Caller, access, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::{Code, Status};
use uuid::Uuid;
use vault::{DataKey, Sealed};

use crate::book_table::NAME;
use crate::codec::purpose;
use crate::look::{Look, LookKind, Recorded};
use crate::refusals;
use crate::right::look_by;
use crate::sharing::Sharing;

/// What goes on record where somebody is told why a glass was broken.
const REASON: &str = "break_glass.reason";

/// Whose looks are listed.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// Those at an elder.
    Elder(ElderId),
    /// Those of a caller.
    Caller(String),
}

/// Which looks are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) whose: Whose,
    pub(crate) first: Option<LocalDay>,
    pub(crate) last: Option<LocalDay>,
}

/// A look that was found.
struct Found {
    cursor: Cursor,
    told: pb::RecordedLook,
    /// Why the glass was broken, and at whom; none of other looks.
    reason: Option<(ElderId, Sealed<pb::BreakGlassReason>)>,
}

/// Before which look a page begins: sequence, and place in the record.
pub(crate) type Cursor = (u64, i32);

impl Sharing {
    /// A page of looks, the last one first, and the cursor of the next one. Everybody may see their own; why a glass was
    /// broken is told to those who may review.
    pub(crate) async fn get_access_history(
        &self,
        caller: &Caller,
        filter: &Filter,
        before: Option<Cursor>,
        size: u32,
        address: String,
    ) -> Result<(Vec<pb::RecordedLook>, Option<Cursor>), Status> {
        match &filter.whose {
            // Who reads files everywhere learns of the looks at somebody who was erased, too: records of provision outlast that.
            Whose::Elder(_) if caller.may_do_everywhere(Action::ReadPersonal).is_ok() => {}
            Whose::Elder(elder) => {
                let division = self.division_of(*elder).await?;
                // Whoever may not look learns nothing, not even whether there is such an elder.
                let may = caller.may(Action::ReadPersonal, &division);
                may.map_err(|_refused| refusals::no_elder(*elder))?;
            }
            Whose::Caller(other) if *other == caller.actor() => {}
            Whose::Caller(_) => caller.may_do_everywhere(Action::ReadPersonal)?,
        }
        let (from, whose) = match &filter.whose {
            Whose::Elder(_) => (
                format!(
                    "{NAME}.look_of o JOIN {NAME}.look l ON l.sequence = o.sequence AND l.place = o.place"
                ),
                "o.elder_id",
            ),
            Whose::Caller(_) => (format!("{NAME}.look o"), "o.caller"),
        };
        let statement = format!(
            "SELECT o.sequence, o.place, kind, look, agreement_ids, reason FROM {from} WHERE {whose} = $1 \
             AND ($2::timestamptz IS NULL OR o.at >= $2) AND ($3::timestamptz IS NULL OR o.at < $3) \
             AND ($4::bigint IS NULL OR (o.sequence, o.place) < ($4, $5)) \
             ORDER BY o.sequence DESC, o.place DESC LIMIT $6"
        );
        let query = sqlx::query(AssertSqlSafe(statement));
        let query = match &filter.whose {
            Whose::Elder(elder) => query.bind(elder.as_uuid()),
            Whose::Caller(caller) => query.bind(caller.as_str()),
        };
        let rows = query
            .bind(filter.first.map(LocalDay::start))
            .bind(filter.last.map(LocalDay::end))
            .bind(before.map(|(sequence, _)| sequence.cast_signed()))
            .bind(before.map(|(_, place)| place))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let found = rows.iter().map(|row| self.recorded(row, &filter.whose));
        let found = found.collect::<Result<Vec<_>, sqlx::Error>>();
        let mut found = found.map_err(errors::of_database)?;
        let next = paging::cut(&mut found, size).map(|last| last.cursor);
        self.tell_reasons(caller, &mut found, address).await?;
        let looks: Vec<pb::RecordedLook> = found.into_iter().map(|one| one.told).collect();
        let elders = looks.iter().filter_map(|one| one.look.as_ref());
        let elders: BTreeSet<&String> = elders.flat_map(|look| &look.elder_ids).collect();
        access::record(caller, "GetAccessHistory", elders);
        Ok((looks, next))
    }

    /// Adds why glasses were broken, for a caller who may review where the elder lives. That it is told is a look by itself,
    /// on record before. Of an erased elder nobody learns it any more.
    async fn tell_reasons(
        &self,
        caller: &Caller,
        found: &mut [Found],
        address: String,
    ) -> Result<(), Status> {
        let reasons = found.iter().filter_map(|one| one.reason.as_ref());
        let elders: BTreeSet<ElderId> = reasons.map(|(elder, _)| *elder).collect();
        let mut told = Vec::new();
        for elder in elders {
            match self.division_of(elder).await {
                Ok(division) if caller.may(Action::Review, &division).is_ok() => told.push(elder),
                Ok(_) => {}
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Err(status),
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        let look = Look {
            elders: told.clone(),
            fields: vec![REASON.to_owned()],
            ..look_by(caller, "GetAccessHistory", address, self.clock.now())
        };
        self.recorder.record(Recorded::Access(look)).await?;
        for elder in told {
            // Who was erased meanwhile has none.
            let Some(key) = self.keys.key(elder.as_uuid()).await? else {
                continue;
            };
            for one in found.iter_mut() {
                one.open(elder, &key);
            }
        }
        Ok(())
    }

    /// The look of a row.
    fn recorded(&self, row: &PgRow, whose: &Whose) -> Result<Found, sqlx::Error> {
        let broken = || sqlx::Error::Decode("a row holds no look".into());
        let sequence = row.try_get::<i64, _>(0)?.cast_unsigned();
        let kind = LookKind::parse(row.try_get(2)?).ok_or_else(broken)?;
        let look: &[u8] = row.try_get(3)?;
        let mut look = pb::Look::decode(look).map_err(|_unreadable| broken())?;
        let reason: Option<&[u8]> = row.try_get(5)?;
        // A dossier is one elder's.
        let reason = reason
            .and_then(|sealed| Sealed::<pb::BreakGlassReason>::from_bytes(sealed).ok())
            .and_then(|sealed| Some((look.elder_ids.first()?.parse::<ElderId>().ok()?, sealed)));
        if let Whose::Elder(elder) = whose {
            // Who else was told of is nothing to whoever asks about this one.
            look.elder_ids = vec![elder.to_string()];
        }
        let agreements: Vec<Uuid> = row.try_get(4)?;
        let told = pb::RecordedLook {
            kind: wire(kind).into(),
            look: Some(look),
            agreement_ids: agreements.iter().map(Uuid::to_string).collect(),
            position: Position::new(self.logs.own.stream(), sequence).to_string(),
            reason: String::new(),
        };
        Ok(Found {
            cursor: (sequence, row.try_get(1)?),
            told,
            reason,
        })
    }

    /// The newest signed head of the chain.
    pub(crate) async fn get_audit_head(&self) -> Result<pb::GetAuditHeadResponse, Status> {
        let statement = format!(
            "SELECT through, head, key_id, signature, signed_at FROM {NAME}.audit_head \
             ORDER BY sequence DESC LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .fetch_optional(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let row = row.ok_or_else(refusals::no_audit_head)?;
        let (head, signed_at) = signed(&row).map_err(errors::of_database)?;
        let public_key = self.audit_public_key(&head.key_id);
        Ok(pb::GetAuditHeadResponse {
            head: Some(head),
            signed_at: Some(write_time(signed_at)),
            public_key,
        })
    }
}

impl Found {
    /// Adds why the glass of this elder was broken.
    fn open(&mut self, whose: ElderId, key: &DataKey) {
        let Some((elder, sealed)) = &self.reason else {
            return;
        };
        if *elder == whose
            && let Ok(reason) = key.open(purpose::BREAK_GLASS_REASON, elder.as_uuid(), sealed)
        {
            self.told.reason = reason.text;
        }
    }
}

fn signed(row: &PgRow) -> Result<(pb::AuditHeadSigned, DateTime<Utc>), sqlx::Error> {
    let head: Vec<u8> = row.try_get(1)?;
    let signature: Vec<u8> = row.try_get(3)?;
    let signed = pb::AuditHeadSigned {
        sequence: row.try_get(0)?,
        head: head.into(),
        key_id: row.try_get(2)?,
        signature: signature.into(),
    };
    Ok((signed, row.try_get(4)?))
}

fn wire(kind: LookKind) -> pb::LookKind {
    match kind {
        LookKind::Access => pb::LookKind::Access,
        LookKind::Provided => pb::LookKind::Provided,
        LookKind::BreakGlass => pb::LookKind::BreakGlass,
    }
}

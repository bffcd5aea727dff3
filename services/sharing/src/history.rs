//! Who has looked at whose data, and why where that is told; and the newest signed head of the chain over all on record.
//!
//! Who looked at somebody says something of that one, too: each page of a history is a look at those whom it names, on record
//! before it is told. So a history does not show the look that it is; the next one does.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use elders::wire::write_time;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use service::{Action, AnswerRoom, Caller, access, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::{Code, Status};
use uuid::Uuid;
use vault::{DataKey, Sealed};

use crate::book_table::NAME;
use crate::codec::purpose;
use crate::look::{LookKind, Recorded};
use crate::look_groups::groups;
use crate::refusals;
use crate::right::look_by;
use crate::sharing::Sharing;

/// By which method histories are told.
const METHOD: &str = "GetAccessHistory";
/// What goes on record where somebody is told who looked at an elder.
pub(crate) const HISTORY: &str = "access.history";
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
        (before, size): (Option<Cursor>, u32),
        mut room: AnswerRoom,
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
        let mut next = paging::cut(&mut found, size).map(|last| last.cursor);
        self.open_reasons(caller, &mut found).await?;
        let fitting = found.iter().take_while(|one| room.takes(&one.told));
        let fitting = fitting.count();
        if fitting < found.len() {
            found.truncate(fitting);
            next = found.last().map(|last| last.cursor);
        }
        self.put_on_record(caller, &found, address).await?;
        self.close_reasons(caller, &mut found).await?;
        let looks = found.into_iter().map(|one| one.told).collect();
        Ok((looks, next))
    }

    /// Puts on record whose histories are told, and of whom it is told why a glass was broken.
    async fn put_on_record(
        &self,
        caller: &Caller,
        found: &[Found],
        address: String,
    ) -> Result<(), Status> {
        let told: Vec<(ElderId, Vec<String>)> = found.iter().flat_map(Found::told_of).collect();
        if told.is_empty() {
            return Ok(());
        }
        let elders: BTreeSet<ElderId> = told.iter().map(|(elder, _)| *elder).collect();
        let look = look_by(caller, METHOD, address, self.clock.now());
        let told = told.into_iter().map(|(elder, fields)| ((), elder, fields));
        let looks = groups(told).into_iter();
        let looks = looks.map(|group| Recorded::Access(group.within(&look)));
        self.recorder.record_all(looks.collect()).await?;
        access::record(caller, METHOD, elders);
        Ok(())
    }

    /// Adds why glasses were broken, for a caller who may review where the elder lives. Of an erased elder nobody learns it any
    /// more.
    async fn open_reasons(&self, caller: &Caller, found: &mut [Found]) -> Result<(), Status> {
        for elder in self.reviewed_by(caller, found).await? {
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

    /// Takes away what has become nobody's, or somebody else's, to tell while it went on record.
    async fn close_reasons(&self, caller: &Caller, found: &mut [Found]) -> Result<(), Status> {
        if found.iter().all(|one| one.told.reason.is_empty()) {
            return Ok(());
        }
        let still = self.reviewed_by(caller, found).await?;
        for one in found {
            let elder = one.broken_at();
            let may_be_told = elder.is_some_and(|elder| still.contains(&elder));
            if !may_be_told {
                one.told.reason.clear();
            }
        }
        Ok(())
    }

    /// The elders of broken glasses of whom the caller may be told why.
    async fn reviewed_by(
        &self,
        caller: &Caller,
        found: &[Found],
    ) -> Result<BTreeSet<ElderId>, Status> {
        let elders: BTreeSet<ElderId> = found.iter().filter_map(Found::broken_at).collect();
        let mut reviewed = BTreeSet::new();
        for elder in elders {
            match self.division_of(elder).await {
                Ok(division) if caller.may(Action::Review, &division).is_ok() => {
                    reviewed.insert(elder);
                }
                Ok(_) => {}
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Err(status),
            }
        }
        Ok(reviewed)
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
    /// At whom a glass was broken, where that is why this look stands here.
    fn broken_at(&self) -> Option<ElderId> {
        self.reason.as_ref().map(|(elder, _)| *elder)
    }

    /// Of whom it tells, and what, as looks name it.
    fn told_of(&self) -> Vec<(ElderId, Vec<String>)> {
        let mut fields = vec![HISTORY.to_owned()];
        if !self.told.reason.is_empty() {
            fields.push(REASON.to_owned());
        }
        let ids = self.told.look.iter().flat_map(|look| &look.elder_ids);
        let elders = ids.filter_map(|id| id.parse::<ElderId>().ok());
        elders.map(|elder| (elder, fields.clone())).collect()
    }

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

//! Settlements and funds: what callers ask.

use chrono::NaiveDate;
use civic::{
    CalendarMonth, DepositKind, Fen, FundAccount, HoldState, LocalDay, OrderState, SettlementStage,
};
use elder_tables::columns::{day, place, word};
use elders::codec::{read_day, write_day};
use elders::terms::WireTerm as _;
use elders::wire::write_time;
use eventlog::{Aggregate as _, ExecuteError, Loaded, Position, Repository};
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Caller, Deadline, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;
use workbooks::Outgoing;

use crate::book_table::NAME;
use crate::claims::Claims;
use crate::orders::{STANDING, STANDINGS, from_orders, standing};
use crate::settlement_rows::id;
use crate::settlements::{Command, Event, Line, Settlements};
use crate::sheet::{self, Printed};
use crate::{fund, refusals, registers};

/// The most orders of a settlement: more would not fit a record of the log.
const MOST_ORDERS: usize = 10_000;

/// Which settlement.
#[derive(Clone, Debug)]
pub(crate) struct Which {
    pub(crate) programme: String,
    pub(crate) provider: String,
    pub(crate) number: u32,
}

/// Which settlements are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) programme: String,
    pub(crate) provider: Option<String>,
    pub(crate) month: Option<CalendarMonth>,
    pub(crate) stage: Option<SettlementStage>,
}

/// What was paid.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) amount: Fen,
    pub(crate) paid_on: LocalDay,
    pub(crate) reference: String,
}

/// What is put right.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    pub(crate) amount: Fen,
    pub(crate) order: Option<Uuid>,
    pub(crate) reason: String,
}

/// Why money does not move.
enum Unpaid {
    Settlement(crate::settlements::Refusal),
    Fund(fund::Refusal),
}

impl Claims {
    /// Puts together what was approved in a month.
    pub(crate) async fn draft_settlement(
        &self,
        caller: &Caller,
        asked: Asked,
        programme: String,
        provider: String,
        month: CalendarMonth,
        deadline: Deadline,
    ) -> Result<(pb::Settlement, Position), Status> {
        let known = self.programme(&programme).await?;
        caller.may_here(&known.division)?;
        // All that was approved by now is in it.
        self.catch_up(deadline).await?;
        let approved = self.unsettled(&programme, &provider, month).await;
        let command = Command::Draft {
            month,
            approved: approved.map_err(errors::of_database)?,
            most: MOST_ORDERS,
        };
        let context = asked.by(caller, self.clock.now(), Some(known.division));
        let id = id(&programme, &provider);
        let committed = self.settlements.execute(&id, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_settlement))?;
        let drafted = if committed.repeated {
            // A retry is answered with the draft that it brought about, whatever came after.
            self.drafted_at(&id, committed.position.sequence).await?
        } else {
            let settlements = committed.state.state.settlements.iter().zip(1_u32..);
            settlements
                .filter(|(settlement, _)| settlement.month == month)
                .map(|(_, number)| number)
                .last()
        };
        let which = Which {
            programme,
            provider,
            number: drafted.unwrap_or_default(),
        };
        let settlement = self.named(told(&which, &committed.state)?).await?;
        Ok((settlement, committed.position))
    }

    /// The first orders approved in a month that a draft may take: as many as one takes. Those that wait for a reviewer or
    /// stand in a settlement that is confirmed are passed by, so that draft after draft comes to all others.
    async fn unsettled(
        &self,
        programme: &str,
        provider: &str,
        month: CalendarMonth,
    ) -> Result<Vec<Line>, sqlx::Error> {
        let statement = format!(
            "SELECT o.order_key, o.amount FROM {NAME}.approval a \
             JOIN {NAME}.service_order o ON o.order_key = a.order_key AND o.approved_at = a.approved_at \
             LEFT JOIN {NAME}.hold h ON h.order_key = o.order_key \
             LEFT JOIN {NAME}.settled s ON s.order_key = o.order_key \
             LEFT JOIN {NAME}.settlement t \
                 ON t.programme = s.programme AND t.provider_id = s.provider_id AND t.number = s.number \
             WHERE a.programme = $1 AND a.provider_id = $2 AND a.approved_at >= $3 AND a.approved_at < $4 AND o.state = $5 \
             AND h.state IS DISTINCT FROM $6 AND (t.stage IS NULL OR t.stage = $7) ORDER BY o.day, o.sequence LIMIT $8"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(programme)
            .bind(provider)
            .bind(month.first_day().start())
            .bind(month.last_day().end())
            .bind(place(OrderState::Approved))
            .bind(place(HoldState::OnHold))
            .bind(place(SettlementStage::Draft))
            .bind(i64::try_from(MOST_ORDERS).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        let line = |row: &PgRow| {
            Ok(Line {
                order: row.try_get(0)?,
                amount: Fen(row.try_get(1)?),
            })
        };
        rows.iter().map(line).collect()
    }

    /// The number of the settlement that a record drafted.
    async fn drafted_at(&self, id: &str, sequence: u64) -> Result<Option<u32>, Status> {
        let subject = Repository::<Settlements>::subject(id);
        let subject = subject.map_err(|error| errors::internal(&error))?;
        let records = self.own.read(&subject, sequence.saturating_sub(1)).await;
        let records = records.map_err(|error| service::not_loaded(error.into()))?;
        let events = records.first().into_iter().flat_map(|one| &one.events);
        let mut events = events.filter_map(|raw| Settlements::decode(raw).ok());
        Ok(events.find_map(|event| match event {
            Event::Drafted { number, .. } => Some(number),
            Event::Confirmed { .. }
            | Event::Paid { .. }
            | Event::Adjusted { .. }
            | Event::PutOnHold { .. }
            | Event::HoldEnded { .. }
            | Event::RecoveryListed { .. } => None,
        }))
    }

    /// Fixes a draft.
    pub(crate) async fn confirm_settlement(
        &self,
        caller: &Caller,
        asked: Asked,
        which: Which,
        total: Fen,
    ) -> Result<(pb::Settlement, Position), Status> {
        let known = self.programme(&which.programme).await?;
        caller.knows(&known.division, refusals::no_settlement)?;
        let fund = self.funds.load_newest(&which.programme).await;
        let fund = fund.map_err(service::not_loaded)?;
        let command = Command::Confirm {
            number: which.number,
            total,
            today: self.clock.today(),
        };
        let context = asked.by(caller, self.clock.now(), Some(known.division));
        let overdrawn = total > fund.state.balance();
        let id = id(&which.programme, &which.provider);
        let committed = self.settlements.execute_with(&id, &context, |held| {
            let decided = decider::Decider::decide(&held.state, &command);
            let decided = decided.map_err(Unpaid::Settlement);
            let outcome = decided.and_then(|events| {
                if overdrawn {
                    Err(Unpaid::Fund(fund::Refusal::Overdrawn))
                } else {
                    Ok(events)
                }
            });
            async move { outcome }
        });
        let committed = committed.await;
        let committed = committed.map_err(|error| service::not_executed(error, unpaid))?;
        let settlement = self.named(told(&which, &committed.state)?).await?;
        Ok((settlement, committed.position))
    }

    /// Records that a settlement was paid: settlement and fund in one.
    pub(crate) async fn record_payment(
        &self,
        caller: &Caller,
        asked: Asked,
        which: Which,
        payment: Payment,
    ) -> Result<(pb::Settlement, Position), Status> {
        let known = self.programme(&which.programme).await?;
        caller.knows(&known.division, refusals::no_settlement)?;
        let context = asked.by(caller, self.clock.now(), Some(known.division));
        let id = id(&which.programme, &which.provider);
        let paid = self
            .settlements
            .transact(&id, &context, |unit, settlements| {
                let (which, payment, funds) = (&which, &payment, &self.funds);
                async move {
                    let command = Command::Pay {
                        number: which.number,
                        amount: payment.amount,
                        paid_on: payment.paid_on,
                        reference: payment.reference.clone(),
                    };
                    let refused = |refusal| ExecuteError::Refused(Unpaid::Settlement(refusal));
                    let decided = decider::Decider::decide(&settlements.state, &command);
                    let decided = decided.map_err(refused)?;
                    let reserved = settlements.state.get(which.number);
                    let reserved = reserved.map_or(Fen::ZERO, |one| one.orders_total());
                    let fund = unit.load(funds, &which.programme).await?;
                    let pay = fund::Command::Pay {
                        provider: which.provider.clone(),
                        number: which.number,
                        amount: payment.amount,
                        reserved,
                    };
                    let refused = |refusal| ExecuteError::Refused(Unpaid::Fund(refusal));
                    let moved = decider::Decider::decide(&fund.state, &pay).map_err(refused)?;
                    unit.record(fund, moved);
                    unit.record(settlements, decided);
                    Ok(())
                }
            });
        let committed = paid
            .await
            .map_err(|error| service::not_executed(error, unpaid))?;
        let settlement = self.named(told(&which, &committed.state)?).await?;
        Ok((settlement, committed.position))
    }

    /// Puts right what a paid settlement got wrong; the adjustment, and where it stands.
    pub(crate) async fn adjust_settlement(
        &self,
        caller: &Caller,
        asked: Asked,
        which: Which,
        wrong: Wrong,
    ) -> Result<(Uuid, Position), Status> {
        let known = self.programme(&which.programme).await?;
        caller.knows(&known.division, refusals::no_settlement)?;
        let adjustment = registers::id_of(asked.request_id, "adjustment");
        let command = Command::Adjust {
            adjustment,
            number: which.number,
            amount: wrong.amount,
            order: wrong.order,
            reason: wrong.reason,
        };
        let context = asked.by(caller, self.clock.now(), Some(known.division));
        let id = id(&which.programme, &which.provider);
        let committed = self.settlements.execute(&id, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_settlement))?;
        Ok((adjustment, committed.position))
    }

    /// Names the orders of adjustments as callers know them: by the providers' numbers.
    async fn named(&self, mut settlement: pb::Settlement) -> Result<pb::Settlement, Status> {
        let adjustments = settlement.adjustments.iter();
        let keys = adjustments.filter_map(|one| one.order_id.parse().ok());
        let keys: Vec<Uuid> = keys.collect();
        if keys.is_empty() {
            return Ok(settlement);
        }
        let standings = self.standings(&keys).await?;
        for adjustment in &mut settlement.adjustments {
            let key: Option<Uuid> = adjustment.order_id.parse().ok();
            let standing = key.and_then(|key| standings.get(&key));
            adjustment.order_id = standing.map_or_else(String::new, |one| one.order_id.clone());
        }
        Ok(settlement)
    }

    /// A settlement with its orders.
    pub(crate) async fn get_settlement(
        &self,
        caller: &Caller,
        which: &Which,
    ) -> Result<pb::GetSettlementResponse, Status> {
        self.with_orders(caller, which, "GetSettlement").await
    }

    /// The same, on record as told by a method.
    async fn with_orders(
        &self,
        caller: &Caller,
        which: &Which,
        method: &'static str,
    ) -> Result<pb::GetSettlementResponse, Status> {
        let known = self.programme(&which.programme).await?;
        caller.knows(&known.division, refusals::no_settlement)?;
        let id = id(&which.programme, &which.provider);
        let loaded = self.settlements.load_newest(&id).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let settlement = self.named(told(which, &loaded)?).await?;
        let statement = format!(
            "SELECT {STANDING} FROM {} WHERE s.programme = $1 AND s.provider_id = $2 AND s.number = $3 \
             ORDER BY o.day, o.sequence",
            from_orders()
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&which.programme)
            .bind(&which.provider)
            .bind(which.number.cast_signed())
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let orders = rows.iter().map(standing).collect::<Result<Vec<_>, _>>();
        let orders = orders.map_err(errors::of_database)?;
        let elders = orders.iter().map(|order| &order.elder_id);
        caller.told(method, elders, STANDINGS).await?;
        Ok(pb::GetSettlementResponse {
            settlement: Some(settlement),
            orders,
        })
    }

    /// A settlement as a file for the finance office.
    pub(crate) async fn export_settlement(
        &self,
        caller: &Caller,
        which: &Which,
        format: pb::SettlementFormat,
    ) -> Result<Outgoing, Status> {
        let place = self.exports.place().await?;
        let found = self.with_orders(caller, which, "ExportSettlement").await?;
        let provider = self.providers.load_newest(&which.provider).await;
        let provider = provider.map_err(service::not_loaded)?;
        let contracts = provider.state.contracts.iter();
        let name = contracts.last().map(|contract| contract.name.clone());
        let known = self.programme(&which.programme).await?;
        let programme_name = known.version(0).map(|(_, said)| said.name.clone());
        let names = (programme_name.unwrap_or_default(), name.unwrap_or_default());
        let printed = printed(which, found, names)?;
        let on = self.clock.today();
        let print = move || {
            let bytes = if format == pb::SettlementFormat::Csv {
                sheet::csv(&printed).map_err(|error| errors::internal(&error))
            } else {
                sheet::xlsx(&printed, on).map_err(|error| errors::internal(&error))
            };
            // It goes on also where the caller has gone meanwhile.
            drop(place);
            bytes
        };
        let bytes = tokio::task::spawn_blocking(print).await;
        self.exports
            .send(bytes.map_err(|error| errors::internal(&error))??)
    }

    /// A page of settlements, by provider and number, and the cursor of the next one.
    pub(crate) async fn list_settlements(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<(String, i32)>,
        size: u32,
    ) -> Result<(Vec<pb::Settlement>, Option<(String, i32)>), Status> {
        let known = self.programme(&filter.programme).await?;
        caller.may_here(&known.division)?;
        let statement = format!(
            "SELECT programme, provider_id, number, month, stage, orders, orders_fen, total_fen, paid_on, reference \
             FROM {NAME}.settlement WHERE programme = $1 AND ($2::text IS NULL OR provider_id = $2) \
             AND ($3::date IS NULL OR month = $3) AND ($4::integer IS NULL OR stage = $4) \
             AND ($5::text IS NULL OR (provider_id, number) > ($5, $6)) ORDER BY provider_id, number LIMIT $7"
        );
        let (after_provider, after_number) = after.unzip();
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&filter.programme)
            .bind(filter.provider.as_deref())
            .bind(filter.month.map(|month| month.first_day().date()))
            .bind(filter.stage.map(place))
            .bind(after_provider)
            .bind(after_number)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let settlements = rows.iter().map(listed).collect::<Result<Vec<_>, _>>();
        let mut settlements = settlements.map_err(errors::of_database)?;
        let next =
            paging::cut(&mut settlements, size).map(|last| (last.provider_id.clone(), last.number));
        Ok((settlements, next))
    }

    /// Records money that came in.
    pub(crate) async fn deposit(
        &self,
        caller: &Caller,
        asked: Asked,
        programme: &str,
        (kind, amount, reference): (DepositKind, Fen, String),
    ) -> Result<Position, Status> {
        let known = self.programme(programme).await?;
        caller.may_here(&known.division)?;
        let command = fund::Command::Deposit {
            kind,
            amount,
            reference,
            persons: 0,
        };
        let context = asked.by(caller, self.clock.now(), Some(known.division));
        let committed = self.funds.execute(programme, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_fund))?;
        Ok(committed.position)
    }

    /// What a fund holds.
    pub(crate) async fn fund(
        &self,
        caller: &Caller,
        programme: &str,
    ) -> Result<pb::GetFundResponse, Status> {
        let known = self.programme(programme).await?;
        caller.may_here(&known.division)?;
        let loaded = self.funds.load_newest(programme).await;
        let fund = loaded.map_err(service::not_loaded)?.state;
        Ok(pb::GetFundResponse {
            in_fen: fund.deposited.0,
            premiums_fen: fund.premiums.0,
            reserved_fen: fund.reserved.0,
            paid_fen: fund.paid.0,
            balance_fen: fund.balance().0,
        })
    }

    /// A page of a fund's entries, oldest first, and the cursor of the next one.
    pub(crate) async fn ledger(
        &self,
        caller: &Caller,
        programme: &str,
        after: Option<(u64, i32)>,
        size: u32,
    ) -> Result<(Vec<pb::FundEntry>, Option<(u64, i32)>), Status> {
        let known = self.programme(programme).await?;
        caller.may_here(&known.division)?;
        let statement = format!(
            "SELECT sequence, place, at, amount, debit, credit, reference, balance FROM {NAME}.fund_entry \
             WHERE programme = $1 AND ($2::bigint IS NULL OR (sequence, place) > ($2, $3)) \
             ORDER BY sequence, place LIMIT $4"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(programme)
            .bind(after.map(|(sequence, _)| sequence.cast_signed()))
            .bind(after.map(|(_, place)| place))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let entry = |row: &PgRow| -> Result<((u64, i32), pb::FundEntry), sqlx::Error> {
            let sequence = row.try_get::<i64, _>(0)?.cast_unsigned();
            let entry = pb::FundEntry {
                position: Position::new(self.own.stream(), sequence).to_string(),
                at: Some(write_time(row.try_get(2)?)),
                amount_fen: row.try_get(3)?,
                debit: word::<FundAccount>(row.try_get(4)?)?.wire(),
                credit: word::<FundAccount>(row.try_get(5)?)?.wire(),
                reference: row.try_get(6)?,
                balance_fen: row.try_get(7)?,
            };
            Ok(((sequence, row.try_get(1)?), entry))
        };
        let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>();
        let mut entries = entries.map_err(errors::of_database)?;
        let next = paging::cut(&mut entries, size).map(|(cursor, _)| *cursor);
        Ok((entries.into_iter().map(|(_, entry)| entry).collect(), next))
    }
}

fn printed(
    which: &Which,
    found: pb::GetSettlementResponse,
    (programme_name, provider_name): (String, String),
) -> Result<Printed, Status> {
    let broken = || errors::internal(&"a settlement that can't be printed");
    let settlement = found.settlement.ok_or_else(broken)?;
    let read = |date: Option<types::Date>| date.and_then(read_day).ok_or_else(broken);
    let lines = found.orders.into_iter().map(|order| {
        Ok(sheet::Line {
            day: read(order.service_day)?,
            order: order.order_id,
            entitled_by: order.entitled_by,
            amount: Fen(order.amount_fen),
        })
    });
    let adjustments = settlement
        .adjustments
        .into_iter()
        .map(|one| sheet::Adjusted {
            corrected: one.corrected_number.cast_unsigned(),
            reason: one.reason,
            amount: Fen(one.amount_fen),
        });
    let paid_on = settlement.paid_on.and_then(read_day);
    Ok(Printed {
        programme: which.programme.clone(),
        programme_name,
        provider: which.provider.clone(),
        provider_name,
        number: which.number,
        month: read(settlement.month)?.month(),
        stage: SettlementStage::from_wire(settlement.stage).ok_or_else(broken)?,
        lines: lines.collect::<Result<_, Status>>()?,
        adjustments: adjustments.collect(),
        total: Fen(settlement.total_fen),
        paid: paid_on.map(|paid_on| (paid_on, settlement.reference)),
    })
}

fn unpaid(why: Unpaid) -> Status {
    match why {
        Unpaid::Settlement(refusal) => refusals::of_settlement(refusal),
        Unpaid::Fund(refusal) => refusals::of_fund(refusal),
    }
}

fn told(which: &Which, loaded: &Loaded<Settlements>) -> Result<pb::Settlement, Status> {
    let settlement = loaded.state.get(which.number);
    let settlement = settlement.ok_or_else(refusals::no_settlement)?;
    let orders = settlement.orders_total();
    let adjustments = settlement.adjustments.iter().filter_map(|id| {
        let adjustment = loaded.state.adjustments.get(id)?;
        Some(pb::Adjustment {
            adjustment_id: id.to_string(),
            corrected_number: adjustment.corrected.cast_signed(),
            amount_fen: adjustment.amount.0,
            order_id: adjustment
                .order
                .map_or_else(String::new, |key| key.to_string()),
            reason: adjustment.reason.clone(),
        })
    });
    let paid = settlement.paid.as_ref();
    Ok(pb::Settlement {
        programme_code: which.programme.clone(),
        provider_id: which.provider.clone(),
        number: which.number.cast_signed(),
        month: Some(write_day(settlement.month.first_day())),
        stage: settlement.stage.wire(),
        orders: i32::try_from(settlement.lines.len()).unwrap_or(i32::MAX),
        orders_fen: orders.0,
        adjustments_fen: settlement.total.0 - orders.0,
        total_fen: settlement.total.0,
        paid_on: paid.map(|(paid_on, _)| write_day(*paid_on)),
        reference: paid.map_or_else(String::new, |(_, reference)| reference.clone()),
        adjustments: adjustments.collect(),
        etag: service::etag(loaded.sequence),
    })
}

fn listed(row: &PgRow) -> Result<pb::Settlement, sqlx::Error> {
    let (orders_fen, total_fen): (i64, i64) = (row.try_get(6)?, row.try_get(7)?);
    let paid_on: Option<NaiveDate> = row.try_get(8)?;
    Ok(pb::Settlement {
        programme_code: row.try_get(0)?,
        provider_id: row.try_get(1)?,
        number: row.try_get(2)?,
        month: Some(write_day(day(row.try_get(3)?)?)),
        stage: word::<SettlementStage>(row.try_get(4)?)?.wire(),
        orders: row.try_get(5)?,
        orders_fen,
        adjustments_fen: total_fen - orders_fen,
        total_fen,
        paid_on: paid_on.map(day).transpose()?.map(write_day),
        reference: row.try_get(9)?,
        adjustments: vec![],
        etag: String::new(),
    })
}

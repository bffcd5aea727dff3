//! Programmes, providers and their caregivers: what callers ask of them.

use std::sync::Arc;

use civic::{DivisionCode, LocalDay};
use decider::Decider as _;
use elder_tables::columns::day;
use elders::codec::write_day;
use elders::terms::WireTerm as _;
use eventlog::{Aggregate as _, Position, Repository};
use proto::eldercare::claims::v1 as pb;
use service::{Asked, Caller, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tier_policy::policy::Fault;
use tokio::sync::OnceCell;
use tonic::Status;
use uuid::Uuid;

use crate::book_table::NAME;
use crate::claims::Claims;
use crate::codec::purpose;
use crate::definition::Definition;
use crate::programme::{Define, Defined, Programme};
use crate::provider::{Contract, Provider};
use crate::{caregiver, provider, refusals};

/// Days of a contract or a listing, as they are asked for.
pub(crate) type Days = (LocalDay, Option<LocalDay>);

/// The id of what a request brings about: the same for ever, so that a retry brings it about once.
pub(crate) fn id_of(request_id: Uuid, what: &str) -> Uuid {
    Uuid::new_v5(&request_id, what.as_bytes())
}

impl Claims {
    /// Defines a version of a programme; its number, and where it stands.
    pub(crate) async fn define_programme(
        &self,
        caller: &Caller,
        asked: Asked,
        code: &str,
        division: DivisionCode,
        definition: String,
    ) -> Result<(u32, Position), Status> {
        caller.may_where_asked(&division)?;
        let text = definition.clone();
        let read = checked(move || Definition::parse(&text)).await?;
        let command = Define {
            division,
            effective_from: read.effective_from,
            definition,
        };
        let context = asked.by(caller, self.clock.now(), Some(division));
        let (read, tried) = (Arc::new(read), OnceCell::new());
        let committed = self.programmes.execute_with(code, &context, |held| {
            let (command, read, tried) = (&command, &read, &tried);
            async move {
                let decided = held.state.decide(command);
                let decided = decided.map_err(refusals::of_programme)?;
                // What holds already, and what a retry asks for, was taken when less was tried, and stays taken.
                if !decided.is_empty() {
                    let trial = || {
                        let read = Arc::clone(read);
                        checked(move || read.tried())
                    };
                    tried.get_or_try_init(trial).await?;
                }
                Ok::<_, Status>(decided)
            }
        });
        let committed = committed.await;
        let committed =
            committed.map_err(|error| service::not_executed(error, std::convert::identity))?;
        let version = if committed.repeated {
            // A retry is answered with the version that it brought about, whatever came after.
            self.defined_at(code, committed.position.sequence).await?
        } else {
            committed.state.state.versions.last().map(|one| one.version)
        };
        let version = version.unwrap_or_default();
        Ok((version, committed.position))
    }

    /// The version that a record defined.
    async fn defined_at(&self, code: &str, sequence: u64) -> Result<Option<u32>, Status> {
        let subject = Repository::<Programme>::subject(code);
        let subject = subject.map_err(|error| errors::internal(&error))?;
        let records = self.own.read(&subject, sequence.saturating_sub(1)).await;
        let records = records.map_err(|error| service::not_loaded(error.into()))?;
        let first = records.first().and_then(|record| record.events.first());
        let defined = first.and_then(|raw| Programme::decode(raw).ok());
        Ok(defined.map(|defined| defined.version))
    }

    /// A version of a programme; 0: the newest.
    pub(crate) async fn get_programme(
        &self,
        code: &str,
        version: u32,
    ) -> Result<pb::Programme, Status> {
        let known = self.programme(code).await?;
        let version = known.version(version);
        let (defined, definition) = version.ok_or_else(|| refusals::no_version(code))?;
        Ok(told(code, defined, definition))
    }

    /// A page of programmes, each with its newest version, and the cursor of the next one.
    pub(crate) async fn list_programmes(
        &self,
        after: Option<&str>,
        size: u32,
    ) -> Result<(Vec<pb::Programme>, Option<String>), Status> {
        let statement = format!(
            "SELECT DISTINCT ON (code) code, version, division, effective_from, definition FROM {NAME}.programme \
             WHERE $1::text IS NULL OR code > $1 ORDER BY code, version DESC LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(after)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let programme = |row: &PgRow| -> Result<pb::Programme, sqlx::Error> {
            let division: &str = row.try_get(2)?;
            let broken = || sqlx::Error::Decode("a row holds no programme".into());
            let defined = Defined {
                version: row.try_get::<i32, _>(1)?.cast_unsigned(),
                division: division.parse().map_err(|_code| broken())?,
                effective_from: day(row.try_get(3)?)?,
                definition: row.try_get(4)?,
            };
            let definition = Definition::parse(&defined.definition).map_err(|_faults| broken())?;
            Ok(told(row.try_get(0)?, &defined, &definition))
        };
        let programmes = rows.iter().map(programme).collect::<Result<Vec<_>, _>>();
        let mut programmes = programmes.map_err(errors::of_database)?;
        let next = paging::cut(&mut programmes, size).map(|last| last.programme_code.clone());
        Ok((programmes, next))
    }

    /// Contracts a provider; the contract, and where it stands.
    pub(crate) async fn contract_provider(
        &self,
        caller: &Caller,
        asked: Asked,
        mut contract: Contract,
    ) -> Result<(Uuid, Position), Status> {
        let programme = self.programme(&contract.programme).await?;
        caller.may_here(&programme.division)?;
        // A request id that was used for two providers by mistake is no contract of both.
        contract.contract = id_of(
            asked.request_id,
            &format!("contract of {}", contract.provider),
        );
        let (id, provider) = (contract.contract, &contract.provider);
        let context = asked.by(caller, self.clock.now(), Some(programme.division));
        let committed = self.providers.execute_with(provider, &context, |held| {
            let (claims, contract, own) = (self, &contract, programme.division);
            async move {
                let divisions = claims.divisions_of(&held.state).await?;
                let near = |other: &DivisionCode| other.contains(&own) || own.contains(other);
                let command = provider::Command::Contract {
                    contract: contract.clone(),
                    elsewhere: !divisions.is_empty() && !divisions.iter().any(near),
                };
                let decided = held.state.decide(&command);
                decided.map_err(refusals::of_provider)
            }
        });
        let committed = committed.await;
        let committed =
            committed.map_err(|error| service::not_executed(error, std::convert::identity))?;
        Ok((id, committed.position))
    }

    /// The divisions for whose programmes a provider was contracted, in the order of its contracts.
    async fn divisions_of(&self, provider: &Provider) -> Result<Vec<DivisionCode>, Status> {
        let mut codes: Vec<&String> = Vec::new();
        for contract in &provider.contracts {
            if !codes.contains(&&contract.programme) {
                codes.push(&contract.programme);
            }
        }
        let mut divisions = Vec::with_capacity(codes.len());
        for code in codes {
            divisions.push(self.programme(code).await?.division);
        }
        Ok(divisions)
    }

    /// Gives a contract a last day.
    pub(crate) async fn end_contract(
        &self,
        caller: &Caller,
        asked: Asked,
        provider: String,
        contract: Uuid,
        last: LocalDay,
    ) -> Result<Position, Status> {
        let loaded = self.providers.load_newest(&provider).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let mut contracts = loaded.state.contracts.iter();
        let known = contracts.find(|known| known.contract == contract);
        let unknown = || refusals::of_provider(provider::Refusal::Unknown);
        let known = known.ok_or_else(unknown)?;
        let division = self.programme(&known.programme).await?.division;
        caller.knows(&division, unknown)?;
        let context = asked.by(caller, self.clock.now(), Some(division));
        let command = provider::Command::End {
            provider: provider.clone(),
            contract,
            last,
        };
        let committed = self.providers.execute(&provider, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_provider))?;
        Ok(committed.position)
    }

    /// The first division for whose programme a provider was contracted, of those where the caller may do this; none: to
    /// the caller there is no such provider.
    async fn contracted_for(
        &self,
        caller: &Caller,
        provider: &str,
    ) -> Result<Option<DivisionCode>, Status> {
        let loaded = self.providers.load_newest(provider).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let mut divisions = self.divisions_of(&loaded.state).await?.into_iter();
        Ok(divisions.find(|division| caller.reaches(division)))
    }

    /// Puts somebody on a provider's list; who it is, and where it stands.
    pub(crate) async fn register_caregiver(
        &self,
        caller: &Caller,
        asked: Asked,
        provider: String,
        name: String,
        (first, last): Days,
    ) -> Result<(Uuid, Position), Status> {
        let division = self.contracted_for(caller, &provider).await?;
        let division = division.ok_or_else(|| refusals::no_provider(&provider))?;
        let id = id_of(asked.request_id, "caregiver");
        let key = self.keys.create(id).await?;
        let listed = caregiver::Listed {
            provider,
            name: key.seal(purpose::CAREGIVER, id, &pb::CaregiverName { name }),
            first,
            last,
        };
        let context = asked.by(caller, self.clock.now(), Some(division));
        let command = caregiver::Command::Register(listed);
        let subject = id.to_string();
        let committed = self.caregivers.execute(&subject, &context, &command).await;
        let committed = committed.map_err(|error| {
            service::not_executed(error, |refusal| refusals::of_caregiver(id, refusal))
        })?;
        Ok((id, committed.position))
    }

    /// Gives a caregiver a last day.
    pub(crate) async fn retire_caregiver(
        &self,
        caller: &Caller,
        asked: Asked,
        caregiver: Uuid,
        last: LocalDay,
    ) -> Result<Position, Status> {
        let id = caregiver.to_string();
        let loaded = self.caregivers.load_newest(&id).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let listed = loaded.state.listed.as_ref();
        let listed = listed.ok_or_else(|| refusals::no_caregiver(caregiver))?;
        let division = self.contracted_for(caller, &listed.provider).await?;
        let division = division.ok_or_else(|| refusals::no_caregiver(caregiver))?;
        let context = asked.by(caller, self.clock.now(), Some(division));
        let command = caregiver::Command::Retire(last);
        let committed = self.caregivers.execute(&id, &context, &command).await;
        let committed = committed.map_err(|error| {
            service::not_executed(error, |refusal| refusals::of_caregiver(caregiver, refusal))
        })?;
        Ok(committed.position)
    }
}

/// What is found in a definition, beside the threads that answer calls: it may take a second.
async fn checked<T: Send + 'static>(
    check: impl FnOnce() -> Result<T, Vec<Fault>> + Send + 'static,
) -> Result<T, Status> {
    let checked = tokio::task::spawn_blocking(check).await;
    let checked = checked.map_err(|error| errors::internal(&error))?;
    checked.map_err(|faults| refusals::of_definition(&faults))
}

fn told(code: &str, defined: &Defined, definition: &Definition) -> pb::Programme {
    pb::Programme {
        programme_code: code.to_owned(),
        version: defined.version.cast_signed(),
        division_code: defined.division.to_string(),
        name: definition.name.clone(),
        effective_from: Some(write_day(defined.effective_from)),
        premium_fen: definition.premium.0,
        unit: definition.quota.unit.wire(),
        units_a_year: definition.quota.units,
        definition: defined.definition.clone(),
    }
}

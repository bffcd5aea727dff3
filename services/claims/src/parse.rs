//! Requests become domain types, here and nowhere else.

mod orders;

use chrono::{DateTime, Utc};
use civic::{
    CalendarMonth, DepositKind, DivisionCode, DivisionLevel, ElderId, Fen, LocalDay,
    SettlementStage,
};
use elders::codec::read_day;
use elders::terms::WireTerm;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks, List, PageBounds, Paged, RequestDigests};
use tonic::Status;
use uuid::Uuid;

use crate::enrolling::Wanted;
use crate::enrolment::Whose;
use crate::provider::Contract;
use crate::registers::Days;
use crate::settling::{self, Payment, Which, Wrong};
use crate::{order, suspicions};

const LISTS: PageBounds = PageBounds {
    default: 100,
    most: 1_000,
};
/// The longest name of a person.
const LONGEST_NAME: usize = 64;
/// The longest name of a provider.
const LONGEST_PROVIDER_NAME: usize = 100;
/// The longest reference.
const LONGEST_REFERENCE: usize = 64;
/// The longest reason of an adjustment.
const LONGEST_REASON: usize = 200;
/// The longest definition, in bytes.
const LONGEST_DEFINITION: usize = 64 * 1024;
/// The most that comes in or is adjusted at once: ten billion yuan.
const MOST_FEN: i64 = 1_000_000_000_000;

/// The most days in which patterns are looked for.
const MOST_DAYS: i64 = 366;

/// Reads requests: knows the streams that positions may lie in, and the digests of requests.
#[derive(Clone, Debug)]
pub(crate) struct Parse {
    /// Our own, the registry's.
    pub(crate) streams: [String; 2],
    pub(crate) digests: RequestDigests,
}

type Parsed<T> = Result<T, Status>;

impl Parse {
    /// A command's id, and the digest of the rest of its request.
    fn asked<M: prost::Message>(&self, checks: &mut Checks, id: &str, rest: &M) -> Option<Asked> {
        Some(Asked {
            request_id: checks.request_id(id)?,
            digest: self.digests.of(rest),
        })
    }

    pub(crate) fn position(&self, checks: &mut Checks, text: &str) -> Option<Option<Position>> {
        checks.position_in(
            &self.streams,
            "min_position",
            text,
            "must lie in the log of claims or in the registry's log",
            "必须是结算日志或台账日志的位置",
        )
    }

    pub(crate) fn define_programme(
        &self,
        mut request: pb::DefineProgrammeRequest,
    ) -> Parsed<(Asked, String, DivisionCode, String)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let code = programme_code(&mut checks, &request.programme_code);
        let division = checks.division("division_code", &request.division_code);
        checks.that(
            division.is_none_or(|division| division.level() <= DivisionLevel::County),
            "division_code",
            "DIVISION_TOO_SMALL",
            "a programme is a county's, a city's or a province's",
            "项目应属于县、市或省",
        );
        checks.that(
            !request.definition.is_empty() && request.definition.len() <= LONGEST_DEFINITION,
            "definition",
            "DEFINITION_LENGTH",
            "needs 1 to 65,536 bytes",
            "长度应为 1 至 65536 字节",
        );
        checks.all((asked, code, division, Some(request.definition)))
    }

    pub(crate) fn get_programme(
        &self,
        request: &pb::GetProgrammeRequest,
    ) -> Parsed<(String, u32, Option<Position>)> {
        let mut checks = Checks::new();
        let code = programme_code(&mut checks, &request.programme_code);
        let version = count(&mut checks, "version", request.version);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((code, version, position))
    }

    pub(crate) fn list_programmes(
        &self,
        mut request: pb::ListProgrammesRequest,
    ) -> Parsed<Paged<()>> {
        let mut checks = Checks::new();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListProgrammes", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, Some(()))
    }

    pub(crate) fn enrolment(
        &self,
        request: pb::EnrolPersonsRequest,
    ) -> Parsed<(Wanted, Option<Position>)> {
        let mut checks = Checks::new();
        let enrolment = checks.present("enrolment", request.enrolment);
        let wanted = enrolment.and_then(|mut enrolment| {
            checks.within("enrolment", |checks| {
                let id = std::mem::take(&mut enrolment.enrolment_id);
                let id = checks.id("enrolment_id", &id);
                let digest = self.digests.of(&enrolment);
                let programme = programme_code(checks, &enrolment.programme_code);
                let elder = checks.id("elder_id", &enrolment.elder_id).map(ElderId);
                let first = day(checks, "first_day", enrolment.first_day);
                let end_of_year = |first: LocalDay| {
                    LocalDay::from_ymd(first.year(), 12, 31).unwrap_or(LocalDay::MAX)
                };
                let last = match enrolment.last_day {
                    None => first.map(end_of_year),
                    some => day(checks, "last_day", some),
                };
                let days = first.zip(last);
                checks.that(
                    days.is_none_or(|(first, last)| first <= last && last <= end_of_year(first)),
                    "last_day",
                    "DAYS_INVALID",
                    "must not lie before the first day, nor in another calendar year",
                    "不得早于起始日，且须在同一年度内",
                );
                Some(Wanted {
                    asked: Asked {
                        request_id: id?,
                        digest,
                    },
                    programme: programme?,
                    elder: elder?,
                    first: first?,
                    last: last?,
                })
            })
        });
        let position = self.position(&mut checks, &request.min_position);
        checks.all((wanted, position))
    }

    pub(crate) fn end_enrolment(
        &self,
        mut request: pb::EndEnrolmentRequest,
    ) -> Parsed<(Asked, Whose, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let programme = programme_code(&mut checks, &request.programme_code);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let enrolment = checks.id("enrolment_id", &request.enrolment_id);
        let last = day(&mut checks, "last_day", request.last_day);
        let whose = programme
            .zip(elder)
            .map(|(programme, elder)| Whose { programme, elder });
        checks.all((asked, whose, enrolment, last))
    }

    #[allow(clippy::type_complexity, reason = "it is taken apart where it is used")]
    pub(crate) fn get_entitlement(
        &self,
        request: &pb::GetEntitlementRequest,
    ) -> Parsed<(String, ElderId, Option<LocalDay>, Option<Position>)> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let on = maybe_day(&mut checks, "on", request.on);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((programme, elder, on, position))
    }

    pub(crate) fn contract(
        &self,
        mut request: pb::ContractProviderRequest,
    ) -> Parsed<(Asked, Contract)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let contract = checks.present("contract", request.contract);
        let contract = contract.and_then(|contract| {
            checks.within("contract", |checks| {
                let provider = provider_id(checks, &contract.provider_id);
                let programme = programme_code(checks, &contract.programme_code);
                let name = checks.string("name", &contract.name, 1..=LONGEST_PROVIDER_NAME);
                let days = days(checks, contract.first_day, contract.last_day);
                let (first, last) = days?;
                Some(Contract {
                    provider: provider?,
                    contract: Uuid::nil(),
                    programme: programme?,
                    name: name?,
                    first,
                    last,
                })
            })
        });
        checks.all((asked, contract))
    }

    pub(crate) fn end_contract(
        &self,
        mut request: pb::EndContractRequest,
    ) -> Parsed<(Asked, String, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let provider = provider_id(&mut checks, &request.provider_id);
        let contract = checks.id("contract_id", &request.contract_id);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, provider, contract, last))
    }

    pub(crate) fn register_caregiver(
        &self,
        mut request: pb::RegisterCaregiverRequest,
    ) -> Parsed<(Asked, String, String, Days)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let caregiver = checks.present("caregiver", request.caregiver);
        let parts = caregiver.and_then(|caregiver| {
            checks.within("caregiver", |checks| {
                let provider = provider_id(checks, &caregiver.provider_id);
                let name = checks.string("name", &caregiver.name, 1..=LONGEST_NAME);
                let days = days(checks, caregiver.first_day, caregiver.last_day);
                Some((provider?, name?, days?))
            })
        });
        let (asked, (provider, name, days)) = checks.all((asked, parts))?;
        Ok((asked, provider, name, days))
    }

    pub(crate) fn retire_caregiver(
        &self,
        mut request: pb::RetireCaregiverRequest,
    ) -> Parsed<(Asked, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let caregiver = checks.id("caregiver_id", &request.caregiver_id);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, caregiver, last))
    }

    pub(crate) fn draft(
        &self,
        mut request: pb::DraftSettlementRequest,
    ) -> Parsed<(Asked, String, String, CalendarMonth)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let programme = programme_code(&mut checks, &request.programme_code);
        let provider = provider_id(&mut checks, &request.provider_id);
        let month = day(&mut checks, "month_of", request.month_of).map(LocalDay::month);
        checks.all((asked, programme, provider, month))
    }

    pub(crate) fn confirm(
        &self,
        mut request: pb::ConfirmSettlementRequest,
    ) -> Parsed<(Asked, Which, Fen)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        checks.all((asked, which, Some(Fen(request.total_fen))))
    }

    pub(crate) fn payment(
        &self,
        mut request: pb::RecordPaymentRequest,
        today: LocalDay,
    ) -> Parsed<(Asked, Which, Payment)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let paid_on = day(&mut checks, "paid_on", request.paid_on);
        checks.that(
            paid_on.is_none_or(|paid_on| paid_on <= today),
            "paid_on",
            "IN_THE_FUTURE",
            "has not come yet",
            "日期尚未到来",
        );
        let reference = checks.string("reference", &request.reference, 1..=LONGEST_REFERENCE);
        let amount = Fen(request.amount_fen);
        let payment = paid_on.zip(reference).map(|(paid_on, reference)| Payment {
            amount,
            paid_on,
            reference,
        });
        checks.all((asked, which, payment))
    }

    pub(crate) fn adjustment(
        &self,
        mut request: pb::AdjustSettlementRequest,
    ) -> Parsed<(Asked, Which, Wrong)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let amount = checks.number("amount_fen", request.amount_fen, -MOST_FEN..=MOST_FEN);
        checks.that(
            request.amount_fen != 0,
            "amount_fen",
            "OUT_OF_RANGE",
            "must not be 0",
            "不能为 0",
        );
        let reason = checks.string("reason", &request.reason, 1..=LONGEST_REASON);
        let order = if request.order_id.is_empty() {
            Some(None)
        } else {
            let number = orders::order_id(&mut checks, &request.order_id);
            number.map(|number| Some(order::key(&request.provider_id, &number)))
        };
        let wrong = amount.zip(reason).zip(order);
        let wrong = wrong.map(|((amount, reason), order)| Wrong {
            amount: Fen(amount),
            order,
            reason,
        });
        checks.all((asked, which, wrong))
    }

    pub(crate) fn get_settlement(
        &self,
        request: &pb::GetSettlementRequest,
    ) -> Parsed<(Which, Option<Position>)> {
        let mut checks = Checks::new();
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((which, position))
    }

    pub(crate) fn export_settlement(
        &self,
        request: &pb::ExportSettlementRequest,
    ) -> Parsed<(Which, pb::SettlementFormat, Option<Position>)> {
        let mut checks = Checks::new();
        let names = (&request.programme_code, &request.provider_id);
        let which = which(&mut checks, names, request.number);
        let format = checks.known("format", request.format);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((which, format, position))
    }

    pub(crate) fn suspicions(
        &self,
        request: &pb::ListSuspicionsRequest,
    ) -> Parsed<(suspicions::Filter, Option<Position>)> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let provider = maybe_provider(&mut checks, &request.provider_id);
        let first = day(&mut checks, "first_day", request.first_day);
        let last = day(&mut checks, "last_day", request.last_day);
        let days = first.zip(last);
        checks.that(
            days.is_none_or(|(first, last)| (0..MOST_DAYS).contains(&first.days_until(last))),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day, nor 366 days or more after it",
            "不得早于起始日，且期间不超过 366 天",
        );
        let position = self.position(&mut checks, &request.min_position);
        let filter = division.zip(provider).zip(days);
        let filter = filter.map(|((division, provider), (first, last))| suspicions::Filter {
            division,
            provider,
            first,
            last,
        });
        checks.all((filter, position))
    }

    pub(crate) fn list_settlements(
        &self,
        mut request: pb::ListSettlementsRequest,
    ) -> Parsed<Paged<settling::Filter>> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let provider = maybe_provider(&mut checks, &request.provider_id);
        let month = maybe_day(&mut checks, "month_of", request.month_of);
        let stage = maybe_term::<SettlementStage>(&mut checks, "stage", request.stage);
        let filter = programme.zip(provider).zip(month).zip(stage);
        let filter = filter.map(|(((programme, provider), month), stage)| settling::Filter {
            programme,
            provider,
            month: month.map(LocalDay::month),
            stage,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListSettlements", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    #[allow(clippy::type_complexity, reason = "it is taken apart where it is used")]
    pub(crate) fn deposit(
        &self,
        mut request: pb::FundDepositRequest,
    ) -> Parsed<(Asked, String, (DepositKind, Fen, String))> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let programme = programme_code(&mut checks, &request.programme_code);
        let amount = checks.number("amount_fen", request.amount_fen, 1..=MOST_FEN);
        let kind = term::<DepositKind>(&mut checks, "kind", request.kind);
        checks.that(
            kind != Some(DepositKind::Premium),
            "kind",
            "KIND_OF_ENROLMENTS",
            "premiums come in with enrolments",
            "保费随参保登记自动入账",
        );
        let reference = checks.string("reference", &request.reference, 1..=LONGEST_REFERENCE);
        let parts = kind.zip(amount).zip(reference);
        let parts = parts.map(|((kind, amount), reference)| (kind, Fen(amount), reference));
        checks.all((asked, programme, parts))
    }

    pub(crate) fn fund(&self, request: &pb::GetFundRequest) -> Parsed<(String, Option<Position>)> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((programme, position))
    }

    pub(crate) fn ledger(&self, mut request: pb::GetFundLedgerRequest) -> Parsed<Paged<String>> {
        let mut checks = Checks::new();
        let programme = programme_code(&mut checks, &request.programme_code);
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("GetFundLedger", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, programme)
    }
}

/// A programme's code: 2 to 24 capital letters, digits and `_`, beginning with a letter.
fn programme_code(checks: &mut Checks, code: &str) -> Option<String> {
    let well_formed = (2..=24).contains(&code.len())
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    checks.that(
        well_formed,
        "programme_code",
        "PROGRAMME_CODE_INVALID",
        "needs 2 to 24 capital letters, digits and `_`, a letter first",
        "应为 2 至 24 个大写字母、数字或下划线，以字母开头",
    );
    well_formed.then(|| code.to_owned())
}

/// A provider's id: 1 to 32 letters, digits and `-`.
fn provider_id(checks: &mut Checks, id: &str) -> Option<String> {
    let well_formed =
        (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    checks.that(
        well_formed,
        "provider_id",
        "PROVIDER_ID_INVALID",
        "needs 1 to 32 letters, digits and `-`",
        "应为 1 至 32 个字母、数字或连字符",
    );
    well_formed.then(|| id.to_owned())
}

fn maybe_provider(checks: &mut Checks, id: &str) -> Option<Option<String>> {
    if id.is_empty() {
        Some(None)
    } else {
        provider_id(checks, id).map(Some)
    }
}

fn which(checks: &mut Checks, names: (&String, &String), number: i32) -> Option<Which> {
    let programme = programme_code(checks, names.0);
    let provider = provider_id(checks, names.1);
    let number = checks.number("number", number, 1..=i32::MAX);
    Some(Which {
        programme: programme?,
        provider: provider?,
        number: number?.cast_unsigned(),
    })
}

fn count(checks: &mut Checks, field: &str, number: i32) -> Option<u32> {
    let number = checks.number(field, number, 0..=i32::MAX)?;
    Some(number.cast_unsigned())
}

fn days(
    checks: &mut Checks,
    first: Option<types::Date>,
    last: Option<types::Date>,
) -> Option<Days> {
    let first = day(checks, "first_day", first);
    let last = maybe_day(checks, "last_day", last);
    let (first, last) = (first?, last?);
    let ordered = last.is_none_or(|last| first <= last);
    checks.that(
        ordered,
        "last_day",
        "DAYS_INVALID",
        "must not lie before the first day",
        "不得早于起始日",
    );
    ordered.then_some((first, last))
}

fn day(checks: &mut Checks, field: &str, date: Option<types::Date>) -> Option<LocalDay> {
    let date = checks.present(field, date)?;
    checks.parsed(
        field,
        read_day(date).ok_or(()),
        "DAY_INVALID",
        "is no day of the calendar",
        "日期无效",
    )
}

fn maybe_day(
    checks: &mut Checks,
    field: &str,
    date: Option<types::Date>,
) -> Option<Option<LocalDay>> {
    match date {
        None => Some(None),
        some => day(checks, field, some).map(Some),
    }
}

fn term<T: WireTerm>(checks: &mut Checks, field: &str, number: i32) -> Option<T> {
    if number == 0 {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    let known = T::from_wire(number);
    if known.is_none() {
        checks.unknown(field);
    }
    known
}

fn maybe_term<T: WireTerm>(checks: &mut Checks, field: &str, number: i32) -> Option<Option<T>> {
    if number == 0 {
        Some(None)
    } else {
        term(checks, field, number).map(Some)
    }
}

fn page_of(size: &mut i32, token: &mut String) -> (i32, String) {
    (std::mem::take(size), std::mem::take(token))
}

/// An instant that has come already.
fn past(
    checks: &mut Checks,
    field: &str,
    at: Option<prost_types::Timestamp>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let at = checks.present(field, at);
    let at = at.and_then(|at| checks.instant(field, Some(at))?)?;
    checks.that(
        at <= now,
        field,
        "IN_THE_FUTURE",
        "has not come yet",
        "时间尚未到来",
    );
    (at <= now).then_some(at)
}

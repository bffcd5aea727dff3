//! From arguments to commands: what each needs, what it prints, and how the program ends.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use proto::eldercare::sharing::v1::get_access_history_request::Whose;
use service::{Telemetry, config::Loader, settings::AccessLog};

use crate::{
    alerting, auditing, backup, bench, claiming,
    cli::{
        self, Alerts, Audit, Claims, Cli, Command, Common, Credential, Elder, Elsewhere, Export,
        Import, Sharing, Streams, Tier, Visits,
    },
    client::Client,
    connection::{Connection, ConnectionFile},
    data_folder::DataFolder,
    demo, departments, elder, export, import, notices_here,
    output::{Output, Progress, print_line},
    place::Place,
    plans, rebuild, rotate_keys, sample, servers,
    signals::Signals,
    status, streams, tier, top, up, verify, visiting,
    workplace::Workplace,
};

/// How a command ended that did what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All is well.
    Well,
    /// It was done, and something is not as it should be: a difference, a rejected row.
    NotWell,
}

impl Ending {
    fn well_if(well: bool) -> Self {
        if well { Self::Well } else { Self::NotWell }
    }
}

/// Does what the command line says. A failure is told on standard error, in one message.
pub async fn run(cli: Cli) -> ExitCode {
    let mut signals = Signals::listen();
    if let Err(error) = &signals {
        eprintln!("error: {error:#}");
        return ExitCode::from(1);
    }
    let interrupted = async {
        // `up` has its own way to go down.
        if matches!(cli.command, Command::Up(_)) {
            std::future::pending::<()>().await;
        }
        match &mut signals {
            Ok(signals) => signals.asked().await,
            Err(_) => std::future::pending().await,
        }
    };
    let telemetry = match telemetry(&cli) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(1);
        }
    };
    // What a command started ends when it is dropped.
    let done = tokio::select! {
        done = execute(&cli) => done,
        () = interrupted => Err(anyhow::anyhow!("interrupted / 已中断")),
    };
    if let Some(telemetry) = telemetry {
        telemetry.flush().await;
    }
    match done {
        Ok(Ending::Well) => ExitCode::SUCCESS,
        Ok(Ending::NotWell) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Lines of the services on standard error: by default only what an operator should look at. A bench's own processes tell
/// their own.
fn telemetry(cli: &Cli) -> anyhow::Result<Option<Telemetry>> {
    if matches!(cli.command, Command::Bench(_) | Command::BenchService(_)) {
        return Ok(None);
    }
    let mut settings = Loader::from_process(cli.common.config.as_deref())?
        .load::<()>()?
        .common
        .telemetry;
    // The database's driver tells slow statements, which on a busy machine are no fault; that of NATS tells each connection
    // that ends, as all do when the launcher stops its server: what is away the services tell themselves.
    settings
        .log_filter
        .get_or_insert_with(|| "warn,sqlx::query=error,async_nats::connector=off".to_owned());
    if settings.access_log.is_none() {
        settings.access_log = Some(access_log(cli)?);
    }
    Ok(Some(Telemetry::start(&settings, "eldercare")?))
}

/// Access records of a system that stays lie beside its data. What `demo` and `replay` read is gone when they end, and the
/// other commands read by way of a system that keeps its own.
fn access_log(cli: &Cli) -> anyhow::Result<AccessLog> {
    if !matches!(cli.command, Command::Up(_)) {
        return Ok(AccessLog::Nowhere);
    }
    let path = cli.common.folder();
    std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
    Ok(AccessLog::File(path.join("access.ndjson")))
}

async fn execute(cli: &Cli) -> anyhow::Result<Ending> {
    let common = &cli.common;
    let output = common.output;
    let progress = Progress::shown();
    match &cli.command {
        Command::Demo(arguments) => {
            let county = sample::county(arguments.county.as_deref())?;
            let summary = demo::demo(common, &county, progress).await?;
            output.print(&summary)?;
            Ok(Ending::well_if(summary.comparison.equal))
        }
        Command::Replay(arguments) => {
            let outcome = demo::replay(common, &arguments.folder, progress).await?;
            output.print(&outcome)?;
            Ok(Ending::well_if(outcome.equal))
        }
        Command::Import(Import::Divisions { file }) => {
            output.print(&import::divisions(&client(common)?, file).await?)?;
            Ok(Ending::Well)
        }
        Command::Import(Import::Survey(arguments)) => {
            let survey = import::survey(&client(common)?, arguments, progress).await?;
            output.print(&survey)?;
            Ok(Ending::well_if(!survey.failed))
        }
        Command::Export(Export::Summary { division, file, on }) => {
            output.print(&export::summary(&client(common)?, division, *on, file).await?)?;
            Ok(Ending::Well)
        }
        Command::Elder(what) => {
            let client = client(common)?;
            match what {
                Elder::Show { whom, as_of } => {
                    output
                        .print(&elder::show(&client, whom, as_of.map(|at| at.to_utc())).await?)?;
                }
                Elder::History { whom } => output.print(&elder::history(&client, whom).await?)?,
                Elder::Form { whom, file } => {
                    output.print(&elder::form(&client, whom, file).await?)?
                }
            }
            Ok(Ending::Well)
        }
        Command::Tier(what) => {
            let client = client(common)?;
            match what {
                Tier::Explain { whom, on } => {
                    output.print(&tier::explain(&client, whom, *on).await?)?
                }
                Tier::Simulate { file, division } => {
                    output.print(&tier::simulate(&client, file, division, progress).await?)?;
                }
            }
            Ok(Ending::Well)
        }
        Command::Visits(what) => {
            visits(&client(common)?, what, output, progress).await?;
            Ok(Ending::Well)
        }
        Command::Alerts(what) => {
            alerts(&client(common)?, what, output).await?;
            Ok(Ending::Well)
        }
        Command::Claims(what) => {
            claims(&client(common)?, what, output).await?;
            Ok(Ending::Well)
        }
        Command::Sharing(what) => {
            sharing(&client(common)?, what, output).await?;
            Ok(Ending::Well)
        }
        Command::Audit(what) => audit(common, what, progress).await,
        Command::Bench(arguments) => {
            if arguments.names.is_empty() {
                output.print(&bench::Known::all())?;
                return Ok(Ending::Well);
            }
            let benches = bench::named(&arguments.names)?;
            let tools = servers::tools(common, None);
            output.print(&bench::run(&benches, &tools, arguments.scale, progress).await?)?;
            Ok(Ending::Well)
        }
        Command::BenchService(arguments) => {
            let config = common.config.as_deref().context("--config is missing")?;
            bench::service::serve(arguments.role, config).await?;
            Ok(Ending::Well)
        }
        Command::Up(arguments) => {
            up::up(common, arguments, progress).await?;
            Ok(Ending::Well)
        }
        Command::Rebuild(arguments) => {
            let place = place(common, &arguments.elsewhere, progress).await?;
            let rebuilt = rebuild::rebuild(&place, &arguments.names, progress).await;
            place.close().await;
            output.print(&rebuilt?)?;
            Ok(Ending::Well)
        }
        Command::Verify(arguments) => {
            let place = place(common, &arguments.elsewhere, progress).await?;
            let verified = verify::verify(&place, &arguments.names, progress).await;
            place.close().await;
            let verified = verified?;
            output.print(&verified)?;
            Ok(Ending::well_if(verified.equal))
        }
        Command::RotateKeys(elsewhere) => {
            let place = place(common, elsewhere, progress).await?;
            let rotated = rotate_keys::rotate_keys(&place, progress).await;
            place.close().await;
            output.print(&rotated?)?;
            Ok(Ending::Well)
        }
        Command::Backup(arguments) => {
            output.print(&back_up(common, arguments, progress).await?)?;
            Ok(Ending::Well)
        }
        Command::Restore(arguments) => {
            works_on_servers(common)?;
            output.print(&backup::restore(common, arguments, progress).await?)?;
            Ok(Ending::Well)
        }
        Command::Status(elsewhere) => {
            let place = place(common, elsewhere, progress).await?;
            let status = status::status(&place).await;
            place.close().await;
            let status = status?;
            output.print(&status)?;
            Ok(Ending::well_if(status.is_well()))
        }
        Command::Top(what) => {
            let place = place(common, &what.elsewhere, progress).await?;
            let shown = top::top(&place, what.once, output).await;
            place.close().await;
            Ok(Ending::well_if(shown?))
        }
        Command::Streams(what) => streams_of_a_cluster(common, what).await,
    }
}

/// `backup`
async fn back_up(
    common: &Common,
    arguments: &cli::Backup,
    progress: Progress,
) -> anyhow::Result<backup::Outcome> {
    if arguments.prune {
        return backup::prune(&arguments.folder);
    }
    if let Some(url) = &arguments.nats {
        return backup::of_server(common, url, arguments, progress).await;
    }
    let (workplace, folder) = workplace(common, progress).await?;
    let outcome = backup::of_data_folder(&workplace, &folder, arguments, progress).await;
    workplace.close().await;
    outcome
}

/// `streams …`
async fn streams_of_a_cluster(common: &Common, what: &Streams) -> anyhow::Result<Ending> {
    let states = match what {
        Streams::Apply(server) => streams::apply(common, server).await?,
        Streams::Check(server) => streams::check(common, server).await?,
        Streams::Accounts => {
            print_line(streams::accounts().trim_end().to_owned())?;
            return Ok(Ending::Well);
        }
    };
    common.output.print(&states)?;
    Ok(Ending::well_if(states.well))
}

/// `visits …`.
async fn visits(
    client: &Client,
    what: &Visits,
    output: Output,
    progress: Progress,
) -> anyhow::Result<()> {
    match what {
        Visits::Coverage {
            division,
            month,
            by,
        } => output.print(&visiting::coverage(client, division, month.as_deref(), *by).await?),
        Visits::Missed { division, period } => {
            output.print(&visiting::missed(client, division, period).await?)
        }
        Visits::Plan {
            division,
            week,
            seed,
            show,
        } => output.print(&if *show {
            plans::stored(client, division, week).await?
        } else {
            plans::plan(client, division, week, *seed, progress).await?
        }),
        Visits::Export {
            whose,
            first_day,
            last_day,
            file,
        } => {
            let days = (*first_day, *last_day);
            output.print(&export::records(client, whose, days, file).await?)
        }
        Visits::Worklist { visitor, day } => {
            output.print(&plans::worklist(client, visitor, *day).await?)
        }
    }
}

/// `alerts …`
async fn alerts(client: &Client, what: &Alerts, output: Output) -> anyhow::Result<()> {
    match what {
        Alerts::List {
            division,
            open,
            kind,
            limit,
        } => {
            let wanted = alerting::Wanted {
                division,
                open: *open,
                kind: kind.as_deref(),
                limit: *limit,
            };
            output.print(&alerting::list(client, wanted).await?)
        }
        Alerts::Show { id } => output.print(&alerting::show(client, id).await?),
        Alerts::Watch { division } => alerting::watch(client, division, output).await,
        Alerts::Figures {
            division,
            from,
            until,
        } => output.print(&alerting::figures(client, division, *from, *until).await?),
    }
}

/// `audit …`
async fn audit(common: &Common, what: &Audit, progress: Progress) -> anyhow::Result<Ending> {
    let output = common.output;
    match what {
        Audit::Export { file } => {
            output.print(&auditing::export(&client(common)?, file, progress).await?)?;
            Ok(Ending::Well)
        }
        Audit::Verify {
            file,
            public_keys,
            head,
        } => {
            let outcome = auditing::verify(file, public_keys, *head)?;
            output.print(&outcome)?;
            Ok(Ending::well_if(outcome.sound))
        }
        Audit::Key => {
            output.print(&auditing::key(&client(common)?).await?)?;
            Ok(Ending::Well)
        }
        Audit::Notices => {
            works_on_servers(common)?;
            let file = DataFolder::notices_in(&common.folder());
            let told = notices_here::told_here(&file)?;
            output.print(&told)?;
            Ok(Ending::well_if(told.is_whole()))
        }
    }
}

/// `sharing …`
async fn sharing(client: &Client, what: &Sharing, output: Output) -> anyhow::Result<()> {
    match what {
        Sharing::Products => output.print(&departments::products(client).await?),
        Sharing::Agreements { department } => {
            output.print(&departments::agreements(client, department.as_deref()).await?)
        }
        Sharing::Propose { file } => {
            let terms = departments::Terms::read(file)?;
            let (id, at) = departments::propose(client, &terms).await?;
            output.print(&departments::agreement(client, &id, &at).await?)
        }
        Sharing::Approve { agreement } => {
            let at = departments::approve(client, agreement).await?;
            output.print(&departments::agreement(client, agreement, &at).await?)
        }
        Sharing::Suspend { agreement, reason } => {
            let at = departments::suspend(client, agreement, reason).await?;
            output.print(&departments::agreement(client, agreement, &at).await?)
        }
        Sharing::End { agreement, reason } => {
            let at = departments::end(client, agreement, reason).await?;
            output.print(&departments::agreement(client, agreement, &at).await?)
        }
        Sharing::Dossier {
            whom,
            department,
            newest,
        } => {
            let elder = elder::id_of(client, whom).await?;
            let department = department.as_deref();
            output.print(&departments::dossier(client, &elder, department, *newest).await?)
        }
        Sharing::Find(search) => output.print(&departments::find(client, search).await?),
        Sharing::Situation { division, day } => {
            output.print(&departments::situation(client, division, *day).await?)
        }
        Sharing::Watch { division } => departments::watch(client, division, output).await,
        Sharing::History {
            elder,
            caller,
            limit,
        } => {
            let whose = whose_looks(elder.as_ref(), caller.as_ref());
            output.print(&departments::history(client, whose, *limit).await?)
        }
        Sharing::BrokenGlass {
            elder,
            caller,
            from,
            until,
        } => {
            let whose = whose_looks(elder.as_ref(), caller.as_ref());
            output.print(&departments::broken_glass(client, whose, (*from, *until)).await?)
        }
        Sharing::Feeds { department } => {
            output.print(&departments::feeds(client, department.as_deref()).await?)
        }
        Sharing::Feed(asked) => departments::feed(client, asked, output).await,
        Sharing::Credential(what) => credential(client, what, output).await,
        Sharing::Erasures {
            department,
            outstanding,
        } => {
            let department = department.as_deref();
            output.print(&departments::erasures(client, department, *outstanding).await?)
        }
        Sharing::ConfirmErasure { elder, department } => {
            let department = department.as_deref();
            output.print(&departments::confirm_erasure(client, elder, department).await?)
        }
    }
}

/// Looks at an elder, or by a caller: one of them is given.
fn whose_looks(elder: Option<&String>, caller: Option<&String>) -> Whose {
    match elder {
        Some(elder) => Whose::ElderId(elder.clone()),
        None => Whose::Caller(caller.cloned().unwrap_or_default()),
    }
}

/// `sharing credential …`
async fn credential(client: &Client, what: &Credential, output: Output) -> anyhow::Result<()> {
    match what {
        Credential::Issue { department, file } => {
            output.print(&departments::issue(client, department, file).await?)
        }
        Credential::Revoke { department, reason } => {
            output.print(&departments::revoke(client, department, reason).await?)
        }
    }
}

/// `claims …`
async fn claims(client: &Client, what: &Claims, output: Output) -> anyhow::Result<()> {
    match what {
        Claims::Order { provider, order } => {
            output.print(&claiming::show(client, provider, order).await?)
        }
        Claims::Orders { which, limit } => {
            output.print(&claiming::list(client, which, *limit).await?)
        }
        Claims::Enrolments {
            programme,
            division,
            on,
            limit,
        } => output.print(&claiming::enrolments(client, programme, division, *on, *limit).await?),
        Claims::Entitlement {
            programme,
            whom,
            on,
        } => output.print(&claiming::entitlement(client, programme, whom, *on).await?),
        Claims::Settle {
            programme,
            provider,
            month,
            confirm,
            pay,
        } => {
            let how = claiming::How {
                confirm: *confirm,
                paid_by: pay.as_deref(),
            };
            output.print(&claiming::settle(client, programme, provider, *month, how).await?)
        }
        Claims::Fund { programme, entries } => {
            output.print(&claiming::fund(client, programme, *entries).await?)
        }
        Claims::Figures { which, by } => output.print(&claiming::figures(client, which, by).await?),
        Claims::Export {
            programme,
            provider,
            number,
            file,
        } => {
            let which = (programme.as_str(), provider.as_str(), *number);
            output.print(&export::settlement(client, which, file).await?)
        }
        Claims::Held { division } => output.print(&claiming::held(client, division).await?),
        Claims::Hold {
            provider,
            order,
            decision,
            etag,
        } => {
            let etag = etag.as_deref();
            output.print(&claiming::decide_hold(client, provider, order, *decision, etag).await?)
        }
        Claims::Suspicions {
            division,
            provider,
            from,
            until,
        } => {
            let days = (*from, *until);
            let provider = provider.as_deref();
            output.print(&claiming::suspicions(client, division, provider, days).await?)
        }
        Claims::Programme { code, number } => {
            output.print(&claiming::programme(client, code, *number).await?)
        }
    }
}

/// Refuses the address of a system to a command that is about what lies under one.
fn works_on_servers(common: &Common) -> anyhow::Result<()> {
    if common.endpoint.is_some() {
        anyhow::bail!(
            "this command works on servers: name their data folder with --data-dir, or the settings of an installation with \
             --settings, and leave --endpoint and --token (or ELDERCARE_ENDPOINT and ELDERCARE_TOKEN) away \
             / 该命令直接操作服务器：请用 --data-dir 或 --settings 指定，勿用 --endpoint"
        );
    }
    Ok(())
}

/// The servers of an installation elsewhere, where settings tell of one, or of the data folder.
async fn place(
    common: &Common,
    elsewhere: &Elsewhere,
    progress: Progress,
) -> anyhow::Result<Place> {
    works_on_servers(common)?;
    Place::open(common, elsewhere, progress).await
}

/// The servers of the data folder.
async fn workplace(common: &Common, progress: Progress) -> anyhow::Result<(Workplace, PathBuf)> {
    works_on_servers(common)?;
    let folder = common.folder();
    Ok((Workplace::open(common, &folder, progress).await?, folder))
}

/// A caller of the system that is named, or of the one that runs in the data folder.
fn client(common: &Common) -> anyhow::Result<Client> {
    if let (Some(endpoint), Some(token)) = (&common.endpoint, &common.token) {
        return Client::new(&Connection {
            endpoint: endpoint.clone(),
            token: service::Secret::new(token),
            gateway: None,
            reviewer: None,
            departments: BTreeMap::new(),
        });
    }
    let folder = common.folder();
    let running = ConnectionFile::of_running(&folder)?.with_context(|| {
        if DataFolder::in_use(&folder) {
            return format!(
                "the system in {} is starting or going down: try again once it serves / 系统正在启动或停止，请稍后再试",
                folder.display()
            );
        }
        format!(
            "no system runs in {}: start one with `eldercare up`, or name one with --endpoint and --token \
             / {} 中没有运行中的系统：请先执行 eldercare up，或用 --endpoint 和 --token 指定",
            folder.display(),
            folder.display()
        )
    })?;
    Client::new(&running.connection())
}

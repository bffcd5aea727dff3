//! `up`: the sample county loaded, and the system serving until Ctrl-C.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use service::{Clock, config::Loader};

use crate::{
    cli::{Common, Up},
    client::Client,
    connection::ConnectionFile,
    county::County,
    data_folder::{DataFolder, Remembered},
    output::{Progress, Report, table},
    replay::{self, Extent},
    sample,
    servers::tools,
    signals::Signals,
    system::{Start, System},
    wire,
};

/// How often the simulated clock is written down, so that the next start goes on from there.
const REMEMBER: Duration = Duration::from_secs(15);

/// An officer's day begins: the sample county is shown as of then on its last day.
const MORNING: TimeDelta = TimeDelta::hours(8);

/// What `up` prints when it serves.
#[derive(Debug, Serialize)]
pub struct Serving {
    /// The gRPC address.
    pub endpoint: String,
    /// The operator's token.
    pub token: String,
    /// Tokens of the sample departments.
    pub tokens: std::collections::BTreeMap<String, String>,
    /// The log's server.
    pub nats_url: String,
    /// Where devices speak MQTT.
    pub mqtt_url: Option<String>,
    /// What the clock says, local time.
    pub clock: String,
    /// Whether that is a simulated time.
    pub simulated: bool,
    /// Where everything is kept, with `connection.json` for the other commands.
    pub data_dir: String,
    /// The file that tells of dossiers opened beyond all agreements; none where the settings name who is told.
    pub notices: Option<String>,
}

impl Report for Serving {
    fn text(&self) -> String {
        let mut rows = table(["", ""]);
        rows.set_header(["运行中 serving, Ctrl-C 停止", self.endpoint.as_str()]);
        let kind = if self.simulated {
            "simulated 模拟"
        } else {
            "real 真实"
        };
        rows.add_row(["gRPC (reflection, health)", &self.endpoint]);
        rows.add_row(["NATS", &self.nats_url]);
        if let Some(mqtt) = &self.mqtt_url {
            rows.add_row(["MQTT (设备 devices)", mqtt]);
        }
        rows.add_row(["时钟 clock", &format!("{} ({kind})", self.clock)]);
        rows.add_row(["数据目录 data", &self.data_dir]);
        let file = "connection.json";
        rows.add_row([
            "令牌 tokens",
            &format!("{}/{file}: token, tokens.<department>", self.data_dir),
        ]);
        if let Some(notices) = &self.notices {
            let read = format!("{notices} (eldercare audit notices)");
            rows.add_row(["紧急调阅通知 break-glass notices", &read]);
        }
        format!("{rows}\nauthorization: Bearer {}", self.token)
    }
}

/// How the clock of a start goes, and what is played on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// The clock at the start; `None`: real time.
    from: Option<DateTime<Utc>>,
    /// Where it is set to before the system serves.
    until: Option<DateTime<Utc>>,
    /// Whether the county is played until then, and what of it was played before.
    plays: Option<Before>,
}

/// What of a county was played at an earlier start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing, or not all that should have been.
    Nothing,
    /// Everything up to this instant.
    Until(DateTime<Utc>),
}

/// Loads what is to be loaded, and serves until asked to go down.
///
/// # Errors
/// Whatever keeps it from starting, or a part that fails.
pub async fn up(common: &Common, arguments: &Up, progress: Progress) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let path = common.folder();
    let folder = DataFolder::kept(&path)?;
    can_listen(arguments.listen)?;
    let mut remembered = folder.remembered()?;
    let county = if arguments.empty {
        None
    } else {
        Some(sample::county(arguments.county.as_deref())?)
    };
    let plan = plan(
        county.as_ref(),
        arguments.as_of.map(|at| at.to_utc()),
        &remembered,
    )?;

    let start = Start {
        tools: tools(common, Some(&folder)),
        folder,
        loader: Loader::from_process(common.config.as_deref())?,
        clock: plan.from.map_or_else(Clock::system, Clock::starting_at),
        listen: arguments.listen,
    };
    let mut system = tokio::select! {
        started = System::start(start, progress) => started?,
        () = signals.asked() => anyhow::bail!("interrupted / 已中断"),
    };
    (remembered.clock, remembered.started) = (plan.from, true);
    system.folder.remember(&remembered)?;
    let loading = async {
        let client = Client::new(&system.connection())?;
        if let (Some(county), Some(before)) = (&county, plan.plays) {
            load(&client, county, plan, before, progress).await?;
        } else if let Some(until) = plan.until {
            client.advance_to(until).await?;
        }
        anyhow::Ok(())
    };
    let loaded = tokio::select! {
        loaded = loading => loaded,
        () = signals.asked() => Err(anyhow::anyhow!("interrupted / 已中断")),
    };
    if let Err(error) = loaded {
        let stopped = down(system, remembered, signals, progress).await;
        if let Err(also) = stopped {
            tracing::warn!(error = format!("{also:#}"), "going down failed too");
        }
        return Err(error);
    }
    if let (Some(county), Some(until), Some(_)) = (&county, plan.until, plan.plays) {
        remembered.played.insert(county.set.county.clone(), until);
    }
    look_at_clock(&system, &mut remembered)?;
    system.connection.write(system.folder.path())?;
    common.output.print(&serving(&system))?;

    let mut moves = system.clock.subscribe();
    let failed = loop {
        tokio::select! {
            () = signals.asked() => break None,
            why = system.failed() => break Some(why),
            () = moves.moved() => look_at_clock(&system, &mut remembered)?,
            () = tokio::time::sleep(REMEMBER) => look_at_clock(&system, &mut remembered)?,
        }
    };
    ConnectionFile::remove(system.folder.path());
    let stopped = down(system, remembered, signals, progress).await;
    failed.map_or(stopped, Err)
}

/// The clock never goes back: a folder goes on from where its clock was, and one of real time stays one.
fn plan(
    county: Option<&County>,
    as_of: Option<DateTime<Utc>>,
    remembered: &Remembered,
) -> anyhow::Result<Plan> {
    let Remembered {
        clock,
        started,
        played,
    } = remembered;
    if *started && clock.is_none() {
        if as_of.is_some() {
            anyhow::bail!(
                "this data folder goes by real time, which can't be set: name another --data-dir \
                 / 该数据目录使用真实时间，不能设定：请另选 --data-dir"
            );
        }
        return Ok(Plan {
            from: None,
            until: None,
            plays: None,
        });
    }
    if let (Some(as_of), Some(clock)) = (as_of, *clock)
        && as_of < clock
    {
        let clock = wire::local_time(clock);
        anyhow::bail!(
            "the clock of this data folder is at {clock} already and never goes back: name a later --as-of, or another \
             --data-dir / 该数据目录的时钟已到 {clock}，不能回拨：请指定更晚的 --as-of 或其他 --data-dir"
        );
    }
    let Some(county) = county else {
        return Ok(Plan {
            from: clock.or(as_of),
            until: as_of.filter(|_| clock.is_some()),
            plays: None,
        });
    };
    if let Some(before) = played.get(&county.set.county) {
        let plays = as_of.map(|_| Before::Until(*before));
        return Ok(Plan {
            from: clock.or(Some(*before)),
            until: as_of,
            plays,
        });
    }
    let begins = county.set.facts_hold_from.start();
    let last_day = county
        .set
        .tier_dates
        .iter()
        .max()
        .unwrap_or(&county.set.import_as_of);
    let until = as_of.unwrap_or(last_day.start() + MORNING);
    if until < begins {
        let begins = wire::local_time(begins);
        anyhow::bail!(
            "the county's facts hold from {begins} on: name a later --as-of / 该县数据自 {begins} 起有效"
        );
    }
    let from = clock.map_or(begins, |clock| clock.max(begins));
    Ok(Plan {
        from: Some(from),
        until: Some(until),
        plays: Some(Before::Nothing),
    })
}

async fn load(
    client: &Client,
    county: &County,
    plan: Plan,
    before: Before,
    progress: Progress,
) -> anyhow::Result<()> {
    let after = match before {
        Before::Nothing => None,
        Before::Until(instant) => Some(instant),
    };
    let extent = Extent {
        after,
        until: plan.until,
        reads: false,
    };
    let played = replay::play(client, county, extent, progress).await?;
    for line in &played.failed {
        progress.say(&format!(
            "{}, line {}: {}",
            line.file, line.line, line.reason
        ));
    }
    Ok(())
}

/// Told before the servers are started and a county is loaded.
fn can_listen(address: SocketAddr) -> anyhow::Result<()> {
    TcpListener::bind(address).map(drop).with_context(|| {
        format!(
            "can't listen on {address}: choose another address with --listen, such as 127.0.0.1:0 for any free port \
             / 无法监听 {address}：请用 --listen 另选地址"
        )
    })
}

fn serving(system: &System) -> Serving {
    let notices = Some(system.folder.notices()).filter(|file| file.exists());
    Serving {
        endpoint: system.connection.endpoint.clone(),
        token: system.connection.token.clone(),
        tokens: system.connection.tokens.clone(),
        nats_url: system.connection.nats_url.clone(),
        mqtt_url: system.connection.mqtt_url.clone(),
        clock: wire::local_time(system.clock.now()),
        simulated: system.clock.is_settable(),
        data_dir: system.folder.path().display().to_string(),
        notices: notices.map(|file| file.display().to_string()),
    }
}

fn look_at_clock(system: &System, remembered: &mut Remembered) -> anyhow::Result<()> {
    remembered.clock = system.clock.is_settable().then(|| system.clock.now());
    system.folder.remember(remembered)
}

/// Goes down in order; asked a second time, at once.
async fn down(
    system: System,
    mut remembered: Remembered,
    mut signals: Signals,
    progress: Progress,
) -> anyhow::Result<()> {
    progress.say("停止 going down; Ctrl-C again ends at once");
    look_at_clock(&system, &mut remembered)?;
    tokio::select! {
        stopped = system.stop() => stopped,
        // The servers are stopped with their handles.
        () = signals.asked() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn sample() -> County {
        sample::county(None).unwrap()
    }

    fn stopped_at(clock: &str) -> Remembered {
        let clock = at(clock);
        Remembered {
            clock: Some(clock),
            started: true,
            played: [("350524".to_owned(), clock)].into(),
        }
    }

    #[test]
    fn the_sample_county_is_played_to_the_morning_of_its_last_day() {
        let plan = plan(Some(&sample()), None, &Remembered::default()).unwrap();
        assert_eq!(plan.from, Some(at("2024-01-01T00:00:00+08:00")));
        assert_eq!(plan.until, Some(at("2024-11-19T08:00:00+08:00")));
        assert_eq!(plan.plays, Some(Before::Nothing));
    }

    #[test]
    fn as_of_says_how_far_it_is_played() {
        let none = Remembered::default();
        let as_of = at("2024-10-01T00:00:00+08:00");
        assert_eq!(
            plan(Some(&sample()), Some(as_of), &none).unwrap().until,
            Some(as_of)
        );
        assert!(plan(Some(&sample()), Some(at("2023-10-01T00:00:00Z")), &none).is_err());
    }

    #[test]
    fn a_second_start_loads_nothing_and_goes_on_from_where_the_clock_was() {
        let remembered = stopped_at("2024-11-19T00:00:00Z");
        let plan = plan(Some(&sample()), None, &remembered).unwrap();
        assert_eq!(
            plan,
            Plan {
                from: remembered.clock,
                until: None,
                plays: None
            }
        );
    }

    #[test]
    fn a_later_as_of_plays_what_happened_since() {
        let remembered = stopped_at("2024-10-01T00:00:00Z");
        let later = at("2024-11-01T00:00:00Z");
        let plan = plan(Some(&sample()), Some(later), &remembered).unwrap();
        assert_eq!(plan.plays, Some(Before::Until(at("2024-10-01T00:00:00Z"))));
        assert_eq!((plan.from, plan.until), (remembered.clock, Some(later)));
    }

    #[test]
    fn the_clock_of_a_folder_never_goes_back() {
        let remembered = stopped_at("2024-11-19T00:00:00Z");
        assert!(
            plan(
                Some(&sample()),
                Some(at("2024-10-01T00:00:00Z")),
                &remembered
            )
            .is_err()
        );
        assert!(plan(None, Some(at("2024-10-01T00:00:00Z")), &remembered).is_err());
    }

    #[test]
    fn an_empty_system_goes_by_real_time_unless_told_otherwise() {
        let none = Remembered::default();
        assert_eq!(
            plan(None, None, &none).unwrap(),
            Plan {
                from: None,
                until: None,
                plays: None
            }
        );
        let as_of = at("2024-10-01T00:00:00Z");
        assert_eq!(
            plan(None, Some(as_of), &none).unwrap(),
            Plan {
                from: Some(as_of),
                until: None,
                plays: None
            }
        );
        let real = Remembered {
            started: true,
            ..none
        };
        assert_eq!(
            plan(Some(&sample()), None, &real).unwrap(),
            Plan {
                from: None,
                until: None,
                plays: None
            }
        );
        assert!(plan(None, Some(as_of), &real).is_err());
    }
}

//! A NATS server with JetStream, which keeps the event log on one machine.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use crate::account::Account;
use crate::error::{Error, While};
use crate::install::NATS;
use crate::ports::free_port;
use crate::process::{Exit, Plan, Process, Server, aside};
use crate::tls::Tls;
use crate::tools::{NatsProgram, Tools, Version};

/// How many free ports are tried before giving up.
const PORTS_TRIED: usize = 10;

/// When the server writes through to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncing {
    /// Before each acknowledgement: nothing acknowledged is lost in a power cut. For real data.
    Always,
    /// Every two minutes, the server's own default: a crash of the server loses nothing, a power cut may.
    EveryTwoMinutes,
}

/// How a NATS server is started.
#[derive(Clone)]
pub struct NatsOptions {
    /// Where its configuration and its log lie, and the streams unless `store` says otherwise.
    pub data_folder: PathBuf,
    /// Where JetStream keeps the streams; by default `jetstream` in the data folder.
    pub store: Option<PathBuf>,
    /// The port for clients on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The port for monitoring over HTTP on 127.0.0.1, if it is wanted; 0 takes a free one.
    pub monitoring_port: Option<u16>,
    /// The port for MQTT on 127.0.0.1, if devices may speak it; 0 takes a free one. This makes the whole `mqtt` block, in
    /// which quality 2 is refused, since an exchange of that kind may be lost half way.
    pub mqtt_port: Option<u16>,
    /// When it writes through to the disk.
    pub syncing: Syncing,
    /// The largest message, in bytes.
    pub max_payload: u32,
    /// How much the streams may take on the disk, in bytes; by default three quarters of what is free.
    pub max_file_store: Option<u64>,
    /// How it and its clients know each other, if they are to speak TLS; that of devices is plain.
    pub tls: Option<Tls>,
    /// Blocks of the server's own configuration language, added as they stand: users and their permissions
    /// (`authorization { users: [ … ] }`), accounts, limits.
    pub configuration: String,
    /// How long it may take until it serves: a long log takes a while to open.
    pub ready_within: Duration,
    /// Remove the data folder when the server or this process has ended. For tests.
    pub scratch: bool,
}

/// Without the configuration, in which users' passwords stand.
impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("data_folder", &self.data_folder)
            .field("port", &self.port)
            .field("syncing", &self.syncing)
            .finish_non_exhaustive()
    }
}

impl NatsOptions {
    /// What suits real data: every acknowledgement on disk, messages up to 8 MiB, a free port.
    pub fn new(data_folder: impl Into<PathBuf>) -> Self {
        Self {
            data_folder: data_folder.into(),
            store: None,
            port: 0,
            monitoring_port: None,
            mqtt_port: None,
            syncing: Syncing::Always,
            max_payload: 8 << 20,
            max_file_store: None,
            tls: None,
            configuration: String::new(),
            ready_within: Duration::from_secs(300),
            scratch: false,
        }
    }
}

/// A NATS server of our own.
///
/// It ends when the handle is dropped or this process is gone, however it went. The handle depends on no async runtime.
pub struct Nats {
    options: NatsOptions,
    program: NatsProgram,
    /// Tells our server from a stranger that was faster to take the port.
    name: String,
    server: Server,
}

/// Without the users' passwords.
impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("program", &self.program)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Nats {
    /// Starts the server and waits until it serves.
    ///
    /// # Errors
    /// No usable program, a port that is taken, a configuration that the server refuses, or a data folder in use.
    pub async fn start(tools: &Tools, options: NatsOptions) -> Result<Self, Error> {
        let program = tools.find_nats().await?;
        let name = format!("eldercare-{:016x}", rand::random::<u64>());
        let mut tried = 0;
        loop {
            let mut settled = options.clone();
            if settled.port == 0 {
                settled.port = free_port();
            }
            let wanted = |port| if port == 0 { free_port() } else { port };
            settled.monitoring_port = settled.monitoring_port.map(wanted);
            settled.mqtt_port = settled.mqtt_port.map(wanted);
            let chosen = options.port == 0
                || [options.monitoring_port, options.mqtt_port].contains(&Some(0));
            tried += 1;
            match launch(&program, &settled, &name).await {
                Ok(process) => {
                    return Ok(Self {
                        options: settled,
                        program,
                        name,
                        server: Server::new(process),
                    });
                }
                Err(Error::PortTaken { .. }) if chosen && tried < PORTS_TRIED => {}
                Err(failed) => return Err(failed),
            }
        }
    }

    /// Where clients connect: `nats://127.0.0.1:<port>`, or `tls://` where they speak TLS.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() {
            "tls"
        } else {
            "nats"
        };
        format!("{scheme}://127.0.0.1:{}", self.options.port)
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// The port for MQTT, if it was asked for.
    pub fn mqtt_port(&self) -> Option<u16> {
        self.options.mqtt_port
    }

    /// Where monitoring answers over HTTP, if it was asked for.
    pub fn monitoring_url(&self) -> Option<String> {
        self.options
            .monitoring_port
            .map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.program.version
    }

    /// The program that runs.
    pub fn program(&self) -> &NatsProgram {
        &self.program
    }

    /// The server's log file.
    pub fn log(&self) -> PathBuf {
        log_file(&self.options)
    }

    /// The server's name, which it keeps over restarts: others of its cluster know it by that.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.server.present().pid()
    }

    /// The memory that the server holds, in bytes, where the system tells (Linux).
    pub fn resident_bytes(&self) -> Option<u64> {
        self.server.present().resident_bytes()
    }

    /// Waits until the server ends, whoever ended it. After a restart, ask again.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        self.server.present().exited()
    }

    /// Stops the server in good order. Its data stays.
    pub async fn stop(&self) -> Exit {
        self.server.present().stop().await
    }

    /// Kills the server at once, as a crash would.
    pub async fn kill(&self) -> Exit {
        self.server.present().kill().await
    }

    /// Halts the server where it stands, as a machine that has stopped answering does, until [`Nats::resume`].
    pub fn pause(&self) {
        self.server.present().pause();
    }

    /// Has the server go on after [`Nats::pause`].
    pub fn resume(&self) {
        self.server.present().resume();
    }

    /// Starts the server again on its port and data, after stopping it in good order if it still runs.
    ///
    /// # Errors
    /// As for [`Nats::start`].
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await;
        self.server
            .replace(launch(&self.program, &self.options, &self.name).await?);
        Ok(())
    }
}

fn log_file(options: &NatsOptions) -> PathBuf {
    options.data_folder.join("nats-server.log")
}

async fn launch(
    program: &NatsProgram,
    options: &NatsOptions,
    name: &str,
) -> Result<Arc<Process>, Error> {
    let started = aside({
        let (program, options, text) = (
            program.clone(),
            options.clone(),
            configuration(options, name)?,
        );
        move || {
            let folder =
                std::path::absolute(&options.data_folder).doing(|| "resolve the data folder")?;
            let making = || format!("make the folder {}", folder.display());
            if let Some(parent) = folder.parent() {
                fs::create_dir_all(parent).doing(making)?;
            }
            // The log is private to the system.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .doing(making)?;
            let file = folder.join("nats-server.conf");
            write_private(&file, &text).doing(|| format!("write {}", file.display()))?;
            Process::start(Plan {
                server: NATS.server,
                program: program.path,
                arguments: vec!["--config".into(), file.into()],
                stop_signal: "TERM",
                grace: Duration::from_secs(30),
                log: log_file(&options),
                scratch: options.scratch.then_some(folder),
                account: Account::Ours,
            })
        }
    })
    .await?;
    let process = Arc::new(started);
    let since = Instant::now();
    loop {
        if process.ended().is_some() {
            return Err(process.failed_start(options.port));
        }
        if answers_as(options.port, name).await.unwrap_or(false) && takes_mqtt(options).await {
            return Ok(process);
        }
        if since.elapsed() > options.ready_within {
            process.kill().await;
            return Err(Error::NotReady {
                server: NATS.server,
                seconds: options.ready_within.as_secs(),
                log: log_file(options),
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// True when the server that greets at this port is ours. It listens only once its streams are open.
async fn answers_as(port: u16, name: &str) -> io::Result<bool> {
    let greeting = async {
        let mut line = String::new();
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        BufReader::new(stream).read_line(&mut line).await?;
        let information: Value = serde_json::from_str(line.trim_start_matches("INFO ").trim())?;
        Ok(information.get("server_name").and_then(Value::as_str) == Some(name))
    };
    tokio::time::timeout(Duration::from_secs(2), greeting).await?
}

/// True when devices can connect, or need not.
async fn takes_mqtt(options: &NatsOptions) -> bool {
    match options.mqtt_port {
        Some(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_ok(),
        None => true,
    }
}

/// The server's configuration. JSON is valid in its language.
fn configuration(options: &NatsOptions, name: &str) -> Result<String, Error> {
    let folder = std::path::absolute(&options.data_folder).doing(|| "resolve the data folder")?;
    let store = match &options.store {
        Some(store) => std::path::absolute(store).doing(|| "resolve the streams' folder")?,
        None => folder.join("jetstream"),
    };
    let quoted = |text: &str| Value::from(text).to_string();
    let mut lines = vec![
        format!("server_name: {}", quoted(name)),
        format!("listen: {}", quoted(&format!("127.0.0.1:{}", options.port))),
        format!("max_payload: {}", options.max_payload),
    ];
    if let Some(port) = options.monitoring_port {
        lines.push(format!("http: {}", quoted(&format!("127.0.0.1:{port}"))));
    }
    if let Some(port) = options.mqtt_port {
        let listen = quoted(&format!("127.0.0.1:{port}"));
        lines.push(format!(
            "mqtt {{ listen: {listen}, reject_qos2_publish: true }}"
        ));
    }
    lines.push("jetstream {".into());
    lines.push(format!("  store_dir: {}", quoted(&store.to_string_lossy())));
    lines.push(match options.syncing {
        Syncing::Always => "  sync_interval: always".into(),
        Syncing::EveryTwoMinutes => "  sync_interval: \"2m\"".into(),
    });
    if let Some(bytes) = options.max_file_store {
        lines.push(format!("  max_file_store: {bytes}"));
    }
    lines.push("}".into());
    if let Some(tls) = &options.tls {
        lines.push(tls.of_nats()?);
    }
    lines.push(options.configuration.clone());
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// Users' passwords stand in the configuration: only we may read it.
fn write_private(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
}

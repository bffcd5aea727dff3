//! An installation that runs elsewhere, as in a cluster, by the settings of its services: the variables that their processes
//! have there, in the environment or in a file. What a single service has bears its name, `VISITS_ELDERCARE_POSTGRES__URL` or
//! `VISITS_PGPASSWORD`; all else holds for every service.

use std::{
    collections::BTreeMap,
    env,
    fmt::{self, Write as _},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use service::{
    Connections, Settings,
    config::Loader,
    connections,
    settings::{self, Address, Postgres},
};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use vault::{BlindIndex, KeyRing, Vault};

use crate::{cli::Common, servers::SERVICES};

/// How long a server may take to let us in, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the services' own variables begin with.
const OURS: &str = "ELDERCARE_";

/// Names the file of settings that all services share.
const CONFIG: &str = "ELDERCARE_CONFIG";

/// Where a service's database is, and as whom it is entered where the address does not say it.
const DATABASE: &str = "ELDERCARE_POSTGRES__URL";
const DATABASE_USER: &str = "PGUSER";
const DATABASE_PASSWORD: &str = "PGPASSWORD";

/// The service that owns the keys of persons.
pub(crate) const KEYS: &str = "registry";

/// The settings of all services of an installation.
pub struct Installation {
    variables: BTreeMap<String, String>,
    config: Option<PathBuf>,
}

/// Without what it holds: passwords and keys are among it.
impl fmt::Debug for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Installation").finish_non_exhaustive()
    }
}

impl Installation {
    /// The installation that a file of settings tells of, or the environment; none where neither does, or where a data folder is
    /// named and no file.
    ///
    /// # Errors
    /// A file that can't be read or understood.
    pub fn found(common: &Common, file: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let environment = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::told_by(environment, common, file)
    }

    fn told_by(
        environment: BTreeMap<String, String>,
        common: &Common,
        file: Option<&Path>,
    ) -> anyhow::Result<Option<Self>> {
        let variables = match file {
            Some(file) => {
                let mut variables = variables_in(file)?;
                variables.extend(environment);
                variables
            }
            None if common.data_dir.is_none()
                && environment.keys().any(|name| is_of_a_service(name)) =>
            {
                environment
            }
            None => return Ok(None),
        };
        let config = common.config.clone();
        Ok(Some(Self {
            config: config.or_else(|| variables.get(CONFIG).map(PathBuf::from)),
            variables,
        }))
    }

    /// Where its log is, as all services are told it.
    ///
    /// # Errors
    /// Settings that can't be understood.
    pub(crate) fn log_address(&self) -> anyhow::Result<Address> {
        Ok(self.settings_of(KEYS)?.nats.url)
    }

    /// The settings of a service, as its process has them there. Streams are not made by them.
    ///
    /// # Errors
    /// A key that nobody knows, a value of the wrong kind, or a file that can't be read; the text names it.
    pub(crate) fn settings_of(&self, service: &str) -> anyhow::Result<Settings> {
        let prefix = prefix(service);
        let own = self.variables.iter().filter_map(|(name, value)| {
            let own = name.strip_prefix(&prefix)?;
            Some((own.to_owned(), value.clone()))
        });
        let mut variables = self.variables.clone();
        variables.extend(own);
        let own_file = self.variables.get(&format!("{prefix}{CONFIG}"));
        let own_file = own_file.map(PathBuf::from);
        let file = own_file.as_deref().or(self.config.as_deref());
        let user = variables.remove(DATABASE_USER);
        let password = variables.remove(DATABASE_PASSWORD);
        let loaded = Loader::new(file, variables).and_then(|loader| loader.load::<()>());
        let loaded = loaded.with_context(|| format!("the settings of {service}"))?;
        let mut settings = loaded.common;
        let nats = &mut settings.nats;
        nats.create_streams = false;
        if nats.inbox_prefix.is_none() {
            nats.inbox_prefix = nats.user.as_deref().map(nats_access::inbox_prefix);
        }
        if let Some(user) = user {
            let url = &settings.postgres.url;
            settings.postgres.url = entered_by(url, &user, password.as_deref());
        }
        Ok(settings)
    }

    /// The connections of a service.
    ///
    /// # Errors
    /// A setting that is missing or wrong, which the text names; servers that don't let us in.
    pub(crate) async fn connect(&self, service: &'static str) -> anyhow::Result<Connections> {
        let settings = self.settings_of(service)?;
        let database = self.own_database(service, &settings)?;
        answers(service, &settings.postgres, &database).await?;
        let opening = Connections::open(service, &settings);
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let opened = opened.with_context(|| not_let_in(service, &settings.nats))?;
        opened.with_context(|| format!("the servers of {service}"))
    }

    /// The database of a service, to which nobody connects before it is asked something.
    ///
    /// # Errors
    /// A setting that is missing or wrong, which the text names.
    pub(crate) fn database(&self, service: &'static str) -> anyhow::Result<PgPool> {
        let settings = self.settings_of(service)?;
        let database = self.own_database(service, &settings)?;
        let pool = connections::pool_options(&settings.postgres);
        Ok(pool.connect_lazy_with(database))
    }

    /// Where the database of a service is, which no other one has.
    fn own_database(&self, service: &str, settings: &Settings) -> anyhow::Result<PgConnectOptions> {
        let database = database_of(service, settings)?;
        for other in SERVICES.iter().filter(|other| **other != service) {
            let theirs = database_of(other, &self.settings_of(other)?);
            if theirs.is_ok_and(|theirs| place_of(&theirs) == place_of(&database)) {
                anyhow::bail!(
                    "{service} and {other} have the same database, and each service has one of its own: set {} and {} \
                     / 各服务须使用各自的数据库",
                    variable(service, DATABASE),
                    variable(other, DATABASE)
                );
            }
        }
        Ok(database)
    }

    /// A connection to the log's server alone, as a service has it.
    ///
    /// # Errors
    /// A setting that is missing or wrong, which the text names; a server that does not let us in.
    pub(crate) async fn log_server(
        &self,
        service: &'static str,
        nats: &settings::Nats,
    ) -> anyhow::Result<async_nats::Client> {
        let client = tokio::time::timeout(PATIENCE, connections::nats(service, nats)).await;
        let client = client.with_context(|| not_let_in(service, nats))?;
        client.with_context(|| format!("the servers of {service}"))
    }

    /// The keys of persons and those of lookups, as the registry has them, over its connection.
    ///
    /// # Errors
    /// A key that is missing or malformed, or a server that does not answer.
    pub(crate) async fn keys(
        &self,
        client: async_nats::Client,
    ) -> anyhow::Result<(Vault, BlindIndex)> {
        let settings = self.settings_of(KEYS)?;
        let index = registry::blind_index(&settings).with_context(whose_keys)?;
        let vault = registry::open_vault(client, &settings).await;
        Ok((vault.with_context(whose_keys)?, index))
    }

    /// The key-encryption keys that the registry is to have from now on, and the settings that they stand in.
    ///
    /// # Errors
    /// A key that is missing or malformed.
    pub(crate) fn key_ring(&self) -> anyhow::Result<(KeyRing, Settings)> {
        let settings = self.settings_of(KEYS)?;
        let ring = registry::key_ring(&settings).with_context(whose_keys)?;
        Ok((ring, settings))
    }
}

/// What stands before a variable of a single service.
fn prefix(service: &str) -> String {
    format!("{}_", service.to_uppercase())
}

/// What a variable of a single service is called.
fn variable(service: &str, name: &str) -> String {
    format!("{}{name}", prefix(service))
}

fn is_of_a_service(name: &str) -> bool {
    SERVICES.iter().any(|service| {
        let own = name.strip_prefix(&prefix(service));
        own.is_some_and(|own| own.starts_with(OURS))
    })
}

/// The variables in a file. What stands there is told nowhere: it may be a password.
fn variables_in(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("the file of settings {}", file.display()))?;
    let lines = text.lines().enumerate();
    let variables = lines.filter(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    let variables = variables.map(|(number, line)| {
        let (name, value) = line.split_once('=').with_context(|| {
            let number = number + 1;
            format!(
                "{}: line {number} is not of the form NAME=VALUE",
                file.display()
            )
        })?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    variables.collect()
}

/// The address of a database with who enters it, unless it says so itself.
fn entered_by(url: &Address, user: &str, password: Option<&str>) -> Address {
    let Some((scheme, rest)) = url.expose().split_once("://") else {
        return url.clone();
    };
    let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if server.contains('@') {
        return url.clone();
    }
    let mut who = in_an_address(user);
    if let Some(password) = password {
        who.push(':');
        who.push_str(&in_an_address(password));
    }
    Address::new(format!("{scheme}://{who}@{rest}"))
}

/// A text as it stands in an address, whatever it holds.
fn in_an_address(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            written.push(char::from(byte));
        } else {
            // A text takes whatever is written to it.
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

/// The database of a service.
fn database_of(service: &str, settings: &Settings) -> anyhow::Result<PgConnectOptions> {
    let url = &settings.postgres.url;
    let setting = variable(service, DATABASE);
    if *url == Postgres::default().url {
        anyhow::bail!(
            "the database of {service} is not known: set {setting} to what postgres.url is in its process \
             / 未设置 {service} 的数据库：请设置 {setting}"
        );
    }
    // The parser's own text may quote the address, with its password.
    let database = url.expose().parse();
    database.map_err(|_| anyhow::anyhow!("{setting} is no address of a PostgreSQL database"))
}

/// Which database it is, whoever enters it.
fn place_of(database: &PgConnectOptions) -> (&str, u16, Option<&str>) {
    let name = database.get_database();
    (database.get_host(), database.get_port(), name)
}

/// Sees whether a database lets us in: a pool would try for long, and not say why it does not.
async fn answers(
    service: &str,
    settings: &Postgres,
    database: &PgConnectOptions,
) -> anyhow::Result<()> {
    let tried = tokio::time::timeout(PATIENCE, PgConnection::connect_with(database)).await;
    let why = match tried {
        Ok(Ok(connection)) => {
            // It was only asked whether we may come in.
            let _ = connection.close().await;
            return Ok(());
        }
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => "it does not answer".to_owned(),
    };
    let settings_are =
        [DATABASE, DATABASE_USER, DATABASE_PASSWORD].map(|name| variable(service, name));
    anyhow::bail!(
        "PostgreSQL at {} does not let {service} in: {why} (settings: {}) / 数据库拒绝连接",
        settings.url,
        settings_are.join(", ")
    );
}

fn not_let_in(service: &str, nats: &settings::Nats) -> String {
    let user = nats.user.as_deref().unwrap_or("nobody");
    format!(
        "NATS at {} does not let {user} in, for {service} (settings: ELDERCARE_NATS__URL, ELDERCARE_NATS__USER, \
         ELDERCARE_NATS__PASSWORD, ELDERCARE_NATS__TLS_CA) / 日志服务器拒绝连接",
        nats.url
    )
}

fn whose_keys() -> String {
    format!(
        "the keys of {KEYS} (settings: ELDERCARE_VAULT__…, or {})",
        variable(KEYS, "ELDERCARE_VAULT__…")
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    /// What all commands have in common where the command line says this.
    fn common(arguments: &[&str]) -> Common {
        let mut all = vec!["eldercare"];
        all.extend(arguments);
        all.push("status");
        let mut common = Cli::try_parse_from(all).unwrap().common;
        // What the environment of the test says is no matter here.
        common.config = None;
        if !arguments.contains(&"--data-dir") {
            common.data_dir = None;
        }
        common
    }

    fn found(variables: &[(&str, &str)], common: &Common) -> Option<Installation> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Installation::told_by(variables.iter().map(owned).collect(), common, None).unwrap()
    }

    fn of(variables: &[(&str, &str)]) -> Installation {
        found(variables, &common(&[])).unwrap()
    }

    const VISITS: (&str, &str) = (
        "VISITS_ELDERCARE_POSTGRES__URL",
        "postgres://db:5432/visits",
    );

    #[test]
    fn variables_of_services_tell_of_an_installation_unless_a_data_folder_is_named() {
        assert!(found(&[VISITS], &common(&[])).is_some());
        assert!(found(&[VISITS], &common(&["--data-dir", "county"])).is_none());
        let for_all = ("ELDERCARE_NATS__URL", "tls://nats:4222");
        let of_others = ("VISITS_URL", "https://visits.example");
        assert!(found(&[for_all, of_others], &common(&[])).is_none());
    }

    #[test]
    fn a_service_has_what_holds_for_all_and_what_bears_its_name() {
        let installation = of(&[
            ("ELDERCARE_NATS__URL", "tls://nats:4222"),
            ("ELDERCARE_NATS__USER", "maintenance"),
            ("REGISTRY_ELDERCARE_NATS__USER", "registry"),
            ("REGISTRY_ELDERCARE_NATS__INBOX_PREFIX", "_IN"),
            VISITS,
        ]);
        let visits = installation.settings_of("visits").unwrap();
        assert_eq!(visits.nats.url.expose(), "tls://nats:4222");
        assert_eq!(visits.nats.inbox_prefix.unwrap(), "_INBOX_maintenance");
        assert_eq!(visits.postgres.url.expose(), VISITS.1);
        assert!(!visits.nats.create_streams);
        let registry = installation.settings_of("registry").unwrap();
        assert_eq!(registry.nats.user.unwrap(), "registry");
        assert_eq!(registry.nats.inbox_prefix.unwrap(), "_IN");
    }

    #[test]
    fn who_enters_a_database_is_written_into_its_address_whatever_the_password_holds() {
        let installation = of(&[
            VISITS,
            ("VISITS_PGUSER", "eldercare_visits"),
            ("VISITS_PGPASSWORD", "a@b/c:d%e?#"),
            (
                "TIERING_ELDERCARE_POSTGRES__URL",
                "postgres://me:own@db/tiering?sslmode=require",
            ),
            ("TIERING_PGUSER", "other"),
        ]);
        let visits = installation.settings_of("visits").unwrap();
        let database = database_of("visits", &visits).unwrap();
        assert_eq!(database.get_username(), "eldercare_visits");
        assert_eq!(place_of(&database), ("db", 5432, Some("visits")));
        let url = visits.postgres.url.expose();
        assert!(url.contains(":a%40b%2Fc%3Ad%25e%3F%23@db"), "{url}");
        let tiering = installation.settings_of("tiering").unwrap();
        assert!(
            tiering
                .postgres
                .url
                .expose()
                .starts_with("postgres://me:own@")
        );
    }

    #[test]
    fn a_key_that_nobody_knows_is_told_with_the_service_that_has_it() {
        let installation = of(&[("VISITS_ELDERCARE_NATS__USERS", "visits")]);
        let told = format!("{:#}", installation.settings_of("visits").unwrap_err());
        assert!(told.contains("visits") && told.contains("users"), "{told}");
        assert!(installation.settings_of("claims").is_ok());
    }

    #[test]
    fn a_file_of_settings_is_read_line_by_line_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("installation.env");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            variables_in(&file)
        };
        let variables =
            "# the log\nELDERCARE_NATS__PASSWORD=a=b\n\n VISITS_PGUSER = visits\n  # no more\n";
        let expected = [
            ("ELDERCARE_NATS__PASSWORD", "a=b"),
            ("VISITS_PGUSER", "visits"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(variables).unwrap(), BTreeMap::from(expected));
        let told = format!("{:#}", read("# one\nSECRET\n").unwrap_err());
        assert!(
            told.contains("line 2") && !told.contains("SECRET"),
            "{told}"
        );
        let told = format!("{:#}", variables_in(Path::new("missing.env")).unwrap_err());
        assert!(told.contains("missing.env"), "{told}");
    }
}

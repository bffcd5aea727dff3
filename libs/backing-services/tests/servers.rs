//! The servers start, stop, come back with their data, and never outlive the process that started them.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backing_services::{
    Error, Nats, NatsOptions, Origin, Postgres, PostgresOptions, Tools, testing,
};
use sqlx::{Connection, PgConnection};

/// Set for the helper process that starts servers and is then killed.
const HOLDER: &str = "ELDERCARE_TEST_HOLDS_SERVERS";

async fn stored_message(nats: &Nats) -> async_nats::jetstream::Context {
    let client = async_nats::connect(nats.url()).await.unwrap();
    let log = async_nats::jetstream::new(client);
    log.create_stream(async_nats::jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..Default::default()
    })
    .await
    .unwrap();
    log.publish("kept", "one".into())
        .await
        .unwrap()
        .await
        .unwrap();
    log
}

async fn messages_kept(nats: &Nats) -> u64 {
    let client = async_nats::connect(nats.url()).await.unwrap();
    let log = async_nats::jetstream::new(client);
    log.get_stream("KEPT")
        .await
        .unwrap()
        .cached_info()
        .state
        .messages
}

#[tokio::test]
async fn nats_keeps_its_streams_over_a_restart_and_a_kill() {
    let nats = testing::own_nats_with(|options| options.monitoring_port = Some(0)).await;
    assert!(
        nats.version() >= "2.14.0".parse().unwrap(),
        "{}",
        nats.version()
    );
    assert!(nats.monitoring_url().is_some());
    stored_message(&nats).await;
    let url = nats.url();

    nats.restart().await.unwrap();
    assert_eq!(nats.url(), url);
    assert_eq!(messages_kept(&nats).await, 1);

    let exited = nats.exited();
    assert_eq!(nats.kill().await.code, 137);
    assert_eq!(exited.await.code, 137);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, nats.port())).is_err());
    nats.restart().await.unwrap();
    assert_eq!(messages_kept(&nats).await, 1);
}

#[tokio::test]
async fn nats_obeys_the_permissions_that_it_is_given() {
    let users = r#"authorization { users: [ { user: "registry", password: "x", permissions: { publish: "registry.>" } } ] }"#;
    let nats = testing::own_nats_with(|options| options.configuration = users.into()).await;
    assert!(async_nats::connect(nats.url()).await.is_err());
    let known = async_nats::ConnectOptions::with_user_and_password("registry".into(), "x".into());
    known.connect(nats.url()).await.unwrap();
}

#[tokio::test]
async fn nats_listens_to_devices_where_it_is_asked_to() {
    let nats = testing::own_nats_with(|options| options.mqtt_port = Some(0)).await;
    let port = nats.mqtt_port().unwrap();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    nats.restart().await.unwrap();
    assert_eq!(nats.mqtt_port(), Some(port));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    assert_eq!(testing::nats().await.mqtt_port(), None);
}

#[tokio::test]
async fn nats_syncing_always_accepts_messages() {
    let nats =
        testing::own_nats_with(|options| options.syncing = backing_services::Syncing::Always).await;
    stored_message(&nats).await;
    assert_eq!(messages_kept(&nats).await, 1);
    assert!(nats.resident_bytes().is_none_or(|bytes| bytes > 1 << 20));
}

#[tokio::test]
async fn a_configuration_that_nats_refuses_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = NatsOptions::new(folder.path());
    options.configuration = "no_such_setting: 1".into();
    let refused = Nats::start(&testing::tools(), options).await.unwrap_err();
    assert!(
        matches!(&refused, Error::DidNotStart { reason, .. } if reason.contains("no_such_setting")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let mut options = NatsOptions::new(folder.path());
    options.port = port;
    let refused = Nats::start(&testing::tools(), options).await.unwrap_err();
    assert!(
        matches!(refused, Error::PortTaken { port: told, .. } if told == port),
        "{refused}"
    );

    let mut options = PostgresOptions::new(folder.path().join("postgres"));
    options.port = port;
    let refused = Postgres::start(&testing::tools(), options)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::PortTaken { port: told, .. } if told == port),
        "{refused}"
    );
    remove(&folder.path().join("postgres"));
}

/// As root, the database of a data folder that is closed to others (temporary folders are) lies elsewhere.
fn remove(data: &Path) {
    let kept = std::fs::canonicalize(data.join("cluster")).unwrap();
    std::fs::remove_dir_all(kept.parent().unwrap()).unwrap();
}

async fn rows(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn postgres_keeps_its_rows_over_a_restart_a_kill_and_a_new_handle() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("postgres");
    let postgres = Postgres::start(&testing::tools(), PostgresOptions::new(&data))
        .await
        .unwrap();
    let url = postgres.ensure_database("registry").await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        .execute(&mut connection)
        .await
        .unwrap();

    // A session that stays open must not hold up the stop.
    assert_eq!(postgres.stop().await.code, 0);
    postgres.restart().await.unwrap();
    assert_eq!(rows(&url).await, 1);

    assert_eq!(postgres.kill().await.code, 137);
    postgres.restart().await.unwrap();
    assert_eq!(rows(&url).await, 1);

    // The next handle waits until the dropped one's server has let go of the data.
    drop(postgres);
    let postgres = Postgres::start(&testing::tools(), PostgresOptions::new(&data))
        .await
        .unwrap();
    assert_eq!(
        rows(&postgres.ensure_database("registry").await.unwrap()).await,
        1
    );
    postgres.stop().await;
    remove(&data);
}

#[tokio::test]
async fn fresh_databases_are_separate() {
    let (one, other) = (
        testing::fresh_database().await,
        testing::fresh_database().await,
    );
    let mut connection = PgConnection::connect(&one).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut connection = PgConnection::connect(&other).await.unwrap();
    assert!(
        sqlx::raw_sql("SELECT * FROM kept")
            .execute(&mut connection)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let postgres = testing::postgres().await;
    let wrong = format!(
        "postgres://postgres:wrong@127.0.0.1:{}/postgres?sslmode=disable",
        postgres.port()
    );
    assert!(PgConnection::connect(&wrong).await.is_err());
}

#[tokio::test]
async fn a_configured_path_that_is_wrong_is_told_and_nothing_else_is_tried() {
    let mut tools = testing::tools();
    tools.nats_server = Some("/bin/true".into());
    tools.postgres = Some("/bin".into());
    assert!(matches!(
        tools.find_nats().await,
        Err(Error::Unusable { .. })
    ));
    assert!(matches!(
        tools.find_postgres().await,
        Err(Error::Unusable { .. })
    ));
}

/// Both installed copies work, also where the tools lie in a folder that PostgreSQL's account can't enter.
#[tokio::test]
async fn the_installed_servers_work() {
    let mut tools = Tools {
        search_machine: false,
        ..testing::tools()
    };
    (tools.nats_server, tools.postgres) = (None, None);
    let (nats, postgres) = tokio::join!(tools.find_nats(), tools.find_postgres());
    assert_eq!(nats.unwrap().origin, Origin::Installed);
    assert_eq!(postgres.unwrap().origin, Origin::Installed);
    let postgres = Postgres::for_tests(&tools).await.unwrap();
    assert_eq!(postgres.version().major, 18);
    postgres.fresh_database().await.unwrap();
}

#[test]
fn no_server_outlives_a_killed_process() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "holder_of_servers",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(HOLDER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(holder.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("holding ") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the holder ended");
    }
    let told: Vec<&str> = line
        .split_once("holding ")
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ports: Vec<u16> = told[..2].iter().map(|port| port.parse().unwrap()).collect();
    let folders: Vec<PathBuf> = told[2..].iter().map(PathBuf::from).collect();
    let connect = |port: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, *port));
    let connections: Vec<TcpStream> = ports.iter().map(|port| connect(port).unwrap()).collect();
    assert!(folders.iter().all(|folder| folder.exists()));

    holder.kill().unwrap();
    holder.wait().unwrap();
    for mut connection in connections {
        connection
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        // Ends when the server closes it, in good order or not.
        let _closed = connection.read_to_end(&mut Vec::new());
    }
    // Nothing tells when the supervisors have tidied up behind the servers.
    let since = Instant::now();
    while ports.iter().any(|port| connect(port).is_ok())
        || folders.iter().any(|folder| folder.exists())
    {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "a server or its folder is still there"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Not a test of its own: the process that `no_server_outlives_a_killed_process` kills.
#[tokio::test]
async fn holder_of_servers() {
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    let nats = testing::own_nats().await;
    let postgres = testing::own_postgres().await;
    let nats_folder = nats.log().parent().unwrap().to_owned();
    println!(
        "holding {} {} {} {}",
        nats.port(),
        postgres.port(),
        nats_folder.display(),
        postgres.log().parent().unwrap().display()
    );
    // Until it is killed.
    let mut nothing = String::new();
    std::io::stdin().read_line(&mut nothing).unwrap();
}

//! Settings: the environment prevails over the file, the file over defaults; what is unknown is refused, what is secret is masked.

use std::{io::Write as _, time::Duration};

use serde::{Deserialize, Serialize};
use service::{
    Config, Secret, Section,
    config::{ConfigError, Loader},
    settings::LogFormat,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Registry {
    snapshots_kept: u32,
    stamp: Secret,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            snapshots_kept: 3,
            stamp: Secret::new("none"),
        }
    }
}

impl Section for Registry {
    const NAME: &'static str = "registry";
}

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config<Registry>, ConfigError> {
    let mut toml = tempfile::NamedTempFile::new().unwrap();
    toml.write_all(file.as_bytes()).unwrap();
    let environment = environment
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()));
    Loader::new(Some(toml.path()), environment)?.load()
}

#[test]
fn the_environment_prevails_over_the_file_and_the_file_over_defaults() {
    let file = r#"
        [grpc]
        listen = "0.0.0.0:8000"
        max_calls = 64
        max_urgent_streams = 32
        [telemetry]
        log_format = "json"
        [registry]
        snapshots_kept = 5
    "#;
    let environment = [
        ("ELDERCARE_GRPC__LISTEN", "127.0.0.1:9000"),
        ("ELDERCARE_GRPC__DEFAULT_DEADLINE", "1500ms"),
        ("ELDERCARE_GRPC__TLS__CERTIFICATE", "/etc/tls/tls.crt"),
        ("ELDERCARE_GRPC__TLS__KEY", "/etc/tls/tls.key"),
        ("ELDERCARE_REGISTRY__STAMP", "007"),
        ("ELDERCARE_REGISTRY__SNAPSHOTS_KEPT", "5"),
        ("ELDERCARE_TELEMETRY__SAMPLE_RATIO", "0.10"),
        ("ELDERCARE_GRPC__REFLECTION", "false"),
        (
            "ELDERCARE_GRPC__TRUSTED_PROXIES",
            r#"["sidecar", "10.0.0.0/8"]"#,
        ),
        (
            "ELDERCARE_AUTH__KEYS",
            r#"[{kid="a", alg="EdDSA", pem="-"}]"#,
        ),
        ("ELDERCARE_CONFIG", "/elsewhere.toml"),
        ("HOME", "/root"),
    ];
    let config = load(file, &environment).unwrap();
    assert_eq!(config.grpc.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(config.grpc.max_calls, 64);
    assert_eq!(config.grpc.max_urgent_streams, 32);
    assert_eq!(config.grpc.max_urgent_calls, 256, "the default");
    assert_eq!(config.grpc.default_deadline, Duration::from_millis(1500));
    assert_eq!(
        config.grpc.tls.as_ref().unwrap().key.to_str(),
        Some("/etc/tls/tls.key")
    );
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert_eq!(config.auth.keys[0].kid, "a");
    assert_eq!(config.nats.replicas, 1);
    assert!(!config.grpc.reflection);
    let proxies = config.grpc.trusted_proxies.iter().cloned();
    let proxies: Vec<String> = proxies.map(String::from).collect();
    assert_eq!(proxies, ["sidecar", "10.0.0.0/8"]);
    assert!((config.telemetry.sample_ratio - 0.1).abs() < 1e-6);
    assert_eq!(config.own.snapshots_kept, 5);
    assert_eq!(config.own.stamp.expose(), "007");
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    for (file, environment, key) in [
        ("[grpc]\nlistn = 1", ("HOME", ""), "listn"),
        ("[gprc]\nlisten = 1", ("HOME", ""), "gprc"),
        ("[registry]\nsnapshot = 1", ("HOME", ""), "snapshot"),
        ("", ("ELDERCARE_NATS__REPLICA", "3"), "replica"),
        ("", ("ELDERCARE_NAT__REPLICAS", "3"), "nat"),
        ("[grpc]\ndefault_deadline = \"soon\"", ("HOME", ""), "soon"),
        (
            "",
            ("ELDERCARE_GRPC__TRUSTED_PROXIES", r#"["10.0.0.0/33"]"#),
            "10.0.0.0/33",
        ),
    ] {
        let message = load(file, &[environment]).unwrap_err().to_string();
        assert!(message.contains(key), "{message}");
    }
    // The sections of the other services may stand in a file that all share.
    load("[tiering]\nanything = 1", &[]).unwrap();
}

#[test]
fn a_missing_file_is_an_error() {
    let error = Loader::new(Some("/no/such/file.toml".as_ref()), []).unwrap_err();
    assert!(error.to_string().contains("/no/such/file.toml"));
}

#[test]
fn what_is_printed_masks_secrets_and_can_be_read_again() {
    let file = r#"
        [grpc]
        trusted_proxies = ["sidecar", "2001:db8::/32"]
        [postgres]
        url = "postgres://eldercare:hunter2@db/registry"
        [nats]
        password = "hunter2"
        [vault]
        kek = "hunter2"
        previous_keks = { "kek-0" = "hunter2" }
        index_key = "hunter2"
        previous_index_keys = { "index_0" = "hunter2" }
        [auth]
        service_token = "hunter2"
        [registry]
        stamp = "hunter2"
    "#;
    let config = load(file, &[("ELDERCARE_VAULT__INDEX_KEY", "hunter2")]).unwrap();
    let printed = config.to_toml().unwrap();
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(printed.contains("postgres://***@db/registry"), "{printed}");
    assert!(printed.contains("default_deadline = \"10s\""), "{printed}");
    assert!(
        printed.contains(r#""sidecar", "2001:db8::/32""#),
        "{printed}"
    );
    let again = load(&printed, &[]).unwrap();
    assert_eq!(again.to_toml().unwrap(), printed);
}

//! TLS between a server and its clients, by files as a platform lays them down.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::account::Account;
use crate::error::{Error, While};
use crate::postgres::write_private;

/// What PostgreSQL finds in its own folder.
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";
const AUTHORITY: &str = "clients.crt";
const WHO_COMES_IN: &str = "pg_hba_tls.conf";

/// Where a server and its clients find what they show to each other, and whom they trust: PEM files, which are read again when
/// the server is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The authority of all certificates.
    pub authority: PathBuf,
    /// What the server shows.
    pub server: Shown,
    /// What clients show. Where there is nothing, they are not asked for it; where there is, none comes in without.
    pub client: Option<Shown>,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Tls {
    /// The block by which a NATS server is told of it.
    pub(crate) fn of_nats(&self) -> Result<String, Error> {
        let mut lines = vec![
            "tls {".to_owned(),
            format!("  cert_file: {}", quoted(&self.server.certificate)?),
            format!("  key_file: {}", quoted(&self.server.key)?),
            "  timeout: 5".to_owned(),
        ];
        if self.client.is_some() {
            lines.push(format!("  ca_file: {}", quoted(&self.authority)?));
            lines.push("  verify: true".to_owned());
        }
        lines.push("}".to_owned());
        Ok(lines.join("\n"))
    }

    /// Lays the files into PostgreSQL's own folder: it takes no key that anybody but its account may read. Who does not speak
    /// TLS does not come in; who does proves the password by `method`.
    pub(crate) fn lay(&self, cluster: &Path, account: Account, method: &str) -> Result<(), Error> {
        let lay = |name: &str, content: &str| {
            let file = cluster.join(name);
            write_private(&file, content)?;
            account
                .own(&file)
                .doing(|| format!("give away {}", file.display()))
        };
        lay(CERTIFICATE, &read(&self.server.certificate)?)?;
        lay(KEY, &read(&self.server.key)?)?;
        let mut comes_in = format!("hostssl all all 127.0.0.1/32 {method}");
        if self.client.is_some() {
            lay(AUTHORITY, &read(&self.authority)?)?;
            comes_in.push_str(" clientcert=verify-ca");
        }
        comes_in.push('\n');
        lay(WHO_COMES_IN, &comes_in)
    }

    /// The settings by which PostgreSQL finds them there.
    pub(crate) fn of_postgres(&self, cluster: &Path) -> Vec<(&str, String)> {
        let at = |name: &str| cluster.join(name).to_string_lossy().into_owned();
        let mut settings = vec![
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", at(CERTIFICATE)),
            ("ssl_key_file", at(KEY)),
            ("hba_file", at(WHO_COMES_IN)),
        ];
        if self.client.is_some() {
            settings.push(("ssl_ca_file", at(AUTHORITY)));
        }
        settings
    }

    /// What stands in the url of a client that verifies PostgreSQL.
    pub(crate) fn verifying(&self) -> String {
        let authority = self.authority.display();
        format!(
            "sslmode=verify-full&sslrootcert={authority}{}",
            self.showing()
        )
    }

    /// The same of one that does not: whoever started the server knows whom it speaks to.
    pub(crate) fn trusting(&self) -> String {
        format!("sslmode=require{}", self.showing())
    }

    fn showing(&self) -> String {
        self.client.as_ref().map_or_else(String::new, |shown| {
            let (certificate, key) = (shown.certificate.display(), shown.key.display());
            format!("&sslcert={certificate}&sslkey={key}")
        })
    }
}

fn read(file: &Path) -> Result<String, Error> {
    fs::read_to_string(file).doing(|| format!("read {}", file.display()))
}

fn quoted(file: &Path) -> Result<String, Error> {
    let file = std::path::absolute(file).doing(|| format!("resolve {}", file.display()))?;
    Ok(Value::from(file.to_string_lossy()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(whose: &str) -> Shown {
        Shown {
            certificate: format!("/tls/{whose}.crt").into(),
            key: format!("/tls/{whose}.key").into(),
        }
    }

    fn tls(client: Option<Shown>) -> Tls {
        Tls {
            authority: "/tls/ca.crt".into(),
            server: shown("server"),
            client,
        }
    }

    #[test]
    fn clients_that_have_nothing_to_show_are_asked_for_nothing() {
        let tls = tls(None);
        let block = tls.of_nats().unwrap();
        assert!(block.contains("cert_file: \"/tls/server.crt\""), "{block}");
        assert!(!block.contains("verify"), "{block}");
        let settings = tls.of_postgres(Path::new("/data"));
        assert!(settings.contains(&("ssl_key_file", "/data/server.key".to_owned())));
        assert!(settings.iter().all(|(name, _)| *name != "ssl_ca_file"));
        assert_eq!(
            tls.verifying(),
            "sslmode=verify-full&sslrootcert=/tls/ca.crt"
        );
    }

    #[test]
    fn clients_that_have_a_certificate_must_show_it() {
        let tls = tls(Some(shown("client")));
        let block = tls.of_nats().unwrap();
        assert!(
            block.contains("ca_file: \"/tls/ca.crt\"\n  verify: true"),
            "{block}"
        );
        let settings = tls.of_postgres(Path::new("/data"));
        assert!(settings.iter().any(|(name, _)| *name == "ssl_ca_file"));
        let shown = "&sslcert=/tls/client.crt&sslkey=/tls/client.key";
        assert!(tls.verifying().ends_with(shown));
        assert_eq!(tls.trusting(), format!("sslmode=require{shown}"));
    }
}

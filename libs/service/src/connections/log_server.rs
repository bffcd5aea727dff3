//! The way to the log's server: as whom we come, whom we trust, and how long it is waited for.

use std::{error::Error as _, io, time::Duration};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use tokio_rustls::rustls;

use super::{AGAIN, ConnectError};
use crate::settings;

/// The longest between two tries.
const SELDOM: Duration = Duration::from_secs(4);

/// Connects to the log's server under the name of `context`, by these settings, and waits for a server that is away or busy.
///
/// One that is not whom we trust, or does not trust us, is not waited for. Where TLS is asked for, nothing is said to a server
/// that does not speak it.
///
/// # Errors
/// Where files or addresses can't be used, or a certificate is not trusted, ours or the server's.
pub async fn nats(
    context: &'static str,
    settings: &settings::Nats,
) -> Result<Client, ConnectError> {
    let servers = servers(settings)?;
    // Servers that are found out later bear no scheme: what holds for one of them holds for all.
    let secured = settings.tls_ca.is_some()
        || settings.tls_certificate.is_some()
        || servers.iter().any(ServerAddr::tls_required);
    let options = options(context, settings).await?.require_tls(secured);
    let (mut said, mut pause) = (String::new(), AGAIN);
    loop {
        let error = match options.clone().connect(servers.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        if let Some(distrust) = distrust(&error) {
            return Err(ConnectError::Nats(settings.url.clone(), distrust));
        }
        let why = error.to_string();
        if why != said {
            tracing::warn!(server = %settings.url, error = why, "NATS is waited for");
            said = why;
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(SELDOM);
    }
}

fn servers(settings: &settings::Nats) -> Result<Vec<ServerAddr>, ConnectError> {
    let servers = settings.url.expose().split(',');
    servers
        .map(|server| server.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(ConnectError::NatsAddress)
}

/// Files are named here, and read with each attempt: what is renewed holds from the next connection on.
async fn options(
    context: &'static str,
    settings: &settings::Nats,
) -> Result<ConnectOptions, ConnectError> {
    let mut options = ConnectOptions::new().name(context);
    if let Some(file) = &settings.credentials_file {
        options = options
            .credentials_file(file)
            .await
            .map_err(ConnectError::Credentials)?;
    }
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        options = options.user_and_password(user.clone(), password.expose().to_owned());
    }
    if let Some(authority) = &settings.tls_ca {
        options = options.add_root_certificates(authority.clone());
    }
    match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => return Err(ConnectError::HalfACertificate),
    }
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix.clone());
    }
    Ok(options)
}

/// Why the two don't trust each other, if it is that by which the attempt failed: the next one would end alike.
fn distrust(error: &async_nats::ConnectError) -> Option<String> {
    let cause = error.source()?;
    if error.kind() == ConnectErrorKind::Tls {
        return Some(format!(
            "`nats.tls_ca`, `nats.tls_certificate` or `nats.tls_key` can't be used: {cause}"
        ));
    }
    let broke = cause.downcast_ref::<io::Error>()?;
    let fault = broke.get_ref()?.downcast_ref::<rustls::Error>()?;
    let what = if matches!(fault, rustls::Error::InvalidCertificate(_)) {
        "its certificate is not trusted (`nats.tls_ca`)"
    } else if matches!(fault, rustls::Error::AlertReceived(_)) {
        "it refuses us (`nats.tls_certificate`)"
    } else if matches!(fault, rustls::Error::InvalidMessage(_)) {
        "it does not speak TLS"
    } else {
        "there is no TLS with it"
    };
    Some(format!("{what}: {fault}"))
}

#[cfg(test)]
mod tests {
    use async_nats::ConnectError as Failed;
    use tokio_rustls::rustls::{AlertDescription, CertificateError, InvalidMessage};

    use super::*;

    fn broken(by: rustls::Error) -> Failed {
        // As the client hands on what its transport says.
        io::Error::new(io::ErrorKind::InvalidData, by).into()
    }

    #[test]
    fn whoever_is_not_trusted_is_not_asked_again() {
        for (fault, said) in [
            (
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "its certificate is not trusted (`nats.tls_ca`): invalid peer certificate: UnknownIssuer",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
                "it refuses us (`nats.tls_certificate`): received fatal alert: CertificateRequired",
            ),
            (
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "it does not speak TLS: received corrupt message of type InvalidContentType",
            ),
        ] {
            assert_eq!(distrust(&broken(fault)).as_deref(), Some(said));
        }
        let unread = io::Error::from(io::ErrorKind::NotFound);
        let unread = Failed::with_source(ConnectErrorKind::Tls, unread);
        assert!(distrust(&unread).unwrap().contains("`nats.tls_ca`"));
    }

    #[test]
    fn whoever_is_away_or_busy_or_lets_nobody_in_yet_is_asked_again() {
        let away: Failed = io::Error::from(io::ErrorKind::ConnectionRefused).into();
        let shut = Failed::with_source(ConnectErrorKind::Io, "expected INFO, got nothing");
        let refused = Failed::new(ConnectErrorKind::AuthorizationViolation);
        for error in [away, shut, refused, Failed::new(ConnectErrorKind::TimedOut)] {
            assert_eq!(distrust(&error), None, "{error}");
        }
    }

    #[tokio::test]
    async fn half_a_certificate_is_refused_before_anybody_is_asked() {
        let settings = settings::Nats {
            tls_key: Some("tls.key".into()),
            ..settings::Nats::default()
        };
        let refused = nats("test", &settings).await.unwrap_err();
        assert!(matches!(refused, ConnectError::HalfACertificate));
    }
}

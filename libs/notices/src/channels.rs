//! The ways to tell somebody something that this system has, behind one interface.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use civic::NoticeChannel;
use reqwest::header::HeaderValue;
use service::Secret;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;
use tracing::Instrument as _;

use crate::{
    ChannelSettings, Delivered, Failure, Notice, Reason, SettingsError,
    circuit::Circuits,
    destination::{Destination, SystemNames},
    gateway::Gateway,
    lines_file::LinesFile,
    log_line::LogLine,
    measures::Measures,
    outgoing::{self, Outgoing},
    settings,
    signature::SigningKey,
    webhook::Webhook,
};

/// One way to tell somebody something.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Makes one attempt, and ends within the channel's own timeout. It may be dropped at any moment; then it is open
    /// whether somebody was told.
    ///
    /// # Errors
    /// Why nobody was told, as far as is known, and whether another attempt may help.
    async fn send(&self, notice: &Notice) -> Result<Delivered, Failure>;
}

/// Serves RECORD: that 119 was to be called is on record with the notice itself, and nothing goes out.
struct OnRecord;

#[async_trait]
impl Channel for OnRecord {
    async fn send(&self, _: &Notice) -> Result<Delivered, Failure> {
        Ok(Delivered::default())
    }
}

/// The channels that are there. Clones share them, and what they know of receivers that fail.
#[derive(Clone)]
pub struct Channels {
    adapters: BTreeMap<NoticeChannel, Arc<dyn Channel>>,
    measures: Measures,
}

impl Channels {
    /// The channels of these settings.
    ///
    /// # Errors
    /// A key that can't be used; its value is not shown.
    pub fn new(settings: &ChannelSettings) -> Result<Self, SettingsError> {
        if settings.circuit.failures == 0 {
            return Err(SettingsError::CircuitFailures);
        }
        let mut channels = Self {
            adapters: BTreeMap::new(),
            measures: Measures::new(),
        };
        if settings.log {
            for channel in NoticeChannel::ALL {
                channels = channels.with(*channel, Arc::new(LogLine));
            }
        }
        if let Some(path) = &settings.file {
            let file = LinesFile::open(path);
            let file = file.map_err(|error| SettingsError::File(error.to_string()))?;
            channels = channels.with(NoticeChannel::Log, Arc::new(file));
        }
        channels = channels.with(NoticeChannel::Record, Arc::new(OnRecord));
        if settings.webhook.signing_key.is_none() && settings.gateway.is_none() {
            return Ok(channels);
        }
        let tls = outgoing::tls(settings.ca.as_deref())?;
        if let Some(key) = &settings.webhook.signing_key {
            let webhook = webhook(settings, key, tls.clone())?;
            channels = channels.with(NoticeChannel::Webhook, Arc::new(webhook));
        }
        if let Some(own) = &settings.gateway {
            let gateway = Arc::new(gateway(settings, own, tls)?);
            for channel in [
                NoticeChannel::Sms,
                NoticeChannel::Voice,
                NoticeChannel::Push,
            ] {
                channels = channels.with(channel, Arc::clone(&gateway) as Arc<dyn Channel>);
            }
        }
        Ok(channels)
    }

    /// Whether there is such a channel. Without it each notice ends with [`Reason::NotConfigured`].
    #[must_use]
    pub fn has(&self, channel: NoticeChannel) -> bool {
        self.adapters.contains_key(&channel)
    }

    /// Serves a channel in another way.
    #[must_use]
    pub fn with(mut self, channel: NoticeChannel, adapter: Arc<dyn Channel>) -> Self {
        self.adapters.insert(channel, adapter);
        self
    }

    /// Makes one attempt by the notice's channel.
    ///
    /// # Errors
    /// Those of the channel; [`Reason::NotConfigured`] without one.
    pub async fn send(&self, notice: &Notice) -> Result<Delivered, Failure> {
        let begun = Instant::now();
        let span = tracing::info_span!(
            "notice",
            otel.kind = "client",
            eldercare.notice.channel = notice.channel.name(),
            eldercare.notice.attempt = notice.attempt,
            "error.type" = tracing::field::Empty,
        );
        let outcome = match self.adapters.get(&notice.channel) {
            Some(adapter) => adapter.send(notice).instrument(span.clone()).await,
            None => Err(Reason::NotConfigured.into()),
        };
        if let Err(failure) = &outcome {
            span.record("error.type", failure.reason().code());
        }
        self.measures
            .ended(notice.channel, &outcome, begun.elapsed());
        outcome
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.adapters.keys()).finish()
    }
}

fn webhook(
    settings: &ChannelSettings,
    key: &Secret,
    tls: ClientConfig,
) -> Result<Webhook, SettingsError> {
    let own = &settings.webhook;
    let key = SigningKey::new(key.expose()).ok_or(SettingsError::SigningKey)?;
    let key_id = Some(&own.key_id)
        .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .and_then(|id| HeaderValue::from_str(id).ok())
        .ok_or(SettingsError::KeyId)?;
    let timeout = some(own.timeout, "webhook.timeout")?;
    let connect_timeout = some(own.connect_timeout, "webhook.connect_timeout")?;
    Ok(Webhook {
        outgoing: Outgoing::new(tls, SystemNames, timeout, connect_timeout)?,
        circuits: Circuits::new("webhook", settings.circuit),
        key,
        key_id,
        plain_http: own.allow_plain_http,
    })
}

fn gateway(
    settings: &ChannelSettings,
    own: &settings::Gateway,
    tls: ClientConfig,
) -> Result<Gateway, SettingsError> {
    let destination = Destination::parse(own.url.expose(), own.allow_plain_http)
        .map_err(|_| SettingsError::GatewayUrl)?;
    let token = own.token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SettingsError::GatewayToken);
    }
    let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| SettingsError::GatewayToken)?;
    authorization.set_sensitive(true);
    let timeout = some(own.timeout, "gateway.timeout")?;
    let connect_timeout = some(own.connect_timeout, "gateway.connect_timeout")?;
    Ok(Gateway {
        outgoing: Outgoing::new(tls, SystemNames, timeout, connect_timeout)?,
        circuits: Circuits::new("gateway", settings.circuit),
        destination,
        authorization,
    })
}

fn some(time: Duration, key: &'static str) -> Result<Duration, SettingsError> {
    if time.is_zero() {
        return Err(SettingsError::NoTime(key));
    }
    Ok(time)
}

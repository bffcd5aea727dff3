//! All streams at once, as an operator sees to them.

use async_nats::jetstream::context::Context;

use crate::{OpenError, declared, settings, settings::Deviation, stream::Stream};

/// How it is with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was as declared, and was left alone.
    AsDeclared,
    /// It was not there, and is now.
    Made,
    /// It was otherwise in these settings, and is as declared now. Nothing could be lost by that.
    Changed(Vec<Deviation>),
    /// It is not there.
    Absent,
    /// It is otherwise in these settings.
    Deviating(Vec<Deviation>),
}

impl State {
    /// Whether services can stand on it.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        match self {
            Self::AsDeclared | Self::Made | Self::Changed(_) => true,
            Self::Absent | Self::Deviating(_) => false,
        }
    }

    /// The settings in which it was changed, or deviates.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        match self {
            Self::Changed(deviations) | Self::Deviating(deviations) => deviations,
            Self::AsDeclared | Self::Made | Self::Absent => &[],
        }
    }
}

/// How it is with each stream, of which there should be so many copies. Nothing is changed.
///
/// # Errors
/// Where the server does not answer.
pub async fn check(
    server: &Context,
    copies: usize,
) -> Result<Vec<(&'static str, State)>, OpenError> {
    let mut states = Vec::new();
    for stream in &declared().streams {
        let state = match stream.find(server).await? {
            Some(found) => {
                let deviations = stream.deviations(&found.cached_info().config, copies);
                if deviations.is_empty() {
                    State::AsDeclared
                } else {
                    State::Deviating(deviations)
                }
            }
            None => State::Absent,
        };
        states.push((stream.name(), state));
    }
    Ok(states)
}

/// Makes the streams that are missing, with so many copies, and brings the others to what is declared. A stream is left as it
/// is, and told as deviating, where it could lose something by a change, or the server knows of none.
///
/// # Errors
/// Where the server does not answer, or refuses.
pub async fn apply(
    server: &Context,
    copies: usize,
) -> Result<Vec<(&'static str, State)>, OpenError> {
    let mut states = check(server, copies).await?;
    for (stream, (_, state)) in declared().streams.iter().zip(&mut states) {
        match state {
            State::Absent => {
                stream.make(server, copies).await?;
                *state = State::Made;
            }
            State::Deviating(deviations) => {
                if stream.mend(server, copies, deviations).await? {
                    *state = State::Changed(std::mem::take(deviations));
                }
            }
            State::AsDeclared | State::Made | State::Changed(_) => {}
        }
    }
    Ok(states)
}

impl Stream {
    /// Brings a stream to what is declared in all these settings, or in none.
    async fn mend(
        &self,
        server: &Context,
        copies: usize,
        deviations: &[Deviation],
    ) -> Result<bool, OpenError> {
        let Some(found) = self.find(server).await? else {
            return Ok(false);
        };
        let mut config = found.cached_info().config.clone();
        let declared = self.config(copies);
        for deviation in deviations {
            if !settings::mend(deviation.setting, &mut config, &declared) {
                return Ok(false);
            }
        }
        let changed = server.update_stream(&config).await;
        changed.map_err(OpenError::because)?;
        tracing::info!(stream = self.name(), "changed the stream");
        Ok(true)
    }
}

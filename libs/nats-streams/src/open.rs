//! Opens a stream, or makes it, and looks whether it is as declared.

use async_nats::jetstream::{
    ErrorCode,
    context::{Context, GetStreamErrorKind},
    stream,
};

use crate::{settings::Deviation, stream::Stream};

/// Why a stream can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not there, and is not to be made.
    #[error("there is no stream {0}")]
    Absent(String),
    /// It is there, and not as declared: it could lose what it holds, or keep what must go.
    #[error("the stream {stream} is not kept as it must be: {}", told(.deviations))]
    Unfit {
        /// The stream.
        stream: String,
        /// What must be otherwise.
        deviations: Vec<Deviation>,
    },
    /// The server did not answer, or refused.
    #[error("the stream can't be opened: {0}")]
    Unavailable(String),
}

impl OpenError {
    pub(crate) fn because(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn told(deviations: &[Deviation]) -> String {
    let told: Vec<_> = deviations.iter().map(ToString::to_string).collect();
    told.join("; ")
}

impl Stream {
    /// Opens the stream; makes it with so many copies where it is missing and to be made.
    ///
    /// # Errors
    /// Where the server does not answer, or the stream is missing or not as declared.
    pub async fn open(
        &self,
        server: &Context,
        copies: usize,
        create: bool,
    ) -> Result<stream::Stream, OpenError> {
        // Looked up first: who may not create streams would otherwise wait for an answer that never comes.
        let opened = match self.find(server).await? {
            Some(found) => found,
            None if create => self.make(server, copies).await?,
            None => return Err(OpenError::Absent(self.name().to_owned())),
        };
        let found = &opened.cached_info().config;
        // How many copies there are is the operator's affair.
        let deviations = self.deviations(found, found.num_replicas);
        if deviations.is_empty() {
            Ok(opened)
        } else {
            Err(OpenError::Unfit {
                stream: self.name().to_owned(),
                deviations,
            })
        }
    }

    /// The stream as it is on the server, where it is.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn find(&self, server: &Context) -> Result<Option<stream::Stream>, OpenError> {
        match server.get_stream(self.name()).await {
            Ok(found) => Ok(Some(found)),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(refusal)
                    if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                GetStreamErrorKind::JetStream(_)
                | GetStreamErrorKind::EmptyName
                | GetStreamErrorKind::InvalidStreamName
                | GetStreamErrorKind::Request => Err(OpenError::because(error)),
            },
        }
    }

    pub(crate) async fn make(
        &self,
        server: &Context,
        copies: usize,
    ) -> Result<stream::Stream, OpenError> {
        let made = server.create_stream(self.config(copies)).await;
        let made = made.map_err(OpenError::because)?;
        tracing::info!(stream = self.name(), "made the stream");
        Ok(made)
    }
}

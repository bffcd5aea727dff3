//! Takes messages out of a stream so that nothing of them stays in its files.
//!
//! A purge leaves the bytes where they lie, until the server comes to drop the whole file or to write it anew. A message that is
//! deleted by itself is overwritten first, on each server that has a copy. That takes as long as a write that is synced: one by one
//! some 64 a second where the server syncs always. So several are under way together, and whoever has other things to do in
//! between takes out some at a time.

use async_nats::jetstream::{ErrorCode, context::Context, response::Response};
use futures::{TryStreamExt as _, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};

/// How many messages are overwritten at once: the last of them must be answered before the caller's patience is over.
const AT_ONCE: usize = 32;

/// Messages of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Messages<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The subjects on which they lie; wildcards are allowed.
    pub subjects: &'a str,
    /// The highest sequence that one may have.
    pub through: u64,
}

/// Messages could not be erased, or not all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("messages can't be erased: {0}")]
pub struct EraseError(String);

impl EraseError {
    fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Where a message lies, as the server is asked.
#[derive(Serialize)]
struct At {
    seq: u64,
}

/// The next message, as the server is asked.
#[derive(Serialize)]
struct NextOf<'a> {
    seq: u64,
    next_by_subj: &'a str,
}

/// A message that lies there. Nothing else of it is read: a stranger may have written it.
#[derive(Deserialize)]
struct Found {
    message: Place,
}

#[derive(Deserialize)]
struct Place {
    seq: u64,
}

/// What the server says of a message that was to go.
#[derive(Deserialize)]
struct Deleted {
    success: bool,
}

/// Erases messages. Where it is broken off, the next call goes on.
///
/// # Errors
/// Where the server does not answer, or refuses.
pub async fn erase(server: &Context, messages: Messages<'_>) -> Result<(), EraseError> {
    erase_some(server, messages, usize::MAX).await?;
    Ok(())
}

/// Erases the first messages, `most` at most; how many these were. Where they are fewer, none is left.
///
/// # Errors
/// Where the server does not answer, or refuses.
pub async fn erase_some(
    server: &Context,
    messages: Messages<'_>,
    most: usize,
) -> Result<usize, EraseError> {
    let mut under_way = FuturesUnordered::new();
    let (mut from, mut found, mut all_found) = (1, 0, false);
    loop {
        while !all_found && found < most && under_way.len() < AT_ONCE {
            match next(server, messages, from).await? {
                Some(sequence) => {
                    found += 1;
                    from = sequence + 1;
                    under_way.push(overwrite(server, messages.stream, sequence));
                }
                None => all_found = true,
            }
        }
        if under_way.try_next().await?.is_none() {
            return Ok(found);
        }
    }
}

/// Erases messages of a stream by their sequences. Those that are gone already are passed by.
///
/// # Errors
/// Where the server does not answer, or refuses.
pub async fn erase_each(
    server: &Context,
    stream: &str,
    sequences: impl IntoIterator<Item = u64>,
) -> Result<(), EraseError> {
    let mut sequences = sequences.into_iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        let free = AT_ONCE.saturating_sub(under_way.len());
        let more = sequences.by_ref().take(free);
        under_way.extend(more.map(|sequence| overwrite(server, stream, sequence)));
        if under_way.try_next().await?.is_none() {
            return Ok(());
        }
    }
}

/// The sequence of the first of these messages from one on. The server's leader is asked, who alone knows all that is stored.
async fn next(
    server: &Context,
    messages: Messages<'_>,
    from: u64,
) -> Result<Option<u64>, EraseError> {
    let asked = NextOf {
        seq: from,
        next_by_subj: messages.subjects,
    };
    let found = find(server, messages.stream, &asked).await?;
    Ok(found.filter(|sequence| *sequence <= messages.through))
}

async fn find(
    server: &Context,
    stream: &str,
    asked: &impl Serialize,
) -> Result<Option<u64>, EraseError> {
    let answer = server.request(format!("STREAM.MSG.GET.{stream}"), asked);
    let answer: Response<Found> = answer.await.map_err(EraseError::because)?;
    match answer {
        Response::Ok(Found { message }) => Ok(Some(message.seq)),
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
        Response::Err { error } => Err(EraseError::because(error)),
    }
}

/// Has the server overwrite a message, which it does unless it is told otherwise, and take it away.
async fn overwrite(server: &Context, stream: &str, sequence: u64) -> Result<(), EraseError> {
    let at = At { seq: sequence };
    let answer = server.request(format!("STREAM.MSG.DELETE.{stream}"), &at);
    let answer: Response<Deleted> = answer.await.map_err(EraseError::because)?;
    let refusal = match answer {
        Response::Ok(Deleted { success: true }) => return Ok(()),
        Response::Ok(Deleted { success: false }) => {
            EraseError::because("the server does not say why")
        }
        Response::Err { error } => EraseError::because(error),
    };
    // It has more than one way to say that there is no such message, so look.
    match find(server, stream, &at).await? {
        Some(_) => Err(refusal),
        None => Ok(()),
    }
}

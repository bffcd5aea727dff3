//! A workbook as it arrives, in pieces: within bounded memory and time, and in nobody's way until it is there.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use proto::eldercare::registry::v1 as pb;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Limits, WorkbookError};
use workbooks::room::{Room, Taken};

use crate::refusals;

/// How long the next piece of a workbook may take.
const NEXT_PIECE: Duration = Duration::from_secs(30);

/// How long all its pieces may take.
const WHOLE: Duration = Duration::from_secs(300);

/// The most bytes of one piece.
const LARGEST_PIECE: usize = 1 << 20;

/// What all workbooks that are arriving, or have arrived and wait, may take of the memory: two of the largest, and a
/// hundred as they usually are.
const ARRIVING: usize = 2 * Limits::DEFAULT.file_bytes;

/// Takes workbooks in. Clones share the memory.
#[derive(Clone, Debug)]
pub(super) struct Uploads {
    room: Room,
    next_piece: Duration,
    whole: Duration,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            room: Room::of(ARRIVING),
            next_piece: NEXT_PIECE,
            whole: WHOLE,
        }
    }
}

/// A workbook that has arrived, with the room that it takes.
#[derive(Default)]
pub(crate) struct Workbook {
    pub(super) file: Vec<u8>,
    taken: Taken,
}

impl Uploads {
    /// The first message, which says how to import.
    pub(super) async fn options<P>(&self, pieces: &mut P) -> Result<pb::ImportSurveyOptions, Status>
    where
        P: Stream<Item = Result<pb::ImportSurveyRequest, Status>> + Unpin,
    {
        let first = within(Instant::now() + self.next_piece, pieces).await?;
        match first.and_then(|message| message.part) {
            Some(pb::import_survey_request::Part::Options(options)) => Ok(options),
            Some(pb::import_survey_request::Part::Chunk(_)) | None => {
                Err(service::Violation::new("options", "REQUIRED", "come first", "须在最前").into())
            }
        }
    }

    /// The rest of them, which hold the workbook.
    pub(super) async fn workbook<P>(&self, pieces: &mut P) -> Result<Workbook, Status>
    where
        P: Stream<Item = Result<pb::ImportSurveyRequest, Status>> + Unpin,
    {
        let whole = Instant::now() + self.whole;
        let mut workbook = Workbook::default();
        while let Some(message) =
            within(whole.min(Instant::now() + self.next_piece), pieces).await?
        {
            let piece = piece(message)?;
            workbook.make_room(&self.room, piece.len())?;
            workbook.file.extend_from_slice(&piece);
        }
        Ok(workbook)
    }
}

impl Workbook {
    fn make_room(&mut self, room: &Room, piece: usize) -> Result<(), Status> {
        let limit = Limits::DEFAULT.file_bytes;
        let needed = self.file.len() + piece;
        if needed > limit {
            return Err(refusals::of_workbook(&WorkbookError::FileTooLarge {
                limit,
            }));
        }
        let there = self.file.capacity();
        if needed > there {
            // In steps, so that the file is not moved with each piece; what is reserved is what is taken.
            let wanted = needed.max(there + there / 2).min(limit);
            room.take(&mut self.taken, wanted - there)?;
            self.file.reserve_exact(wanted - self.file.len());
        }
        Ok(())
    }
}

async fn within<P>(
    until: Instant,
    pieces: &mut P,
) -> Result<Option<pb::ImportSurveyRequest>, Status>
where
    P: Stream<Item = Result<pb::ImportSurveyRequest, Status>> + Unpin,
{
    match tokio::time::timeout_at(until, pieces.next()).await {
        Ok(piece) => piece.transpose(),
        Err(_elapsed) => Err(service::Refusal::new(
            Code::DeadlineExceeded,
            "UPLOAD_TOO_SLOW",
            "the workbook did not arrive in time: send it again with the same import_id",
            "工作簿未能按时传完，请用同一 import_id 重新上传",
        )
        .into()),
    }
}

fn piece(message: pb::ImportSurveyRequest) -> Result<bytes::Bytes, Status> {
    let chunk = match message.part {
        Some(pb::import_survey_request::Part::Chunk(chunk)) => chunk,
        Some(pb::import_survey_request::Part::Options(_)) => {
            return Err(service::Violation::new(
                "options",
                "REPEATED",
                "come first and once",
                "只能出现一次，且须在最前",
            )
            .into());
        }
        None => {
            return Err(
                service::Violation::new("part", "REQUIRED", "is required", "不能为空").into(),
            );
        }
    };
    let wrong = match chunk.len() {
        0 => Some(("REQUIRED", "holds nothing", "不能为空")),
        1..=LARGEST_PIECE => None,
        _ => Some(("TOO_LONG", "may have 1 MiB at most", "最多 1 MiB")),
    };
    match wrong {
        Some((reason, en, zh)) => Err(service::Violation::new("chunk", reason, en, zh).into()),
        None => Ok(chunk),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use tonic_types::StatusExt as _;

    use super::*;

    fn uploads(room: usize) -> Uploads {
        Uploads {
            room: Room::of(room),
            next_piece: Duration::from_secs(3_600),
            whole: Duration::from_secs(3_600),
        }
    }

    fn chunk(bytes: usize) -> Result<pb::ImportSurveyRequest, Status> {
        let part = pb::import_survey_request::Part::Chunk(vec![7; bytes].into());
        Ok(pb::ImportSurveyRequest { part: Some(part) })
    }

    fn reason(status: &Status) -> String {
        status.get_details_error_info().unwrap().reason
    }

    #[tokio::test]
    async fn a_workbook_arrives_in_pieces_and_gives_its_room_back() {
        let uploads = uploads(64 << 10);
        for _ in 0..3 {
            let mut pieces = stream::iter([chunk(30_000), chunk(1), chunk(9_999)]);
            let workbook = uploads.workbook(&mut pieces).await.unwrap();
            assert_eq!(workbook.file, vec![7; 40_000]);
        }
    }

    #[tokio::test]
    async fn a_piece_that_holds_nothing_is_refused() {
        let status = uploads(1 << 20)
            .workbook(&mut stream::iter([chunk(5), chunk(0)]))
            .await;
        let status = status.err().unwrap();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "REQUIRED")
        );
    }

    #[tokio::test]
    async fn an_upload_that_waits_between_its_pieces_is_given_up() {
        let uploads = Uploads {
            next_piece: Duration::from_millis(20),
            ..uploads(1 << 20)
        };
        let mut waiting = stream::iter([chunk(5)]).chain(stream::pending());
        let status = uploads.workbook(&mut waiting).await.err().unwrap();
        assert_eq!(reason(&status), "UPLOAD_TOO_SLOW");
        let status = uploads.options(&mut stream::pending()).await.err().unwrap();
        assert_eq!(reason(&status), "UPLOAD_TOO_SLOW");
    }

    #[tokio::test]
    async fn an_upload_that_goes_on_without_end_is_given_up() {
        let uploads = Uploads {
            whole: Duration::from_millis(50),
            ..uploads(1 << 30)
        };
        let mut endless = Box::pin(stream::repeat_with(|| chunk(1)).then(|piece| async {
            tokio::task::yield_now().await;
            piece
        }));
        let status = uploads.workbook(&mut endless).await.err().unwrap();
        assert_eq!(reason(&status), "UPLOAD_TOO_SLOW");
    }

    #[tokio::test]
    async fn uploads_beyond_the_memory_are_turned_away_and_hold_up_nobody_after() {
        let uploads = uploads(64 << 10);
        let large = uploads
            .workbook(&mut stream::iter([chunk(50 << 10)]))
            .await
            .unwrap();
        let status = uploads
            .workbook(&mut stream::iter([chunk(20 << 10)]))
            .await
            .err()
            .unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.get_details_retry_info().is_some());
        assert!(
            uploads
                .workbook(&mut stream::iter([chunk(9 << 10)]))
                .await
                .is_ok()
        );
        drop(large);
        assert!(
            uploads
                .workbook(&mut stream::iter([chunk(20 << 10)]))
                .await
                .is_ok()
        );
    }
}

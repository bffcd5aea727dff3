//! Commands that are sent until they are answered, and what they are about.

use eventlog::Position;
use proto::eldercare::claims::v1 as pb;
use tonic::{Code, Response, Status};

/// No fault comes so often that a command is lost more times than this.
const ATTEMPTS: usize = 100;

/// An answer that says where what it is about stands in the log.
pub(super) trait Placed {
    fn position(&self) -> &str;
}

macro_rules! placed {
    ($($answer:ident)*) => {$(
        impl Placed for pb::$answer {
            fn position(&self) -> &str {
                &self.position
            }
        }
    )*};
}

placed!(EndEnrolmentResponse SubmitOrderResponse AppealOrderResponse DecideAppealResponse DecideHoldResponse);
placed!(FundDepositResponse DraftSettlementResponse ConfirmSettlementResponse RecordPaymentResponse);
placed!(AdjustSettlementResponse EnrolPersonsResponse SubmitOrdersResponse);

/// Sends a command until it is answered: while it is open what became of it, it is sent again as it was.
pub(super) async fn sent<A>(call: impl AsyncFn() -> Result<A, Status>) -> Result<A, Status> {
    for _ in 0..ATTEMPTS {
        match call().await {
            Err(status) if status.code() == Code::Unavailable => {}
            answer => return answer,
        }
    }
    panic!("a command is never answered");
}

/// The same, and once more where that is wanted: it does nothing then.
pub(super) async fn answered<A: Placed>(
    twice: bool,
    call: impl AsyncFn() -> Result<Response<A>, Status>,
) -> Result<A, Status> {
    let call = async || call().await.map(Response::into_inner);
    let answer = sent(&call).await?;
    if twice {
        let again = sent(&call).await.unwrap();
        assert_eq!(again.position(), answer.position());
    }
    Ok(answer)
}

/// The place of one of those that suit, or of all where none does.
pub(super) fn pick<T>(which: usize, all: &[T], suits: impl Fn(&T) -> bool) -> Option<usize> {
    let suitable: Vec<usize> = (0..all.len()).filter(|at| suits(&all[*at])).collect();
    let from = if suitable.is_empty() {
        (0..all.len()).collect()
    } else {
        suitable
    };
    from.get(which.checked_rem(from.len())?).copied()
}

/// The place in the log.
pub(super) fn sequence(position: &str) -> u64 {
    position.parse::<Position>().unwrap().sequence
}

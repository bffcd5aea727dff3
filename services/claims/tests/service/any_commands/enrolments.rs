//! Commands about who is enrolled.

use civic::LocalDay;
use proto::eldercare::claims::v1 as pb;

use super::answers::{answered, pick, sent};
use super::book::Enrolled;
use super::commands::Programme;
use super::county::County;
use crate::support::{day, end_of_enrolment, enrolment};

impl County {
    pub(super) async fn enrol(
        &mut self,
        programme: Programme,
        elder: usize,
        first: &str,
        twice: bool,
    ) {
        let elder = self.elders[elder];
        let enrolment = [enrolment(programme.code(), elder, first)];
        let running = &self.running;
        running.settled().await;
        let enrol = async || running.enrolling(&enrolment).await;
        let outcome = sent(&enrol).await.unwrap().remove(0);
        if outcome.outcome() != pb::EnrolmentOutcomeKind::Enrolled {
            let refused = pb::EnrolmentOutcomeKind::Refused;
            assert_eq!(outcome.outcome(), refused, "{outcome:?}");
            return;
        }
        if twice {
            assert_eq!(sent(&enrol).await.unwrap(), std::slice::from_ref(&outcome));
        }
        let [enrolment] = enrolment;
        let first = day(first);
        let enrolled = Enrolled {
            programme,
            elder,
            id: enrolment.enrolment_id,
            first,
            last: LocalDay::from_ymd(first.year(), 12, 31).unwrap(),
        };
        self.book.enrolled(enrolled, outcome.premium_fen);
    }

    pub(super) async fn end_enrolment(&mut self, which: usize, days_ago: i64, twice: bool) {
        let last = self.today().plus_days(-days_ago);
        let enrolments = &self.book.enrolments;
        let Some(at) = pick(which, enrolments, |one| last < one.last) else {
            return;
        };
        let one = &self.book.enrolments[at];
        let request = pb::EndEnrolmentRequest {
            programme_code: one.programme.code().to_owned(),
            ..end_of_enrolment(one.elder, &one.id, &last.to_string())
        };
        let running = &self.running;
        let ended = answered(twice, async || {
            running.client().end_enrolment(request.clone()).await
        });
        let ended = ended.await.is_ok();
        assert_eq!(ended, last < one.last && last.next() >= one.first);
        if ended {
            self.book.enrolments[at].last = last;
        }
    }
}

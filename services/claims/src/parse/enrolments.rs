//! Requests about who is enrolled.

use prost::Message as _;
use proto::eldercare::claims::v1 as pb;
use service::{Checks, List, Paged};

use super::{LISTS, Parse, Parsed, maybe_day, page_of, programme_code};
use crate::enrolled;

impl Parse {
    pub(crate) fn list_enrolments(
        &self,
        mut request: pb::ListEnrolmentsRequest,
    ) -> Parsed<Paged<enrolled::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let programme = programme_code(&mut checks, &request.programme_code);
        let on = maybe_day(&mut checks, "on", request.on);
        let filter = division.zip(programme).zip(on);
        let filter = filter.map(|((division, programme), on)| enrolled::Filter {
            division,
            programme,
            on,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListEnrolments", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }
}

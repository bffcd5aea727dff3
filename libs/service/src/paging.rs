//! Lists come in pages (AIP-158): each page ends with a token that asks for the next one of the same list.
//!
//! A page ends by the number of its elements, or before that where the answer would grow larger than a message may be.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use eventlog::Position;
use prost::Message;
use sm3::{Digest as _, Sm3};

use crate::{errors::Violation, input::first_half};

/// The longest token that is looked at.
const LONGEST_TOKEN: usize = 2048;

/// How many elements a page may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageBounds {
    /// Where the caller asks for none in particular.
    pub default: u32,
    /// The most that is given, also where the caller asks for more.
    pub most: u32,
}

impl Default for PageBounds {
    fn default() -> Self {
        Self {
            default: 50,
            most: 1000,
        }
    }
}

/// A list that a caller goes through: the method and all that it asked for, except page size and token.
///
/// A token is good for this list only. The filter is best the request itself, encoded with both fields cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List([u8; 16]);

/// One page of a list, as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The most elements to give.
    pub size: u32,
    /// Where the page before ended; nothing for the first page.
    pub after: Option<Vec<u8>>,
}

/// A list as it was asked for.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// What is listed.
    pub filter: T,
    /// The list, for the token of its next page.
    pub list: List,
    /// Which page.
    pub page: Page,
    /// Not before this position.
    pub position: Option<Position>,
}

/// Cuts what was read, one element more than the page's size where there is one, to that size; the last element where more
/// follow.
pub fn cut<T>(page: &mut Vec<T>, size: u32) -> Option<&T> {
    let size = size as usize;
    let more = page.len() > size;
    page.truncate(size);
    page.last().filter(|_| more)
}

impl List {
    /// The list that a method gives for a filter.
    pub fn new(method: &str, filter: &[u8]) -> Self {
        let digest = Sm3::new()
            .chain_update(method)
            .chain_update([0])
            .chain_update(filter)
            .finalize();
        Self(first_half(&digest))
    }

    /// The page that `page_size` and `page_token` ask for.
    ///
    /// # Errors
    /// A violation of `page_size` (negative) or `page_token` (of another list, or altered).
    pub fn page(
        &self,
        page_size: i32,
        page_token: &str,
        bounds: PageBounds,
    ) -> Result<Page, Violation> {
        let asked = u32::try_from(page_size).map_err(|_| {
            Violation::new(
                "page_size",
                "PAGE_SIZE_INVALID",
                "must not be negative",
                "不能为负数",
            )
        })?;
        let size = if asked == 0 {
            bounds.default
        } else {
            asked.min(bounds.most)
        };
        let after = if page_token.is_empty() {
            None
        } else {
            Some(self.open(page_token)?)
        };
        Ok(Page { size, after })
    }

    /// The token of the page that begins after `cursor`, which is the place of the last element given.
    ///
    /// The cursor is encoded, not sealed: it must hold no personal data.
    pub fn token(&self, cursor: &[u8]) -> String {
        let mut bytes = self.seal(cursor).to_vec();
        bytes.extend_from_slice(cursor);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(&self, token: &str) -> Result<Vec<u8>, Violation> {
        let bytes = (token.len() <= LONGEST_TOKEN)
            .then(|| URL_SAFE_NO_PAD.decode(token).ok())
            .flatten();
        bytes
            .as_deref()
            .and_then(|bytes| bytes.split_at_checked(16))
            .filter(|(seal, cursor)| *seal == self.seal(cursor))
            .map(|(_, cursor)| cursor.to_vec())
            .ok_or_else(|| {
                Violation::new(
                    "page_token",
                    "PAGE_TOKEN_INVALID",
                    "belongs to another list: begin again without a token",
                    "不属于此列表，请从第一页重新开始",
                )
            })
    }

    fn seal(&self, cursor: &[u8]) -> [u8; 16] {
        first_half(
            &Sm3::new()
                .chain_update(self.0)
                .chain_update(cursor)
                .finalize(),
        )
    }
}

/// What an answer with a list of elements may still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerRoom {
    left: usize,
    empty: bool,
}

impl AnswerRoom {
    /// The answer of a server whose largest message has so many bytes. A sixteenth is kept for what stands beside the
    /// elements.
    #[must_use]
    pub fn within(max_message_bytes: usize) -> Self {
        Self {
            left: max_message_bytes - max_message_bytes / 16,
            empty: true,
        }
    }

    /// Whether one more element has room; if so, it is taken. The first one always has: a page that gives nothing leads
    /// nowhere.
    pub fn takes(&mut self, element: &impl Message) -> bool {
        // Tag and length stand before each.
        let bytes = element.encoded_len() + 8;
        let takes = self.empty || bytes <= self.left;
        if takes {
            self.left = self.left.saturating_sub(bytes);
            self.empty = false;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: PageBounds = PageBounds {
        default: 50,
        most: 100,
    };

    #[test]
    fn a_token_leads_to_the_next_page_of_the_same_list() {
        let list = List::new("ListElders", b"370303");
        let token = list.token(b"0192-last");
        assert_eq!(
            list.page(10, &token, BOUNDS).unwrap(),
            Page {
                size: 10,
                after: Some(b"0192-last".to_vec())
            }
        );
    }

    #[test]
    fn a_token_of_another_list_or_an_altered_one_is_refused() {
        let list = List::new("ListElders", b"370303");
        let token = list.token(b"0192-last");
        let other = List::new("ListElders", b"370304");
        assert_eq!(
            other.page(10, &token, BOUNDS).unwrap_err().field,
            "page_token"
        );
        let mut altered = token.clone();
        altered.replace_range(
            token.len() - 1..,
            if token.ends_with('A') { "Q" } else { "A" },
        );
        for token in [altered.as_str(), "x", "***", &"A".repeat(5000)] {
            assert_eq!(
                list.page(10, token, BOUNDS).unwrap_err().reason,
                "PAGE_TOKEN_INVALID"
            );
        }
    }

    #[test]
    fn an_answer_holds_what_fits_and_one_element_at_least() {
        let element = "x".repeat(92);
        let bytes = element.encoded_len() + 8;
        let mut room = AnswerRoom::within((3 * bytes * 16).div_ceil(15));
        let taken = (0..10).take_while(|_| room.takes(&element)).count();
        assert_eq!(taken, 3);
        let mut narrow = AnswerRoom::within(10);
        assert!(narrow.takes(&element));
        assert!(!narrow.takes(&element));
    }

    #[test]
    fn page_sizes_are_bounded() {
        let list = List::new("ListElders", b"");
        assert_eq!(list.page(0, "", BOUNDS).unwrap().size, 50);
        assert_eq!(list.page(5000, "", BOUNDS).unwrap().size, 100);
        assert_eq!(list.page(-1, "", BOUNDS).unwrap_err().field, "page_size");
    }
}

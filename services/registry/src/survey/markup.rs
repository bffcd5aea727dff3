//! The XML of a workbook's parts, node by node, within bounds of length and depth.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    events::{BytesEnd, BytesRef, BytesStart, Event},
};

use super::{WorkbookError, container::PartBytes};

/// Deeper than any part of a workbook goes.
const DEEPEST: usize = 64;

/// A part that is being read.
pub(super) struct Markup<'a> {
    reader: Reader<PartBytes<'a>>,
    buffer: Vec<u8>,
    depth: usize,
}

/// What comes next in a part.
pub(super) enum Node<'b> {
    /// An element begins.
    Open(BytesStart<'b>),
    /// An element ends.
    Close(BytesEnd<'b>),
    /// Some text, perhaps not all of an element's.
    Text(Cow<'b, str>),
    /// Something that says nothing about the workbook.
    Aside,
    /// The part is read to its end.
    End,
}

impl<'a> Markup<'a> {
    /// Starts to read a part.
    pub(super) fn of(part: PartBytes<'a>) -> Self {
        let mut reader = Reader::from_reader(part);
        // An empty element is then told as one that begins and ends.
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
        }
    }

    /// What comes next.
    pub(super) fn next(&mut self) -> Result<Node<'_>, WorkbookError> {
        self.buffer.clear();
        self.reader.get_mut().mark();
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(_) => return Err(self.reader.get_mut().failure()),
        };
        match event {
            Event::Start(element) => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    Err(WorkbookError::Damaged)
                } else {
                    Ok(Node::Open(element))
                }
            }
            Event::End(element) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Node::Close(element))
            }
            Event::Text(text) => text
                .xml10_content()
                .map(Node::Text)
                .map_err(|_| WorkbookError::Damaged),
            Event::CData(text) => text
                .xml10_content()
                .map(Node::Text)
                .map_err(|_| WorkbookError::Damaged),
            Event::GeneralRef(reference) => resolved(&reference)
                .map(Node::Text)
                .ok_or(WorkbookError::Damaged),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(Node::Aside),
            // No workbook has one, and its entities could grow beyond all bounds.
            Event::DocType(_) => Err(WorkbookError::Damaged),
            Event::Eof if self.depth > 0 => Err(WorkbookError::Damaged),
            Event::Eof => Ok(Node::End),
        }
    }
}

/// The value of an attribute, by its name without prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    element
        .attributes()
        // The check for repeated attributes takes time by the square of their number.
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name.as_bytes())
        .and_then(|attribute| attribute.unescape_value().ok().map(Cow::into_owned))
}

/// The five entities of XML and references to characters; there are no others.
fn resolved(reference: &BytesRef<'_>) -> Option<Cow<'static, str>> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character.to_string().into());
    }
    Some(
        match reference.decode().ok()?.as_ref() {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            _ => return None,
        }
        .into(),
    )
}

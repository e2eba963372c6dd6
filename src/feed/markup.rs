//! Markup in pieces, read with tolerance: what was left open, or ends without a beginning, is for
//! whoever takes the pieces.

use std::ops::ControlFlow;

use quick_xml::Reader;
use quick_xml::events::BytesStart;
use quick_xml::events::Event;

use crate::feed::html;

/// A piece of a document.
pub(super) enum Piece<'a> {
    /// A tag that opens an element.
    Start(&'a BytesStart<'a>),
    /// An element ends; its name as written.
    End(&'a str),
    /// Characters, entities resolved once; an unknown one stays as it is written.
    Text(&'a str),
    /// A DOCTYPE, which is not followed.
    Doctype,
}

/// Hands out the pieces, each with the position after it, until there are no more or enough were
/// taken. Answers what is wrong if the markup breaks before that.
pub(super) fn pieces(
    text: &str,
    mut take: impl FnMut(Piece<'_>, usize) -> ControlFlow<()>,
) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(e) => {
                let at = usize::try_from(reader.error_position()).unwrap_or(0);
                let line = text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
                return Some(format!("the markup breaks on line {line}: {e}"));
            }
        };
        let position = usize::try_from(reader.buffer_position()).unwrap_or(0);
        let flow = match event {
            Event::Start(tag) => take(Piece::Start(&tag), position),
            Event::Empty(tag) => match take(Piece::Start(&tag), position) {
                ControlFlow::Continue(()) => take(Piece::End(tag.name().0), position),
                enough => enough,
            },
            Event::End(tag) => take(Piece::End(tag.name().0), position),
            Event::Text(text) => take(Piece::Text(&text), position),
            Event::CData(text) => take(Piece::Text(&text), position),
            Event::GeneralRef(name) => match html::entity(&name) {
                Some(text) => take(Piece::Text(&text), position),
                None => take(Piece::Text(&format!("&{};", &*name)), position),
            },
            Event::DocType(_) => take(Piece::Doctype, position),
            Event::Eof => return None,
            _ => continue,
        };
        if flow.is_break() {
            return None;
        }
    }
}

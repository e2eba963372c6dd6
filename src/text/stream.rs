//! Texts cut into positions as [`tokenize`](crate::text::tokenize) does it, into buffers that are
//! used again: what the engine reads. Words are kept as folded bytes side by side, so that a chain's
//! joined word is the stretch from its first word to its last. Characters that stand for themselves
//! lie in a copy of their text instead.

mod kinds;
mod marks;
mod scan;

use crate::text::stream::marks::Marks;
use crate::text::stream::scan::Scan;
use crate::text::tokens::Chain;

/// A position, or the gap between two paragraphs or texts, which takes a position too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Where its folded form lies.
    start: u32,
    end: u32,
    /// Bytes of its text; the same bounds as a token has.
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Its code point, where it is one character of three bytes that folds to itself and stands in
    /// a run of those; else zero.
    pub(crate) code: u16,
}

/// Positions of one or more texts.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Folded forms up to `end`, and room behind them.
    folded: Vec<u8>,
    end: usize,
    /// Positions up to `count`, and room behind them.
    pieces: Vec<Piece>,
    count: usize,
    chains: Vec<Chain>,
    breaks: Vec<u32>,
    has_empty: bool,
    whole: String,
    marks: Marks,
}

const GAP: u32 = u32::MAX;

impl Stream {
    /// Forgets every text.
    pub(crate) fn clear(&mut self) {
        self.end = 0;
        self.count = 0;
        self.chains.clear();
        self.breaks.clear();
        self.has_empty = false;
    }

    /// Adds at most `limit` code points of a text.
    pub(crate) fn read(&mut self, text: &str, limit: usize) {
        let text = cut(text, limit);
        // Taken out, so that the scan can read them while it writes.
        let mut marks = std::mem::take(&mut self.marks);
        marks.read(text.as_bytes());
        Scan::new(text, &marks, self).run();
        self.marks = marks;
    }

    /// Ends a text: nothing is found across.
    pub(crate) fn end_text(&mut self) {
        self.push_gap();
    }

    fn push_gap(&mut self) {
        self.breaks.push(narrow(self.count));
        self.push(Piece::gap(narrow(self.end)));
    }

    #[inline]
    fn push(&mut self, piece: Piece) {
        match self.pieces.get_mut(self.count) {
            Some(place) => *place = piece,
            None => self.push_more(piece),
        }
        self.count += 1;
    }

    #[cold]
    fn push_more(&mut self, piece: Piece) {
        self.make_room(1);
        if let Some(place) = self.pieces.get_mut(self.count) {
            *place = piece;
        }
    }

    /// Room for more positions; there always is.
    #[inline]
    fn room<const N: usize>(&mut self) -> Option<&mut [Piece; N]> {
        if self.pieces.len() < self.count + N {
            self.make_room(N);
        }
        self.pieces.get_mut(self.count..)?.first_chunk_mut()
    }

    #[cold]
    fn make_room(&mut self, more: usize) {
        let size = (2 * self.count).max(self.count + more).max(64);
        self.pieces.resize(size, Piece::gap(0));
    }

    /// Adds the first bytes to the folded forms.
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N], length: usize) {
        let place = self.folded.get_mut(self.end..).and_then(|rest| rest.first_chunk_mut::<N>());
        match place {
            Some(place) => *place = bytes,
            None => self.grow(&bytes),
        }
        self.end += length;
    }

    /// Adds bytes to the folded forms; gives where.
    fn put_all(&mut self, bytes: &[u8]) -> usize {
        let start = self.end;
        match self.folded.get_mut(start..start + bytes.len()) {
            Some(place) => place.copy_from_slice(bytes),
            None => self.grow(bytes),
        }
        self.end += bytes.len();
        start
    }

    #[cold]
    fn grow(&mut self, bytes: &[u8]) {
        self.folded.truncate(self.end);
        self.folded.extend_from_slice(bytes);
        self.folded.resize(2 * self.folded.len() + 64, 0);
    }

    /// Number of positions, gaps included.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    #[inline]
    pub(crate) fn pieces(&self) -> &[Piece] {
        self.pieces.get(..self.count).unwrap_or_default()
    }

    /// Chains in order of their first position.
    pub(crate) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// Gaps in order.
    pub(crate) fn breaks(&self) -> &[u32] {
        &self.breaks
    }

    /// Whether the folded form of some word has no letters.
    pub(crate) fn has_empty(&self) -> bool {
        self.has_empty
    }

    /// The folded forms from a position to another, as one.
    #[inline]
    pub(crate) fn form(&self, first: usize, last: usize) -> &[u8] {
        let start = self.pieces.get(first).map_or(0, |p| p.start as usize);
        let end = self.pieces.get(last).map_or(0, |p| p.end as usize);
        self.folded.get(start..end).unwrap_or_default()
    }

    /// All folded forms, and more: for [`Piece::form`].
    #[inline]
    pub(crate) fn folded(&self) -> &[u8] {
        &self.folded
    }
}

impl Piece {
    /// Whether it is a gap.
    #[inline]
    pub(crate) fn is_gap(self) -> bool {
        self.to == GAP
    }

    fn gap(at: u32) -> Self {
        Self { start: at, end: at, from: GAP, to: GAP, code: 0 }
    }

    /// Where its folded form begins, and its length.
    #[inline]
    pub(crate) fn form(self) -> (usize, usize) {
        (self.start as usize, (self.end - self.start) as usize)
    }
}

/// At most `limit` code points.
fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    text.char_indices().nth(limit).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Eight bytes, the first one lowest; zeros behind the end.
#[inline]
pub(crate) fn load(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, b| (word << 8) | u64::from(*b)),
    }
}

/// Texts are limited to far fewer bytes.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::tokens::tokenize_within;

    /// Both readers say the same of a text.
    fn check(text: &str, limit: usize) -> Result<(), String> {
        let tokens = tokenize_within(text, limit);
        let mut stream = Stream::default();
        stream.read(text, limit);
        let places: Vec<usize> =
            (0..stream.len()).filter(|n| !stream.pieces()[*n].is_gap()).collect();
        let offset = |byte: u32| text.get(..byte as usize).unwrap().chars().count() as u32;
        let mut paragraph = 0;
        let seen: Vec<(String, u32, u32, u32)> = (0..stream.len())
            .filter_map(|n| {
                let piece = stream.pieces()[n];
                if piece.is_gap() {
                    paragraph += 1;
                    return None;
                }
                let form = String::from_utf8(stream.form(n, n).to_vec()).unwrap();
                Some((form, offset(piece.from), offset(piece.to), paragraph))
            })
            .collect();
        let mut numbers = Vec::new();
        let wanted: Vec<(String, u32, u32, u32)> = tokens
            .words()
            .iter()
            .map(|t| {
                if numbers.last() != Some(&t.paragraph) {
                    numbers.push(t.paragraph);
                }
                (t.folded.clone(), t.start, t.end, numbers.len() as u32 - 1)
            })
            .collect();
        let chains: Vec<(u32, u32, String)> = stream
            .chains
            .iter()
            .map(|c| {
                let place = |p: u32| places.binary_search(&(p as usize)).unwrap() as u32;
                let form = stream.form(c.first as usize, c.last as usize).to_vec();
                (place(c.first), place(c.last), String::from_utf8(form).unwrap())
            })
            .collect();
        let wanted_chains: Vec<(u32, u32, String)> =
            tokens.chains().iter().map(|c| (c.first, c.last, tokens.joined(*c))).collect();
        if seen != wanted || chains != wanted_chains {
            return Err(format!("{text:?}\n{seen:?}\n{wanted:?}\n{chains:?}\n{wanted_chains:?}"));
        }
        let empty = wanted.iter().any(|w| w.0.is_empty());
        assert_eq!(empty, stream.has_empty());
        Ok(())
    }

    #[test]
    fn both_readers_agree_on_what_is_hard_to_read() {
        for text in [
            "the U.N. envoy J.Smith U.S.A.-led a.b.c .a.",
            "12,000 1,234,567 12.000 3.5 2014,300 1,๑๒๓ ٣٬٠٠٠ 1,2345 1234,567",
            "п'ять п’ять пʼять l’armée п\u{AD}'\u{200B}ять",
            "Cardiff’s O'Hara's don't it's\u{301} the ships' x's\u{200B}y",
            "מנכ\"ל מנכ״ל ג'ירפה \"שלום\"",
            "LNG船 港、口 ｶﾞｽ ﾞ カ\u{3099}",
            "港カ\u{3099}\u{200B}口、\u{3099}港 ﾊﾟ港ﾟガー々〇\u{309F}「港」\u{FE0F}口\u{E0100}",
            "10月5日JRの駅ｶﾅ港-sea港's港’s sea港 sea、sea。sea–港 ５月Ａ港㐀䷀龻\u{9FFF}𠀋𪛖",
            "港한국港ก港ၽ港é港🚢港\u{E000}港\u{D7A3}豈港\n\n「港」\n\n。\n\n口",
            "港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口\u{3099}",
            "港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口\u{3099}港口",
            "港口港口港口港口港口港口港口港口港口港口港口港口港口港口港口港、\u{3099}港口",
            "sea-wall sea--wall sea-\nwall London's-based a-b-c‑d",
            "— … 🚢⚠️ ' -",
            "ـ ـــ sو-ـ",
            "a\nb\n\nc\n\n\nd \n\n\n\n",
            "ABCDEFGH ABCDEFGHI abcdefghijklmnopqrstuvwxyz0123456789é",
            "",
        ] {
            check(text, 1_000).unwrap();
            for limit in 0..text.chars().count().min(30) {
                check(text, limit).unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn both_readers_agree_on_runs_of_characters(text in "([港口ガぱーカの々〇、。「」・]|[港口]{28,34}|[ｶﾞﾟ\u{3099}\u{309A}\u{FE0F}\u{200B}\u{3000}（’–]|\u{E0100}|𠀋|한|é|ก|Ａ|５|🚢|sea|10|[ \\-,.'\n]|\n\n){0,30}") {
            if let Err(message) = check(&text, 1_000) {
                prop_assert!(false, "{}", message);
            }
        }

        #[test]
        fn both_readers_agree(text in "\\PC{0,60}|([a-cSs'’ʼ.,\\-–0-2א\"׳п \n\u{AD}\u{301}\u{5BE}é]|港|ก|\u{E31}|ｶ|ﾞ|ـ|١|Ａ|𠀋|🚢|\n\n){0,40}") {
            if let Err(message) = check(&text, 1_000) {
                prop_assert!(false, "{}", message);
            }
        }
    }
}

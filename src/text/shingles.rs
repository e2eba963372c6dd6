//! Whether two texts are copies: one wire story on forty sites is one source.

use serde::Deserialize;
use serde::Serialize;

use crate::text::class::is_spaceless;
use crate::text::stream::Stream;

/// Positions from which on a text is compared by shingles; shorter ones only as a whole.
pub const MIN_POSITIONS: u32 = 20;
/// Shingle hashes kept: the smallest ones, all of them up to here.
pub const MAX_HASHES: usize = 512;

/// What is kept of a text to recognise its copies. The hashes are the same on every machine and in
/// every version, because they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shingles {
    /// Words and characters of the text.
    pub positions: u32,
    /// Hash of all positions in order.
    whole: u64,
    /// Number of different shingles.
    distinct: u32,
    /// The smallest hashes of shingles in rising order, three bytes each.
    #[serde(with = "packed")]
    hashes: Vec<u32>,
}

/// A text that is compared with many others.
#[derive(Clone, Debug)]
pub struct Probe {
    text: Shingles,
    /// A bit for each value that the last bits of a hash can have: set where one of its hashes
    /// ends so. The last ones, because where a list was cut all of its hashes begin alike.
    endings: Box<[u64; ENDINGS / 64]>,
}

/// How many endings of hashes are told apart.
const ENDINGS: usize = 1 << 16;

/// The shingles of an article.
pub fn of(title: &str, body: &str) -> Shingles {
    let mut stream = Stream::default();
    let (mut words, mut spaceless) = (Vec::new(), 0);
    for text in [title, body] {
        stream.clear();
        stream.read(text, usize::MAX);
        for (place, piece) in stream.pieces().iter().enumerate().filter(|(_, p)| !p.is_gap()) {
            words.push(word(stream.form(place, place)));
            let first = text.get(piece.from as usize..).and_then(|rest| rest.chars().next());
            spaceless += usize::from(first.is_some_and(is_spaceless));
        }
    }
    let width = if spaceless * 2 > words.len() { 6 } else { 3 };
    let whole = combine(&words);
    let mut hashes: Vec<u32> = words.windows(width).map(|w| short(combine(w))).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let distinct = u32::try_from(hashes.len()).unwrap_or(u32::MAX);
    hashes.truncate(MAX_HASHES);
    hashes.shrink_to_fit();
    let positions = u32::try_from(words.len()).unwrap_or(u32::MAX);
    Shingles { positions, whole, distinct, hashes }
}

impl Probe {
    /// Makes ready for comparing.
    pub fn new(text: Shingles) -> Self {
        let mut endings = Box::new([0; ENDINGS / 64]);
        for hash in &text.hashes {
            let (word, bit) = ending(*hash);
            if let Some(word) = endings.get_mut(word) {
                *word |= bit;
            }
        }
        Self { text, endings }
    }

    /// The text's shingles.
    pub fn text(&self) -> &Shingles {
        &self.text
    }

    /// The same as [`is_copy`] of the other and this text: most are told apart at a glance.
    pub fn is_copy_of(&self, other: &Shingles) -> bool {
        self.may_be_copy_of(other) && is_copy(other, &self.text)
    }

    /// Whether enough hashes of the other text end as some of this one do.
    fn may_be_copy_of(&self, other: &Shingles) -> bool {
        if self.text.positions < MIN_POSITIONS || other.positions < MIN_POSITIONS {
            return true;
        }
        let (limit, needed) = needed(other, &self.text);
        let known = other.hashes.partition_point(|h| *h <= limit);
        // So many may differ; only behind them it pays to look whether it can still be one.
        let Some(spare) = known.checked_sub(needed) else { return false };
        let (first, rest) = other.hashes.split_at_checked(spare).unwrap_or_default();
        let ends_alike = |hash: &u32| {
            let (word, bit) = ending(*hash);
            usize::from(self.endings.get(word).is_some_and(|w| w & bit != 0))
        };
        let mut alike: usize = first.iter().map(ends_alike).sum();
        for (behind, hash) in rest.iter().take(needed).enumerate() {
            if alike < behind {
                return false;
            }
            alike += ends_alike(hash);
        }
        alike >= needed
    }
}

/// Where the bit of a hash is.
fn ending(hash: u32) -> (usize, u64) {
    let ending = hash as usize % ENDINGS;
    (ending / 64, 1 << (ending % 64))
}

/// Whether one text shares at least half of the smaller one's shingles; texts of fewer than
/// [`MIN_POSITIONS`] only when all positions are equal.
pub fn is_copy(a: &Shingles, b: &Shingles) -> bool {
    if a.positions < MIN_POSITIONS || b.positions < MIN_POSITIONS {
        return a.positions > 0 && a.positions == b.positions && a.whole == b.whole;
    }
    let (limit, needed) = needed(a, b);
    let smaller = if a.distinct <= b.distinct { a } else { b };
    let known = smaller.hashes.partition_point(|h| *h <= limit);
    let other = if std::ptr::eq(smaller, a) { b } else { a };
    let mut others = other.hashes.iter().copied().peekable();
    let mut shared = 0;
    for (seen, hash) in smaller.hashes.iter().take(known).enumerate() {
        // Decided as soon as what is left cannot change it: an alert of many texts is compared
        // with each of them.
        if shared >= needed || shared + (known - seen) < needed {
            break;
        }
        while others.next_if(|h| h < hash).is_some() {}
        shared += usize::from(others.next_if(|h| h == hash).is_some());
    }
    shared >= needed
}

/// Up to which hash two texts are compared, and how many hashes of the smaller one the other must
/// have up to there.
fn needed(a: &Shingles, b: &Shingles) -> (u32, usize) {
    // Up to this hash both lists are whole, so below it the comparison is exact; where a list was
    // cut, what is below is a fair sample of both.
    let limit = a.known_up_to().min(b.known_up_to());
    let smaller = if a.distinct <= b.distinct { a } else { b };
    let known = smaller.hashes.partition_point(|h| *h <= limit);
    (limit, known.div_ceil(2).max(1))
}

impl Shingles {
    fn known_up_to(&self) -> u32 {
        let whole = self.hashes.len() == self.distinct as usize;
        if whole { u32::MAX } else { self.hashes.last().copied().unwrap_or(0) }
    }
}

/// The first three bytes of a hash: of two lists of 512 that share nothing, one in sixty shares a
/// hash by chance, and half of them are needed for a copy.
fn short(hash: u64) -> u32 {
    u32::try_from(hash >> 40).unwrap_or(u32::MAX)
}

/// Hashes as text: base64 of three bytes each.
mod packed {
    use data_encoding::BASE64_NOPAD;
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(hashes: &[u32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> =
            hashes.iter().flat_map(|h| h.to_be_bytes().into_iter().skip(1)).collect();
        to.serialize_str(&BASE64_NOPAD.encode(&bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u32>, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = BASE64_NOPAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let whole = |three: &[u8]| three.iter().fold(0, |h, b| (h << 8) | u32::from(*b));
        Ok(bytes.chunks(3).map(whole).collect())
    }
}

fn word(folded: &[u8]) -> u64 {
    folded.iter().fold(SEED, |h, b| (h ^ u64::from(*b)).wrapping_mul(PRIME))
}

fn combine(hashes: &[u64]) -> u64 {
    hashes.iter().fold(SEED, |h, word| mix(h.rotate_left(23) ^ mix(*word)))
}

const SEED: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

/// Spreads the bits, so that the smallest hashes are a fair sample.
fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    h ^ (h >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::text::tokenize;

    fn story(words: std::ops::Range<u32>) -> String {
        words.map(|n| format!("word{n} ")).collect()
    }

    #[test]
    fn a_copy_shares_half_of_the_smaller_text() {
        let wire = of("Ferries stop", &story(0..40));
        assert!(is_copy(&wire, &of("FERRIES STOP!", &story(0..40))));
        assert!(is_copy(&wire, &of("Another headline", &story(0..200))));
        assert!(is_copy(&wire, &of("", &story(18..40))));
        assert!(!is_copy(&wire, &of("Ferries stop", &story(30..80))));
        assert!(!is_copy(&wire, &of("", &story(100..140))));
    }

    #[test]
    fn short_texts_are_copies_only_when_equal() {
        assert!(is_copy(&of("Ferries stop at Dover", ""), &of("ferries stop", "at Dover.")));
        assert!(!is_copy(&of("Ferries stop at Dover", ""), &of("Ferries stop at Calais", "")));
        assert!(!is_copy(&of("", ""), &of("", "")));
    }

    #[test]
    fn scripts_without_spaces_take_longer_shingles() {
        let text = "國防部二十九日下午對外島發布防空警報民眾紛紛進入地下室避難";
        assert!(is_copy(&of(text, ""), &of("快訊", text)));
        let other = "國防部昨天說外島沒有防空警報而民眾並未進入任何地下室避難去";
        assert!(!is_copy(&of(text, ""), &of(other, "")));
    }

    #[test]
    fn long_texts_are_compared_by_a_fair_sample() {
        let long = of("", &story(0..20_000));
        assert!(long.hashes.len() == MAX_HASHES && long.distinct > 19_000);
        assert!(is_copy(&long, &of("", &story(0..15_000))));
        assert!(is_copy(&long, &of("", &story(8_000..20_000))));
        assert!(!is_copy(&long, &of("", &story(16_000..36_000))));
    }

    #[test]
    fn hashes_do_not_change_between_versions() {
        let kept = of("Ferries stop", "at Dover");
        assert_eq!(kept.whole, combine(&of_words(&["ferries", "stop", "at", "dover"])));
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Shingles>(&text).unwrap(), kept);
    }

    fn of_words(list: &[&str]) -> Vec<u64> {
        list.iter().map(|w| word(w.as_bytes())).collect()
    }

    /// Shingles as they are defined, by the words that rules see.
    fn as_defined(title: &str, body: &str) -> Shingles {
        let (title, body) = (tokenize(title), tokenize(body));
        let tokens = || title.words().iter().chain(body.words());
        let words: Vec<u64> = tokens().map(|t| word(t.folded.as_bytes())).collect();
        let spaceless = tokens().filter(|t| t.spaceless).count();
        let width = if spaceless * 2 > words.len() { 6 } else { 3 };
        let all: BTreeSet<u32> = words.windows(width).map(|w| short(combine(w))).collect();
        Shingles {
            positions: words.len() as u32,
            whole: combine(&words),
            distinct: all.len() as u32,
            hashes: all.into_iter().take(MAX_HASHES).collect(),
        }
    }

    proptest! {
        #[test]
        fn an_article_has_the_shingles_of_its_words(
            title in "\\PC{0,20}|([a-c'’.,\\-0-2 港ｶﾞ]{0,20})",
            body in "\\PC{0,60}|([a-cSs'’ʼ.,\\-–0-2א\"׳п \n\u{AD}\u{301}é]|港|ก|\u{E31}|ｶ|ﾞ|Ａ|𠀋|🚢|\n\n){0,60}",
        ) {
            prop_assert_eq!(of(&title, &body), as_defined(&title, &body));
        }

        #[test]
        fn a_probe_finds_the_copies(
            from in 0..60_u32, length in 0..80_u32, long in 0..2_000_u32, joined in 0..40_u32,
        ) {
            let texts = [
                of("", &story(0..60)),
                of("Ferries stop", &story(0..long)),
                of("", &(story(from..from + length) + &story(9_000..9_000 + joined))),
                of("", &story(from..from + long)),
            ];
            for a in &texts {
                let probe = Probe::new(a.clone());
                for b in &texts {
                    prop_assert_eq!(probe.is_copy_of(b), is_copy(b, a), "{:?} {:?}", a, b);
                }
            }
        }
    }
}

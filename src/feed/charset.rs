//! Bytes to text. Labels lie, so bytes that are valid UTF-8 are UTF-8 whatever a label says.

use encoding_rs::Encoding;
use encoding_rs::UTF_8;
use encoding_rs::UTF_16BE;
use encoding_rs::UTF_16LE;
use encoding_rs::WINDOWS_1252;

/// How far into a document a declaration is looked for.
const HEAD: usize = 1_024;

/// Text and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without byte order mark.
    pub text: String,
    /// The charset's name.
    pub charset: &'static str,
    /// Some bytes were no character of it and are U+FFFD.
    pub lossy: bool,
}

impl Decoded {
    pub(super) fn problem(&self) -> Option<String> {
        let charset = self.charset;
        self.lossy.then(|| format!("some bytes are no characters of {charset} and were replaced"))
    }
}

/// The charset that a media type names.
pub fn label(media_type: &str) -> Option<&str> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', ' ']))
    })
}

/// Decodes: byte order mark, valid UTF-8, the sender's label, the document's declaration, a
/// guess, windows-1252.
pub fn decode(bytes: &[u8], label: Option<&str>) -> Decoded {
    if let Some(text) = utf32(bytes) {
        return text;
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return forced(bytes.get(mark..).unwrap_or_default(), encoding);
    }
    match bytes {
        [b'<' | b'{' | b'[', 0, _, 0, ..] => return forced(bytes, UTF_16LE),
        [0, b'<' | b'{' | b'[', 0, _, ..] => return forced(bytes, UTF_16BE),
        _ => {}
    }
    let label = label.and_then(known);
    let declared = declared(bytes).and_then(|l| known(&l));
    let labels = [label, declared];
    let escapes = bytes.contains(&0x1B) && labels.contains(&Some(encoding_rs::ISO_2022_JP));
    if !escapes && let Some(text) = utf8(bytes) {
        return text;
    }
    let wide = bytes.contains(&0);
    let labelled = labels.into_iter().flatten().filter(|e| wide || !e.name().starts_with("UTF-16"));
    labelled
        .chain([guess(bytes), WINDOWS_1252])
        .find_map(|encoding| exact(bytes, encoding))
        .unwrap_or_else(|| forced(bytes, WINDOWS_1252))
}

/// UTF-32, by its mark or by how markup begins in it.
fn utf32(bytes: &[u8]) -> Option<Decoded> {
    let read: fn([u8; 4]) -> u32 = match bytes {
        [0, 0, 0xFE, 0xFF, ..] | [0, 0, 0, b'<' | b'{', ..] => u32::from_be_bytes,
        [0xFF, 0xFE, 0, 0, ..] | [b'<' | b'{', 0, 0, 0, ..] => u32::from_le_bytes,
        _ => return None,
    };
    let (units, rest) = bytes.as_chunks::<4>();
    let found = || units.iter().map(|unit| char::from_u32(read(*unit)));
    let lossy = !rest.is_empty() || found().any(|c| c.is_none());
    let text: String = found().map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    let text = text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text);
    Some(Decoded { text, charset: "UTF-32", lossy })
}

/// A label that says more than "some superset of ASCII".
fn known(label: &str) -> Option<&'static Encoding> {
    let label = label.trim().trim_matches(['"', '\'']);
    if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") {
        return None;
    }
    Encoding::for_label(label.as_bytes()).filter(|e| *e != UTF_8)
}

/// UTF-8 where the bytes are, but for a cut-off end or a few stray bytes in much good text.
fn utf8(bytes: &[u8]) -> Option<Decoded> {
    let name = UTF_8.name();
    match std::str::from_utf8(bytes) {
        Ok(text) => return Some(Decoded { text: text.to_owned(), charset: name, lossy: false }),
        Err(e) if e.error_len().is_none() => {
            let text = bytes.get(..e.valid_up_to()).map(String::from_utf8_lossy)?;
            // A lone lead byte at the end of plain ASCII is more likely another charset.
            if text.is_ascii() {
                return None;
            }
            return Some(Decoded { text: text.into_owned(), charset: name, lossy: true });
        }
        Err(_) => {}
    }
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    (good >= bad.saturating_mul(10)).then(|| Decoded {
        text: String::from_utf8_lossy(bytes).into_owned(),
        charset: name,
        lossy: true,
    })
}

fn exact(bytes: &[u8], encoding: &'static Encoding) -> Option<Decoded> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(Decoded { text: text.into_owned(), charset: encoding.name(), lossy: false })
}

fn forced(bytes: &[u8], encoding: &'static Encoding) -> Decoded {
    let (text, lossy) = encoding.decode_without_bom_handling(bytes);
    Decoded { text: text.into_owned(), charset: encoding.name(), lossy }
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    detector.guess(None, chardetng::Utf8Detection::Deny)
}

/// The charset in an XML declaration or an HTML meta element.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(HEAD)).unwrap_or_default();
    let head: String = head.iter().map(|b| char::from(*b).to_ascii_lowercase()).collect();
    let head = head.trim_start();
    if !head.starts_with('<') {
        return None;
    }
    let xml = head.strip_prefix("<?xml").and_then(|h| h.split_once("?>")).map(|(decl, _)| decl);
    let value = match xml.and_then(|decl| decl.split_once("encoding")) {
        Some((_, rest)) => rest.trim_start().strip_prefix('=')?,
        None => head.split_once("charset=")?.1,
    };
    let value = value.trim_start().trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.+".contains(c)));
    let label = end.and_then(|at| value.get(..at)).unwrap_or(value);
    (!label.is_empty()).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_is_found_in_the_order_that_lies_least() {
        let cyrillic =
            encoding_rs::WINDOWS_1251.encode("<?xml encoding='x'?>Сирени").0.into_owned();
        let declared = encoding_rs::WINDOWS_1251
            .encode("<?xml version=\"1.0\" encoding=\"windows-1251\"?><a>Тривога</a>")
            .0
            .into_owned();
        let meta = encoding_rs::SHIFT_JIS.encode("<meta charset=shift_jis>警報").0.into_owned();
        let utf16: Vec<u8> = "<a>жук</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut marked = vec![0xFF, 0xFE];
        marked.extend("жук".encode_utf16().flat_map(u16::to_le_bytes));
        let iso2022 = encoding_rs::ISO_2022_JP.encode("警報").0.into_owned();
        for (name, bytes, label, want) in [
            ("utf-8 under a wrong label", "жук".as_bytes(), Some("windows-1251"), "жук"),
            ("a mark", "\u{FEFF}жук".as_bytes(), Some("latin1"), "жук"),
            ("a utf-16 mark", &marked, None, "жук"),
            ("utf-16 without a mark", &utf16, None, "<a>жук</a>"),
            ("a label", &cyrillic, Some("cp1251"), "<?xml encoding='x'?>Сирени"),
            (
                "a declaration",
                &declared,
                Some("us-ascii"),
                "<?xml version=\"1.0\" encoding=\"windows-1251\"?><a>Тривога</a>",
            ),
            ("a meta element", &meta, None, "<meta charset=shift_jis>警報"),
            ("escapes that are valid utf-8", &iso2022, Some("iso-2022-jp"), "警報"),
            ("nothing to go by", b"caf\xE9", None, "café"),
            ("nothing", b"", None, ""),
        ] {
            let decoded = decode(bytes, label);
            assert_eq!(decoded.text, want, "{name}");
            assert!(!decoded.lossy, "{name}");
        }
    }

    #[test]
    fn a_media_type_may_name_a_charset() {
        for (text, want) in [
            ("text/xml; charset=utf-8", Some("utf-8")),
            ("text/xml;charset=\"windows-1251\"", Some("windows-1251")),
            ("text/plain; format=flowed; CharSet = koi8-r ", Some("koi8-r")),
            ("text/xml", None),
            ("charset=utf-8", None),
            ("", None),
        ] {
            assert_eq!(label(text), want, "{text}");
        }
    }

    #[test]
    fn a_cut_off_or_slightly_broken_utf8_text_stays_utf8() {
        let text = "Сирени звучать у місті".as_bytes();
        let cut = decode(text.get(..text.len() - 1).unwrap(), None);
        assert_eq!((cut.text.as_str(), cut.lossy), ("Сирени звучать у міст", true));
        let mut broken = text.to_vec();
        broken.insert(0, 0xFF);
        assert_eq!(decode(&broken, None).charset, "UTF-8");
    }
}

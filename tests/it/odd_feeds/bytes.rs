//! Charsets as they are named and as they are, and characters that are none.

use encoding_rs::Encoding;

use super::Want;
use super::check;
use super::read;
use super::read_labelled;

const UKRAINIAN: &str = "Сирени звучать у місті, людей просять пройти в укриття";
const RUSSIAN: &str = "В городе звучат сирены, жителей просят пройти в укрытие";
const JAPANESE: &str = "警報が鳴っています";
const CHINESE: &str = "东港市拉响防空警报";

/// A feed that says which charset it is in, with a title.
fn declared(charset: &str, title: &str) -> String {
    let declaration = match charset {
        "" => String::new(),
        charset => format!("<?xml version=\"1.0\" encoding=\"{charset}\"?>\n"),
    };
    format!("{declaration}<rss><channel><item><title>{title}</title></item></channel></rss>")
}

/// The same in the bytes of a charset.
fn encoded(charset: &'static Encoding, says: &str, title: &str) -> Vec<u8> {
    charset.encode(&declared(says, title)).0.into_owned()
}

fn marked(mark: &[u8], text: &[u8]) -> Vec<u8> {
    [mark, text].concat()
}

fn title_is(name: &str, bytes: &[u8], label: Option<&str>, want: &str) {
    let read = read_labelled(bytes, label).unwrap_or_else(|e| panic!("{name}: {e}"));
    let titles: Vec<&str> = read.entries.iter().map(|draft| draft.title.as_str()).collect();
    assert_eq!(titles, [want], "{name}");
}

#[test]
fn utf_8_is_utf_8_whatever_the_labels_say() {
    for (name, says, label) in [
        ("right labels", "utf-8", Some("utf-8")),
        ("no label", "", None),
        ("two wrong labels", "koi8-r", Some("windows-1251")),
        ("the declaration says cp1251", "cp1251", None),
        ("the declaration says utf-16", "utf-16", None),
        ("the server says ascii", "", Some("us-ascii")),
        ("the server says nonsense", "", Some("x-skylark; q=1")),
    ] {
        title_is(name, declared(says, UKRAINIAN).as_bytes(), label, UKRAINIAN);
    }
    let mark = "\u{FEFF}";
    let text = declared("latin1", UKRAINIAN);
    title_is("a mark", format!("{mark}{text}").as_bytes(), Some("latin1"), UKRAINIAN);
    title_is("two marks", format!("{mark}{mark}{text}").as_bytes(), None, UKRAINIAN);
    let cut = text.as_bytes().get(..text.len() - 1).unwrap();
    title_is("without its last byte", cut, None, UKRAINIAN);
    let at = text.bytes().position(|b| b > 0x7F).unwrap();
    let mut stray = text.into_bytes();
    stray.insert(at, 0xFF);
    title_is("a stray byte", &stray, None, &format!("\u{FFFD}{UKRAINIAN}"));
}

#[test]
fn older_charsets_are_known_by_a_label_or_by_their_letters() {
    let (cp1251, koi8) = (encoding_rs::WINDOWS_1251, encoding_rs::KOI8_R);
    let (sjis, gb) = (encoding_rs::SHIFT_JIS, encoding_rs::GB18030);
    for (name, charset, says, label, title) in [
        ("cp1251, declared", cp1251, "windows-1251", None, RUSSIAN),
        ("cp1251 by a nickname", cp1251, "cp1251", None, RUSSIAN),
        ("cp1251 by the server", cp1251, "", Some("windows-1251"), RUSSIAN),
        ("cp1251, the server says ascii", cp1251, "windows-1251", Some("us-ascii"), RUSSIAN),
        ("cp1251, the server says utf-8", cp1251, "windows-1251", Some("utf-8"), RUSSIAN),
        ("cp1251 by the server, declared utf-8", cp1251, "utf-8", Some("cp1251"), RUSSIAN),
        ("cp1251 without a word", cp1251, "", None, RUSSIAN),
        ("cp1251 under an unknown label", cp1251, "x-skylark", None, RUSSIAN),
        ("koi8-r, declared", koi8, "koi8-r", None, RUSSIAN),
        ("koi8-r without a word", koi8, "", None, RUSSIAN),
        ("koi8-r by the server, declared cp1251", koi8, "cp1251", Some("koi8-r"), RUSSIAN),
        ("shift_jis, declared", sjis, "Shift_JIS", None, JAPANESE),
        ("shift_jis, the server says utf-8", sjis, "Shift_JIS", Some("UTF-8"), JAPANESE),
        ("gb18030, declared", gb, "gb18030", None, CHINESE),
        ("gb18030 called gb2312", gb, "gb2312", None, CHINESE),
    ] {
        title_is(name, &encoded(charset, says, title), label, title);
    }
    let latin = b"<?xml version='1.0' encoding='utf-8'?><rss><item><title>Caf\xE9, 12 \x80</title></item></rss>";
    title_is("latin-1 that says utf-8", latin, Some("utf-8"), "Café, 12 €");
}

#[test]
fn wide_charsets_are_known_by_a_mark_or_by_how_markup_begins() {
    let text = declared("utf-16", UKRAINIAN);
    let utf16 = |to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
    let utf32 =
        |to: fn(u32) -> [u8; 4]| -> Vec<u8> { text.chars().flat_map(|c| to(c.into())).collect() };
    let (le, be) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
    title_is("one order with a mark", &marked(b"\xFF\xFE", &le), None, UKRAINIAN);
    title_is("the other with a mark", &marked(b"\xFE\xFF", &be), Some("utf-8"), UKRAINIAN);
    title_is("one order", &le, Some("utf-16"), UKRAINIAN);
    title_is("the other", &be, Some("utf-8"), UKRAINIAN);
    let (le, be) = (utf32(u32::to_le_bytes), utf32(u32::to_be_bytes));
    title_is("four bytes", &le, None, UKRAINIAN);
    title_is("four bytes, the other order", &be, None, UKRAINIAN);
    title_is("four bytes with a mark", &marked(&[0, 0, 0xFE, 0xFF], &be), None, UKRAINIAN);
    title_is("four bytes with the other", &marked(&[0xFF, 0xFE, 0, 0], &le), None, UKRAINIAN);
    let broken = marked(&[0, 0, 0xFE, 0xFF, 0xFF, 0, 0, 0], &be);
    assert!(read(&broken).unwrap().problems[0].contains("UTF-32"));
}

#[test]
fn characters_that_are_none_go() {
    for (name, says, title, want) in [
        ("null bytes", "", "Si\0rens\0", "Sirens"),
        ("control characters", "", "Si\u{1}r\u{1C}en\u{8}s\u{7F}", "Sirens"),
        ("one in a tag", "", "x</title\u{1C}><title>y", "x"),
        ("windows-1252 in utf-8", "utf-8", "It\u{92}s \u{96} on", "It’s – on"),
        ("letters beyond the first plane", "utf-8", "🚨 Sirens", "🚨 Sirens"),
    ] {
        title_is(name, declared(says, title).as_bytes(), None, want);
    }
    let text = declared("utf-8", "Sirens");
    title_is("null bytes before all", &marked(b"\0\0", text.as_bytes()), None, "Sirens");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for (name, bytes, want) in [
        ("gzip", b"\x1F\x8B\x08\0\0\0\0\0".to_vec(), "gzip"),
        ("an image", b"\x89PNG\r\n\x1A\n\0\0\0".to_vec(), "neither markup nor JSON"),
        ("null bytes only", vec![0; 100], "neither markup nor JSON"),
        ("a mark only", b"\xEF\xBB\xBF".to_vec(), "neither markup nor JSON"),
        ("too much", vec![b' '; wirebell::feed::MAX_BYTES + 1], "16777217 bytes"),
    ] {
        check(name, read(&bytes), &Want::Refusal(want));
    }
}

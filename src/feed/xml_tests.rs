use proptest::prelude::*;

use crate::feed::Context;
use crate::feed::Document;
use crate::feed::Form;
use crate::feed::read_articles;
use crate::feed::read_feed;
use crate::model::Time;

const NOW: i64 = 1_704_900_000_000;

fn feed(text: &str) -> Document {
    feed_at(text, "https://example.net/news/feed.xml")
}

fn feed_at(text: &str, url: &str) -> Document {
    let url = url::Url::parse(url).unwrap();
    let context = Context { url: Some(&url), charset: None, now: Time::from_millis(NOW) };
    read_feed(text.as_bytes(), &context).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn item(inner: &str) -> crate::feed::Draft {
    feed(&format!("<rss version='2.0'><channel><item>{inner}</item></channel></rss>"))
        .entries
        .remove(0)
}

#[test]
fn rss_is_read() {
    let text = r#"
<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
     xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>Skylark &amp; Co</title><language>en-GB</language>
<image><title>Logo</title></image>
<item><title>Sirens &amp;quot;sound&amp;quot; in &lt;b&gt;Eastport&lt;/b&gt;</title><media:title>no</media:title>
<link>/2024/1</link><guid isPermaLink="false">n-1</guid><pubDate>Wed, 10 Jan 2024 07:04:05 GMT</pubDate>
<dc:creator>A. Writer</dc:creator><description>short</description>
<content:encoded><![CDATA[<p>One.</p><p>Two &mdash; three.</p>]]></content:encoded></item>
<item><title>Second</title><guid>http://example.net/2</guid><author>w@example.net (B. Writer)</author>
<pubDate>Wed, 10 Jan 2029 07:04:05 GMT</pubDate></item>
</channel></rss>"#;
    let read = feed(text);
    assert_eq!((read.kind, read.title.as_deref()), ("rss", Some("Skylark & Co")));
    assert_eq!((read.entries.len(), read.salvaged, read.problems.len()), (2, 0, 0));
    let first = &read.entries[0];
    assert_eq!(first.title, "Sirens \"sound\" in Eastport");
    assert_eq!(first.body, "One.\n\nTwo — three.");
    assert_eq!(first.link.as_deref(), Some("https://example.net/2024/1"));
    assert_eq!(first.id.as_deref(), Some("n-1"));
    assert_eq!(first.author.as_deref(), Some("A. Writer"));
    assert_eq!(first.lang.as_ref().unwrap().as_str(), "en-GB");
    assert_eq!(first.published_at.unwrap().to_string(), "2024-01-10T07:04:05.000Z");
    let second = &read.entries[1];
    assert_eq!(second.link.as_deref(), Some("http://example.net/2"));
    assert_eq!(second.identity(), "https://example.net/2");
    assert_eq!(second.author.as_deref(), Some("B. Writer"));
    assert_eq!(second.published_at, None, "five years ahead");
    assert_eq!(second.problems.len(), 1);
}

#[test]
fn atom_and_rdf_are_read() {
    let read = feed(
        r#"<a:feed xmlns:a="http://www.w3.org/2005/Atom" xml:lang="uk" xml:base="https://example.org/x/">
<a:title type="html">The &amp;lt;Lark&amp;gt;</a:title>
<a:entry xml:base="y/"><a:id>tag:1</a:id><a:title>Ferry &lt;b&gt; halts</a:title>
<a:link rel="self" href="self"/><a:link href="z"/><a:published>2024-01-10T07:04:05Z</a:published>
<a:updated>2024-01-10T08:04:05Z</a:updated><a:author><a:name>C. Writer</a:name></a:author>
<a:source><a:title>other</a:title><a:id>other</a:id></a:source>
<a:content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>A &amp; b &lt;c</p><p>d</p></div></a:content>
</a:entry>
<at:deleted-entry xmlns:at="http://purl.org/atompub/tombstones/1.0" ref="tag:0" when="2024-01-10T07:00:00Z"/>
</a:feed>"#,
    );
    assert_eq!((read.kind, read.title.as_deref()), ("atom", Some("The <Lark>")));
    let entry = &read.entries[0];
    assert_eq!((entry.id.as_deref(), entry.title.as_str()), (Some("tag:1"), "Ferry halts"));
    assert_eq!(entry.link.as_deref(), Some("https://example.org/x/y/z"));
    assert_eq!(entry.body, "A & b <c\n\nd");
    assert_eq!(entry.updated_at.unwrap().to_string(), "2024-01-10T08:04:05.000Z");
    assert_eq!(entry.author.as_deref(), Some("C. Writer"));
    assert_eq!(entry.lang.as_ref().unwrap().as_str(), "uk");
    assert!(read.entries[1].withdrawn);
    let read = feed(
        r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:x="http://purl.org/dc/elements/1.1/"><channel rdf:about="c"><title>T</title></channel>
<item rdf:about="https://example.net/1"><title>One</title><x:date>2024-01-10</x:date></item></rdf:RDF>"#,
    );
    assert_eq!(
        (read.kind, read.entries[0].link.as_deref()),
        ("rdf", Some("https://example.net/1"))
    );
    assert!(read.entries[0].published_at.is_some());
}

#[test]
fn broken_markup_costs_at_most_its_entry() {
    let good = |n: u8| format!("<item><title>T{n}</title><guid>g{n}</guid></item>");
    let (one, two) = (good(1), good(2));
    for (name, text, titles) in [
        (
            "bare ampersand",
            format!("<rss><channel>{one}<item><title>A & B</title></item>{two}"),
            vec!["T1", "A & B", "T2"],
        ),
        (
            "bare less-than",
            format!("<rss><channel><item><title>1 < 2</title></item>{one}"),
            vec!["1 < 2", "T1"],
        ),
        (
            "html entities",
            "<rss><item><title>a&nbsp;b &foo; c</title></item></rss>".to_owned(),
            vec!["a b &foo; c"],
        ),
        (
            "unmatched ends",
            format!("<rss></p><channel></x>{one}</b>{two}</channel>"),
            vec!["T1", "T2"],
        ),
        (
            "no closing tag of an item",
            format!("<rss><channel><item><title>A</title>{one}</channel></rss>"),
            vec!["A", "T1"],
        ),
        ("an open leaf", "<rss><item><title>A<link>/x</link></item></rss>".to_owned(), vec!["A"]),
        (
            "an open comment",
            format!("<rss><channel>{one}<!-- {two}</channel></rss>"),
            vec!["T1", "T2"],
        ),
        (
            "a tag cut off",
            format!("<rss><channel>{one}{two}<item><title>C</title><gu"),
            vec!["T1", "T2"],
        ),
        (
            "an entry cut off",
            format!("<rss><channel>{one}{two}<item><title>C</ti"),
            vec!["T1", "T2"],
        ),
        (
            "odd case",
            "<RSS><Channel><ITEM><Title>T</TITLE></ITEM></Channel></RSS>".to_owned(),
            vec!["T"],
        ),
        (
            "control characters",
            "\u{0}\n<rss><item><title>a\u{1c}b</title></item></rss>".to_owned(),
            vec!["ab"],
        ),
        ("no root", format!("{one}{two}"), vec!["T1", "T2"]),
    ] {
        let read = feed(&text);
        let found: Vec<&str> = read.entries.iter().map(|e| e.title.as_str()).collect();
        assert_eq!(found, titles, "{name}: {text}\n{:?}", read.problems);
    }
}

#[test]
fn what_is_no_feed_says_what_it_is() {
    let context = Context { url: None, charset: None, now: Time::from_millis(NOW) };
    for (text, want) in [
        ("", "neither"),
        ("<!doctype html><html><body>x</body></html>", "HTML page"),
        ("<alert xmlns='urn:x'></alert>", "CAP"),
        ("<svg/>", "svg"),
        ("{\"a\":[]}", "items"),
        ("just text", "neither"),
    ] {
        let error = read_feed(text.as_bytes(), &context).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
    let read =
        read_feed(b"<rss><item><link>/x</link><title>T</title></item></rss>", &context).unwrap();
    assert_eq!(read.entries[0].link, None);
    assert!(read.entries[0].problems[0].contains("/x"), "{:?}", read.entries[0].problems);
}

#[test]
fn a_shared_guid_does_not_merge_two_entries() {
    let one = |link: &str| {
        format!("<item><title>T{link}</title><guid>g</guid><link>/{link}</link></item>")
    };
    let read = feed(&format!("<rss>{}{}{}{}</rss>", one("a"), one("b"), one("b"), one("a")));
    let identities: Vec<String> = read.entries.iter().map(crate::feed::Draft::identity).collect();
    assert_eq!(identities, ["g", "g https://example.net/b"]);
    assert_eq!(item("<guid>4711</guid><title>x</title>").link, None);
}

#[test]
fn limits_hold() {
    let deep = format!("<rss><item><title>T</title>{}x", "<a>".repeat(10_000));
    assert_eq!(feed(&format!("{deep}</item></rss>")).entries[0].title, "T");
    let many: String = (0..6_000).map(|n| format!("<item><title>T{n}</title></item>")).collect();
    let read = feed(&format!("<rss>{many}</rss>"));
    assert_eq!((read.entries.len(), read.problems.len()), (5_000, 1));
    let bomb = "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><rss><item><title>&b;</title></item></rss>";
    assert_eq!(feed(bomb).entries[0].title, "&b;");
    let long = item(&format!("<title>{}</title>", "ж".repeat(3_000)));
    assert_eq!(long.title.chars().count(), 2_000);
    assert_eq!(long.problems.len(), 1);
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<rss>",
        "</rss>",
        "<channel>",
        "<item>",
        "</item>",
        "<entry>",
        "</entry>",
        "<title>",
        "</title>",
        "<link href='x'",
        "/>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "&amp;",
        "&#x0;",
        "&",
        "<",
        ">",
        "\"",
        "'",
        "<content type='xhtml'>",
        "ж",
        "警",
        "\u{0}",
        "<?xml ",
        "?>",
        "<!DOCTYPE",
        "xml:base='::'",
        "{",
        "[",
        "\"items\":[",
        "}",
        "]",
        ",",
        "2024-01-10",
        "date ",
        "\n",
        "\r",
        ":",
        "<guid>",
        " xmlns:a='b'",
        "<a:",
        "{\"title\":\"a\",\"body\":\"b\"}",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), text in pieces()) {
        let url = url::Url::parse("https://example.net/").unwrap();
        let context = Context { url: Some(&url), charset: Some("utf-16"), now: Time::from_millis(NOW) };
        for bytes in [bytes.as_slice(), text.as_bytes(), &[b"<".as_slice(), bytes.as_slice()].concat()] {
            let _ = read_feed(bytes, &context);
            for form in [Form::Text, Form::Json] {
                let _ = read_articles(bytes, form, None);
            }
            let text = String::from_utf8_lossy(bytes);
            let _ = crate::feed::date::read(&text);
            let _ = crate::feed::html::to_text(&text);
        }
    }

    #[test]
    fn a_feed_cut_at_any_byte_keeps_its_whole_entries(cut in 0_usize..2_000) {
        let entries: Vec<String> = (0..12)
            .map(|n| format!("<item><title>Тривога №{n} &amp; інше</title><guid>g{n}</guid>\
                <description><![CDATA[<p>Текст {n}</p>]]></description></item>\n"))
            .collect();
        let text = format!("<rss><channel><title>F</title>{}</channel></rss>", entries.concat());
        let cut = cut.min(text.len());
        let bytes = &text.as_bytes()[..cut];
        let head = "<rss><channel><title>F</title>".len();
        let mut ends = entries.iter().scan(head, |at, e| { *at += e.len(); Some(*at - 1) });
        let whole = ends.by_ref().take_while(|end| *end <= cut).count();
        let context = Context { url: None, charset: None, now: Time::from_millis(NOW) };
        let read = read_feed(bytes, &context).map(|d| d.entries.len()).unwrap_or(0);
        prop_assert_eq!(read, whole, "cut at {}", cut);
    }
}

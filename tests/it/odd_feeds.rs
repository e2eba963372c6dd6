//! Feeds as publishers write them: each file shows one thing. What is awkward in a file is made
//! here.

mod bytes;
mod cases;
mod formats;
mod markup;
mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use serde_json::Value;
use wirebell::feed::Context;
use wirebell::feed::Document;
use wirebell::feed::Draft;
use wirebell::feed::Error;
use wirebell::feed::MAX_ENTRIES;
use wirebell::feed::read_feed;
use wirebell::feed::read_polled;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::model::article::MAX_BODY_CHARS;
use wirebell::model::article::MAX_TITLE_CHARS;

/// What is made of a document.
enum Want {
    /// Its kind, its entries as [`shown`], and words of each problem.
    Feed(&'static str, &'static [&'static str], &'static [&'static str]),
    /// Words of the error.
    Refusal(&'static str),
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/feeds")
}

fn read_labelled(bytes: &[u8], charset: Option<&str>) -> Result<Document, Error> {
    let url = url::Url::parse("https://example.net/news/feed.xml").unwrap();
    read_feed(bytes, &Context { url: Some(&url), charset, now: now() })
}

fn now() -> Time {
    "2024-01-10T15:20:00Z".parse().unwrap()
}

fn read(bytes: &[u8]) -> Result<Document, Error> {
    read_labelled(bytes, None)
}

/// What an entry has, on one line; its identity only where that is not its id or link.
fn shown(draft: &Draft) -> String {
    let named = draft.id.as_ref().or(draft.link.as_ref());
    let identity = named.map(|_| draft.identity()).filter(|own| Some(own) != named);
    let time = |at: Option<Time>| at.map(|at| at.to_string().replace(".000Z", "Z"));
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let values = [
        ("id", draft.id.clone()),
        ("identity", identity),
        ("title", text(&draft.title)),
        ("url", draft.link.clone()),
        ("published", time(draft.published_at)),
        ("updated", time(draft.updated_at)),
        ("author", draft.author.clone()),
        ("lang", draft.lang.as_ref().map(|lang| lang.as_str().to_owned())),
        ("text", text(&draft.body)),
    ];
    let mut parts: Vec<String> =
        values.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
    parts.extend(draft.withdrawn.then(|| "withdrawn".to_owned()));
    parts.join(" | ")
}

fn problems(read: &Document) -> Vec<&String> {
    read.problems.iter().chain(read.entries.iter().flat_map(|draft| &draft.problems)).collect()
}

fn check(name: &str, read: Result<Document, Error>, want: &Want) {
    match (read, want) {
        (Ok(read), Want::Feed(kind, entries, said)) => {
            let found: Vec<String> = read.entries.iter().map(shown).collect();
            assert_eq!(
                (read.kind, found.as_slice()),
                (*kind, to_strings(entries).as_slice()),
                "{name}"
            );
            let told = problems(&read);
            assert_eq!(told.len(), said.len(), "{name}: {told:?}");
            for words in *said {
                assert!(told.iter().any(|one| one.contains(words)), "{name}: {words}: {told:?}");
            }
        }
        (Err(e), Want::Refusal(words)) => assert!(e.to_string().contains(words), "{name}: {e}"),
        (Ok(read), Want::Refusal(words)) => panic!("{name}: {words}: {read:?}"),
        (Err(e), Want::Feed(..)) => panic!("{name}: {e}"),
    }
}

fn to_strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_file_gives_what_is_in_it() {
    let mut named = BTreeSet::new();
    for (name, want) in [formats::ROWS, markup::ROWS, values::ROWS].into_iter().flatten() {
        assert!(named.insert((*name).to_owned()), "{name} is there twice");
        check(name, read(&std::fs::read(folder().join(name)).unwrap()), want);
    }
    let there = std::fs::read_dir(folder()).unwrap();
    let there: BTreeSet<String> =
        there.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, named, "every file has a row");
}

fn one_item(inner: &str) -> Document {
    read(format!("<rss><channel><item>{inner}</item></channel></rss>").as_bytes()).unwrap()
}

#[test]
fn sizes_beyond_the_limits_are_cut_and_said() {
    let many: String = (0..6_000).map(|n| format!("<item><guid>{n}</guid></item>")).collect();
    let document = read(format!("<rss>{many}</rss>").as_bytes()).unwrap();
    assert_eq!(document.entries.len(), MAX_ENTRIES);
    assert!(document.problems[0].contains("only the first"), "{:?}", document.problems);
    let json: Vec<String> = (0..6_000).map(|n| format!("{{\"id\":{n}}}")).collect();
    let document = read(format!("{{\"items\":[{}]}}", json.join(",")).as_bytes()).unwrap();
    assert_eq!((document.entries.len(), document.problems.len()), (MAX_ENTRIES, 1));

    let document = one_item(&format!("<title>{}</title>", "ж".repeat(1 << 19)));
    assert_eq!(document.entries[0].title.chars().count(), MAX_TITLE_CHARS);
    assert!(document.entries[0].problems[0].contains("was cut"));
    let document = one_item(&format!("<description>{}</description>", "x".repeat(1 << 20)));
    assert_eq!(document.entries[0].body.chars().count(), MAX_BODY_CHARS);

    let huge = "x".repeat(1 << 20);
    let document = one_item(&format!(
        "<title a='{huge}' type='text'>T</title><link href='/{huge}'/><guid>g</guid>"
    ));
    assert_eq!(document.entries[0].title, "T");
    assert_eq!(document.entries[0].link, None);
    let deep = format!(
        "<title>T</title><description>{}x{}</description>",
        "<div>".repeat(9_999),
        "</div>".repeat(9_999)
    );
    assert_eq!(one_item(&deep).entries[0].title, "T");
    let wide = format!("<title>T</title>{}", "<category>x</category>".repeat(50_000));
    assert_eq!(one_item(&wide).entries[0].title, "T");
    let based = format!("<title>T</title><link xml:base='https://example.net/{huge}/'>x</link>");
    assert_eq!(one_item(&based).entries[0].link.as_deref(), Some("https://example.net/news/x"));
    let declared: String = (0..5_000).map(|n| format!(" xmlns:p{n}='n'")).collect();
    assert_eq!(
        read(format!("<rss{declared}><item><title>T</title></item></rss>").as_bytes())
            .unwrap()
            .entries
            .len(),
        1
    );
}

/// Pieces that, repeated, have a reader that looks ahead look through all that follows each time.
#[test]
fn repetition_is_read_in_linear_time() {
    let pieces = [
        "<item>",
        "</item ",
        "<item ",
        "<entry></entry>",
        "<",
        "&",
        "&a;",
        "<![CDATA[",
        "<!--",
        "<!DOCTYPE [",
        "<?x ",
        "<a b='",
        "<a \"",
        "</b>",
        "<guid>",
        "<item><pubDate>",
        "<a xml:base='x/'>",
        "<item><![CDATA[",
        "<item><title>&lt;object&gt;",
        "<link>x</link>",
        "{\"items\":[",
        "{<",
        "<html><link rel=alternate href='",
        "\0",
    ];
    for piece in pieces {
        for head in ["", "<rss><channel><item>", "<html>", "<rss><!-- ", "<urlset>"] {
            let text = format!("{head}{}", piece.repeat(60_000 / piece.len()));
            let entries = read(text.as_bytes()).map(|document| document.entries.len());
            assert!(entries.unwrap_or(0) <= MAX_ENTRIES, "{head}{piece}");
        }
    }
}

#[test]
fn the_order_of_entries_makes_none_of_them_another_one() {
    let item = |n: u8| format!("<item><title>T{n}</title><link>/</link></item>");
    let identities = |items: &str| -> BTreeSet<String> {
        let read = read(format!("<rss>{items}</rss>").as_bytes()).unwrap();
        read.entries.iter().map(Draft::identity).collect()
    };
    let before = identities(&(item(1) + &item(2)));
    let after = identities(&(item(3) + &item(2) + &item(1)));
    assert!(before.is_subset(&after), "{before:?} {after:?}");
}

#[test]
fn an_entry_that_is_there_twice_is_salvaged_once() {
    let item = "<item><title>Sirens</title></item>";
    let read = read(format!("<rss><!-- {item}{item}").as_bytes()).unwrap();
    assert_eq!((read.entries.len(), read.salvaged), (1, 1));
}

#[test]
fn a_cap_message_is_one_entry_whatever_links_to_it() {
    let alert = "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>1</identifier>\
        <sender>port</sender><sent>2024-01-10T07:04:05Z</sent><status>Actual</status>\
        <msgType>Alert</msgType><scope>Public</scope></alert>";
    let entry = |n: u8| format!("<entry><link href='/{n}'/><content>{alert}</content></entry>");
    let read = read(format!("<feed>{}{}</feed>", entry(1), entry(2)).as_bytes()).unwrap();
    assert_eq!(read.entries.len(), 1, "{read:?}");
    assert!(read.problems[0].contains("twice"), "{:?}", read.problems);
}

#[test]
fn a_poll_leaves_out_what_no_article_can_come_of() {
    let bytes = std::fs::read(folder().join("item_without_anything.xml")).unwrap();
    let polled = read_polled(&bytes, &Context { url: None, charset: None, now: now() }).unwrap();
    assert_eq!(polled.entries.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(), ["Sirens"]);
    assert!(polled.problems[0].starts_with("2 entries have neither"), "{:?}", polled.problems);
}

#[test]
fn an_id_that_moves_to_https_stays_the_same_article() {
    let id = |scheme: &str| {
        let read = one_item(&format!("<title>T</title><guid>{scheme}://example.net/1</guid>"));
        read.entries[0].article_id(&SourceId::new("lark").unwrap())
    };
    assert_eq!(id("http"), id("https"));
    assert_eq!(id("HTTP"), id("https"));
}

fn inspect(name: &str, args: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebell"));
    command.args(["inspect", "feed"]).arg(folder().join(name)).args(args);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let shown = serde_json::from_str(&said).unwrap_or(Value::String(said));
    (output.status.code(), shown, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn inspect_shows_a_feed_and_refuses_what_is_none() {
    let json = ["--output", "json"];
    let (code, shown, _) = inspect("atom_10_whole.xml", &json);
    assert_eq!(code, Some(0));
    let entry = serde_json::json!({
        "id": "tag:example.net,2024:1", "title": "Sirens", "url": "https://example.net/1",
        "published_at": "2024-01-10T07:04:05.000Z", "updated_at": "2024-01-10T08:04:05.000Z",
        "author": "A. Lark", "lang": null, "text": "One.\n\nTwo.", "withdrawn": false,
    });
    let whole = serde_json::json!({
        "title": "Skylark", "kind": "atom", "entries": [entry], "salvaged": 0, "problems": [],
    });
    assert_eq!(shown, whole);
    let (_, shown, _) = inspect(
        "links_relative_to_the_feed.xml",
        &["--url", "https://example.com/a/", "--output", "json"],
    );
    assert_eq!(shown["entries"][0]["url"], "https://example.com/a/1?a=b#c");
    let (_, shown, _) = inspect("item_without_anything.xml", &json);
    assert_eq!(shown["entries"].as_array().unwrap().len(), 3);
    assert!(
        shown["problems"][0].as_str().unwrap().starts_with("entry 1: it has neither"),
        "{shown}"
    );
    let (code, shown, _) = inspect("withdrawn_by_its_title.xml", &[]);
    assert_eq!(code, Some(0));
    assert!(shown.as_str().unwrap().contains("withdrawn  KILL: Sirens"), "{shown}");
    let (code, _, said) = inspect("page_with_one_feed.html", &["--url", "https://example.net/"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("its feed is https://example.net/atom.xml"), "{said}");
    assert_eq!(inspect("no_such_file.xml", &[]).0, Some(1));
    assert_eq!(inspect("empty_rss.xml", &["--url", "x"]).0, Some(2));
}

proptest! {
    /// Bytes put into, taken out of and turned over in a whole feed.
    #[test]
    fn a_damaged_feed_keeps_to_the_limits(
        file in 0_usize..10_000,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..12),
        label in prop::option::of(prop::sample::select(vec!["utf-8", "utf-16", "windows-1251", "x"])),
    ) {
        let rows: Vec<&str> =
            [formats::ROWS, markup::ROWS, values::ROWS].into_iter().flatten().map(|row| row.0).collect();
        let name = rows[file % rows.len()];
        let mut bytes = std::fs::read(folder().join(name)).unwrap();
        for (at, byte, how) in damage {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => if let Some(old) = bytes.get_mut(at) { *old ^= byte },
            }
        }
        if let Ok(read) = read_labelled(&bytes, label) {
            for draft in &read.entries {
                prop_assert!(draft.title.chars().count() <= MAX_TITLE_CHARS);
                prop_assert!(!draft.title.contains(['\n', '\0']), "{:?}", draft);
                let web = |link: &String| link.starts_with("http://") || link.starts_with("https://");
                prop_assert!(draft.link.as_ref().is_none_or(web), "{:?}", draft);
            }
        }
    }
}

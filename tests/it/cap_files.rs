//! CAP documents as senders write them: each file shows one thing.

use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use serde_json::json;
use wirebell::feed::Context;
use wirebell::feed::Draft;
use wirebell::feed::Form;
use wirebell::feed::cap;
use wirebell::feed::cap::Messages;
use wirebell::feed::read_articles;
use wirebell::feed::read_feed;
use wirebell::feed::read_polled;
use wirebell::model::Cap;
use wirebell::model::Nature;
use wirebell::model::Time;
use wirebell::model::cap::CapSeverity;
use wirebell::model::cap::Says;
use wirebell::model::cap::Scope;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cap").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

fn read(name: &str) -> Messages {
    cap::read(&bytes(name), None, None).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The one message of a file: its draft and its CAP part.
fn one(name: &str) -> (Draft, Cap) {
    let read = read(name);
    assert_eq!(read.messages.len(), 1, "{name}");
    let draft = read.messages[0].draft.clone();
    let cap = draft.message.clone().unwrap().cap;
    (draft, cap)
}

fn inspect(name: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebell"));
    command.args(["inspect", "cap", "--output", "json"]).arg(path(name)).output().unwrap()
}

fn context(url: &url::Url) -> Context<'_> {
    Context { url: Some(url), charset: None, now: "2026-01-19T00:00:00Z".parse().unwrap() }
}

#[test]
fn inspect_shows_the_values_as_written() {
    let shown: Value = serde_json::from_slice(&inspect("shapes.cap").stdout).unwrap();
    let area = json!({
        "description": "Dover and the sea lanes",
        "polygons": ["51.10,1.20 51.10,1.50 50.90,1.50 51.10,1.20", "51.10,1.20 51.10,1.50 north"],
        "circles": ["51.12,1.31 15.5"],
        "geocodes": [{"name": "UN/LOCODE", "value": "GBDVR"}, {"name": "EMMA", "value": "XX012"}],
    });
    let calais = json!({"description": "Calais", "polygons": [], "circles": [], "geocodes": []});
    let info = json!({
        "language": "en-GB", "categories": ["Met"], "event": "Storm", "response_types": [],
        "urgency": "Expected", "severity": "Severe", "certainty": "Likely", "effective": null,
        "onset": null, "expires": "2026-01-19T06:00:00+02:00",
        "headline": "Storm warning for Dover",
        "description": "Gusts of 120 km/h are expected.", "areas": [area, calais],
    });
    let alert = json!({
        "identifier": "PORT-1", "sender": "alerts@port.example",
        "sent": "2026-01-18T22:05:00+02:00", "status": "Actual", "msg_type": "Alert",
        "scope": "Public", "references": [], "infos": [info],
    });
    assert_eq!(shown["alerts"], json!([alert]));
    assert_eq!(shown["problems"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown.as_object().unwrap().len(), 2);
    let shown: Value = serde_json::from_slice(&inspect("broken_references.cap").stdout).unwrap();
    assert_eq!(
        shown["alerts"][0]["references"],
        json!([
            {"sender": "alerts@port.example", "identifier": "PORT-1",
             "sent": "2026-01-18T22:05:00+02:00"},
            {"sender": "alerts@port.example", "identifier": "PORT-9", "sent": "yesterday"},
        ])
    );
}

#[test]
fn what_is_no_message_fails_with_the_reason() {
    for (name, part) in [
        ("doctype.cap", "it has a DOCTYPE"),
        ("cut_off.cap", "ends inside an alert"),
        ("index.atom", "its root element is \"feed\""),
    ] {
        let done = inspect(name);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{name}");
        assert!(said.contains(part) && said.contains(name), "{said}");
    }
}

#[test]
fn two_languages_are_one_article_with_both_texts() {
    let (draft, cap) = one("two_languages.cap");
    assert_eq!(draft.title, "Storm warning for Dover / 多佛暴風警報");
    assert_eq!(draft.body, "Gusts of 120 km/h are expected.\n\n預計陣風時速120公里。");
    let langs: Vec<&str> = cap.blocks.iter().flat_map(|b| &b.lang).map(|l| l.as_str()).collect();
    assert_eq!(langs, ["en-GB", "zh-TW"]);
    assert_eq!((cap.blocks[0].title, cap.blocks[1].title), ((0, 23), (26, 32)));
    assert_eq!(cap.areas().collect::<Vec<_>>(), ["Dover", "多佛"]);
    assert_eq!(draft.published_at.unwrap().to_string(), "2026-01-18T20:05:00.000Z");
    assert_eq!(cap.expires().unwrap().to_string(), "2026-01-19T04:00:00.000Z");
    assert!(draft.problems.is_empty(), "{:?}", draft.problems);
}

#[test]
fn each_message_says_what_its_fields_say() {
    let actual = Some(Nature::Actual);
    for (name, says, nature, problems) in [
        ("cancel_without_info.cap", Some(Says::Cancel), actual, 0),
        ("update_all_clear.cap", Some(Says::Over), actual, 0),
        ("broken_references.cap", Some(Says::Update), actual, 2),
        ("no_expires.cap", Some(Says::Alert), actual, 0),
        ("exercise.cap", Some(Says::Alert), Some(Nature::Exercise), 0),
        ("test.cap", Some(Says::Alert), Some(Nature::Test), 0),
        ("no_status.cap", None, None, 2),
        ("z_time.cap", Some(Says::Alert), actual, 1),
        ("odd_values.cap", Some(Says::Alert), actual, 6),
        ("prefixed.cap", Some(Says::Alert), actual, 0),
        ("version_1_0.cap", Some(Says::Alert), actual, 0),
    ] {
        let (draft, cap) = one(name);
        assert_eq!((cap.says(), cap.nature()), (says, nature), "{name}");
        assert_eq!(draft.problems.len(), problems, "{name}: {:?}", draft.problems);
        assert_eq!(cap.scope, Scope::Public, "{name}");
    }
    let (draft, cap) = one("odd_values.cap");
    assert_eq!((cap.blocks[0].severity, cap.expires()), (CapSeverity::Unknown, None));
    assert_eq!(draft.lang, None);
    assert_eq!(one("no_expires.cap").1.expires(), None);
    let (draft, _) = one("cancel_without_info.cap");
    assert_eq!(
        (draft.title.as_str(), draft.body.as_str()),
        ("", "Sent in error by the night shift.")
    );
}

#[test]
fn the_same_message_has_one_id_and_references_lead_to_it() {
    let id = |name: &str| one(name).0.message.unwrap().id;
    // The same moment, written in another way.
    assert_eq!(id("z_time.cap"), id("two_languages.cap"));
    assert_ne!(id("exercise.cap"), id("two_languages.cap"));
    for name in ["cancel_without_info.cap", "update_all_clear.cap", "broken_references.cap"] {
        assert_eq!(one(name).1.references[0], id("two_languages.cap"), "{name}");
    }
}

#[test]
fn entities_and_charsets_are_resolved_whatever_the_label_says() {
    let (draft, _) = one("entities.cap");
    assert_eq!(draft.title, "Sturm & Regen in Köln — 3 Orte");
    assert!(draft.body.contains("Ströme steigen."), "{}", draft.body);
    assert!(!draft.body.contains('<'), "{}", draft.body);
    assert_eq!(one("wrong_charset_label.cap").0.title, "Штормове попередження");
    assert_eq!(one("windows_1251.cap").0.title, "Штормовое предупреждение");
}

#[test]
fn several_messages_come_in_an_envelope_and_inside_of_entries() {
    let ids: Vec<String> =
        read("edxl.xml").messages.iter().map(|m| m.alert.identifier.clone().unwrap()).collect();
    assert_eq!(ids, ["PORT-1", "PORT-7"]);
    let url = url::Url::parse("https://port.example/feed").unwrap();
    let feed = read_feed(&bytes("inline.atom"), &context(&url)).unwrap();
    let titles: Vec<(&str, bool)> =
        feed.entries.iter().map(|e| (e.title.as_str(), e.message.is_some())).collect();
    let wanted = [
        ("Storm warning for Dover", true),
        ("Ice warning for Calais", true),
        ("How to read our alerts", false),
    ];
    assert_eq!(titles, wanted, "{:?}", feed.problems);
    assert_eq!(feed.entries[0].link.as_deref(), Some("https://port.example/pages/1.html"));
    let inline = feed.entries[0].message.clone().unwrap();
    assert_eq!(inline.id, one("two_languages.cap").0.message.unwrap().id);
    for name in ["edxl.xml", "test.cap"] {
        let document = read_polled(&bytes(name), &context(&url)).unwrap();
        assert_eq!(document.kind, "cap", "{name}");
        assert!(document.entries.iter().all(|e| e.message.is_some()), "{name}");
        assert!(read_feed(&bytes(name), &context(&url)).is_err(), "{name} is no feed");
    }
}

#[test]
fn entries_of_an_index_announce_their_files() {
    let url = url::Url::parse("https://port.example/feed").unwrap();
    let one = Some("https://port.example/cap/1.cap".to_owned());
    let two = Some("https://port.example/cap/2.cap".to_owned());
    for (name, wanted) in
        [("index.atom", vec![one.clone(), None]), ("index.rss", vec![one.clone(), two])]
    {
        let feed = read_feed(&bytes(name), &context(&url)).unwrap();
        let found: Vec<Option<String>> = feed.entries.into_iter().map(|e| e.announces).collect();
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn a_file_is_read_as_messages_by_its_ending_or_its_root() {
    let message = bytes("two_languages.cap");
    for (name, bytes, form) in [
        ("a.cap", &b""[..], Form::Cap),
        ("a.XML", b"", Form::Cap),
        ("-", &message, Form::Cap),
        ("-", b"<p>Sirens", Form::Text),
        ("a.txt", &message, Form::Text),
    ] {
        assert_eq!(Form::of(name, bytes), form, "{name}");
    }
    let drafts = read_articles(&bytes("edxl.xml"), Form::Cap, None);
    assert!(drafts.len() == 2 && drafts.iter().all(Result::is_ok));
    let refused = read_articles(&bytes("doctype.cap"), Form::Cap, None);
    let refused = refused[0].as_ref().unwrap_err().to_string();
    assert!(refused.contains("DOCTYPE"), "{refused}");
    // A second message that breaks off does not cost the first.
    let mut cut = b"<alerts>".to_vec();
    cut.extend(String::from_utf8(message).unwrap().split_once("?>").unwrap().1.bytes());
    cut.extend(b"<alert><identifier>x");
    let read = read_articles(&cut, Form::Cap, None);
    assert!(read.len() == 2 && read[0].is_ok() && read[1].is_err(), "{read:?}");
    assert!(Time::from_millis(0) < read[0].as_ref().unwrap().published_at.unwrap());
}

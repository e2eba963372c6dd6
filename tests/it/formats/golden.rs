//! Each format and each type of event beside what is on file.

use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;
use wirebell::delivery::format::Message;
use wirebell::delivery::format::Told;
use wirebell::model::subscription::Format;

use crate::formats::made::KINDS;
use crate::formats::made::TEXTS;
use crate::formats::made::event;
use crate::formats::made::json_of;
use crate::formats::made::ping;
use crate::formats::made::read;
use crate::formats::made::sent;
use crate::formats::made::style;
use crate::formats::made::told;

fn shown(message: &Message) -> Value {
    let headers: serde_json::Map<String, Value> =
        message.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({"content_type": message.content_type, "headers": headers, "body": json_of(message)})
}

/// What a format makes of each type, in each script.
fn cases(format: Format) -> Vec<(String, Value)> {
    let style = style(format);
    let mut cases: Vec<(String, Value)> = Vec::new();
    for kind in KINDS {
        let mut scripts = serde_json::Map::new();
        for texts in &TEXTS {
            let message = sent(&read(&event(kind, texts)), &style);
            scripts.insert(texts.script.to_owned(), shown(&message));
        }
        cases.push((kind.to_owned(), Value::Object(scripts)));
    }
    let mut exercise = event("alert.opened", &TEXTS[0]);
    exercise["alert"]["nature"] = json!("exercise");
    let opened = read(&event("alert.opened", &TEXTS[0]));
    let late = told(Told::Event(&opened), &style, true).unwrap();
    cases.push(("exercise".to_owned(), shown(&sent(&read(&exercise), &style))));
    cases.push(("late".to_owned(), shown(&late)));
    cases.push(("test.ping".to_owned(), shown(&ping(&style))));
    cases
}

/// With `WIREBELL_BLESS=1` the files are written instead: read them before they are committed.
#[test]
fn every_format_sends_what_is_on_file() {
    let bless = std::env::var_os("WIREBELL_BLESS").is_some();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let mut wrong = Vec::new();
    for format in Format::ALL {
        let folder = root.join(format.as_str());
        let cases = cases(format);
        if bless {
            std::fs::create_dir_all(&folder).unwrap();
        }
        for (name, value) in cases {
            let path = folder.join(format!("{name}.json"));
            let text = format!("{}\n", serde_json::to_string_pretty(&value).unwrap());
            if bless {
                std::fs::write(&path, text).unwrap();
            } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
                wrong.push(format!("{}\n{text}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} bodies differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_try_has_the_same_bytes() {
    for format in Format::ALL {
        let style = style(format);
        for kind in KINDS {
            let event = read(&event(kind, &TEXTS[1]));
            assert_eq!(sent(&event, &style), sent(&event, &style), "{format:?} {kind}");
        }
    }
}

#[test]
fn an_end_says_in_words_what_it_takes_back() {
    for format in [Format::Slack, Format::Discord, Format::Teams, Format::Pagerduty, Format::Ntfy] {
        for texts in &TEXTS {
            for kind in ["alert.corrected", "alert.ended", "alert.retracted", "alert.expired"] {
                let message = sent(&read(&event(kind, texts)), &style(format));
                let said = String::from_utf8(message.body).unwrap().replace("\\\\", "");
                let title = texts.title.split(" & ").next().unwrap();
                assert!(said.contains(title), "{format:?} {kind}: {said}");
                let opened = said.replace('\\', "").contains("opened 2026-01-18 21:40 UTC");
                assert!(opened, "{format:?} {kind}: {said}");
                let reason = kind == "alert.expired"
                    || said.contains(texts.reason.split(':').next().unwrap());
                assert!(reason, "{format:?} {kind}: {said}");
            }
        }
    }
}

#[test]
fn what_is_not_real_says_so_first() {
    for format in Format::ALL {
        let style = style(format);
        for (nature, mark) in [("exercise", "EXERCISE: "), ("test", "TEST: ")] {
            for kind in KINDS {
                let mut event = event(kind, &TEXTS[2]);
                event["alert"]["nature"] = json!(nature);
                let message = sent(&read(&event), &style);
                let body = json_of(&message);
                let first = match format {
                    Format::Slack => &body["text"],
                    Format::Discord => &body["embeds"][0]["title"],
                    Format::Teams => {
                        &body["attachments"][0]["content"]["body"][0]["inlines"][0]["text"]
                    }
                    Format::Pagerduty => &body["payload"]["summary"],
                    Format::Ntfy => &body["title"],
                    Format::Template => &body["text"],
                    Format::Cloudevents => {
                        assert_eq!(body["nature"], nature);
                        continue;
                    }
                    Format::CloudeventsBinary => {
                        assert!(message.headers.contains(&("ce-nature", nature.to_owned())));
                        continue;
                    }
                    Format::Wirebell => {
                        assert_eq!(body["data"]["alert"]["nature"], nature);
                        continue;
                    }
                };
                let first = first.as_str().unwrap().replace('\\', "");
                assert!(first.starts_with(mark), "{format:?} {kind}: {first}");
                if format == Format::Pagerduty {
                    assert_eq!(body["payload"]["severity"], "info");
                }
                if format == Format::Ntfy {
                    assert_eq!(body["priority"], 2);
                }
            }
        }
    }
}

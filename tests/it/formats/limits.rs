//! Too long, too many, and hostile: every body stays what its service takes.

use serde_json::Value;
use serde_json::json;
use wirebell::model::Event;
use wirebell::model::subscription::Format;

use crate::formats::made::KINDS;
use crate::formats::made::TEXTS;
use crate::formats::made::event;
use crate::formats::made::json_of;
use crate::formats::made::ping;
use crate::formats::made::read;
use crate::formats::made::sent;
use crate::formats::made::style;
use crate::formats::made::texts_of;
use crate::formats::taken::rules;

const HOSTILE: &str = "<!channel> <!here|x> <@U123> <@&9> @everyone @here [x](javascript:alert(1)) \
    **b** `c` ||s|| # h > q {{DATE(2026-01-18T00:00:00Z,SHORT)}} \u{202E}drawkcab\u{202C} \
    \u{2066}iso :smile: <https://evil.example|Bank> \"q\" \\ \u{0}\r\n- list";

/// An event with so many articles, all of whose texts are this one.
fn filled(kind: &str, text: &str, articles: usize) -> Event {
    let mut event = event(kind, &TEXTS[0]);
    event["alert"]["title"] = json!(text);
    event["reason"] = json!(text);
    let mut one = event["articles"][1].clone();
    one["title"] = json!(text);
    one["excerpt"] = json!(text.chars().take(300).collect::<String>());
    let mut evidence = one["evidence"][0].clone();
    evidence["text"] = json!(text.chars().take(1_000).collect::<String>());
    one["evidence"] = json!(vec![evidence; 5]);
    let address = format!("https://skylark.example/{}", "%D7%90".repeat(200));
    one["url"] = json!(address);
    event["articles"] = json!(vec![one; articles]);
    event["more_articles"] = json!(900);
    read(&event)
}

#[test]
fn whatever_others_write_every_body_keeps_the_documented_limits() {
    let texts = [
        ("latin", "word ".repeat(2_000)),
        ("one word", "x".repeat(10_000)),
        ("quotes", "\"\\".repeat(5_000)),
        ("arabic", "صفارات الإنذار ".repeat(700)),
        ("cjk", "洪水警報".repeat(2_500)),
        ("emoji", "👨\u{200D}👩\u{200D}👧".repeat(600)),
        ("marks", format!("e{}", "\u{301}".repeat(10_000))),
        ("entities", "<&>".repeat(3_000)),
        ("markdown", "*_[](".repeat(2_000)),
        ("hostile", HOSTILE.repeat(40)),
        ("empty", String::new()),
    ];
    let styles = Format::ALL.map(|format| (format, style(format)));
    for kind in ["alert.opened", "alert.corrected", "alert.retracted"] {
        for (name, text) in &texts {
            for articles in [0, 1, 20] {
                let event = filled(kind, text, articles);
                for (format, style) in &styles {
                    let wrong = rules(*format, &sent(&event, style));
                    assert!(wrong.is_empty(), "{format:?} {kind} {name} {articles}: {wrong:?}");
                }
            }
        }
    }
    for (format, style) in &styles {
        let wrong = rules(*format, &ping(style));
        assert!(wrong.is_empty(), "{format:?}: {wrong:?}");
    }
}

#[test]
fn markup_of_others_means_nothing_at_any_service() {
    for kind in KINDS {
        let event = filled(kind, HOSTILE, 2);
        let body = |format| json_of(&sent(&event, &style(format)));
        for format in [Format::Slack, Format::Discord, Format::Teams, Format::Ntfy] {
            for text in texts_of(&body(format)) {
                let moves = |c: char| ('\u{202A}'..='\u{202E}').contains(&c) || c == '\0';
                assert!(!text.contains(moves), "{format:?} {kind}: {text:?}");
            }
        }
        assert_eq!(body(Format::Discord)["allowed_mentions"], json!({"parse": []}));
        for text in texts_of(&body(Format::Discord)["embeds"]) {
            assert!(!text.contains("@everyone") && !text.contains("](javascript"), "{text}");
        }
        for block in body(Format::Slack)["blocks"].as_array().unwrap() {
            let text = &block["text"];
            if text["type"] == "mrkdwn" {
                let said = text["text"].as_str().unwrap();
                assert!(!said.contains("<!") && !said.contains("<@"), "{said}");
                assert!(!said.contains("<https://evil"), "{said}");
                assert_eq!(text["verbatim"], true);
            }
        }
        let fallback = body(Format::Slack)["text"].clone();
        assert!(!fallback.as_str().unwrap().contains('<'), "{fallback}");
        // What has no markup may say anything, but no function of cards.
        let links = |value: &Value| texts_of(value).iter().any(|t| t.starts_with("javascript:"));
        assert!(!links(&body(Format::Teams)));
    }
}

#[test]
fn an_address_of_another_scheme_becomes_no_link() {
    let mut event = event("alert.opened", &TEXTS[0]);
    for (n, address) in ["javascript:alert(1)", "data:text/html,x"].into_iter().enumerate() {
        event["articles"][n]["url"] = json!(address);
    }
    let event = read(&event);
    for format in [Format::Slack, Format::Discord, Format::Teams, Format::Pagerduty, Format::Ntfy] {
        let body = String::from_utf8(sent(&event, &style(format)).body).unwrap();
        assert!(!body.contains("javascript") && !body.contains("data:"), "{format:?}: {body}");
    }
}

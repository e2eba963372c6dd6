//! How a subscription stands, in words.

use serde_json::Value;
use serde_json::json;

use crate::cli::remote::list;
use crate::cli::remote::text;
use crate::cli::subscriptions::credentials::signing;

/// In a word or two.
pub(super) fn state_text(one: &Value) -> &str {
    match one["delivery"]["state"].as_str() {
        _ if one["paused"] == json!(true) => "paused by its owner",
        Some("paused") => "paused by Wirebell",
        Some(state) => state,
        None => "new",
    }
}

/// The definition, then why it is paused, what holds it up, and what is missing at the receiver.
pub(super) fn standing_text(one: &Value) -> String {
    let mut out = format!("{}  {}", text(one, "id"), state_text(one));
    for line in definition(one).into_iter().chain(delivery(one)) {
        out.push_str(&format!("\n  {line}"));
    }
    out
}

fn definition(one: &Value) -> Vec<String> {
    let words = |name: &str| {
        let words: Vec<&str> = list(one, name).iter().filter_map(Value::as_str).collect();
        words.join(", ")
    };
    let mut lines = vec![format!("url          {}", text(one, "url"))];
    if let Some(said) = one["description"].as_str() {
        lines.push(format!("description  {said}"));
    }
    let mut filter = format!("filter       topics {}", words("topics"));
    for (name, label) in [("keys", "keys"), ("langs", "languages"), ("natures", "natures")] {
        if !list(one, name).is_empty() {
            filter.push_str(&format!("; {label} {}", words(name)));
        }
    }
    if let Some(least) = one["min_severity"].as_str() {
        filter.push_str(&format!("; from {least} on"));
    }
    if one["expired"] == json!(true) {
        filter.push_str("; expired too");
    }
    lines.push(filter);
    let mut pace = match one["max_in_flight"].as_u64() {
        Some(n) if n > 1 => format!("pace         {n} requests at once, order not kept"),
        _ => "pace         one request at a time, in order".to_owned(),
    };
    if let Some(rate) = one["rate"].as_f64() {
        pace.push_str(&format!("; at most {rate} a second"));
    }
    if let Some(ttl) = one["ttl"].as_str() {
        pace.push_str(&format!("; given up after waiting {ttl}"));
    }
    lines.push(pace);
    if !list(one, "headers").is_empty() || one["auth"].is_string() {
        let mut shown = vec![words("headers")];
        shown.extend(one["auth"].as_str().map(|kind| format!("{kind} authentication")));
        shown.retain(|part| !part.is_empty());
        lines.push(format!("headers      {}", shown.join("; ")));
    }
    lines.extend(signing(one).map(|still| format!("keys         {still}")));
    if let Some(file) = one["managed_by"].as_str() {
        lines.push(format!("kept in      {file}, as {}", text(one, "name")));
    }
    let (made, changed) = (text(one, "created_at"), text(one, "updated_at"));
    lines.push(format!("made         {made}, changed {changed}"));
    lines
}

fn delivery(one: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let delivery = &one["delivery"];
    if one["paused"] == json!(true) {
        lines.push("paused by its owner: nothing is sent, everything is kept".to_owned());
    }
    if let Some(why) = delivery["why"].as_str() {
        let since = text(delivery, "since");
        lines.push(format!(
            "paused by Wirebell since {since}: {why}; everything is kept until its URL changes or \
             it is resumed"
        ));
    }
    let requested: Vec<&str> = list(one, "requested").iter().filter_map(Value::as_str).collect();
    if !requested.is_empty() {
        lines.push(format!("asked for and not yet carried out: {}", requested.join(", ")));
    }
    if delivery.is_null() {
        lines.push("no notifier has looked at it yet".to_owned());
        return lines;
    }
    lines.push(format!(
        "settled up to sequence {}, position {} of the log",
        delivery["sequence"], delivery["cursor"]
    ));
    lines.extend(list(delivery, "outstanding").first().map(held_up));
    lines.extend(breaker(delivery));
    if let Some(count) = delivery["given_up"].as_u64().filter(|count| *count > 0) {
        let gaps: Vec<String> = list(delivery, "gaps").iter().map(range).collect();
        lines.push(format!(
            "{count} given up, sequence {}: pull fills them, `replay --only-failed` sends them",
            gaps.join(", ")
        ));
    }
    let replay = &delivery["replay"];
    if replay.is_object() {
        let only = if replay["only_failed"] == json!(true) { " of what failed" } else { "" };
        lines.push(format!(
            "replay{only} from sequence {} to {}: done up to {}",
            replay["from_sequence"], replay["to_sequence"], replay["done"]
        ));
    }
    lines
}

fn held_up(first: &Value) -> String {
    let mut line = format!(
        "held up by sequence {} ({}), failed {} times",
        first["sequence"],
        text(first, "event"),
        first["failures"]
    );
    if let Some(last) = first["last"].as_str() {
        line.push_str(&format!(", last {}", last.replace('_', " ")));
    }
    if let Some(status) = first["status"].as_u64() {
        line.push_str(&format!(" with status {status}"));
    }
    if let Some(next) = first["next_attempt"].as_str() {
        line.push_str(&format!(", tried again at {next}"));
    }
    line
}

fn breaker(delivery: &Value) -> Option<String> {
    let mut line = match delivery["breaker"].as_str() {
        Some("open") => "tried now and then, because it takes nothing".to_owned(),
        Some("ramp") => "led back to full speed".to_owned(),
        _ => String::new(),
    };
    let mut add = |part: String| {
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&part);
    };
    if let Some(since) = delivery["failing_since"].as_str() {
        add(format!("failing since {since}, {} failures in a row", delivery["failures"]));
    }
    if let Some(next) = delivery["next_attempt"].as_str() {
        add(format!("next try at {next}"));
    }
    (!line.is_empty()).then_some(line)
}

fn range(gap: &Value) -> String {
    let at = |n: usize| gap.get(n).and_then(Value::as_u64).unwrap_or(0);
    if at(0) == at(1) { at(0).to_string() } else { format!("{} to {}", at(0), at(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_its_reason_and_what_holds_it_up_are_said_in_words() {
        let one = json!({
            "id": "sub_a", "url": "https://desk.example/in", "topics": ["siren"], "rate": 2.5,
            "max_in_flight": 4, "ttl": "60s", "paused": false, "requested": ["resume"],
            "headers": ["x-key"], "auth": "basic", "signing": {"keys": 2, "until": "T6"},
            "managed_by": "config/subscriptions.yaml", "name": "desk",
            "created_at": "T1", "updated_at": "T2",
            "delivery": {
                "state": "paused", "since": "T3", "why": "the receiver answered 410 Gone",
                "cursor": 20, "sequence": 17, "breaker": "open", "failures": 3,
                "failing_since": "T4", "next_attempt": "T5",
                "outstanding": [{"seq": 21, "sequence": 18, "event": "evt_a", "failures": 3,
                    "last": "not_sent", "status": null, "next_attempt": null}],
                "given_up": 4, "gaps": [[3, 3], [5, 7]],
                "replay": {"from_sequence": 1, "to_sequence": 9, "done": 4, "only_failed": true},
            },
        });
        let said = standing_text(&one);
        for part in [
            "sub_a  paused by Wirebell",
            "headers      x-key; basic authentication",
            "still signing with 2 keys until T6",
            "kept in      config/subscriptions.yaml, as desk",
            "4 requests at once, order not kept; at most 2.5 a second; given up after waiting 60s",
            "paused by Wirebell since T3: the receiver answered 410 Gone",
            "asked for and not yet carried out: resume",
            "held up by sequence 18 (evt_a), failed 3 times, last not sent",
            "failing since T4, 3 failures in a row, next try at T5",
            "4 given up, sequence 3, 5 to 7",
            "replay of what failed from sequence 1 to 9: done up to 4",
        ] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    }

    #[test]
    fn a_new_subscription_and_a_pause_of_its_owner_are_said() {
        let mut one = json!({"id": "sub_a", "paused": false, "delivery": null});
        assert!(standing_text(&one).contains("no notifier has looked at it yet"));
        one["paused"] = json!(true);
        assert!(standing_text(&one).starts_with("sub_a  paused by its owner"));
    }
}

//! Templates that are refused, where, and with which remedy; and those that are taken.

use serde_json::Value;
use serde_json::json;
use wirebell::delivery::format::Told;
use wirebell::delivery::format::Unrenderable;
use wirebell::delivery::format::template::MAX_OUTPUT;
use wirebell::delivery::format::template::MAX_TEXT;
use wirebell::delivery::format::template::check;
use wirebell::model::subscription::Format;

use crate::formats::made::KINDS;
use crate::formats::made::TEXTS;
use crate::formats::made::event;
use crate::formats::made::json_of;
use crate::formats::made::ping;
use crate::formats::made::read;
use crate::formats::made::sent;
use crate::formats::made::style;
use crate::formats::made::template;
use crate::formats::made::told;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

const LOOPS: &str = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}\
        {% endfor %}{% endfor %}{% endfor %}";
/// A thousand million numbers in a few words.
const SHARED: &str = "([[[1] * 1000] * 1000] * 1000)";
const REPLACED: &str = "{% set x = 'aaaa' %}{% for a in range(9) %}\
        {{ lead|replace('e', lead)|replace('e', lead)|replace('e', lead) }}{% endfor %}";

/// Name, template, content type, line and column, and words of the refusal.
type Case<'a> = (&'a str, &'a str, &'a str, (Option<usize>, Option<usize>), &'a str);

const REFUSED: &[Case<'static>] = &[
    (
        "a wrong field",
        "{{ headline }}\n  {{ alert.titel }}",
        TEXT,
        (Some(2), Some(6)),
        "did you mean title?",
    ),
    ("at the top", "{{ headlin }}", TEXT, (Some(1), Some(4)), "did you mean headline?"),
    (
        "not near",
        "{{ headline }}{{ weather }}",
        TEXT,
        (Some(1), Some(18)),
        "known are alert, articles",
    ),
    (
        "in a branch no example takes",
        "{{ headline }}{% if alert.severity == 'x' %}{{ alert.nam }}{% endif %}",
        TEXT,
        (Some(1), Some(48)),
        "alert.nam is no field",
    ),
    (
        "of a loop",
        "{{ headline }}{% for a in articles %}\n{{ a.tittle }}{% endfor %}",
        TEXT,
        (Some(2), Some(4)),
        "did you mean title?",
    ),
    ("no template", "{{ headline", TEXT, (Some(1), None), "this is no template"),
    ("an unknown filter", "{{ headline|shout }}", TEXT, (Some(1), None), "there are abs, attr"),
    ("an unknown function", "{{ read('/etc/hosts') }}", TEXT, (Some(1), None), "read is no field"),
    ("an include", "{% include 'x' %}", TEXT, (Some(1), None), "this is no template"),
    ("loops", LOOPS, TEXT, (Some(1), None), "more work than a template may"),
    ("replacing", REPLACED, TEXT, (Some(1), None), "more work than a template may"),
    (
        "slices",
        "{{ headline }}\n{{ lead[:20] }}",
        TEXT,
        (Some(2), Some(1)),
        "truncate(20) shortens a text",
    ),
    ("repeating", "{{ 'x' * 1000000000 }}", TEXT, (Some(1), None), "added or multiplied"),
    (
        "too much",
        "{{ headline }}{% for n in range(2000) %}1234567812345678123456781234567812345678{% endfor %}",
        TEXT,
        (Some(1), None),
        "more than 64 KiB",
    ),
    ("no JSON", "hello {{ headline }}", JSON, (Some(1), Some(1)), "gives no JSON"),
    (
        "quotes around a value",
        "{\"text\":\n \"{{ headline }}\"}",
        JSON,
        (Some(2), None),
        "without quotes around it",
    ),
    (
        "a comma too many",
        "[{% for a in articles %}1,{% endfor %}{{ headline }},]",
        JSON,
        (Some(1), None),
        "gives no JSON",
    ),
    (
        "no JSON without articles",
        "[{{ headline }}, {{ articles|length }}{% if not articles %},{% endif %}]",
        JSON,
        (Some(1), None),
        "alert.",
    ),
    (
        "nothing of an exercise",
        "{{ alert.key }} rings",
        TEXT,
        (None, None),
        "begin with {{ headline }}",
    ),
    (
        "nothing of an exercise that ends",
        "{% if type == 'alert.ended' %}{{ alert.key }} is over{% else %}{{ headline }}{% endif %}",
        TEXT,
        (None, None),
        "begin with {{ headline }}",
    ),
    (
        "a wrong field of what is confirmed",
        "{{ headline }}{% for a in articles %}{% if alert.confirmation == 'confirmed' %}\
            {{ a.sourze }}{% endif %}{% endfor %}",
        TEXT,
        (Some(1), None),
        "did you mean source?",
    ),
    (
        "a wrong field of what is shortened",
        "{{ headline }}{% for a in articles %}{% if shortened %}{{ a.sourze }}{% endif %}{% endfor %}",
        TEXT,
        (Some(1), None),
        "did you mean source?",
    ),
    ("no content type", "{{ headline }}", "json", (None, None), "no content type"),
    (
        "a header of its own",
        "{{ headline }}",
        "text/plain\r\nx: y",
        (None, None),
        "no content type",
    ),
];

#[test]
fn a_template_that_cannot_always_work_is_refused_with_place_and_remedy() {
    let doubling = format!("{{% set x = 'ab' %}}{}{{{{ x }}}}", "{% set x = x ~ x %}".repeat(60));
    let nested =
        format!("{}{{{{ lead }}}}{}", "{% if true %}".repeat(400), "{% endif %}".repeat(400));
    let long = "x".repeat(MAX_TEXT + 1);
    // Each step is one of the engine's, and walks through a million letters.
    let walks = format!(
        "{{{{ headline }}}}{{% set x = 'abcdefghij' %}}{}\
            {{% for n in range(8000) %}}{{% set y = x[-1] %}}{{% endfor %}}",
        "{% set x = x ~ x %}".repeat(17)
    );
    let made: [Case<'_>; 4] = [
        (
            "walks through a long text",
            &walks,
            TEXT,
            (Some(1), None),
            "more work than a template may",
        ),
        ("doubling", &doubling, TEXT, (Some(1), None), "more work than a template may"),
        ("nesting", &nested, TEXT, (Some(1), None), ""),
        ("a long text", &long, TEXT, (None, None), "at most 16 KiB"),
    ];
    for (name, text, kind, place, words) in REFUSED.iter().chain(&made).copied() {
        let refusal = check(&template(text, kind)).expect_err(name);
        assert_eq!(refusal.line, place.0, "{name}: {refusal}");
        if let (Some(wanted), found) = (place.1, refusal.column) {
            assert_eq!(found, Some(wanted), "{name}: {refusal}");
        }
        assert!(refusal.message.contains(words), "{name}: {refusal}");
        assert!(refusal.message.len() < 1_000, "{name}: {refusal}");
    }
}

/// So many of a piece that the template is as long as it may be.
fn chain(unit: &str) -> String {
    unit.repeat((MAX_TEXT - 200) / unit.len())
}

fn nested(open: &str, close: &str, n: usize) -> String {
    format!("{{{{ {}1{} }}}}", open.repeat(n), close.repeat(n))
}

fn chains() -> Vec<(&'static str, String)> {
    vec![
        ("filters in a row", format!("{{{{ headline{} }}}}", chain("|upper"))),
        ("batches in a row", format!("{{{{ headline|list{} }}}}", chain("|batch(1)"))),
        ("attributes in a row", format!("{{{{ alert{} }}}}", chain(".x"))),
        ("indexes in a row", format!("{{{{ alert{} }}}}", chain("[0]"))),
        ("calls in a row", format!("{{{{ range{} }}}}", chain("()"))),
        ("sums in a row", format!("{{{{ 1{} }}}}", chain("+1"))),
        ("texts in a row", format!("{{{{ ''{} }}}}", chain("~''"))),
        ("and in a row", format!("{{{{ 1{} }}}}", chain(" and 1"))),
        ("powers in a row", format!("{{{{ 1{} }}}}", chain("**1"))),
        ("comparisons in a row", format!("{{{{ 1{} }}}}", chain("<1"))),
        ("conditions in a row", format!("{{{{ 1{} }}}}", chain(" if 1 else 1"))),
        ("tests in a row", format!("{{{{ 1{} }}}}", chain(" is odd"))),
        ("not in a row", format!("{{{{ {}1 }}}}", chain("not "))),
        ("minus in a row", format!("{{{{ {}1 }}}}", chain("-"))),
        ("branches in a row", format!("{{% if 0 %}}{}{{% endif %}}", chain("{% elif 0 %}"))),
        ("most filters", format!("{{{{ headline{} }}}}", "|upper".repeat(98))),
        ("most texts", format!("{{{{ 1{} }}}}", "~1".repeat(98))),
        ("most branches", format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(290))),
        ("most parentheses", nested("(", ")", 60)),
        ("brackets", nested("[", "]", 60)),
        ("maps", nested("{1:", "}", 45)),
        ("functions", nested("dict(a=", ")", 38)),
    ]
}

/// A list that holds twice the list before it, and so on: as many as still end where they are taken.
fn mapped(value: &str) -> String {
    let step = format!("{{% set k = {value}|list %}}");
    format!("{{% set l = [none, none] %}}{{% set k = [1] %}}{}{{{{ k == k }}}}", step.repeat(12))
}

fn lists() -> Vec<(&'static str, String)> {
    vec![
        ("lists by set", format!("{{% set x=[1] %}}{}{{{{ x }}}}", chain("{%set x=[x]%}"))),
        ("equal lists", format!("{{% set x=[1] %}}{}{{{{ x == x }}}}", chain("{%set x=[x]%}"))),
        ("JSON lists", format!("{{% set x=[1] %}}{}{{{{ x|tojson }}}}", chain("{%set x=[x]%}"))),
        ("lists by map", mapped("l|map('default', k, true)")),
        (
            "a long text in each element",
            "{% set x = 'abcdefghij' %}{% for n in range(1) %}{% set x = x ~ x ~ x ~ x ~ x ~ x %}\
                {% set x = x ~ x ~ x ~ x ~ x ~ x ~ x %}{{ 'e'|replace('a', \
                range(9)|map(attribute='x', default=x)) }}{% endfor %}"
                .to_owned(),
        ),
        ("lists for no number", mapped("l|map('int', k)")),
        ("lists by a made name", mapped("l|map('def' ~ 'ault', k, true)")),
        ("lists by map in map", mapped("l|map('map', 'default', k, true)")),
        ("lists by what is missing", mapped("l|map(attribute='x', default=k)")),
        ("sums by set", format!("{{% set x=[1] %}}{}{{{{ x }}}}", chain("{%set x=x+x%}"))),
        (
            "a namespace",
            "{% set n = namespace(x=[]) %}{% for i in range(30000) %}{% set n.x = [n.x] %}\
                {% endfor %}{{ n.x }}"
                .to_owned(),
        ),
        (
            "lists in a loop",
            "{% set x=[1] %}{% for i in range(20000) %}{% set x=[x] %}{% endfor %}{{ x }}"
                .to_owned(),
        ),
        (
            "a map that holds itself",
            "{% set n = namespace(x=1) %}{% set n.x = n %}{{ n }}{{ n.x|tojson }}".to_owned(),
        ),
        ("recursion", "{% for a in [1] recursive %}{{ loop([a ~ a]) }}{% endfor %}".to_owned()),
        (
            "loops in loops",
            format!("{}{}", "{% for a in [1] %}".repeat(140), "{% endfor %}".repeat(140)),
        ),
        ("a width", "{{ '%1000000000d'|format(1) }}".to_owned()),
        ("a precision", "{{ '%.1000000000f'|format(1.5) }}".to_owned()),
        ("indents", "{{ headline|indent(1000000000) }}".to_owned()),
        ("indented JSON", "{{ articles|tojson(indent=1000000000) }}".to_owned()),
        ("a power", "{{ 9 ** 1000000000 }}".to_owned()),
        ("a list", "{{ [1] * 1000000000 }}".to_owned()),
        ("slices", "{{ headline|slice(1000000000)|list }}".to_owned()),
        ("batches", "{{ headline|batch(1000000000, 1)|list }}".to_owned()),
        ("joined", "{{ range(9999)|join(lead ~ lead ~ lead ~ lead) }}".to_owned()),
        ("rounded", "{{ 1.5|round(1000000000) }}".to_owned()),
        ("most letters", "{{ lead|truncate(1000000000)|markdown|slack }}".to_owned()),
        ("shared lists as JSON", format!("{{{{ {SHARED}|tojson }}}}")),
        ("shared lists", format!("{{{{ {SHARED} }}}}")),
        ("shared lists as text", format!("{{{{ {SHARED}|string }}}}")),
        ("shared lists joined", format!("{{{{ {SHARED}|join(',') }}}}")),
        ("shared lists added", format!("{{{{ {SHARED} ~ '' }}}}")),
        ("shared lists compared", format!("{{{{ {SHARED} == {SHARED} }}}}")),
        ("shared lists sorted", format!("{{{{ ({SHARED}|sort)[0] }}}}")),
        ("shared lists replaced", format!("{{{{ lead|replace('a', {SHARED}) }}}}")),
        ("shared lists searched", format!("{{{{ 2 in {SHARED} }}}}")),
        ("shared lists counted", format!("{{{{ {SHARED}|map('string')|list }}}}")),
        ("shared lists least", format!("{{{{ {SHARED}|min }}}}")),
        ("shared maps", format!("{{{{ {{'a': {SHARED}}}|items|list }}}}")),
    ]
}

/// What is small to write and would be large, deep or long to carry out.
#[test]
fn nothing_that_a_template_can_write_outgrows_its_bounds() {
    for (name, text) in chains().into_iter().chain(lists()) {
        let text = format!("{{{{ headline }}}}{text}");
        let taken = check(&template(&text, TEXT));
        assert_eq!(taken.is_ok(), name.starts_with("most "), "{name}: {taken:?}");
        let twice = format!("{{{{ headline }}}}{text}");
        assert!(check(&template(&twice, JSON)).is_err(), "{name}");
    }
}

#[test]
fn useful_templates_are_taken_and_give_what_they_say() {
    for (text, kind) in [
        ("{{ headline }}", JSON),
        ("{{ headline }}\n{{ lead }}\n", TEXT),
        ("{\"t\": {{ headline|truncate(80) }}, \"r\": {{ reason }}}", JSON),
        ("{\"all\": {{ articles|tojson }}, \"n\": {{ alert.nature }}}", JSON),
        (
            "{% if type == 'alert.opened' %}{{ headline|markdown }}{% else %}{{ lead|slack }}{% endif %}{{ mark }}",
            TEXT,
        ),
        ("<p>{{ headline }}</p>", "text/html"),
        (
            "{% for a in articles %}{{ a.url|default('-') }} {{ a.evidence|map(attribute='text')|join(', ') }}{% endfor %}{{ mark }}",
            TEXT,
        ),
        (
            "{\"x\": [{% for a in articles %}{{ a.title }}{% if not loop.last %},{% endif %}{% endfor %}], \"m\": {{ mark }}}",
            "application/problem+json",
        ),
    ] {
        let taken = check(&template(text, kind));
        taken.unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    }
}

#[test]
fn no_text_of_others_breaks_out_of_its_place() {
    let mut style = style(Format::Template);
    style.template = Some(template("{\"t\": {{ alert.title }}, \"n\": {{ alert.nature }}}", JSON));
    check(style.template.as_ref().unwrap()).unwrap();
    for title in ["\", \"n\": \"actual\", \"x\": \"", "\\", "</script>", "{{ 7 * 7 }}", "\u{2028}"]
    {
        for kind in KINDS {
            let mut event = event(kind, &TEXTS[0]);
            event["alert"]["title"] = json!(title);
            event["alert"]["nature"] = json!("exercise");
            let body = json_of(&sent(&read(&event), &style));
            assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
            assert_eq!(body["n"], "exercise");
            assert!(body["t"].as_str().unwrap().starts_with("EXERCISE: "), "{body}");
        }
    }
}

#[test]
fn a_test_has_everything_that_an_event_has() {
    let mut style = style(Format::Template);
    let text = "[{{ type }}, {{ alert.title }}, {{ event.sequence }}, {{ articles[0].title }}]";
    style.template = Some(template(&text.replace("articles[0].title", "headline"), JSON));
    let body = json_of(&ping(&style));
    assert_eq!(body[0], "test.ping");
    assert_eq!(body[1], "TEST: Wirebell reaches this receiver");
    assert_eq!(body[2], 0);
    assert_eq!(body[3], "TEST: Wirebell reaches this receiver");
}

/// The biggest event there is.
fn huge() -> Value {
    let mut event = event("alert.updated", &TEXTS[0]);
    let mut one = event["articles"][1].clone();
    one["excerpt"] = json!("é\"".repeat(8_000));
    event["articles"] = json!(vec![one; 20]);
    event
}

#[test]
fn articles_are_left_out_where_they_would_be_too_much() {
    let mut style = style(Format::Template);
    let text = "{\"t\": {{ headline }}, \"a\": {{ articles|tojson }}, \"m\": {{ more_articles }}}";
    style.template = Some(template(text, JSON));
    check(style.template.as_ref().unwrap()).unwrap();
    let message = sent(&read(&huge()), &style);
    assert!(message.body.len() <= MAX_OUTPUT);
    let body = json_of(&message);
    let shown = body["a"].as_array().unwrap().len();
    assert!(shown < 20, "{shown}");
    assert_eq!(body["m"].as_u64().unwrap() as usize + shown, 20 + 3);
    let title = body["t"].as_str().unwrap();
    assert!(title.contains(TEXTS[0].title), "{title}");
}

#[test]
fn a_template_that_fails_after_all_says_so_and_sends_nothing() {
    let mut style = style(Format::Template);
    style.template = Some(template("{{ alert.bogus }}", JSON));
    let event = read(&event("alert.opened", &TEXTS[0]));
    let failed = told(Told::Event(&event), &style, false).unwrap_err();
    assert!(matches!(failed, Unrenderable::Template(_)), "{failed}");
    style.format = Format::Pagerduty;
    style.routing_key = None;
    let failed = told(Told::Event(&event), &style, false).unwrap_err();
    assert_eq!(failed, Unrenderable::Lacks("routing_key"));
}

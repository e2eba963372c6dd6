//! Articles, alerts, and the log of events.

use crate::api::contract::call::Answer;
use crate::api::contract::call::Body;
use crate::api::contract::call::Call;
use crate::api::contract::call::JSON;
use crate::api::contract::call::LINES;
use crate::api::contract::call::LIVE;
use crate::api::contract::call::Verb;
use crate::api::contract::parameter::AFTER;
use crate::api::contract::parameter::LIMIT;
use crate::api::contract::parameter::POSITION;
use crate::api::contract::parameter::Parameter;

const ONE: &str = r#"{"title": "Siren in the north", "body": "Sirens sound in the harbour.",
    "url": "https://skylark.example/7", "lang": "en", "published_at": "2026-03-01T08:00:00Z"}"#;

/// The forms in which articles are taken.
const ARTICLES: &[Body] = &[
    Body::json("Pushed", ONE),
    Body::of(LINES, "", "{\"title\": \"Siren\", \"body\": \"\", \"id\": \"7\"}\n"),
    Body::of("application/jsonl", "", "{\"title\": \"Siren\", \"body\": \"\", \"id\": \"7\"}\n"),
    Body::of("application/ndjson", "", "{\"title\": \"Siren\", \"body\": \"\", \"id\": \"7\"}\n"),
    Body::of("text/plain", "", "Title: Siren in the north\n\nSirens sound in the harbour.\n"),
    Body::of(
        "application/cap+xml",
        "",
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">…</alert>",
    ),
];

const DECIDED: &[Body] =
    &[Body::json("Decided", r#"{"reason": "The sirens fell silent.", "by": "Ada"}"#)];
const TAKEN: &[Answer] = &[Answer::json(202, "Directed", "It is written down.")];
const NOTHING_TO_DO: &[(u16, &str)] = &[(
    409,
    "It would change nothing, or a request with this key is being carried out; `detail` says which.",
)];

pub(super) const CALLS: &[Call] = &[
    Call::new(Verb::Post, "/v1/articles", "pushArticles", "Articles")
        .does(
            "Push articles",
            "What is accepted is on disk. Each article is judged alone; 422 where none could be \
             taken. At most 10,000 articles or 16 MiB a request. Articles are known by their content: \
             to push them again changes nothing, with an `Idempotency-Key` and without. A \
             `traceparent` (W3C trace context) goes along to the webhooks that they cause.",
        )
        .query(&[Parameter::new(
            "as_new",
            r#"{"type": "boolean", "default": false}"#,
            "Counts the age of the articles from their receipt.",
        )])
        .takes(ARTICLES)
        .keyed()
        .answers(&[
            Answer::json(202, "Receipt", "What became of each article."),
            Answer::json(422, "Receipt", "No article could be taken."),
        ]),
    Call::new(Verb::Get, "/v1/articles", "listArticles", "Articles")
        .does(
            "List articles",
            "Revisions, the last received first, without their bodies; or live, from now on.",
        )
        .query(&[
            Parameter::new("source", r#"{"type": "string", "minLength": 1, "maxLength": 100}"#, "Only articles of this source."),
            AFTER,
            POSITION,
            LIMIT,
        ])
        .answers(&[
            Answer::json(200, "[ListedArticle]", "A page, or the stream."),
            Answer::of(LIVE, "", "A page, or the stream."),
        ]),
    Call::new(Verb::Get, "/v1/articles/{id}", "showArticle", "Articles")
        .does("Show an article", "Its newest revision, and all of them.")
        .query(&[Parameter::new(
            "explain",
            r#"{"type": "boolean", "default": false}"#,
            "Adds what matched, what came of it, and whether all rules have read it.",
        )])
        .tagged()
        .answers(&[Answer::json(200, "ShownArticle", "The article.")]),
    Call::new(Verb::Get, "/v1/why-not", "explainSilence", "Articles")
        .does(
            "Say why somebody was not told of an article",
            "The one stage that stopped it, or its delivery. A URL is looked for among the newest \
             100,000 articles.",
        )
        .query(&[
            Parameter::new("article", r#"{"type": "string"}"#, "Id or URL of the article.")
                .needed(),
            Parameter::new("subscription", r#"{"type": "string"}"#, "Id of the subscription.")
                .needed(),
        ])
        .answers(&[Answer::json(200, "WhyNot", "The stage.")])
        .refuses(&[(404, "There is no such subscription.")]),
    Call::new(Verb::Post, "/v1/why-not", "explainSilenceOfText", "Articles")
        .does(
            "Say why somebody was not told of a text",
            "The same of the one article in the body, which is looked for among the newest 100,000.",
        )
        .query(&[
            Parameter::new("article", r#"{"type": "string"}"#, "Is not looked at."),
            Parameter::new("subscription", r#"{"type": "string"}"#, "Id of the subscription.")
                .needed(),
        ])
        .takes(ARTICLES)
        .answers(&[Answer::json(200, "WhyNot", "The stage.")])
        .refuses(&[(404, "There is no such subscription.")]),
    Call::new(Verb::Get, "/v1/alerts", "listAlerts", "Alerts")
        .does("List alerts", "The newest first; the newest 10,000 are held.")
        .query(&[
            Parameter::new("topic", r#"{"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"}"#, "Only alerts of this topic."),
            Parameter::new(
                "status",
                r#"{"enum": ["open", "ended", "retracted", "expired"]}"#,
                "Only alerts that stand so.",
            ),
            Parameter::new(
                "since",
                r#"{"type": "string", "format": "date-time"}"#,
                "Only alerts that changed at this time or later.",
            ),
            POSITION,
            LIMIT,
        ])
        .answers(&[Answer::json(200, "[ListedAlert]", "A page.")]),
    Call::new(Verb::Get, "/v1/alerts/{id}", "showAlert", "Alerts")
        .does("Show an alert", "With its events, the evidence, and who was told.")
        .answers(&[Answer::json(200, "ShownAlert", "The alert.")]),
    Call::new(Verb::Get, "/v1/alerts/{id}/why", "explainAlert", "Alerts")
        .does(
            "Say why an alert rang",
            "Every article that concerned it with the words that counted, every event, and the \
             attempts for each subscription. At most 1,000 articles and 200 subscriptions.",
        )
        .answers(&[Answer::json(200, "Why", "The whole of it.")]),
    Call::new(Verb::Post, "/v1/alerts/{id}/end", "endAlert", "Alerts")
        .does("End an alert", "Whoever was told of it is told of its end, with the reason.")
        .takes(DECIDED)
        .keyed()
        .answers(TAKEN)
        .refuses(NOTHING_TO_DO),
    Call::new(Verb::Post, "/v1/alerts/{id}/retract", "retractAlert", "Alerts")
        .does("Take an alert back", "Whoever was told of it is told that it was wrong.")
        .takes(DECIDED)
        .keyed()
        .answers(TAKEN)
        .refuses(NOTHING_TO_DO),
    Call::new(Verb::Get, "/v1/events", "listEvents", "Alerts")
        .does(
            "List events",
            "In the order of the log, as nobody in particular is told them; or live.",
        )
        .query(&[
            Parameter::new(
                "after",
                r#"{"type": "string", "pattern": "^[0-9]{1,19}$"}"#,
                "Position of the last event that is known, exclusive. `Last-Event-ID` goes \
                 before it.",
            ),
            Parameter::new("topic", r#"{"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"}"#, "Only events of this topic."),
            Parameter::new(
                "shadow",
                r#"{"type": "boolean", "default": false}"#,
                "Also alerts in shadow mode, which nobody is told of.",
            ),
            LIMIT,
        ])
        .answers(&[
            Answer::json(200, "[LoggedEvent]", "A page, or the stream."),
            Answer::of(LIVE, "", "A page, or the stream."),
        ]),
    Call::new(Verb::Get, "/v1/attempts", "listAttempts", "Alerts")
        .does("List attempts", "For all subscriptions, the newest first; or live, from now on.")
        .query(&[OUTCOME, AFTER, POSITION, LIMIT])
        .answers(&[
            Answer { status: 200, kind: JSON, schema: "[Attempt]", words: "A page, or the stream." },
            Answer::of(LIVE, "", "A page, or the stream."),
        ]),
];

/// How an attempt ended.
pub(super) const OUTCOME: Parameter = Parameter::new(
    "outcome",
    r##"{"$ref": "#/components/schemas/Outcome"}"##,
    "Only attempts that ended so.",
);

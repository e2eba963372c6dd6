//! Rules, feeds, the audit, and probes.

use crate::api::contract::call::Answer;
use crate::api::contract::call::Body;
use crate::api::contract::call::Call;
use crate::api::contract::call::JSON;
use crate::api::contract::call::LINES;
use crate::api::contract::call::TEXT;
use crate::api::contract::call::Verb;
use crate::api::contract::parameter::CURSOR;
use crate::api::contract::parameter::LIMIT;
use crate::api::contract::parameter::POSITION;
use crate::api::contract::parameter::Parameter;

pub(super) const CALLS: &[Call] = &[
    Call::new(Verb::Get, "/v1/rules", "listRules", "Rules")
        .does("List the rules in force", "In the order of the files, in one page.")
        .tagged()
        .answers(&[Answer::json(200, "Rules", "The rules, and the digest of the set.")]),
    Call::new(Verb::Post, "/v1/rules/try", "tryRules", "Rules")
        .does(
            "Try rules on a text",
            "The rules in force, the rules of a file's text, or one query. Nothing is kept.",
        )
        .takes(&[Body::json(
            "Trial",
            r#"{"article": {"title": "Siren in the north"}, "query": "siren*"}"#,
        )])
        .answers(&[Answer::json(200, "Tried", "What was found, and where.")]),
    Call::new(Verb::Post, "/v1/rules/backtest", "backtestRules", "Rules")
        .does(
            "Run rules over the past",
            "The events that the rules would have made of the newest 100,000 articles, a line \
             each, with `set`; then and when `progress`; last `summary` or `error`. At most 300 s.",
        )
        .takes(&[Body::json(
            "Backtest",
            r#"{"rules": [{"name": "a.yaml", "text": "version: 1\nrules: [{id: siren, any: [siren]}]"}],
                "since": "7d"}"#,
        )])
        .answers(&[Answer::of(LINES, "", "Lines of JSON, as they are found.")])
        .refuses(&[(429, "Another backtest runs, or the token asks too often.")]),
    Call::new(Verb::Get, "/v1/topics", "listTopics", "Rules")
        .does("List topics", "What can be subscribed to, in one page.")
        .answers(&[Answer::json(200, "[Topic]", "The topics.")]),
    Call::new(Verb::Get, "/v1/sources", "listSources", "Upkeep")
        .does("List feeds", "By id: how they are, and how late they come.")
        .query(&[
            Parameter::new(
                "health",
                r##"{"$ref": "#/components/schemas/Health"}"##,
                "Only feeds that are so.",
            ),
            CURSOR,
            LIMIT,
        ])
        .answers(&[Answer::json(200, "[Source]", "A page.")]),
    Call::new(Verb::Get, "/v1/audit", "listAudit", "Upkeep")
        .does("List changes by hand", "The newest first.")
        .query(&[POSITION, LIMIT])
        .answers(&[Answer::json(200, "[Change]", "A page.")]),
    Call::new(Verb::Get, "/openapi.json", "showContract", "Upkeep")
        .does("Show this document", "")
        .tagged()
        .answers(&[Answer::json(200, "Document", "The document.")]),
    Call::new(Verb::Get, "/livez", "isAlive", "Probes")
        .does("Say whether the worker lives", "")
        .answers(&[Answer::of(TEXT, "", "It does.")]),
    Call::new(Verb::Get, "/readyz", "isReady", "Probes")
        .does("Say whether the worker is ready", "With `verbose` part by part, as JSON.")
        .query(&[Parameter::new("verbose", r#"{"type": "string"}"#, "Asks for each part.")])
        .answers(&[
            Answer::of(TEXT, "", "It is ready."),
            Answer::of(JSON, "Readiness", "It is ready."),
            Answer { status: 503, kind: TEXT, schema: "", words: "It is not ready." },
            Answer { status: 503, kind: JSON, schema: "Readiness", words: "It is not ready." },
        ]),
    Call::new(Verb::Get, "/metrics", "showMetrics", "Probes")
        .does("Show metrics", "In the text format of Prometheus.")
        .answers(&[Answer::of(TEXT, "", "The metrics.")]),
];

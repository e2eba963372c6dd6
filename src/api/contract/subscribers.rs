//! Subscriptions.

use crate::api::contract::call::Answer;
use crate::api::contract::call::Body;
use crate::api::contract::call::Call;
use crate::api::contract::call::LINES;
use crate::api::contract::call::Verb;
use crate::api::contract::news::OUTCOME;
use crate::api::contract::parameter::LIMIT;
use crate::api::contract::parameter::POSITION;
use crate::api::contract::parameter::Parameter;

const ONE: &str = "/v1/subscriptions/{id}";
const TAG: &str = "Subscriptions";
const SHOWN: &[Answer] = &[Answer::json(200, "Subscription", "The subscription as it is now.")];
const LINE: &str = "{\"url\": \"https://desk.example/hook\", \"topics\": [\"*\"]}\n";
const PLACE: Parameter = Parameter::new(
    "cursor",
    r#"{"type": "string", "pattern": "^-?[0-9]{1,18}-sub_"}"#,
    "`next_cursor` of the page before.",
);
const RACES: &str = "Others change it at the same time, or it is kept in a file.";
const BUSY: &str = "Others change it, or a request with this key is being carried out; or what would be \
                    sent cannot be made.";
const TOO_MANY: &str = "Too many requests wait for this endpoint, or the token asks too often.";

pub(super) const CALLS: &[Call] = &[
    Call::new(Verb::Post, "/v1/subscriptions", "createSubscriptions", TAG)
        .does(
            "Subscribe",
            "One definition as JSON, 1 MiB at most, or one a line, at most 10,000 lines or 8 MiB. \
             It begins at the end of the log. The answer shows the secret, this once.",
        )
        .takes(&[
            Body::json(
                "NewSubscription",
                r#"{"url": "https://desk.example/hook", "topics": ["*"], "min_severity": "warning"}"#,
            ),
            Body::of(LINES, "", LINE),
            Body::of("application/jsonl", "", LINE),
            Body::of("application/ndjson", "", LINE),
        ])
        .keyed()
        .answers(&[
            Answer::json(201, "Created", "One subscription, or what became of each line."),
            Answer::json(422, "CreatedMany", "No line could be taken."),
        ])
        .refuses(&[(410, "What was made under this key was removed since.")]),
    Call::new(Verb::Get, "/v1/subscriptions", "listSubscriptions", TAG)
        .does("List subscriptions", "In the order in which they were made.")
        .query(&[PLACE, LIMIT])
        .answers(&[Answer::json(200, "[Subscription]", "A page.")]),
    Call::new(Verb::Get, ONE, "showSubscription", TAG)
        .does("Show a subscription", "What it asks for, and how its delivery stands.")
        .tagged()
        .answers(SHOWN),
    Call::new(Verb::Patch, ONE, "changeSubscription", TAG)
        .does(
            "Change a subscription",
            "What is left out stays; null clears. `headers` replaces all of them; a `secret` is \
             turned by `rotate` and refused here.",
        )
        .takes(&[Body::json(
            "ChangedSubscription",
            r#"{"min_severity": "critical", "description": "The night desk"}"#,
        )])
        .tagged()
        .matched()
        .answers(SHOWN)
        .refuses(&[(409, RACES)]),
    Call::new(Verb::Delete, ONE, "removeSubscription", TAG)
        .does("Remove a subscription", "Nothing more is sent to it.")
        .matched()
        .answers(&[Answer { status: 204, kind: "", schema: "", words: "It is gone." }])
        .refuses(&[(409, RACES)]),
    Call::new(Verb::Post, "/v1/subscriptions/{id}/rotate", "rotateSecret", TAG)
        .does(
            "Turn the signing key",
            "The old keys sign on until the end of the overlap. At most 5 keys sign. The answer \
             shows the new secret, this once. Without a body the key is random and the overlap a \
             day.",
        )
        .takes(&[Body::json("Rotation", r#"{"overlap": "24h"}"#)])
        .bare()
        .keyed()
        .tagged()
        .answers(&[Answer::json(200, "KeyedSubscription", "The subscription, with its secret.")])
        .refuses(&[(409, "Five keys sign already, others change it, it is kept in a file, or a request with this key is being carried out.")]),
    Call::new(Verb::Post, "/v1/subscriptions/{id}/test", "testSubscription", TAG)
        .does(
            "Send a test",
            "A `test.ping` goes the way that alerts go. With `dry_run` nothing goes: the answer is \
             the request that would be sent, of a `test.ping` or of an invented event of a `type`.",
        )
        .takes(&[Body::json("Trying", r#"{"dry_run": true, "type": "alert.opened"}"#)])
        .bare()
        .keyed()
        .answers(&[
            Answer::json(200, "Rehearsal", "What would be sent: `dry_run` was asked for."),
            Answer::json(202, "Ping", "It is on its way."),
        ])
        .refuses(&[(409, BUSY), (429, TOO_MANY)]),
    Call::new(Verb::Post, "/v1/subscriptions/{id}/pause", "pauseSubscription", TAG)
        .does("Pause", "Nothing is sent, everything is kept.")
        .tagged()
        .answers(SHOWN)
        .refuses(&[(409, "Others change it at the same time.")]),
    Call::new(Verb::Post, "/v1/subscriptions/{id}/resume", "resumeSubscription", TAG)
        .does("Resume", "Ends a pause, whoever made it, and tries at once.")
        .tagged()
        .answers(SHOWN)
        .refuses(&[(409, "Others change it at the same time."), (429, TOO_MANY)]),
    Call::new(Verb::Post, "/v1/subscriptions/{id}/replay", "replay", TAG)
        .does(
            "Send again",
            "What was settled since a time or from a sequence, inclusive. Ids and sequences stay.",
        )
        .keyed()
        .takes(&[Body::json("Replay", r#"{"since": "24h", "only_failed": true}"#)])
        .answers(&[
            Answer::json(200, "Replayed", "What would be sent: `dry_run` was asked for."),
            Answer::json(202, "Replayed", "What will be sent."),
        ])
        .refuses(&[
            (409, "A replay or a request with this key is under way, the count cannot be found, or others change it."),
            (429, TOO_MANY),
        ]),
    Call::new(Verb::Get, "/v1/subscriptions/{id}/events", "pullEvents", TAG)
        .does(
            "Pull events",
            "What belongs to it after a sequence, sent or not, as it is sent. At most 8 MiB a page.",
        )
        .query(&[
            Parameter::new(
                "after",
                r#"{"type": "integer", "minimum": 0, "maximum": 18446744073709551615, "default": 0}"#,
                "The last sequence that is known, exclusive.",
            ),
            LIMIT,
        ])
        .answers(&[Answer::json(200, "Pulled", "A page.")])
        .refuses(&[(410, "What follows the sequence is no longer kept; `detail` says what is.")]),
    Call::new(Verb::Get, "/v1/subscriptions/{id}/attempts", "listAttemptsOfSubscription", TAG)
        .does(
            "List attempts for a subscription",
            "The newest first. A page may hold less than was asked for and still have a next.",
        )
        .query(&[OUTCOME, POSITION, LIMIT])
        .answers(&[Answer::json(200, "[Attempt]", "A page.")]),
];

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::delivery::Earlier;
use crate::delivery::Facts as EventFacts;
use crate::delivery::admission::tests::event;
use crate::delivery::admission::tests::filter;
use crate::delivery::ledger::Outstanding;
use crate::delivery::ledger::Pause;
use crate::delivery::ledger::Unsent;
use crate::model::ArticleId;
use crate::model::Cap;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Key;
use crate::model::Mode;
use crate::model::Severity;
use crate::model::SourceId;
use crate::model::SubscriptionId;
use crate::model::Version;
use crate::model::subscription::Credentials;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Format;
use crate::model::subscription::InFlight;

/// What is planted: everything in good order, then one cause.
struct Planted {
    subscription: Subscription,
    record: Delivery,
    now: Time,
    article: Here,
}

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn rule() -> RuleId {
    RuleId::new("siren").unwrap()
}

fn logged(seq: u64, kind: EventKind, number: u32) -> Logged {
    let event = Event { timestamp: at(100), ..event(kind, number, "siren", Severity::Warning) };
    Logged::new(seq, event, Earlier::default())
}

fn decision(role: Role, effect: Effect) -> Decision {
    let alert = event(EventKind::Opened, 1, "siren", Severity::Warning).alert.id;
    Decision { rule: rule(), key: Key::unknown(), role, effect, event: None, alert: Some(alert) }
}

fn fate(role: Role, effect: Effect, event: Option<Logged>) -> Fate {
    Fate {
        decision: decision(role, effect),
        max_age: Some(Duration::from_secs(3600)),
        status: Some(Status::Open),
        due: None,
        event,
        attempts: Vec::new(),
    }
}

fn attempt(outcome: Outcome) -> Attempt {
    Attempt {
        v: Version,
        subscription: SubscriptionId::from_random([3; 16]),
        event: "evt".to_owned(),
        kind: "alert.opened".to_owned(),
        sequence: 1,
        at: at(101),
        outcome,
        status: Some(500),
        duration_ms: 4,
        remark: None,
        replay: false,
        answer: None,
    }
}

/// An article that opened an alert at position 20 and was delivered.
fn planted() -> Planted {
    let article = Article {
        v: Version,
        id: ArticleId::of(&SourceId::push(), "a"),
        revision: 1,
        source: SourceId::push(),
        source_name: None,
        owner: None,
        official: false,
        title: "Sirens".into(),
        body: "x".into(),
        url: None,
        lang: None,
        author: None,
        published_at: None,
        updated_at: None,
        first_seen_at: at(100),
        received_at: at(100),
        as_new: false,
        first_poll: false,
        withdrawn: false,
        cap: None,
        directive: None,
    };
    let subscription = Subscription {
        v: Version,
        id: SubscriptionId::from_random([3; 16]),
        url: "https://desk.example/in".into(),
        description: None,
        format: Format::Wirebell,
        routing_key: None,
        template: None,
        keys: Vec::new(),
        credentials: Credentials::default(),
        filters: vec![FilterVersion {
            number: 1,
            effective_after: 10,
            filter: filter(r#"{"topics":["*"]}"#),
        }],
        ttl: None,
        max_in_flight: InFlight::default(),
        rate: None,
        paused: false,
        requests: Vec::new(),
        name: None,
        created_at: at(50),
        updated_at: at(50),
    };
    let event = Some(logged(20, EventKind::Opened, 1));
    let mut told = fate(Role::Start, Effect::Event(EventKind::Opened), event);
    told.attempts.push(attempt(Outcome::Delivered));
    let revision = Revision {
        article,
        read: Read::Done,
        matches: Vec::new(),
        fates: vec![told],
        nearest: None,
    };
    let record = Delivery { cursor: 20, ..Delivery::new(&subscription) };
    let article = Here::Stored { revisions: vec![revision], given: false };
    Planted { subscription, record, now: at(200), article }
}

impl Planted {
    fn revision(&mut self) -> &mut Revision {
        match &mut self.article {
            Here::Stored { revisions, .. } => revisions.last_mut().unwrap(),
            _ => panic!("nothing is stored"),
        }
    }

    fn article(&mut self) -> &mut Article {
        &mut self.revision().article
    }

    fn fate(&mut self) -> &mut Fate {
        self.revision().fates.last_mut().unwrap()
    }

    /// The event is not yet delivered.
    fn waits(&mut self) {
        self.record.cursor = 19;
        self.fate().attempts.clear();
    }

    fn event(&mut self) -> &mut Event {
        &mut self.fate().event.as_mut().unwrap().event
    }

    fn filter(&mut self, text: &str) {
        self.subscription.filters[0].filter = filter(text);
    }

    fn decided(&mut self, role: Role, effect: Effect) {
        self.revision().fates = vec![fate(role, effect, None)];
    }

    fn nothing_matched(&mut self, misses: Option<Vec<Miss>>) {
        self.revision().fates.clear();
        self.revision().nearest = misses.map(|misses| Nearest { rule: rule(), misses });
    }

    /// It ended an alert of which these facts came before.
    fn ended(&mut self, kind: EventKind, earlier: &[EventFacts]) {
        let mut logged = logged(20, kind, 2);
        logged.earlier = earlier.iter().cloned().collect();
        let fate = fate(Role::End, Effect::Event(kind), Some(logged));
        self.revision().fates = vec![fate];
    }

    fn outstanding(&mut self, seq: u64, failures: u32) {
        let earlier = Logged::new(
            seq,
            event(EventKind::Opened, 7, "siren", Severity::Warning),
            Earlier::default(),
        );
        let outstanding = Outstanding { sends: 1, failures, ..Outstanding::new(&earlier, 1) };
        self.record.outstanding = vec![outstanding];
        self.record.breaker.failures = failures;
        self.record.next_attempt = Some(at(300));
    }

    fn cap(&mut self, text: Value) {
        let mut cap = json!({
            "sender": "s", "identifier": "i", "sent": "2026-01-01T00:00:00.000Z",
            "status": "Actual", "msg_type": "Alert", "scope": "Public", "references": [],
            "blocks": [],
        });
        cap.as_object_mut().unwrap().extend(text.as_object().unwrap().clone());
        let cap: Cap = serde_json::from_value(cap).unwrap();
        self.article().cap = Some(cap);
    }
}

type Plant = fn(&mut Planted);

/// Causes, and the stage that must be named for each.
const CAUSES: [(&str, Plant, &str); 43] = [
    ("all is well", |_| {}, "delivered"),
    ("never fetched", |p| p.article = Here::Nothing, "unknown"),
    ("another text", |p| p.article = Here::OtherText(3), "other_text"),
    (
        "known before it began",
        |p| {
            let here = std::mem::replace(&mut p.article, Here::Nothing);
            let Here::Stored { revisions, .. } = here else { panic!() };
            p.article = Here::Stored { revisions, given: true };
            p.subscription.created_at = at(150);
        },
        "known",
    ),
    (
        "not yet read",
        |p| {
            p.revision().fates.clear();
            p.revision().read = Read::NotYet;
        },
        "unread",
    ),
    ("buried", |p| p.revision().read = Read::Buried("undecodable"), "buried"),
    ("a draft of a message", |p| p.cap(json!({"status": "Draft"})), "stored_only"),
    ("not for the public", |p| p.cap(json!({"scope": "Private"})), "stored_only"),
    ("no rule came near", |p| p.nothing_matched(None), "no_match"),
    (
        "one clause fails",
        |p| p.nothing_matched(Some(vec![Miss::Item("all[1]".into())])),
        "no_match",
    ),
    ("a filter of the rule", |p| p.nothing_matched(Some(vec![Miss::Filter("lang")])), "no_match"),
    ("today a rule matches", |p| p.nothing_matched(Some(Vec::new())), "no_match"),
    (
        "vetoed",
        |p| p.nothing_matched(Some(vec![Miss::Unless("unless[0]".into(), Vec::new())])),
        "unless",
    ),
    (
        "vetoed and more",
        |p| {
            let veto = Miss::Unless("unless[0]".into(), Vec::new());
            p.nothing_matched(Some(vec![Miss::Filter("lang"), veto]));
        },
        "no_match",
    ),
    ("an end without alert", |p| p.decided(Role::End, Effect::Nothing), "no_alert"),
    ("superseded", |p| p.decided(Role::Doubtful, Effect::Listed), "superseded"),
    ("ended once more", |p| p.decided(Role::End, Effect::Listed), "closed"),
    ("revised without news", |p| p.decided(Role::Start, Effect::Listed), "counted"),
    (
        "first poll",
        |p| {
            p.decided(Role::Start, Effect::Late);
            p.article().first_poll = true;
        },
        "late first_poll",
    ),
    (
        "too old",
        |p| {
            p.decided(Role::Start, Effect::Late);
            p.article().published_at = Some(at(-9_999));
        },
        "late too_old",
    ),
    (
        "expired on arrival",
        |p| {
            p.decided(Role::Start, Effect::Late);
            let block = json!({"lang": null, "title": [0, 0], "body": [0, 0], "areas": [],
                "expires": "1970-01-01T00:00:09.000Z", "severity": "Unknown",
                "urgency": "Unknown", "all_clear": false});
            p.cap(json!({"blocks": [block]}));
        },
        "late not_in_force",
    ),
    (
        "replaced before it came",
        |p| {
            p.decided(Role::Start, Effect::Late);
            p.cap(json!({"replaced": true}));
        },
        "late replaced",
    ),
    (
        "after the end",
        |p| {
            p.decided(Role::Start, Effect::Late);
            p.fate().status = Some(Status::Ended);
        },
        "late after_the_end",
    ),
    (
        "in cooldown",
        |p| {
            p.decided(Role::Start, Effect::Joined);
            p.fate().due = Some(at(700));
        },
        "joined",
    ),
    ("shadow mode", |p| p.event().mode = Mode::Shadow, "shadow"),
    ("began later", |p| p.record.effective[0].after = 30, "before"),
    ("another topic", |p| p.filter(r#"{"topics":["quake"]}"#), "filter topics"),
    (
        "not severe enough",
        |p| p.filter(r#"{"topics":["*"],"min_severity":"critical"}"#),
        "filter min_severity",
    ),
    ("another key", |p| p.filter(r#"{"topics":["*"],"keys":["odesa"]}"#), "filter keys"),
    ("another language", |p| p.filter(r#"{"topics":["*"],"langs":["uk"]}"#), "filter langs"),
    ("another nature", |p| p.filter(r#"{"topics":["*"],"natures":["test"]}"#), "filter natures"),
    ("expiry unasked", |p| p.ended(EventKind::Expired, &[]), "expired_unasked"),
    ("never told", |p| p.ended(EventKind::Ended, &[]), "never_told"),
    (
        "its opening was given up",
        |p| {
            let opened = event(EventKind::Opened, 1, "siren", Severity::Warning);
            p.record.unsent.push(Unsent { alert: opened.alert.id.clone(), closed_at: None });
            p.ended(EventKind::Ended, &[EventFacts::of(12, &opened)]);
        },
        "withheld",
    ),
    (
        "outdated while it waits",
        |p| {
            p.waits();
            p.subscription.ttl = Some(Duration::from_secs(60));
        },
        "outdated",
    ),
    (
        "paused by its owner",
        |p| {
            p.waits();
            p.subscription.paused = true;
        },
        "disabled",
    ),
    (
        "gone",
        |p| {
            p.waits();
            let why = "the receiver answered 410 Gone".to_owned();
            p.record.paused = Some(Pause { since: at(60), why, url: String::new() });
        },
        "paused",
    ),
    (
        "behind another event",
        |p| {
            p.waits();
            p.outstanding(15, 2);
        },
        "waits_behind",
    ),
    (
        "failing",
        |p| {
            p.waits();
            p.outstanding(20, 2);
            p.fate().attempts.push(attempt(Outcome::Rejected));
        },
        "failing",
    ),
    ("about to be sent", Planted::waits, "waiting"),
    ("every try failed", |p| p.fate().attempts = vec![attempt(Outcome::Failed)], "given_up"),
    ("no attempt is kept", |p| p.fate().attempts.clear(), "settled"),
    (
        "one of two alerts was told",
        |p| {
            let late = fate(Role::Start, Effect::Late, None);
            p.revision().fates.push(late);
        },
        "delivered",
    ),
];

#[test]
fn each_planted_cause_is_named() {
    for (name, plant, wanted) in CAUSES {
        let mut planted = planted();
        plant(&mut planted);
        let Planted { subscription, record, now, article } = planted;
        let facts = Facts { subscription: &subscription, record: &record, now, article };
        let stage = decide(&facts);
        let json = json!(stage);
        let detail = ["why", "part"].iter().find_map(|n| json[n].as_str());
        let detail = detail.filter(|_| wanted.contains(' '));
        let told = [json["stage"].as_str(), detail].into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(told.join(" "), wanted, "{name}: {stage:?}");
        assert!(stage.words().len() > 15, "{name}: {}", stage.words());
    }
}

#[test]
fn what_is_told_names_rule_word_and_time() {
    for (name, words) in [
        ("one clause fails", "siren came nearest: nothing of all[1] matches"),
        ("today a rule matches", "siren would match it today"),
        ("in cooldown", "with the next update, at 1970-01-01T00:11:40.000Z"),
        ("failing", "last at 1970-01-01T00:01:41.000Z (rejected 500); the next try is at 1970"),
        ("gone", "disabled since 1970-01-01T00:01:00.000Z: the receiver answered 410 Gone"),
        ("all is well", "delivered at 1970-01-01T00:01:41.000Z"),
    ] {
        let (_, plant, _) = CAUSES.iter().find(|(cause, ..)| *cause == name).unwrap();
        let mut planted = planted();
        plant(&mut planted);
        let Planted { subscription, record, now, article } = planted;
        let facts = Facts { subscription: &subscription, record: &record, now, article };
        let told = decide(&facts).words();
        assert!(told.contains(words), "{name}: {told}");
    }
}

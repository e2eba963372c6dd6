//! What holds for every sequence of articles, messages, decisions and times.

use std::collections::BTreeMap;

use wirebell::alerts::AlertState;
use wirebell::alerts::Book;
use wirebell::alerts::Input;
use wirebell::model::AlertId;
use wirebell::model::Article;
use wirebell::model::ArticleId;
use wirebell::model::Cap;
use wirebell::model::Directive;
use wirebell::model::DirectiveKind;
use wirebell::model::Event;
use wirebell::model::EventKind;
use wirebell::model::Evidence;
use wirebell::model::Field;
use wirebell::model::Key;
use wirebell::model::Match;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::model::cap::Block;
use wirebell::model::cap::CapStatus;
use wirebell::model::cap::MsgType;
use wirebell::model::cap::Scope;
use wirebell::model::matching::Target;
use wirebell::rules::RuleSet;

use crate::rule_files::article;
use crate::rule_files::loaded;

const RULES: &str = "version: 1
places: {a: [Aby], b: [Bex]}
rules:
  - {id: wrong, retracts: siren, any: [wrong]}
  - {id: over, ends: [siren, horn], any: [over]}
  - {id: siren, any: [siren], update_every: 10m, close_after: 2h, confirm: {distinct_sources: 2, within: 30m, severity: critical}}
  - {id: horn, any: [horn], key: none, update_every: 0s, close_after: 1h}
";
/// Sequences, as many as are asked for.
const SEQUENCES: u64 = 100_000;
/// Longest sequence.
const STEPS: usize = 14;

/// One input of a sequence: an article with what was found in it, at its receipt.
struct Given {
    article: Article,
    matches: Vec<Match>,
    areas: Vec<Key>,
}

struct Maker<'r> {
    random: fastrand::Rng,
    rules: &'r RuleSet,
    now: i64,
    made: Vec<Given>,
}

impl Maker<'_> {
    fn sequence(mut self) -> Vec<Given> {
        for _ in 0..self.random.usize(3..=STEPS) {
            self.now += self.random.i64(0..6) * self.random.i64(0..1_500) * 1_000;
            let given = match self.random.u8(0..10) {
                0..7 => self.report(),
                7 | 8 => self.message(),
                _ => self.revision(),
            };
            self.made.push(given);
        }
        self.made
    }

    fn plain(&mut self) -> Article {
        let source = ["one", "two", "three", "four"][self.random.usize(0..4)];
        let mut new = article("A report", "");
        new.source = SourceId::new(source).unwrap();
        new.id = ArticleId::of(&new.source, &self.made.len().to_string());
        // Copies only now and then: most texts are too short to be compared by shingles.
        new.title = format!("Report {}", self.random.u8(0..40));
        new.received_at = Time::from_millis(self.now);
        new.first_seen_at = new.received_at;
        new.published_at = match self.random.u8(0..8) {
            0 => None,
            1 => Some(Time::from_millis(self.now - self.random.i64(0..20) * 3_600_000)),
            _ => Some(new.received_at),
        };
        new.first_poll = self.random.u8(0..30) == 0;
        new.official = self.random.u8(0..30) == 0;
        new
    }

    fn found(&mut self) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        let places = ["a", "b", "-"].map(|key| Key::new(key).unwrap());
        let keys = match self.random.u8(0..6) {
            0 => vec![places[0].clone(), places[1].clone()],
            1 => vec![places[1].clone()],
            2 => vec![places[2].clone()],
            _ => vec![places[0].clone()],
        };
        let said: Vec<bool> = [5, 3, 2, 4].iter().map(|n| self.random.u8(0..*n) == 0).collect();
        for (rule, said) in self.rules.rules().iter().zip([said[0], said[1], !said[2], said[3]]) {
            if said {
                let target = |id: &str, keys: &[Key]| Target {
                    rule: wirebell::model::RuleId::new(id).unwrap(),
                    keys: keys.to_vec(),
                };
                let unknown = [Key::unknown()];
                let targets = match rule.id.as_str() {
                    "horn" => vec![target("horn", &unknown)],
                    "over" => vec![target("siren", &keys), target("horn", &unknown)],
                    _ => vec![target("siren", &keys)],
                };
                let evidence = Evidence {
                    field: Field::Title,
                    start: 0,
                    end: 6,
                    text: "Report".to_owned(),
                    term: "any[0]".to_owned(),
                    lang: None,
                };
                matches.push(Match {
                    rule: rule.id.clone(),
                    topic: rule.topic.clone(),
                    superseded_by: None,
                    evidence: vec![evidence],
                    targets,
                });
            }
        }
        supersede(&mut matches);
        matches
    }

    fn report(&mut self) -> Given {
        Given { article: self.plain(), matches: self.found(), areas: Vec::new() }
    }

    fn revision(&mut self) -> Given {
        let Some(old) = self.made.iter().rev().find(|g| g.article.cap.is_none()) else {
            return self.report();
        };
        let mut new = old.article.clone();
        let earlier = self.made.iter().filter(|g| g.article.id == new.id).count();
        new.revision = u32::try_from(earlier).unwrap() + 1;
        new.received_at = Time::from_millis(self.now);
        new.updated_at = Some(new.received_at);
        new.title = format!("Revised {}", self.now);
        new.withdrawn = self.random.u8(0..3) == 0;
        let matches = if self.random.bool() { self.found() } else { Vec::new() };
        Given { article: new, matches, areas: Vec::new() }
    }

    fn message(&mut self) -> Given {
        let mut new = self.plain();
        let identifier = format!("m{}", self.made.len());
        new.id = ArticleId::of_message("office", &identifier, "");
        let messages: Vec<ArticleId> = self
            .made
            .iter()
            .filter(|g| g.article.cap.is_some())
            .map(|g| g.article.id.clone())
            .collect();
        let msg_type = [MsgType::Alert, MsgType::Update, MsgType::Cancel][self.random.usize(0..3)];
        let status = [CapStatus::Actual, CapStatus::Actual, CapStatus::Exercise, CapStatus::Test];
        let expires = self
            .random
            .bool()
            .then(|| Time::from_millis(self.now + self.random.i64(0..180) * 60_000));
        let block = Block { all_clear: self.random.u8(0..4) == 0, expires, ..Block::default() };
        new.cap = Some(Cap {
            identifier,
            sender: "office".to_owned(),
            status: status[self.random.usize(0..4)],
            msg_type,
            scope: Scope::Public,
            references: messages.last().cloned().into_iter().collect(),
            replaced: self.random.u8(0..20) == 0,
            blocks: vec![block],
        });
        let mut matches = self.found();
        matches.iter_mut().for_each(|m| m.superseded_by = None);
        let areas =
            if self.random.u8(0..3) == 0 { vec![Key::new("a").unwrap()] } else { Vec::new() };
        Given { article: new, matches, areas }
    }
}

/// As the engine does: the first rule that takes back, else the first that ends.
fn supersede(matches: &mut [Match]) {
    let has = |id: &str| matches.iter().any(|m| m.rule.as_str() == id);
    let (wrong, over) = (has("wrong"), has("over"));
    let id = |name: &str| Some(wirebell::model::RuleId::new(name).unwrap());
    for one in matches.iter_mut() {
        one.superseded_by = match one.rule.as_str() {
            "siren" if wrong => id("wrong"),
            "siren" | "horn" if over => id("over"),
            _ => None,
        };
    }
}

fn apply(rules: &RuleSet, book: &mut Book, given: &[Given], from: usize, to: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for (at, one) in given.iter().enumerate().take(to).skip(from) {
        let input = Input {
            article: &one.article,
            matches: &one.matches,
            areas: &one.areas,
            position: u64::try_from(at).unwrap() + 1,
        };
        events.extend(book.apply(&rules.context(), &input).events);
        // What is due by then acts before anything else happens.
        events.extend(book.advance(&rules.context(), one.article.received_at));
        book.take_changed();
    }
    events
}

/// An alert as its events told it.
#[derive(Default)]
struct Told {
    number: u32,
    closed: Option<EventKind>,
    at: Option<Time>,
}

/// Numbers without gaps, one open alert a key, forward through the closings, time never back.
fn check(events: &[Event], seed: u64) {
    let mut told: BTreeMap<AlertId, Told> = BTreeMap::new();
    let mut open: BTreeMap<String, AlertId> = BTreeMap::new();
    for event in events {
        let view = &event.alert;
        let alert = told.entry(view.id.clone()).or_default();
        assert_eq!(event.number, alert.number + 1, "seed {seed}: {event:?}");
        assert_eq!(event.number == 1, event.kind == EventKind::Opened, "seed {seed}: {event:?}");
        assert!(alert.at.is_none_or(|at| at <= event.timestamp), "seed {seed}: {event:?}");
        let forward = match alert.closed {
            None => true,
            Some(EventKind::Expired) => {
                matches!(event.kind, EventKind::Ended | EventKind::Retracted)
            }
            Some(EventKind::Ended) => event.kind == EventKind::Retracted,
            Some(_) => false,
        };
        assert!(forward, "seed {seed}: {:?} after {:?}", event.kind, alert.closed);
        let key = format!("{}/{}/{:?}", view.rule, view.key, view.nature);
        if event.kind == EventKind::Opened {
            let other = open.insert(key, view.id.clone());
            assert_eq!(other, None, "seed {seed}: two are open: {event:?}");
        } else if event.kind.closes() && open.get(&key) == Some(&view.id) {
            open.remove(&key);
        }
        alert.number = event.number;
        alert.at = Some(event.timestamp);
        if event.kind.closes() {
            alert.closed = Some(event.kind);
        }
        assert!(
            !event.articles.is_empty()
                || event.kind == EventKind::Expired
                || event.reason.is_some()
                || event.kind == EventKind::Updated,
            "seed {seed}: {event:?}"
        );
    }
}

fn one_sequence(rules: &RuleSet, seed: u64) -> usize {
    let random = fastrand::Rng::with_seed(seed);
    let maker = Maker { random, rules, now: 1_800_000_000_000, made: Vec::new() };
    let mut given = maker.sequence();
    let mut random = fastrand::Rng::with_seed(!seed);
    decide_on_the_way(rules, &mut given, &mut random);
    let whole = apply(rules, &mut Book::default(), &given, 0, given.len());
    check(&whole, seed);
    // Another owner goes on from the stored states, and from a cursor that may be behind.
    let stop = random.usize(0..=given.len());
    let mut first = Book::default();
    let mut split = apply(rules, &mut first, &given, 0, stop);
    let stored: Vec<String> = first.states().map(|s| serde_json::to_string(s).unwrap()).collect();
    let read = stored.iter().map(|s| serde_json::from_str::<AlertState>(s).unwrap());
    let mut second = Book::new(read);
    let behind = random.usize(0..=stop);
    let again = apply(rules, &mut second, &given, behind, stop);
    assert_eq!(again, [], "seed {seed}: read again from {behind} to {stop}");
    split.extend(apply(rules, &mut second, &given, stop, given.len()));
    assert_eq!(split, whole, "seed {seed}: another owner from {stop}, cursor {behind}");
    whole.len()
}

/// Puts an operator's decision about an alert that was opened into every fourth sequence.
fn decide_on_the_way(rules: &RuleSet, given: &mut [Given], random: &mut fastrand::Rng) {
    let at = random.usize(0..given.len());
    if random.u8(0..4) > 0 || at == 0 {
        return;
    }
    let before = apply(rules, &mut Book::default(), given, 0, at);
    let Some(event) = before.last() else { return };
    let one = &mut given[at];
    if one.article.revision > 1 {
        return;
    }
    let kind = if random.bool() { DirectiveKind::End } else { DirectiveKind::Retract };
    one.article.source = SourceId::operator();
    one.article.cap = None;
    one.article.directive = Some(Directive {
        kind,
        alert: event.alert.id.clone(),
        reason: "seen with my own eyes".to_owned(),
        by: "night desk".to_owned(),
    });
    one.matches.clear();
}

#[test]
fn a_hundred_thousand_random_sequences_keep_every_promise() {
    let rules = loaded(RULES);
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let events: usize = std::thread::scope(|scope| {
        let rules = &rules;
        let parts: Vec<_> = (0..workers)
            .map(|part| {
                let seeds = (0..SEQUENCES).filter(move |seed| seed % workers == part);
                scope.spawn(move || seeds.map(|seed| one_sequence(rules, seed)).sum::<usize>())
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    });
    // A generator that opens nothing would hold every promise.
    assert!(events > usize::try_from(SEQUENCES).unwrap() * 2, "{events} events");
}

//! Every row of the table of stories, and what must hold of each: the life of an alert.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use wirebell::alerts::AlertState;
use wirebell::alerts::Book;
use wirebell::alerts::Input;
use wirebell::alerts::Run;
use wirebell::alerts::run::story_start;
use wirebell::model::Article;
use wirebell::model::DirectiveKind;
use wirebell::model::Event;
use wirebell::model::Found;
use wirebell::rules::RuleSet;
use wirebell::rules::load;
use wirebell::rules::load_story;
use wirebell::rules::spec::Act;
use wirebell::rules::spec::Story;

const ROWS: &str = include_str!("../fixtures/stories.jsonl");

struct Row {
    name: String,
    rules: RuleSet,
    story: Story,
}

/// An article as the log holds it, with what the rules found.
type Logged = (Article, Found);

fn rows() -> Vec<Row> {
    let all: Vec<Row> = ROWS.lines().map(row).collect();
    assert_eq!(all.len(), 91);
    all
}

fn row(line: &str) -> Row {
    let row: Value = serde_json::from_str(line).unwrap();
    let name = row["name"].as_str().unwrap().to_owned();
    let text = row["rules"].as_str().unwrap().to_owned();
    let rules = load(&[(name.clone(), text)]).unwrap_or_else(|p| panic!("{name}: {p:?}"));
    let story = load_story(&name, &row["steps"].to_string());
    let story = story.unwrap_or_else(|p| panic!("{name}: {p:?}"));
    Row { name, rules, story }
}

/// The events of each step, and the log that the steps made.
fn tell(row: &Row, times: usize) -> (Vec<Vec<Event>>, Vec<Logged>) {
    let log = RefCell::new(Vec::new());
    let matcher = |article: &Article| {
        let found = row.rules.found(article);
        log.borrow_mut().push((article.clone(), found.clone()));
        found
    };
    let mut run = Run::new(row.rules.context(), matcher, story_start());
    let mut told = Vec::new();
    for (number, step) in row.story.steps.iter().enumerate() {
        let mut events = run.wait(step.after);
        for _ in 0..times {
            let now = run.now();
            events.extend(match &step.act {
                Act::Article(a) => run.take(a.article(&format!("step {number}"), now)).events,
                Act::End(rule, key) => run.decide(DirectiveKind::End, rule, key).events,
                Act::Retract(rule, key) => run.decide(DirectiveKind::Retract, rule, key).events,
                Act::Tick => Vec::new(),
            });
        }
        told.push(events);
    }
    drop(run);
    (told, log.into_inner())
}

#[test]
fn every_story_of_the_table_is_told_as_written() {
    let mut failures = Vec::new();
    for row in rows() {
        let (told, _) = tell(&row, 1);
        for (number, (step, events)) in row.story.steps.iter().zip(&told).enumerate() {
            let fits = step.expect.len() == events.len()
                && step.expect.iter().zip(events).all(|(wanted, event)| wanted.fits(event));
            if !fits {
                let found: Vec<String> = events.iter().map(shortly).collect();
                let wanted = &step.expect;
                failures.push(format!("{}, step {number}: {wanted:?}, found {found:?}", row.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} steps fail\n{}", failures.len(), failures.join("\n"));
}

fn shortly(event: &Event) -> String {
    let alert = &event.alert;
    format!(
        "{} {}/{} {:?} {:?} {:?} sources {} possible_end {} late {}",
        event.kind.as_str(),
        alert.rule,
        alert.key,
        alert.severity,
        alert.status,
        alert.confirmation,
        alert.independent_sources,
        event.possible_end,
        event.late
    )
}

#[test]
fn a_story_told_twice_gives_equal_events() {
    for row in rows() {
        assert_eq!(tell(&row, 1).0, tell(&row, 1).0, "{}", row.name);
    }
}

#[test]
fn every_article_delivered_twice_gives_the_same_events() {
    for row in rows() {
        let acts = |s: &wirebell::rules::spec::Step| matches!(s.act, Act::Article(_) | Act::Tick);
        if row.story.steps.iter().all(acts) {
            assert_eq!(tell(&row, 1).0, tell(&row, 2).0, "{}", row.name);
        }
    }
}

/// Reads the states back as a new owner does.
fn reread(book: &Book) -> Book {
    let json: Vec<String> = book.states().map(|s| serde_json::to_string(s).unwrap()).collect();
    let read: Vec<AlertState> = json.iter().map(|s| serde_json::from_str(s).unwrap()).collect();
    assert!(read.iter().eq(book.states()), "a state changes when it is stored");
    Book::new(read)
}

fn replay(row: &Row, book: &mut Book, log: &[Logged], from: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for (offset, (article, found)) in log.iter().enumerate().skip(from) {
        let position = u64::try_from(offset).unwrap() + 1;
        let (matches, areas) = (&found.matches, &found.areas);
        let input = Input { article, matches, areas, position };
        events.extend(book.apply(&row.rules.context(), &input).events);
        book.take_changed();
    }
    events
}

#[test]
fn reading_on_from_an_older_position_repeats_nothing() {
    for row in rows() {
        let (_, log) = tell(&row, 1);
        let whole = replay(&row, &mut Book::default(), &log, 0);
        for stop in 0..=log.len() {
            let mut first = Book::default();
            let mut before = replay(&row, &mut first, &log[..stop], 0);
            for from in 0..=stop {
                // A closed alert is forgotten after 48 h; no cursor is that far behind.
                let begun = log[from..stop].first().map(|(a, _)| a.received_at);
                let ended = log[..stop].last().map(|(a, _)| a.received_at);
                let far = |(b, e): (wirebell::model::Time, wirebell::model::Time)| {
                    e.since(b) >= Duration::from_secs(48 * 3600)
                };
                if begun.zip(ended).is_some_and(far) {
                    continue;
                }
                let mut second = reread(&first);
                let again = replay(&row, &mut second, &log[..stop], from);
                assert_eq!(again, [], "{}: stopped at {stop}, read from {from}", row.name);
                let rest = replay(&row, &mut second, &log, stop);
                let split = before.len();
                before.extend(rest);
                assert_eq!(before, whole, "{}: stopped at {stop}, read from {from}", row.name);
                before.truncate(split);
            }
        }
    }
}

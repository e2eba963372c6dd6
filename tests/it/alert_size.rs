//! An alert of many long articles stays within the size of a record.

use wirebell::alerts::Book;
use wirebell::alerts::Input;
use wirebell::model::Article;
use wirebell::model::Evidence;
use wirebell::model::Field;
use wirebell::model::Key;
use wirebell::model::Lang;
use wirebell::model::Match;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::model::matching::Target;

use crate::rule_files::article;
use crate::rule_files::loaded;

/// What a record of the bucket `alerts` may hold at most.
const LIMIT: usize = 512 * 1024;
const RULES: &str = "version: 1\nrules: [{id: siren, any: [siren], key: none, update_every: 0s}]\n";

/// An article of its own words, in letters of two bytes. The first ones, whose words are kept, are
/// as long as long reads are.
fn long_article(n: u32) -> Article {
    let length = if n < 120 { 1_500 } else { 100 };
    let body: String = (0..length).map(|w| format!("слово{} ", n * 1_500 + w)).collect();
    let title = format!("Сирена {n}, {}", "довга назва статті про сирену ".repeat(9));
    let mut one = article(&title, &body);
    one.source = SourceId::new(format!("paper-{n}-of-the-evening")).unwrap();
    one.url = Some(format!("https://paper.example/{n}/{}", "y".repeat(120)));
    one.lang = Some(Lang::new("uk").unwrap());
    one.id = wirebell::model::ArticleId::of(&one.source, "one");
    one.received_at = Time::from_millis(1_800_000_000_000 + i64::from(n) * 1_000);
    one.first_seen_at = one.received_at;
    one
}

/// As much evidence as a match may carry, each piece as long as words twenty apart.
fn heavy_match() -> Match {
    let evidence = (0..40).map(|n| Evidence {
        field: if n < 20 { Field::Title } else { Field::Body },
        start: n * 700,
        end: n * 700 + 120,
        text: "слово ".repeat(20),
        term: "any[0]".to_owned(),
        lang: None,
    });
    let rules = loaded(RULES);
    let rule = &rules.rules()[0];
    Match {
        rule: rule.id.clone(),
        topic: rule.topic.clone(),
        superseded_by: None,
        evidence: evidence.collect(),
        targets: vec![Target { rule: rule.id.clone(), keys: vec![Key::unknown()] }],
    }
}

#[test]
fn an_alert_of_a_thousand_long_articles_stays_within_a_record() {
    let rules = loaded(RULES);
    let context = rules.context();
    let mut book = Book::default();
    let found = heavy_match();
    let mut largest = 0;
    for n in 0..1_050 {
        let article = long_article(n);
        let matches = std::slice::from_ref(&found);
        book.apply(
            &context,
            &Input { article: &article, matches, areas: &[], position: u64::from(n) + 1 },
        );
        book.take_changed();
        if n % 50 == 0 || n > 990 {
            let state = book.states().next().unwrap();
            largest = largest.max(serde_json::to_vec(state).unwrap().len());
        }
    }
    let state = book.states().next().unwrap();
    assert_eq!((state.alert.counted.len(), state.alert.uncounted), (1_000, 50));
    assert_eq!(state.alert.view.independent_sources, 1_000);
    assert!(largest <= LIMIT, "{largest} bytes");
}

#[test]
fn hundreds_of_copies_of_one_story_are_one_source() {
    let rules = loaded(RULES);
    let context = rules.context();
    let mut book = Book::default();
    let found = heavy_match();
    for n in 0..200 {
        let mut copy = long_article(n);
        // Every desk has a headline and a closing line of its own.
        copy.body = format!("{}\n\nРедакція {n}", long_article(0).body);
        copy.title = format!("Сирена, каже газета {n}");
        let matches = std::slice::from_ref(&found);
        book.apply(
            &context,
            &Input { article: &copy, matches, areas: &[], position: u64::from(n) + 1 },
        );
        book.take_changed();
    }
    assert_eq!(book.states().next().unwrap().alert.view.independent_sources, 1);
}

//! Deciding takes no memory once its buffers have grown. A binary of its own, because it counts in
//! the place of the global allocator.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wirebell::model::Article;
use wirebell::model::ArticleId;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::rules::Scratch;
use wirebell::rules::load;
use wirebell::telemetry::metric;

const RULES: &str = "version: 1
places: {dover: [Dover, Дувр*]}
words: {ferry: [ferr*, car ferry, паром*, 渡輪]}
rules:
  - {id: near, any: [$ferry NEAR/5 (stopped OR halted)], unless: [drill]}
  - {id: lead, in: lead, all: [[$ferry, =WHO], [sea-wall, משרד, ميناء]]}
  - {id: not, when: (порт AND закрито) NOT title:(навчання)}
  - {id: far, when: horn NOT NEAR/3 test}
  - {id: list, any: [a1, a2, a3, a4, a5, a6, a7, a8, a9, b1, b2, b3, b4, b5, b6, b7, b8, b9]}
  - {id: phrase, any: [港口關閉, ガス漏れ, harbour wall closed, 항구 폐쇄], lang: en}
";

const TEXTS: [&str; 6] = [
    "The car ferry to Dover was stopped, and the sea-wall is closed. WHO says so. A horn, no test.",
    "Порт Київ закрито через шторм, паромники чекають. Łódź, Straße, ÉCOLE, İstanbul.",
    "והמשרד נסגר היום. والميناء مغلق اليوم",
    "昨日港口關閉。ガス漏れが発生した。항구 폐쇄 소식",
    "ferry ferry halted\n\nhalted ferry a1 b9 harbour-wall closed",
    "",
];

fn article(text: &str) -> Article {
    let source = SourceId::new("skylark").unwrap();
    let id = ArticleId::of(&source, text);
    let title = text.lines().next().unwrap_or_default().to_owned();
    Article::first(id, source, (title, text.to_owned()), Time::from_millis(0))
}

#[test]
fn deciding_takes_no_memory_after_the_first_articles() {
    let set = load(&[("rules.yaml".to_owned(), RULES.to_owned())]).unwrap();
    let articles = TEXTS.map(article);
    let mut scratch = Scratch::default();
    let mut found = 0;
    let mut pass = || {
        for article in &articles {
            found += set.decide(article, &mut scratch).len();
        }
    };
    let first = allocation_counter::measure(&mut pass);
    let second = allocation_counter::measure(&mut pass);
    assert!(first.count_total > 0, "the counter does not count");
    assert_eq!(second.count_total, 0, "{second:?}");
    assert!(found >= 10, "{found} matches");
}

#[test]
fn what_is_measured_takes_no_memory_that_upkeep_does_not_give_back() {
    let handle = metric::install();
    let measure = |upkeep: bool| {
        let measured = allocation_counter::measure(|| {
            for n in 0..100_000 {
                metrics::histogram!(metric::MATCH_SECONDS).record(f64::from(n));
            }
            if upkeep {
                handle.run_upkeep();
            }
        });
        measured.bytes_current
    };
    let kept = measure(false);
    assert!(kept > 500_000, "nothing is kept: {kept} bytes, and upkeep is of no use");
    // What is given back is freed a little later.
    let kept: i64 = (0..10).map(|_| measure(true)).sum();
    assert!(kept < 500_000, "upkeep gives back what was kept: {kept} bytes");
}

//! A rule file: a rule set that runs its own tests and decides its own text as the definitions of
//! the language say, or problems that each name a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirebell::model::Article;
use wirebell::model::ArticleId;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::rules::load;

fuzz_target!(|text: &str| {
    let lines = text.split('\n').count() as u32;
    match load(&[("fuzz.yaml".to_owned(), text.to_owned())]) {
        Ok(set) => {
            set.run_tests();
            let article = article(text);
            assert_eq!(set.evaluate(&article).matches, set.evaluate_plainly(&article).matches);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!((1..=lines + 1).contains(&problem.line), "{problem}");
                assert!(problem.column >= 1 && !problem.remedy.is_empty(), "{problem}");
            }
        }
    }
});

/// The file itself as an article: its words are those of its rules.
fn article(text: &str) -> Article {
    let (title, body) = text.split_once('\n').unwrap_or((text, ""));
    let (id, source) = (ArticleId::of(&SourceId::push(), "fuzz"), SourceId::push());
    Article::first(id, source, (title.to_owned(), body.to_owned()), Time::from_millis(0))
}

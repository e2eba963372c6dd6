//! The engine against the definitions of the language: on every article they say the same.

mod hostile;
mod making;

use making::Making;
use proptest::prelude::*;
use wirebell::model::Article;
use wirebell::rules::RuleSet;
use wirebell::rules::Scratch;

use crate::rule_files::article;
use crate::rule_files::loaded;

/// What both say of an article, and how many rules match.
fn agree(set: &RuleSet, article: &Article, scratch: &mut Scratch) -> Result<usize, String> {
    let plain = set.evaluate_plainly(article);
    let fast = set.evaluate_with(article, scratch);
    if fast == plain {
        return Ok(plain.matches.len());
    }
    let names = |outcome: &wirebell::rules::Outcome| -> Vec<String> {
        outcome.matches.iter().map(|m| format!("{m:?}")).collect()
    };
    let (fast, plain) = (names(&fast), names(&plain));
    let only = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|m| !b.contains(m)).cloned().collect()
    };
    Err(format!(
        "{:?} / {:?}\nonly the engine: {:#?}\nonly the definitions: {:#?}",
        article.title,
        article.body,
        only(&fast, &plain),
        only(&plain, &fast)
    ))
}

#[test]
fn random_rules_decide_alike_on_random_texts_of_every_script() {
    let (mut pairs, mut matched, mut touched) = (0, 0, 0);
    let mut scratch = Scratch::default();
    for seed in 0..150 {
        let mut making = Making::new(seed);
        let text = making.rule_file(14);
        let set = loaded(&text);
        for _ in 0..25 {
            let (title, body) = making.texts();
            let article = making.labelled(article(&title, &body));
            let found = agree(&set, &article, &mut scratch)
                .unwrap_or_else(|e| panic!("seed {seed}\n{text}\n{e}"));
            pairs += set.rules().len();
            matched += found;
            touched += usize::from(found > 0);
        }
    }
    let share = matched * 100 / pairs;
    assert!((5..70).contains(&share), "{share} of 100 pairs match: the test could not fail");
    assert!(touched > 2_000, "{touched} articles matched something");
}

#[test]
fn many_rules_decide_alike_on_many_articles() {
    let mut making = Making::new(2_031);
    let set = loaded(&making.rule_file(400));
    let mut scratch = Scratch::default();
    let mut matched = 0;
    for _ in 0..150 {
        let (title, body) = making.texts();
        let article = making.labelled(article(&title, &body));
        matched += agree(&set, &article, &mut scratch).unwrap_or_else(|e| panic!("{e}"));
    }
    assert!(matched > 1_500, "{matched} matches");
}

proptest! {
    #[test]
    fn any_text_is_decided_alike(seed in 0_u64..40, title in "\\PC{0,20}", body in "(\\PC|\n\n| |ferry|港|sea-wall){0,40}") {
        let set = loaded(&Making::new(seed).rule_file(6));
        if let Err(e) = agree(&set, &article(&title, &body), &mut Scratch::default()) {
            prop_assert!(false, "{}", e);
        }
    }
}

/// A rule file of literals: each is the whole query of a rule.
fn literals(words: &[String]) -> RuleSet {
    let mut text = "version: 1\nrules:\n".to_owned();
    for (number, word) in words.iter().enumerate() {
        text.push_str(&format!("  - {{id: r{number}, when: '{word}'}}\n"));
    }
    loaded(&text)
}

proptest! {
    #[test]
    fn runs_of_characters_are_decided_alike(
        words in prop::collection::vec("(港|口|カ|ガ|ｶﾞ|ﾊﾟ|パ|の|ー|々|〇|𠀋|한|sea|10|Ａ){1,4}", 1..60),
        title in "[港口ガーの]{0,8}",
        body in "(港|口|カ|ガ|ｶﾞ|ﾊﾟ|パ|の|ー|々|〇|𠀋|한|sea|10|Ａ|[、。「’–\u{3099}\u{309A}\u{FE0F}\u{200B}🚢]|\u{E0100}|[ \\-,.']|\n|\n\n){0,80}",
    ) {
        let set = literals(&words);
        if let Err(e) = agree(&set, &article(&title, &body), &mut Scratch::default()) {
            prop_assert!(false, "{}", e);
        }
    }
}

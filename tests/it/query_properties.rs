//! What holds for every query and text.

use proptest::prelude::*;
use wirebell::model::Evidence;
use wirebell::rules::load;
use wirebell::rules::try_query;

use crate::rule_files::article;
use crate::rule_files::loaded;

/// Texts of few words, so that queries find something.
const TEXT: &str = "((sea|wall|sea-wall|ferry|港|口|U\\.N\\.|המשרד|п'ять)[ ,]{1,2}|\n\n){0,14}";

fn word() -> impl Strategy<Value = String> {
    let words: Vec<String> =
        "sea,wall,sea-wall,seawall,ferry,ferr*,港口,口,UN,משרד,пять,=UN,wall ferry"
            .split(',')
            .map(str::to_owned)
            .collect();
    prop::sample::select(words)
}

fn spans(query: &str, title: &str, body: &str) -> Vec<Evidence> {
    try_query(query, title, body).unwrap_or_else(|e| panic!("{query}: {e}"))
}

fn found(query: &str, title: &str, body: &str) -> bool {
    !spans(query, title, body).is_empty()
}

proptest! {
    #[test]
    fn near_is_symmetric_and_grows_with_its_distance(a in word(), b in word(), n in 0_u32..8, text in TEXT) {
        let near = spans(&format!("({a}) NEAR/{n} ({b})"), "", &text);
        prop_assert_eq!(&near, &spans(&format!("({b}) NEAR/{n} ({a})"), "", &text));
        let wider = format!("({a}) NEAR/{} ({b})", n + 1);
        prop_assert!(near.is_empty() || found(&wider, "", &text));
    }

    #[test]
    fn before_implies_near(a in word(), b in word(), n in 0_u32..8, text in TEXT) {
        let before = found(&format!("({a}) BEFORE/{n} ({b})"), "", &text);
        let near = format!("({a}) NEAR/{n} ({b})");
        prop_assert!(!before || found(&near, "", &text));
    }

    #[test]
    fn and_excludes_not(a in word(), b in word(), title in TEXT, text in TEXT) {
        let title = title.replace('\n', " ");
        let both = found(&format!("({a}) AND ({b})"), &title, &text);
        let not = found(&format!("({a}) NOT ({b})"), &title, &text);
        prop_assert!(!(both && not));
        let either = found(&format!("({a}) OR ({b})"), &title, &text);
        prop_assert_eq!(either, found(&a, &title, &text) || found(&b, &title, &text));
    }

    #[test]
    fn a_reported_span_alone_matches_its_phrase(a in word(), text in TEXT) {
        for span in spans(&a, "", &text) {
            prop_assert!(found(&a, "", &span.text), "{} in {:?}", a, span);
            let quoted: String = text
                .chars()
                .skip(span.start as usize)
                .take((span.end - span.start) as usize)
                .collect();
            prop_assert_eq!(quoted, span.text);
        }
    }

    #[test]
    fn another_paragraph_removes_no_match(a in word(), b in word(), n in 0_u32..5, text in TEXT, more in TEXT) {
        for query in [a.clone(), format!("({a}) NEAR/{n} ({b})"), format!("({a}) AND ({b})")] {
            let longer = format!("{text}\n\n{more}");
            prop_assert!(!found(&query, "", &text) || found(&query, "", &longer), "{}", query);
        }
    }

    #[test]
    fn another_unless_adds_no_match_of_its_rule(a in word(), b in word(), c in word(), text in TEXT) {
        let rules = |unless: &str| {
            loaded(&format!("version: 1\nrules: [{{id: r, any: ['{a}'], unless: [{unless}]}}]\n"))
        };
        let sample = article("", &text);
        let fewer = rules(&format!("'{b}'")).matches(&sample).len();
        let more = rules(&format!("'{b}', '{c}'")).matches(&sample).len();
        prop_assert!(more <= fewer);
    }

    #[test]
    fn no_query_and_no_rule_file_panics(
        query in "([a-zA-Z$\"()*=:~^|&+'/0-9 -]|AND|OR|NOT|NEAR/|title:|港|א|\\PC){0,24}",
        file in "version: 1\nrules:\n  - id: a\n    (any|when|ends|tests|confirm): ([\\[\\]{}\"'a-z:,*&!| \n-]|\\PC){0,24}",
    ) {
        if let Err(e) = try_query(&query, "a", "b") {
            prop_assert!(!e.to_string().is_empty());
        }
        if let Err(problems) = load(&[("rules.yaml".to_owned(), file)]) {
            prop_assert!(problems.iter().all(|p| p.line > 0 && p.column > 0 && !p.to_string().is_empty()));
        }
    }
}

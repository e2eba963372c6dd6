//! Rule files: what loads, what does not, and how it is said.

use wirebell::model::Article;
use wirebell::model::ArticleId;
use wirebell::model::Lang;
use wirebell::model::Match;
use wirebell::model::Mode;
use wirebell::model::Severity;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::model::rule::KeyBy;
use wirebell::model::rule::UpdateEvery;
use wirebell::rules::RuleSet;
use wirebell::rules::load;
use wirebell::rules::load_story;
use wirebell::rules::spec::Act;

pub(crate) fn article(title: &str, body: &str) -> Article {
    let source = SourceId::new("skylark").expect("a source");
    let id = ArticleId::of(&source, title);
    let text = (title.to_owned(), body.to_owned());
    Article {
        source_name: Some("The Skylark".to_owned()),
        ..Article::first(id, source, text, Time::from_millis(0))
    }
}

pub(crate) fn loaded(text: &str) -> RuleSet {
    load(&[("rules.yaml".to_owned(), text.to_owned())]).unwrap_or_else(|problems| {
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

fn rules(lines: &str) -> String {
    format!("version: 1\nrules:\n{lines}")
}

const FERRIES: &str = "\
version: 1
places:
  dover: [Dover, Дувр*, 多佛]
  calais: [Calais, Кале, 加來]
words:
  ferry: [ferr*, car ferry, паром*, 渡輪]
rules:
  - id: ferry-stop
    severity: critical
    any: [$ferry NEAR/5 (suspended OR halted OR cancelled), 渡輪 NEAR/6 停駛]
    unless: [drill, model ferr*, museum]
    confirm: {distinct_sources: 2, within: 30m}
  - id: ferry-resumes
    ends: ferry-stop
    any: [$ferry NEAR/5 (resume* OR running again), 渡輪 NEAR/6 恢復]
  - id: ferry-correction
    retracts: ferry-stop
    all: [[reported in error, wrongly said, correction], [$ferry]]
    tests:
      should_match: [Correction: ferries not suspended]
";

#[test]
fn the_first_example_is_a_whole_rule_file() {
    let set = loaded(
        "\
version: 1
rules:
  - id: harbour-closed
    any: [harbour closed, port shut, ferries cancelled, порт закрито, 港口關閉, הנמל נסגר]
    unless: [anniversary, drill, film]
",
    );
    assert_eq!(set.matches(&article("Harbour closed", "")).len(), 1);
    assert_eq!(set.matches(&article("", "昨日港口關閉。")).len(), 1);
    assert_eq!(set.matches(&article("Harbour closed for a drill", "")).len(), 0);
    assert_eq!(set.topics().len(), 1);
    assert!(set.digest().starts_with("sha256:") && set.digest().len() == 71);
}

#[test]
fn a_rule_that_ends_or_retracts_supersedes_and_speaks_of_the_places() {
    let set =
        loaded(&FERRIES.replace(
            "[Correction: ferries not suspended]",
            "['Correction: ferries not suspended']",
        ));
    assert_eq!(set.run_tests(), []);
    let found = set.matches(&article("Ferries suspended between Dover and Calais", ""));
    let keys = |m: &Match| m.targets[0].keys.iter().map(|k| k.to_string()).collect::<Vec<_>>();
    assert_eq!(found.len(), 1);
    assert_eq!(keys(&found[0]), ["dover", "calais"]);
    assert_eq!(found[0].evidence[0].text, "Ferries suspended");
    assert_eq!(found[0].evidence[0].term, "any[0]");

    let text = "Ferries suspended in Dover. Ferries running again at noon.";
    let found = set.matches(&article("Correction", text));
    let names: Vec<_> = found.iter().map(|m| m.rule.as_str()).collect();
    assert_eq!(names, ["ferry-stop", "ferry-resumes", "ferry-correction"]);
    assert_eq!(found[0].superseded_by.as_ref().unwrap().as_str(), "ferry-correction");
    assert_eq!(found[1].superseded_by, None);
    assert_eq!(found[1].targets[0].rule.as_str(), "ferry-stop");
    assert_eq!(keys(&found[2]), ["dover"]);
    assert_eq!(found[2].evidence[1].term, "words.ferry[0]");
    assert_eq!(keys(&set.matches(&article("Ferries halted", ""))[0]), ["-"]);
}

#[test]
fn an_unquoted_colon_in_a_list_is_told_as_the_map_it_is() {
    let problems = load(&[("rules.yaml".to_owned(), FERRIES.to_owned())]).unwrap_err();
    assert_eq!((problems[0].line, problems[0].column), (20, 22), "{}", problems[0]);
}

#[test]
fn filters_let_through_what_they_name() {
    let set = loaded(&rules(
        "  - {id: zh, any: 港, lang: zh}
  - {id: bird, any: 港, sources: [THE SKYLARK]}
  - {id: no-bird, any: 港, not_sources: skylark}
  - {id: owner, any: 港, key: source}
  - {id: one, any: 港, key: none, in: title}
",
    ));
    let mut sample = article("港", "港");
    let names = |a: &Article| -> Vec<String> {
        set.matches(a).iter().map(|m| format!("{}/{}", m.rule, m.targets[0].keys[0])).collect()
    };
    assert_eq!(names(&sample), ["bird/-", "owner/skylark", "one/-"]);
    sample.lang = Some(Lang::new("zh-TW").unwrap());
    sample.owner = Some("Bird\nHouse".to_owned());
    sample.title = "no".to_owned();
    assert_eq!(names(&sample), ["zh/-", "bird/-", "owner/BirdHouse"]);
}

#[test]
fn several_files_are_one_set_and_their_order_counts() {
    let files = [
        ("a.yaml".to_owned(), rules("  - {id: quay, any: $dock}\n")),
        ("b.yaml".to_owned(), "version: 1\nwords: {dock: [dock, pier]}\n".to_owned()),
    ];
    let set = load(&files).unwrap();
    assert_eq!(set.matches(&article("a pier", ""))[0].evidence[0].term, "words.dock[1]");
    let twice = [files[0].clone(), files[0].clone(), files[1].clone()];
    let problems = load(&twice).unwrap_err();
    assert_eq!(problems[0].code, "duplicate");
    assert!(load(&[]).unwrap().matches(&article("a", "b")).is_empty());
}

#[test]
fn a_problem_looks_as_the_language_describes_it() {
    let text = "version: 1\nrules:\n\n\n\n\n\n  - id: stop\n    when: ferry AND quay OR pier\n";
    let problems = load(&[("config/rules.yaml".to_owned(), text.to_owned())]).unwrap_err();
    let expected = "\
error: OR beside AND needs parentheses
  --> config/rules.yaml:9:21
9 |     when: ferry AND quay OR pier
  |                          ^^ write (ferry AND quay) OR pier, or ferry AND (quay OR pier)"
        .replace(":9:21", ":9:26");
    assert_eq!(problems[0].to_string(), expected);
}

#[test]
fn all_problems_are_told_at_once() {
    let text = rules("  - {id: a, any: fe*, unles: x}\n  - {id: b, any: $x, close_after: y}\n");
    let problems = load(&[("rules.yaml".to_owned(), text)]).unwrap_err();
    let places: Vec<_> = problems.iter().map(|p| (p.line, p.code)).collect();
    assert_eq!(places, [(3, "query"), (3, "unknown-key"), (4, "unknown-list"), (4, "bad-value")]);
}

#[test]
fn limits_hold_at_their_edge() {
    let nested = |n: usize| {
        let text = format!("{}x{}", "[".repeat(n), "]".repeat(n));
        load(&[("rules.yaml".to_owned(), format!("version: 1\nwords: {{a: {text}}}\n"))])
    };
    assert!(nested(1).is_ok());
    assert!(nested(31).unwrap_err()[0].message.contains("32 levels"));
    assert_eq!(nested(10_000).unwrap_err()[0].code, "yaml");
    let list = |n: usize| {
        load(&[("r".to_owned(), format!("version: 1\nwords: {{a: [{}]}}\n", "x,".repeat(n)))])
    };
    assert!(list(10_000).is_ok());
    assert_eq!(list(10_001).unwrap_err()[0].code, "limit");
    let bomb = "version: 1\nwords:\n  a: &a [x, y]\n  b: &b [*a, *a]\n";
    assert!(load(&[("r".to_owned(), bomb.to_owned())]).is_err());
    let chain = |n: usize| {
        let lists: String = (0..n).map(|i| format!("  l{i}: [$l{}]\n", i + 1)).collect();
        load(&[("r".to_owned(), format!("version: 1\nwords:\n{lists}  l{n}: [x]\n"))])
    };
    assert!(chain(15).is_ok());
    assert!(chain(16).unwrap_err()[0].message.contains("nested deeper"));
    assert!(chain(20_000).is_err());
}

#[test]
fn a_query_with_too_many_intervals_is_given_up_and_the_others_go_on() {
    let set = loaded(&rules(
        "  - {id: dense, any: [boat NEAR/100 boat]}\n  - {id: plain, any: [boat]}\n",
    ));
    let outcome = set.evaluate(&article("", &"boat ".repeat(30_000)));
    let names: Vec<_> = outcome.matches.iter().map(|m| m.rule.as_str()).collect();
    assert_eq!(names, ["plain"]);
    assert_eq!(outcome.given_up[0].term, "any[0]");
    assert_eq!(outcome.given_up[0].rule.as_ref().unwrap().as_str(), "dense");
    assert_eq!(outcome.matches[0].evidence.len(), 20);
}

#[test]
fn stories_are_read_as_data_from_yaml_and_json() {
    let set = loaded(&rules(
        "  - id: a
    any: x
    tests:
      should_match: [x, {title: Storm, body: x, lang: zh-TW}]
      story:
        - {article: Ferries suspended at Dover, expect: opened}
        - {after: 20m, article: {title: On, source: b, cap: {id: z, expires_in: 2h}}, expect: ended}
        - {after: 7h, tick: true, expect: nothing}
        - {retract: a/-, expect: [{type: alert.retracted, key: '-', late: false}, opened]}
",
    ));
    let (_, tests) = set.tests().next().unwrap();
    let story = tests.story.as_ref().unwrap();
    assert_eq!(story.steps.len(), 4);
    assert_eq!((story.steps[1].after.as_secs(), story.steps[1].at.line), (1200, 9));
    assert!(matches!(&story.steps[1].act, Act::Article(a) if a.cap.is_some()));
    assert!(story.steps[2].expect.is_empty());
    assert_eq!(story.steps[3].expect[0].late, Some(false));
    let json = r#"[{"after": "0s", "article": {"title": "T", "dated": "unknown"}, "expect": ["alert.opened"]}]"#;
    let story = load_story("stories.jsonl", json).unwrap();
    assert!(matches!(&story.steps[0].act, Act::Article(a) if a.undated));
}

#[test]
fn a_failing_example_says_why() {
    let set = loaded(&rules(
        "  - id: a
    any: [boat]
    unless: [toy]
    tests: {should_match: [toy boat, car], should_not_match: [boat]}
",
    ));
    let failures: Vec<String> = set.run_tests().iter().map(ToString::to_string).collect();
    assert_eq!(
        failures,
        [
            "rules.yaml:6:28: the rule a should match \"toy boat\", but unless[0] forbids \"toy\"",
            "rules.yaml:6:38: the rule a should match \"car\", but any[0] does not match",
            "rules.yaml:6:63: the rule a should not match \"boat\", but does by \"boat\" (any[0])",
        ]
    );
}

#[test]
fn the_rules_and_steps_of_every_story_are_read() {
    let rows = include_str!("../fixtures/stories.jsonl").lines();
    let mut count = 0;
    for row in rows {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let name = row["name"].as_str().unwrap();
        loaded(row["rules"].as_str().unwrap());
        let story = load_story(name, &row["steps"].to_string());
        let story = story.unwrap_or_else(|problems| panic!("{name}\n{}", problems[0]));
        assert_eq!(story.steps.len(), row["steps"].as_array().unwrap().len(), "{name}");
        count += 1;
    }
    assert!(count >= 91);
}

#[test]
fn the_deepest_query_through_the_deepest_lists_is_evaluated() {
    let deep = |inner: &str| {
        (0..30).fold(inner.to_owned(), |q, n| match n % 3 {
            0 => format!("(x OR {q})"),
            1 => format!("(b AND {q})"),
            _ => format!("title:{q}"),
        })
    };
    let lists: String =
        (0..15).map(|i| format!("  l{i}: ['{}']\n", deep(&format!("$l{}", i + 1)))).collect();
    let text = format!(
        "version: 1\nwords:\n{lists}  l15: [a]\nrules: [{{id: r, any: ['{}']}}]\n",
        deep("$l0")
    );
    assert_eq!(loaded(&text).matches(&article("a b", "")).len(), 1);
}

#[test]
fn every_key_of_a_rule_is_read() {
    let set = loaded(&rules(
        "  - id: stop
    title: Ferries stop
    topic: ferry
    when: ferry
    any: [stop*]
    all: [[dover, calais], boat]
    unless: [drill]
    in: lead
    unless_in: title
    lang: [en, zh]
    sources: [The Skylark]
    not_sources: borough
    severity: critical
    key: none
    update_every: never
    close_after: 2h
    max_age: 3h
    confirm: {distinct_sources: 3, within: 30m, severity: critical}
    mode: shadow
    budget: 4
    tests: {should_not_match: [drill]}
  - {id: resume, any: [resume*], ends: stop}
  - {id: wrong, any: [error], retracts: [stop]}
",
    ));
    let rule = &set.rules()[0];
    assert_eq!((rule.title.as_str(), rule.topic.as_str()), ("Ferries stop", "ferry"));
    let life = (rule.severity, rule.key, rule.update_every, rule.mode);
    assert_eq!(life, (Severity::Critical, KeyBy::None, UpdateEvery::Never, Mode::Shadow));
    assert_eq!((rule.close_after.as_secs(), rule.max_age.as_secs()), (7_200, 10_800));
    let confirm = rule.confirm.unwrap();
    assert_eq!((confirm.distinct_sources, confirm.within.as_secs()), (3, 1_800));
    assert_eq!(set.budget(&rule.id), Some(4));
    let others = (&set.rules()[1].ends, &set.rules()[2].retracts);
    assert_eq!(others, (&vec![rule.id.clone()], &vec![rule.id.clone()]));

    let good = || {
        let mut good = article("Boat: ferry stopped at Dover", "A drill took place.");
        good.lang = Some(Lang::new("en").unwrap());
        good
    };
    let matches = |a: &Article| set.matches(a).iter().any(|m| m.rule == rule.id);
    assert!(matches(&good()));
    // Each key by itself keeps an article out.
    type Change = fn(&mut Article);
    let changes: [(&str, Change); 8] = [
        ("when", |a| a.title = "Boat stopped at Dover".to_owned()),
        ("any", |a| a.title = "Boat: ferry at Dover".to_owned()),
        ("all", |a| a.title = "Ferry stopped at Dover".to_owned()),
        ("all", |a| a.title = "Boat: ferry stopped".to_owned()),
        ("in", |a| {
            a.body = "One. Two. Boat: ferry stopped at Dover.".to_owned();
            a.title = "Storm".to_owned();
        }),
        ("unless", |a| a.title.push_str(" in a drill")),
        ("lang", |a| a.lang = None),
        ("sources", |a| a.source_name = None),
    ];
    for (key, change) in changes {
        let mut changed = good();
        change(&mut changed);
        assert!(!matches(&changed), "{key}");
    }
    let mut excluded = good();
    excluded.source = SourceId::new("borough").unwrap();
    assert!(!matches(&excluded), "not_sources");
}

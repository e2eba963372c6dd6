use crate::config::files::SubscriptionFiles;
use crate::model::subscription::Secret;

use super::*;

const GOOD: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn files(text: &str, named: &[(&str, Result<&str, &str>)]) -> SubscriptionFiles {
    let of = |(name, text): &(&str, Result<&str, &str>)| {
        let text = text.map(|t| Secret::new(t.to_owned())).map_err(str::to_owned);
        ((*name).to_owned(), text)
    };
    SubscriptionFiles {
        name: "subscriptions.yaml".to_owned(),
        text: text.to_owned(),
        named: named.iter().map(of).collect(),
    }
}

fn read(files: &SubscriptionFiles) -> (Definitions, Vec<Problem>) {
    let topics = vec!["ferry".to_owned(), "siren".to_owned()];
    let examiner = Examiner::new(Some(crate::egress::Policy::default()), Some(topics));
    let mut problems = Vec::new();
    let definitions = load(Some(files), &examiner, &mut problems);
    (definitions, problems)
}

#[test]
fn every_field_that_the_api_takes_is_taken_also_from_files() {
    let text = "\
version: 1
subscriptions:
  - name: desk
    url: https://desk.example.net/in
    topics: ferry
    min_severity: warning
    langs: [no, uk]
    expired: true
    max_in_flight: 4
    rate: 0.5
    ttl: 2h
    description: 2024
    secret_file: secrets/desk
    headers: {X-Number: 17, X-Key_file: secrets/key}
    auth: {basic: {username: bell, password_file: secrets/key}}
  - {name: other, url: 'https://other.example.net/', topics: ['*'], secret: SECRET}
"
    .replace("SECRET", GOOD);
    let named = [("secrets/desk", Ok(GOOD)), ("secrets/key", Ok("k 1"))];
    let names: Vec<String> = super::named(&text).into_iter().collect();
    assert_eq!(names, ["secrets/desk", "secrets/key"]);
    let (definitions, problems) = read(&files(&text, &named));
    assert!(problems.is_empty(), "{problems:#?}");
    let definitions = definitions.unwrap();
    assert_eq!(definitions.len(), 2);
    let shown = format!("{definitions:?}");
    assert!(!shown.contains(GOOD) && !shown.contains("k 1"), "{shown}");
}

#[test]
fn every_mistake_is_told_at_its_place_at_once_and_no_secret_with_it() {
    let text = "\
version: 1
subscriptions:
  - name: Desk One
    url: ftp://desk.example.net/
    topics: [ferry, ferri]
    secret: hidden-1
    heders: {}
    headers:
      Host: hidden-2
      x-key_file: absent
  - name: two
    topics: [siren]
    rate: 0
    secret_file: absent
    auth: {bearer: {token: hidden 3}}
  - name: two
    url: https://two.example.net/
    topics: [siren]
    headers: {x: [hidden-4]}
";
    let (_, problems) = read(&files(text, &[("absent", Err("there is no such file"))]));
    let mut told: Vec<String> =
        problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect();
    told.sort_by_key(|line| line.split(':').next().unwrap().parse::<u32>().unwrap());
    let said = told.join("\n");
    for (place, words) in [
        ("3:11", "is no name"),
        ("4:10", ""),
        ("5:21", "no rule has the topic \"ferri\""),
        ("6:13", "a secret begins with whsec_"),
        ("7:5", "a subscription has no key heders"),
        ("10:19", "cannot read absent"),
        ("11:5", "the url that webhooks are sent to is missing"),
        ("13:11", "0 requests a second"),
        ("14:18", "cannot read absent"),
        ("15:28", "a token is visible ASCII"),
        ("16:11", "the name two is taken"),
        ("16:5", "the secret is missing"),
        ("19:14", "headers are a map"),
    ] {
        let found = told.iter().any(|t| t.starts_with(&format!("{place} ")) && t.contains(words));
        assert!(found, "{place} {words:?} in\n{said}");
    }
    assert_eq!(told.len(), 13, "{said}");
    let shown: String = problems.iter().map(|p| format!("{p}\n{p:?}\n")).collect();
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("did you mean headers?"), "{shown}");
    assert!(shown.contains("did you mean \"ferry\"?"), "{shown}");
}

#[test]
fn a_file_that_was_cut_short_removes_nothing_and_an_empty_list_is_a_wish() {
    for (text, wanted) in [
        ("", vec!["missing", "missing"]),
        ("version: 1\n", vec!["missing"]),
        ("version: 1\nsubscriptions:\n", vec!["wrong-type"]),
        ("version: 2\nsubscriptions: []\n", vec!["bad-value"]),
        ("version: 1\nsubscriptoins: []\n", vec!["unknown-key"]),
        ("version: 1\nsubscriptions: [\n", vec!["yaml"]),
        ("version: 1\nsubscriptions: []\n", vec![]),
    ] {
        let (definitions, problems) = read(&files(text, &[]));
        let codes: Vec<&str> = problems.iter().map(|p| p.code).collect();
        assert_eq!(codes, wanted, "{text:?}");
        if codes.is_empty() {
            assert_eq!(definitions.unwrap().len(), 0);
        }
    }
    let mut problems = Vec::new();
    assert!(load(None, &Examiner::new(None, None), &mut problems).is_none());
}

#[test]
fn the_shipped_file_lists_nothing_and_its_example_is_good() {
    let shipped = include_str!("../../../config/subscriptions.yaml");
    let (definitions, problems) = read(&files(shipped, &[]));
    assert!(problems.is_empty() && definitions.unwrap().is_empty(), "{problems:?}");
    let lines = shipped.lines().filter_map(|line| line.strip_prefix("# "));
    let example: Vec<&str> = lines.filter(|line| line.starts_with("  ")).collect();
    let text = format!("version: 1\nsubscriptions:\n{}\n", example.join("\n"));
    let text = text.replace("air-raid-alert", "siren");
    let named =
        [("secrets/desk", Ok(GOOD)), ("secrets/api-key", Ok("k")), ("secrets/token", Ok("t"))];
    let (definitions, problems) = read(&files(&text, &named));
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(definitions.unwrap().len(), 1);
}

#[test]
fn a_line_that_is_no_yaml_is_told_without_what_may_be_a_secret() {
    let (_, problems) = read(&files("version: 1\nsecret: \"hidden\n  - x\n", &[]));
    assert_eq!(problems.len(), 1);
    assert!(!format!("{} {:?}", problems[0], problems[0]).contains("hidden"), "{problems:?}");
}

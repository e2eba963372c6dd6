//! From the files of a rule set to the rule set, or to every problem there is.

use std::collections::HashMap;
use std::collections::HashSet;

use sha2::Digest;
use sha2::Sha256;

use crate::model::Key;
use crate::model::Rule;
use crate::model::RuleId;
use crate::rules::evidence::Item;
use crate::rules::lint::lint as look_closer;
use crate::rules::nearest::nearest;
use crate::rules::problem::Problem;
use crate::rules::read::Fields;
use crate::rules::read::Reader;
use crate::rules::read::slug;
use crate::rules::rule_read;
use crate::rules::rule_read::Draft;
use crate::rules::rule_read::Matcher;
use crate::rules::set::Gazetteer;
use crate::rules::set::RuleSet;
use crate::rules::source::Source;
use crate::rules::spec::Story;
use crate::rules::spec_read;
use crate::rules::words::Words;
use crate::rules::words::Written;
use crate::rules::yaml;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;

/// Largest file, in bytes.
const MAX_FILE: usize = 32 * 1024 * 1024;
/// Most rules of a set.
const MAX_RULES: usize = 100_000;
pub(crate) const TOP: &[&str] = &["version", "words", "places", "rules"];

/// Reads a rule set: each file's name, as it is to appear in problems, and its text. The order of
/// the files is the order of the rules.
pub fn load(files: &[(String, String)]) -> Result<RuleSet, Vec<Problem>> {
    load_with(files, |_, _, _| ()).map(|(set, ())| set)
}

/// What may stay in a rule set and yet deserves a look, in the order of the files; or, where it
/// does not load, every error. Tests are not run.
pub fn lint(files: &[(String, String)]) -> Result<Vec<Problem>, Vec<Problem>> {
    load_with(files, look_closer).map(|(_, warnings)| warnings)
}

/// Reads a rule set and shows it to `look`, once without errors, beside the files it was read from.
fn load_with<T>(
    files: &[(String, String)],
    look: impl FnOnce(&[Part<'_, '_>], &RuleSet, &[Source<'_>]) -> T,
) -> Result<(RuleSet, T), Vec<Problem>> {
    let mut problems = Vec::new();
    let sources: Vec<Source<'_>> =
        files.iter().map(|(name, text)| Source::new(name, bare(text))).collect();
    let trees: Vec<Option<Yaml>> = files
        .iter()
        .zip(&sources)
        .map(|((_, text), source)| tree(bare(text), &mut Reader::new(source, &mut problems)))
        .collect();
    let parts: Vec<Part<'_, '_>> = sources
        .iter()
        .zip(&trees)
        .filter_map(|(source, tree)| part(source, tree.as_ref()?, &mut problems))
        .collect();
    let words = words(&parts, &mut problems);
    let Checked { rules, places, words } = rules(&parts, words, &mut problems);
    if trees.iter().any(Option::is_none) {
        // What a file that cannot be read defines is not missing.
        problems.retain(|p| !matches!(p.code, "unknown-list" | "unknown-rule"));
    }
    if !problems.is_empty() {
        in_order(&mut problems, &sources);
        return Err(problems);
    }
    let lists = (words.names, words.entries);
    let set = RuleSet::new(rules, Gazetteer(places), lists, digest(files)).with_files(files);
    let seen = look(&parts, &set, &sources);
    Ok((set, seen))
}

/// Sorts problems by file and place: the passes find them in another order.
pub(crate) fn in_order(problems: &mut [Problem], sources: &[Source<'_>]) {
    let files: HashMap<&str, usize> =
        sources.iter().enumerate().map(|(at, source)| (source.name, at)).collect();
    problems.sort_by_key(|p| (files.get(p.file.as_str()).copied(), p.line, p.column));
}

/// Reads the steps of one story from YAML or JSON text.
pub fn load_story(name: &str, text: &str) -> Result<Story, Vec<Problem>> {
    let mut problems = Vec::new();
    let source = Source::new(name, text);
    let mut reader = Reader::new(&source, &mut problems);
    let story = tree(text, &mut reader).map(|node| spec_read::story(&node, &mut reader));
    match story {
        Some(story) if problems.is_empty() => Ok(story),
        _ => Err(problems),
    }
}

/// A text without the byte order mark that some editors write before it.
fn bare(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

/// One file, read as far as its top level.
pub(crate) struct Part<'s, 'y> {
    pub(crate) source: &'s Source<'s>,
    pub(crate) words: Option<Fields<'y>>,
    pub(crate) places: Option<Fields<'y>>,
    pub(crate) rules: &'y [Yaml],
}

/// What a rule set is made of, without what the files were read into.
struct Checked {
    rules: Vec<(Rule, Matcher)>,
    places: Vec<(Key, Vec<Item>)>,
    words: Words,
}

fn tree(text: &str, reader: &mut Reader<'_, '_>) -> Option<Yaml> {
    if text.len() > MAX_FILE {
        let message = format!("the file has {} bytes, at most {MAX_FILE} are allowed", text.len());
        let problem = reader.source.error((0, 1), "limit", message, "divide it into several files");
        reader.problem(problem);
        return None;
    }
    match yaml::parse(text) {
        Ok(tree) => Some(tree),
        Err(e) => {
            let problem = reader.source.error((e.at, e.at + 1), "yaml", e.message, e.remedy);
            reader.problem(problem);
            None
        }
    }
}

fn part<'s, 'y>(
    source: &'s Source<'s>,
    tree: &'y Yaml,
    problems: &mut Vec<Problem>,
) -> Option<Part<'s, 'y>> {
    let mut reader = Reader::new(source, problems);
    if let Content::List(_) = tree.content {
        let message = "the file is a list, and rules are one under the key rules";
        let problem = source.error(
            (tree.start, tree.start + 1),
            "wrong-type",
            message,
            "begin it with version: 1 and rules:",
        );
        reader.problem(problem);
        return None;
    }
    let fields = reader.fields(tree, "a rule file", TOP);
    match fields.get("version") {
        // One that is mistyped has been told.
        None if mistyped(tree, "version") => {}
        None if matches!(tree.content, Content::Map(_)) => {
            let message = "the file does not say its version";
            let problem = source.error((0, 1), "missing", message, "begin it with version: 1");
            reader.problem(problem);
        }
        None => return None,
        Some(node) => {
            reader.choice(node, "version", &[("1", ())]);
        }
    }
    let mut map = |name: &str| {
        let node = fields.get(name).filter(|node| !node.is_null())?;
        Some(reader.fields(node, name, &[]))
    };
    let (words, places) = (map("words"), map("places"));
    let rules = match fields.get("rules").filter(|node| !node.is_null()) {
        Some(Yaml { content: Content::List(rules), .. }) => rules.as_slice(),
        Some(node) => {
            let message = format!("rules is {}, not a list", node.kind());
            reader.error(node, "wrong-type", message, "begin each rule with - id:");
            &[]
        }
        None => &[],
    };
    Some(Part { source, words, places, rules })
}

/// Whether a map has a key that is hardly anything but this one.
fn mistyped(tree: &Yaml, key: &str) -> bool {
    let Content::Map(entries) = &tree.content else { return false };
    entries.iter().any(|(k, _)| k.scalar().is_some_and(|k| nearest(k, [key]).is_some()))
}

fn words(parts: &[Part<'_, '_>], problems: &mut Vec<Problem>) -> Words {
    let mut words = Words::default();
    for part in parts {
        if let Some(fields) = &part.words {
            words.declare(fields, &mut Reader::new(part.source, problems));
        }
    }
    let written: Vec<(&Part<'_, '_>, Vec<Written<'_>>)> = parts
        .iter()
        .filter_map(|part| {
            let fields = part.words.as_ref()?;
            Some((part, words.read(fields, &mut Reader::new(part.source, problems))))
        })
        .collect();
    for (part, written) in &written {
        words.resolve(written, &mut Reader::new(part.source, problems));
    }
    words.spread();
    for (part, written) in &written {
        words.check(written, &mut Reader::new(part.source, problems));
    }
    words
}

fn rules(parts: &[Part<'_, '_>], mut words: Words, problems: &mut Vec<Problem>) -> Checked {
    let places = places(parts, &mut words, problems);
    let mut drafts: Vec<(&Part<'_, '_>, Draft<'_>)> = Vec::new();
    for part in parts {
        let mut reader = Reader::new(part.source, problems);
        for node in part.rules {
            if drafts.len() >= MAX_RULES {
                let message = format!("more than {MAX_RULES} rules");
                reader.error(node, "limit", message, "divide them between several Wirebells");
                break;
            }
            let draft = rule_read::rule(node, &mut words, &mut reader);
            drafts.extend(draft.map(|draft| (part, draft)));
        }
    }
    check_ids(&drafts, problems);
    let rules = drafts.into_iter().map(|(_, draft)| finish(draft)).collect();
    Checked { rules, places, words }
}

fn places(
    parts: &[Part<'_, '_>],
    words: &mut Words,
    problems: &mut Vec<Problem>,
) -> Vec<(Key, Vec<Item>)> {
    let mut places: Vec<(Key, Vec<Item>)> = Vec::new();
    let mut seen = HashSet::new();
    for part in parts {
        let mut reader = Reader::new(part.source, problems);
        for (name, key_node, value) in part.places.iter().flat_map(Fields::iter) {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let key = Key::new(name).ok().filter(|k| !k.is_unknown() && name.bytes().all(fits));
            let Some(key) = key else {
                let close = slug(name);
                let remedy = match close.is_empty() {
                    true => "use small letters, digits and hyphens, at most 100".to_owned(),
                    false => format!("write {close}: small letters, digits and hyphens"),
                };
                reader.error(key_node, "bad-value", format!("{name} is no key of a place"), remedy);
                continue;
            };
            if !seen.insert(name) {
                let message = format!("the place {name} is defined a second time");
                reader.error(key_node, "duplicate", message, "keep one of them");
                continue;
            }
            let texts = reader.texts(value, name).into_iter().enumerate();
            let spellings = texts.filter_map(|(number, (node, text))| {
                let query = words.query(node, text, &mut reader)?;
                Some(Item { term: format!("places.{name}[{number}]"), query })
            });
            places.push((key, spellings.collect()));
        }
    }
    places
}

/// Ids are unique, and what ends or takes back alerts names rules that open some.
fn check_ids(drafts: &[(&Part<'_, '_>, Draft<'_>)], problems: &mut Vec<Problem>) {
    let mut known: HashMap<RuleId, &Draft<'_>> = HashMap::new();
    for (part, draft) in drafts {
        let id = &draft.rule.id;
        if known.contains_key(id) {
            let message = format!("the rule {id} is defined a second time");
            let mut reader = Reader::new(part.source, problems);
            reader.error(draft.id, "duplicate", message, "give it another id");
            continue;
        }
        known.insert(id.clone(), draft);
    }
    for (part, draft) in drafts {
        let mut reader = Reader::new(part.source, problems);
        for (name, node) in draft.ends.iter().chain(&draft.retracts) {
            match known.get(name) {
                None => {
                    let remedy = match nearest(name.as_str(), known.keys().map(RuleId::as_str)) {
                        Some(near) => format!("did you mean {near}?"),
                        None => "write the id of a rule".to_owned(),
                    };
                    reader.error(node, "unknown-rule", format!("there is no rule {name}"), remedy);
                }
                Some(target) if !target.ends.is_empty() || !target.retracts.is_empty() => {
                    let message = format!(
                        "the rule {name} has no alerts: it ends or retracts those of others"
                    );
                    let remedy = "name a rule without ends and retracts";
                    reader.error(node, "unknown-rule", message, remedy);
                }
                Some(_) => {}
            }
        }
    }
}

fn finish(draft: Draft<'_>) -> (Rule, Matcher) {
    let mut rule = draft.rule;
    let names = |list: Vec<(RuleId, &Yaml)>| {
        let mut names: Vec<RuleId> = Vec::new();
        for (name, _) in list {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    };
    rule.ends = names(draft.ends);
    rule.retracts = names(draft.retracts);
    (rule, draft.matcher)
}

fn digest(files: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    for (_, text) in files {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let hex = data_encoding::HEXLOWER.encode(&hash.finalize());
    format!("sha256:{hex}")
}

//! Commands that need no server: check, match, inspect.

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use crate::cli;
use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::exit::Failure;
use crate::cli::output::say;
use crate::config;
use crate::config::Overrides;
use crate::feed;
use crate::feed::Draft;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Evidence;
use crate::model::Field;
use crate::model::Match;
use crate::rules;
use crate::rules::Miss;
use crate::rules::NearMiss;

/// Reads a file, or standard input for `-`.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |e: std::io::Error| Failure::new(1, format!("error: cannot read {}: {e}", path.display()));
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(failed)
}

pub(super) fn check(args: &args::Check, with: &Invocation) -> Result<(), Failure> {
    let files = config::read_dir(&args.config, true)
        .map_err(|e| Failure::new(78, format!("error: {:#}", anyhow::Error::from(e))))?;
    let overrides = Overrides { env: with.env.clone(), ..Overrides::default() };
    match config::load(&files, &overrides) {
        Ok(config) => {
            let warnings = rules::lint(&config::or_shipped(files.rules)).unwrap_or_default();
            for warning in &warnings {
                if with.output.is_json() {
                    with.output.raw_json(&json!(warning).to_string());
                } else {
                    say(&format!("{warning}\n"));
                }
            }
            let feeds = config.sources.feeds.len() + config.sources.folders.len();
            let rules = config.rules.rules().len();
            let kept = config.subscriptions.as_ref().map_or(0, |list| list.len());
            let kept = if kept > 0 { format!(", {kept} subscriptions") } else { String::new() };
            let folder = args.config.display();
            say(&format!("{folder}: {rules} rules and {feeds} sources{kept} are good"));
            Ok(())
        }
        Err(problems) if with.output.is_json() => {
            for problem in &problems {
                with.output.raw_json(&json!(problem).to_string());
            }
            Err(Failure::silent(78))
        }
        Err(problems) => Err(Failure::problems(&problems)),
    }
}

#[derive(Serialize)]
struct Matched {
    id: ArticleId,
    title: String,
    matches: Vec<Match>,
}

pub(super) fn matches(args: &args::Match, with: &Invocation) -> Result<(), Failure> {
    let files = cli::rules::read(args.rules.rules.as_deref())?;
    let rules = rules::load(&files).map_err(|problems| Failure::problems(&problems))?;
    each_article(&args.files, |article| {
        let near = if with.output.is_json() { Vec::new() } else { rules.near_misses(&article) };
        let matched =
            Matched { matches: rules.matches(&article), id: article.id, title: article.title };
        with.output.print(&matched, || matched_text(&matched) + &near_text(&near));
    })
}

/// Shows every article of the files, or of standard input where there are none.
pub(super) fn each_article(
    files: &[PathBuf],
    mut show: impl FnMut(Article),
) -> Result<(), Failure> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin[..] } else { files };
    each_draft(files, |draft| show(draft.article()))
}

fn near_text(near: &[NearMiss]) -> String {
    let mut out = String::new();
    for one in near {
        out.push_str(&format!("\n  not {}: {}", one.rule, one.miss));
        if let Miss::Unless(_, places) = &one.miss {
            places.iter().for_each(|evidence| out.push_str(&evidence_line(evidence)));
        }
    }
    out
}

fn evidence_line(evidence: &Evidence) -> String {
    let field = match evidence.field {
        Field::Title => "title",
        Field::Body => "body",
    };
    let Evidence { start, end, text, term, .. } = evidence;
    format!("\n    {field} {start}-{end} \"{text}\" by {term}")
}

fn matched_text(matched: &Matched) -> String {
    let mut out = format!("{}  {}", matched.id, matched.title);
    if matched.matches.is_empty() {
        out.push_str("\n  no rule matches");
    }
    for one in &matched.matches {
        let by = one.superseded_by.as_ref();
        let by = by.map(|rule| format!(", superseded by {rule}")).unwrap_or_default();
        let keys: Vec<&str> =
            one.targets.iter().flat_map(|t| t.keys.iter().map(|k| k.as_str())).collect();
        out.push_str(&format!("\n  {} ({}){by}", one.rule, keys.join(", ")));
        one.evidence.iter().for_each(|evidence| out.push_str(&evidence_line(evidence)));
    }
    out
}

/// Shows every draft of the files. What is refused is said, and fails the command at the end.
pub(super) fn each_draft(files: &[PathBuf], mut show: impl FnMut(Draft)) -> Result<(), Failure> {
    let mut refused = false;
    for path in files {
        let bytes = read_file(path)?;
        let name = path.display().to_string();
        for draft in feed::read_articles(&bytes, feed::Form::of(&name, &bytes), None) {
            match draft {
                Ok(draft) => show(draft),
                Err(rejected) => {
                    refused = true;
                    say(&format!("{name}: {rejected}"));
                }
            }
        }
    }
    if refused { Err(Failure::silent(1)) } else { Ok(()) }
}

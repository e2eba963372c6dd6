//! How long it takes to decide which rules match an article.

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use crate::app::bench::count_f64;
use crate::app::bench::making;
use crate::app::bench::making::Mix;
use crate::app::bench::percentile;
use crate::app::bench::resident;
use crate::model::Article;
use crate::rules::RuleSet;
use crate::rules::Scratch;
use crate::rules::Stage;
use crate::telemetry::Progress;

/// Where the rules come from.
#[derive(Clone, Debug)]
pub enum Rules {
    /// A rule file: its name and text.
    File(String, String),
    /// So many, made from the words of the articles.
    Made {
        /// How many.
        count: u32,
        /// Equal seeds make equal rules.
        seed: u64,
        /// What kinds.
        mix: Mix,
    },
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The rules.
    pub rules: Rules,
    /// How often all articles are decided; each article's best time counts.
    pub passes: u32,
    /// Whether to compare every pair with the definitions of the language.
    pub verify: bool,
    /// Where passes are counted.
    pub progress: Progress,
}

/// Figures of `bench match`. Times are means of each article's best, up to a stage.
#[derive(Debug, Serialize)]
pub struct MatchFigures {
    rules: usize,
    articles: usize,
    /// Pairs of rule and article that match.
    matches: usize,
    mean_us: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    /// The engine alone, from parsed queries.
    build_ms: f64,
    /// Growth of resident memory by the rule set: engine, query trees and all else.
    rss_mb: f64,
    /// The engine's own buffers.
    engine_mb: f64,
    /// Reading the rules, and the engine.
    load_ms: f64,
    /// Folded and cut into words.
    words_us: f64,
    /// … and looked up.
    dictionary_us: f64,
    /// … and rules found by their anchors.
    candidates_us: f64,
    /// Rules evaluated, in one pass; those that an anchor decides are not.
    candidates: usize,
    /// Over all pairs, in order.
    hash: String,
    /// Articles compared with the definitions of the language.
    verified: usize,
}

/// Measures on one thread.
pub fn matching(settings: &Settings, articles: &[Article]) -> anyhow::Result<MatchFigures> {
    anyhow::ensure!(!articles.is_empty(), "there are no articles to match");
    let queries = match &settings.rules {
        Rules::Made { count, seed, mix } => making::queries(articles, *count, (*seed, *mix)),
        Rules::File(..) => Vec::new(),
    };
    let before = resident();
    let began = Instant::now();
    let set = match &settings.rules {
        Rules::File(name, text) => load(name, text)?,
        Rules::Made { .. } => RuleSet::of_queries(queries.iter().map(String::as_str))
            .context("reading the rules that were made")?,
    };
    let load_ms = began.elapsed().as_secs_f64() * 1e3;
    let mut scratch = Scratch::default();
    let pairs = pairs(&set, articles, &mut scratch);
    let rss_mb = (resident() - before).max(0.0);
    let began = Instant::now();
    let engine_mb = count_f64(black_box(set.compile_again()) / 1024) / 1024.0;
    let build_ms = began.elapsed().as_secs_f64() * 1e3;
    let (passes, progress) = (settings.passes.max(1), &settings.progress);
    progress.expect(4 * passes as usize);
    let mut stages = [Stage::Words, Stage::Terms, Stage::Candidates].map(|stage| {
        let work = |article: &Article, scratch: &mut Scratch| {
            set.decide_until(stage, article, scratch);
        };
        mean_us(&best(articles, (passes, progress), &mut scratch, work))
    });
    stages.iter_mut().for_each(|us| *us = (*us * 1e3).round() / 1e3);
    let times = best(articles, (passes, progress), &mut scratch, |article, scratch| {
        black_box(set.decide(article, scratch));
    });
    let verified = if settings.verify { verify(&set, articles, &mut scratch)? } else { 0 };
    let us = |part: f64| percentile(&times, part).as_secs_f64() * 1e6;
    Ok(MatchFigures {
        rules: set.rules().len(),
        articles: articles.len(),
        matches: pairs.matches,
        mean_us: mean_us(&times),
        p50_us: us(0.5),
        p99_us: us(0.99),
        max_us: us(1.0),
        build_ms,
        rss_mb,
        engine_mb,
        load_ms,
        words_us: stages[0],
        dictionary_us: stages[1],
        candidates_us: stages[2],
        candidates: pairs.candidates,
        hash: format!("{:016x}", pairs.hash),
        verified,
    })
}

fn load(name: &str, text: &str) -> anyhow::Result<RuleSet> {
    crate::rules::load(&[(name.to_owned(), text.to_owned())]).map_err(|problems| {
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", shown.join("\n\n"))
    })
}

struct Pairs {
    matches: usize,
    candidates: usize,
    hash: u64,
}

fn pairs(set: &RuleSet, articles: &[Article], scratch: &mut Scratch) -> Pairs {
    let mut pairs = Pairs { matches: 0, candidates: 0, hash: 0xCBF2_9CE4_8422_2325 };
    for (number, article) in (0_u64..).zip(articles) {
        for rule in set.decide(article, scratch) {
            pairs.matches += 1;
            let pair = number << 32 | u64::from(*rule);
            pairs.hash = (pairs.hash ^ pair).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
        }
        pairs.candidates += scratch.candidates();
    }
    pairs
}

/// Each article's best time over all passes, sorted. Every pass goes through all articles, so that
/// none finds the caches as it left them.
fn best(
    articles: &[Article],
    (passes, progress): (u32, &Progress),
    scratch: &mut Scratch,
    work: impl Fn(&Article, &mut Scratch),
) -> Vec<Duration> {
    let mut times = vec![Duration::MAX; articles.len()];
    for _ in 0..passes {
        for (article, best) in articles.iter().zip(&mut times) {
            let began = Instant::now();
            work(article, scratch);
            *best = began.elapsed().min(*best);
        }
        progress.step(1);
    }
    times.sort();
    times
}

fn mean_us(times: &[Duration]) -> f64 {
    times.iter().sum::<Duration>().as_secs_f64() * 1e6 / count_f64(times.len())
}

fn verify(set: &RuleSet, articles: &[Article], scratch: &mut Scratch) -> anyhow::Result<usize> {
    for article in articles {
        let same = set.evaluate_with(article, scratch) == set.evaluate_plainly(article);
        anyhow::ensure!(same, "the article {} is not decided as the language says", article.id);
    }
    Ok(articles.len())
}

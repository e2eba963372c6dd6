//! What Wirebell makes of a document or an address.

mod cap;
mod feed;
mod page;

use std::path::Path;
use std::path::PathBuf;

use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;

use crate::app::address::Judge;
use crate::app::address::Names;
use crate::app::address::Verdict;
use crate::cli::Invocation;
use crate::cli::args::inspect;
use crate::cli::exit::Failure;
use crate::cli::local::each_draft;
use crate::cli::local::read_file;
use crate::config;
use crate::config::Files;
use crate::config::Overrides;
use crate::feed::Context;
use crate::model::ArticleId;
use crate::model::Lang;
use crate::model::SourceId;
use crate::model::Time;

/// Names resolved at once.
const AT_ONCE: usize = 16;

#[derive(Serialize)]
struct Inspected {
    id: ArticleId,
    revision: u32,
    title: String,
    body: String,
    lang: Option<Lang>,
    source: SourceId,
    url: Option<String>,
    published_at: Option<Time>,
    problems: Vec<String>,
}

pub(super) async fn inspect(args: inspect::Inspect, with: &Invocation) -> Result<(), Failure> {
    match args.what {
        inspect::What::Article { file } => document(&file, with),
        inspect::What::Cap { file } => cap::messages(&file, with),
        inspect::What::Feed(args) => feed::entries(&args, with),
        inspect::What::Page(args) => page::article(&args, with),
        inspect::What::Url(args) => addresses(args, with).await,
    }
}

impl inspect::Fetched {
    /// Its bytes, and the address that it comes from.
    fn read(&self) -> Result<(Vec<u8>, Option<url::Url>), Failure> {
        let url = match self.url.as_deref().map(url::Url::parse) {
            Some(Ok(url)) => Some(url),
            Some(Err(e)) => {
                return Err(Failure::new(2, format!("error: --url is no address: {e}")));
            }
            None => None,
        };
        Ok((read_file(&self.file)?, url))
    }

    /// What is known of it besides its bytes.
    fn context<'a>(&'a self, url: Option<&'a url::Url>) -> Context<'a> {
        let now = Time::from_millis(jiff::Timestamp::now().as_millisecond());
        Context { url, charset: self.charset.as_deref(), now }
    }

    fn refused(&self, error: &crate::feed::Error) -> Failure {
        Failure::new(1, format!("error: {}: {error}", self.file.display()))
    }
}

fn document(file: &Path, with: &Invocation) -> Result<(), Failure> {
    each_draft(&[file.to_owned()], |draft| {
        let article = draft.article();
        let shown = Inspected {
            id: article.id,
            revision: 1,
            title: article.title,
            body: article.body,
            lang: article.lang,
            source: article.source,
            url: article.url,
            published_at: article.published_at,
            problems: draft.problems,
        };
        with.output.print(&shown, || inspected_text(&shown));
    })
}

fn inspected_text(shown: &Inspected) -> String {
    let date = shown.published_at.map_or_else(|| "none".to_owned(), |t| t.to_string());
    let mut out = format!(
        "id         {}\ntitle      {}\npublished  {date}\nsource     {}",
        shown.id, shown.title, shown.source
    );
    let url = shown.url.as_deref();
    for (name, value) in [("url", url), ("lang", shown.lang.as_ref().map(|l| l.as_str()))] {
        if let Some(value) = value {
            out.push_str(&format!("\n{name:10} {value}"));
        }
    }
    for problem in &shown.problems {
        out.push_str(&format!("\nproblem    {problem}"));
    }
    out.push_str("\n\n");
    out.push_str(&shown.body);
    out
}

/// A verdict is an answer, whatever it says: only bad settings fail the command.
async fn addresses(args: inspect::Addresses, with: &Invocation) -> Result<(), Failure> {
    let named = args.config.is_some();
    let dir = args.config.unwrap_or_else(|| PathBuf::from("config"));
    let files = config::read_dir(&dir, named)
        .map_err(|e| Failure::new(78, format!("error: {:#}", anyhow::Error::from(e))))?;
    let mut overrides = Overrides { env: with.env.clone(), ..Overrides::default() };
    if let Some(allow) = args.egress_allow {
        overrides.flags.insert("egress.allow".to_owned(), allow);
    }
    // Rules and sources have no say in it, and may be as wrong as they like.
    let files = Files { settings: files.settings, ..Files::default() };
    let config =
        config::load(&files, &overrides).map_err(|problems| Failure::problems(&problems))?;
    let names = if args.offline { Names::Unresolved } else { Names::Resolved };
    let judge = Judge::new(&config.settings, names);
    let verdicts = stream::iter(args.urls).map(|url| judge.verdict(url)).buffered(AT_ONCE);
    verdicts.for_each(async |verdict| with.output.print(&verdict, || verdict_text(&verdict))).await;
    Ok(())
}

fn verdict_text(verdict: &Verdict) -> String {
    let url = verdict.url.escape_debug();
    match &verdict.reason {
        None => format!("allowed  {url}"),
        Some(reason) => format!("refused  {url}\n         {reason}"),
    }
}

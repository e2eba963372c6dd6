//! `inspect page`: the article in a web page.

use serde::Serialize;

use crate::cli::Invocation;
use crate::cli::args::inspect;
use crate::cli::exit::Failure;
use crate::feed::page;
use crate::model::Lang;
use crate::model::Time;

#[derive(Serialize)]
struct Shown {
    title: String,
    text: String,
    published_at: Option<Time>,
    updated_at: Option<Time>,
    author: Option<String>,
    lang: Option<Lang>,
    url: Option<String>,
    site: Option<String>,
}

pub(super) fn article(args: &inspect::Fetched, with: &Invocation) -> Result<(), Failure> {
    let (bytes, url) = args.read()?;
    let page = page::read(&bytes, &args.context(url.as_ref())).map_err(|e| args.refused(&e))?;
    let page::Page { title, text, published_at, updated_at, author, lang, url, site } = page;
    let shown = Shown { title, text, published_at, updated_at, author, lang, url, site };
    with.output.print(&shown, || as_text(&shown));
    Ok(())
}

fn as_text(shown: &Shown) -> String {
    let mut out = format!("title      {}", shown.title);
    let published = shown.published_at.map(|at| at.to_string());
    let updated = shown.updated_at.map(|at| at.to_string());
    let lang = shown.lang.as_ref().map(ToString::to_string);
    for (name, value) in [
        ("published", &published),
        ("updated", &updated),
        ("author", &shown.author),
        ("lang", &lang),
        ("url", &shown.url),
        ("site", &shown.site),
    ] {
        if let Some(value) = value {
            out.push_str(&format!("\n{name:10} {value}"));
        }
    }
    out.push_str("\n\n");
    out.push_str(&shown.text);
    out
}

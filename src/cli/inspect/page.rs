//! `inspect page`: the article in a web page.

use crate::cli::Invocation;
use crate::cli::args::inspect;
use crate::cli::exit::Failure;
use crate::feed::page;
use crate::feed::page::Page;

pub(super) fn article(args: &inspect::Fetched, with: &Invocation) -> Result<(), Failure> {
    let (bytes, url) = args.read()?;
    let page = page::read(&bytes, &args.context(url.as_ref())).map_err(|e| args.refused(&e))?;
    with.output.print(&page, || as_text(&page));
    Ok(())
}

fn as_text(page: &Page) -> String {
    let mut out = format!("title      {}", page.title);
    let published = page.published_at.map(|at| at.to_string());
    let updated = page.updated_at.map(|at| at.to_string());
    let lang = page.lang.as_ref().map(ToString::to_string);
    for (name, value) in [
        ("published", &published),
        ("updated", &updated),
        ("author", &page.author),
        ("lang", &lang),
        ("url", &page.url),
        ("site", &page.site),
    ] {
        if let Some(value) = value {
            out.push_str(&format!("\n{name:10} {value}"));
        }
    }
    out.push_str("\n\n");
    out.push_str(&page.text);
    out
}

//! What a template can speak of: the native body's fields, all of them always there.

use serde_json::Value;
use serde_json::json;

use crate::delivery::body;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::examples;
use crate::delivery::format::story;
use crate::delivery::format::story::Story;
use crate::delivery::format::words;
use crate::model::Event;
use crate::model::event::MAX_ARTICLES;

/// How many articles are told, one after the other, until what comes of it fits.
pub(super) const ARTICLES: [usize; 4] = [MAX_ARTICLES, 5, 1, 0];

/// The names and values of what is told, with at most so many articles.
pub(super) fn of(telling: &Telling<'_>, articles: usize) -> Value {
    let story = Story::of(telling);
    let mut scope = match telling.told {
        Told::Event(event) => event_scope(event, telling, articles),
        // Something stands where the alert would be, so that no template needs a case for it.
        Told::Ping { id, at } => {
            let mut scope = event_scope(&examples::ping(at), telling, articles);
            scope["event"]["id"] = json!(id);
            scope["event"]["number"] = json!(0);
            scope["links"]["alert"] = json!(null);
            scope
        }
    };
    scope["type"] = json!(telling.kind());
    scope["headline"] = json!(story.headline);
    scope["lead"] = json!(story.lead);
    scope["mark"] = json!(story.mark.unwrap_or_default());
    scope
}

fn event_scope(event: &Event, telling: &Telling<'_>, articles: usize) -> Value {
    let mut event = event.clone();
    let cut = event.articles.len().saturating_sub(articles);
    event.articles.drain(..cut);
    event.more_articles = event.more_articles.saturating_add(u32::try_from(cut).unwrap_or(0));
    tidy(&mut event);
    let body = body::unaddressed(&event);
    let more = body.data.more_articles.unwrap_or(0);
    let mut data = json!(body.data);
    data["timestamp"] = json!(body.timestamp);
    data["more_articles"] = json!(more);
    data["shortened"] = json!(cut > 0);
    data["event"]["subscription"] = json!(telling.to.subscription);
    data["event"]["sequence"] = json!(telling.to.sequence);
    data["event"]["late"] = json!(telling.to.late || event.late);
    data["links"]["alert"] = json!(format!("{}/alerts/{}", telling.public_url, event.alert.id));
    for article in data["articles"].as_array_mut().into_iter().flatten() {
        if article["silent_langs"].is_null() {
            article["silent_langs"] = json!([]);
        }
        for evidence in article["evidence"].as_array_mut().into_iter().flatten() {
            evidence["lang"] = json!(evidence["lang"].as_str());
        }
    }
    data
}

/// Texts of others without what would reorder the text around them; titles of what is not real
/// say so first, whatever a template does with them.
fn tidy(event: &mut Event) {
    let mark = story::mark(event.alert.nature);
    let marked = |title: &str| match mark {
        Some(mark) => format!("{mark}: {}", words::clean(title)),
        None => words::clean(title),
    };
    event.alert.title = marked(&event.alert.title);
    event.reason = event.reason.as_deref().map(words::clean);
    for article in &mut event.articles {
        article.title = marked(&article.title);
        article.excerpt = words::clean(&article.excerpt);
        for evidence in &mut article.evidence {
            evidence.text = words::clean(&evidence.text);
        }
    }
}

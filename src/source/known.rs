//! Under which id an article is stored, where that is not the one its draft has by itself: it came
//! by an older spelling of its link, or the draft is a notice that withdraws another article.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bus;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::feed::Candidate;
use crate::feed::Draft;
use crate::feed::Notice;
use crate::feed::Signs;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::names;

/// How far back a notice reaches: what is older rings nobody any more.
const REACH: Duration = Duration::from_secs(3 * 24 * 3600);

/// Whether anything is stored under this id.
pub(super) async fn is_stored<B: Bus>(
    bus: &B,
    source: &SourceId,
    id: &ArticleId,
) -> Result<bool, bus::Error> {
    Ok(bus.last(Stream::Articles, &names::article(source, id)).await?.is_some())
}

/// The id of a draft, or that which its link gave it while links counted as they are written,
/// where its article is stored under that.
pub(super) async fn id<B: Bus>(
    bus: &B,
    draft: &Draft,
    source: &SourceId,
    id: ArticleId,
) -> Result<ArticleId, bus::Error> {
    let formers = draft.former_identities();
    if formers.is_empty() || is_stored(bus, source, &id).await? {
        return Ok(id);
    }
    for former in formers {
        let former = ArticleId::of(source, &former);
        if is_stored(bus, source, &former).await? {
            return Ok(former);
        }
    }
    Ok(id)
}

/// The articles of a source that these notices name, in their order; one look through what came
/// from it of late serves them all.
pub(super) async fn meant<B: Bus>(
    bus: &B,
    source: &SourceId,
    notices: &[Notice],
    now: Time,
) -> Result<Vec<Option<ArticleId>>, bus::Error> {
    let mut signs: Vec<BTreeMap<ArticleId, Signs>> = vec![BTreeMap::new(); notices.len()];
    let selection = Selection {
        from: From::Time(now.minus(REACH)),
        until: Until::End,
        filter: format!("wb.article.{}.*", names::encode(source.as_str())),
    };
    let mut reader = bus.read(Stream::Articles, selection).await?;
    while let Some(item) = reader.next().await {
        let Item::Record(record) = item? else { continue };
        let Ok(article) = serde_json::from_slice::<Article>(&record.payload) else { continue };
        // A notice that named nothing is stored, too, and is not what another one is about.
        if article.withdrawn {
            continue;
        }
        let candidate = Candidate::of(&article);
        for (notice, found) in notices.iter().zip(&mut signs) {
            let shown = notice.signs(&candidate);
            if shown.any() {
                let known = found.entry(article.id.clone()).or_default();
                *known = known.or(shown);
            }
        }
    }
    let meant = |found: BTreeMap<ArticleId, Signs>| {
        Signs::meant(found.iter().map(|(id, signs)| (id, *signs))).cloned()
    };
    Ok(signs.into_iter().map(meant).collect())
}

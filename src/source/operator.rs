//! What an operator decides takes the same road as the news: a record in the log of articles.

use bytes::Bytes;

use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::Stream;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Directive;
use crate::model::DirectiveKind;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::Version;
use crate::model::names;

/// Publishes a decision. The same decision about the same alert is published once: a repeat
/// answers with the first one's id and changes nothing.
pub async fn direct<B: Bus>(bus: &B, directive: Directive, now: Time) -> Result<ArticleId, Error> {
    let source = SourceId::operator();
    let what = match directive.kind {
        DirectiveKind::End => "end",
        DirectiveKind::Retract => "retract",
    };
    let id = ArticleId::of(&source, &format!("{what} {}", directive.alert));
    let subject = names::article(&source, &id);
    let article = Article {
        v: Version,
        id: id.clone(),
        revision: 1,
        source,
        source_name: None,
        owner: None,
        official: false,
        title: format!("Operator: {what} {}", directive.alert),
        body: directive.reason.clone(),
        url: None,
        lang: None,
        author: Some(directive.by.clone()),
        published_at: Some(now),
        updated_at: None,
        first_seen_at: now,
        received_at: now,
        as_new: false,
        first_poll: false,
        withdrawn: false,
        cap: None,
        directive: Some(directive),
    };
    let payload = serde_json::to_vec(&article).expect("plain data with text keys has a JSON form");
    let record = Record { subject, payload: Bytes::from(payload) };
    bus.publish(Stream::Articles, record, Expect::Absent).await?;
    Ok(id)
}

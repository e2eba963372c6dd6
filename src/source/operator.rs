//! What an operator decides takes the same road as the news: a record in the log of articles.

use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::Stream;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Directive;
use crate::model::Time;
use crate::model::names;

/// Publishes a decision. The same decision about the same alert is published once: a repeat
/// answers with the first one's id and changes nothing.
pub async fn direct<B: Bus>(bus: &B, directive: Directive, now: Time) -> Result<ArticleId, Error> {
    let article = Article::of_decision(directive, now);
    let subject = names::article(&article.source, &article.id);
    let payload = serde_json::to_vec(&article).expect("plain data with text keys has a JSON form");
    let record = Record::new(subject, payload);
    bus.publish(Stream::Articles, record, Expect::Absent).await?;
    Ok(article.id)
}

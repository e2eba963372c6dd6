//! What a subscription's receiver is sent: a body, its content type and headers, by its format.
//! Pure, and the same for every try but for what is late.
//!
//! The native format is rendered once for all ([`crate::delivery::body`]); the others here, one
//! for each sending.

pub mod cloudevents;
pub mod discord;
pub mod ntfy;
pub mod pagerduty;
pub mod slack;
pub mod story;
pub mod teams;
pub mod template;
pub mod words;

mod examples;

use std::borrow::Cow;

use crate::delivery::body;
use crate::delivery::body::Address;
use crate::model::Event;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::subscription::Format;
use crate::model::subscription::Secret;
use crate::model::subscription::Template;

/// What is told.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// An event.
    Event(&'a Event),
    /// A `test.ping`.
    Ping {
        /// Its own id.
        id: &'a str,
        /// When it was asked for.
        at: Time,
    },
}

/// What is told to whom.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// What.
    pub told: Told<'a>,
    /// To whom.
    pub to: Address<'a>,
    /// The alert has closed at the sending, whatever the event says.
    pub over: bool,
    /// Base of links, without a slash at its end.
    pub public_url: &'a str,
}

/// How a subscription is told, where it is not told in the native format.
#[derive(Clone, Debug)]
pub struct Style {
    /// The format.
    pub format: Format,
    /// The receiver's address as its owner wrote it.
    pub url: String,
    /// PagerDuty's key.
    pub routing_key: Option<Secret>,
    /// The owner's template.
    pub template: Option<Template>,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of the body.
    pub content_type: Cow<'static, str>,
    /// Beside the content type and the signature.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes that are signed and sent.
    pub body: Vec<u8>,
}

/// Nothing can be sent in this format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrenderable {
    /// The template fails on this event, even without its articles.
    #[error("the template fails on this event")]
    Template(#[source] template::Refusal),
    /// The subscription lacks what its format needs; it was written by hand.
    #[error("the subscription has no {0}, which its format needs")]
    Lacks(&'static str),
}

impl Style {
    /// How it is told; none where that is the native format.
    pub fn of(subscription: &Subscription) -> Option<Box<Self>> {
        (subscription.format != Format::Wirebell).then(|| {
            Box::new(Self {
                format: subscription.format,
                url: subscription.url.clone(),
                routing_key: subscription.routing_key.clone(),
                template: subscription.template.clone(),
            })
        })
    }
}

impl Message {
    fn json(body: &serde_json::Value) -> Self {
        Self::of("application/json", body.to_string().into_bytes())
    }

    fn of(content_type: impl Into<Cow<'static, str>>, body: Vec<u8>) -> Self {
        Self { content_type: content_type.into(), headers: Vec::new(), body }
    }
}

impl Telling<'_> {
    /// The type on the wire.
    pub fn kind(&self) -> &'static str {
        match self.told {
            Told::Event(event) => event.kind.as_str(),
            Told::Ping { .. } => "test.ping",
        }
    }

    /// The `webhook-id`.
    pub fn id(&self) -> String {
        match self.told {
            Told::Event(event) => body::webhook_id(event.id.as_str(), self.to.subscription),
            Told::Ping { id, .. } => body::webhook_id(id, self.to.subscription),
        }
    }

    /// The native body.
    fn native(&self) -> Vec<u8> {
        match self.told {
            Told::Event(event) => body::Rendered::of(event, self.public_url).addressed(self.to),
            Told::Ping { id, at } => body::ping(id, self.to.subscription, at),
        }
    }
}

/// What is sent.
pub fn render(telling: &Telling<'_>, style: &Style) -> Result<Message, Unrenderable> {
    match style.format {
        Format::Wirebell => Ok(Message::of("application/json", telling.native())),
        Format::Slack => Ok(slack::render(telling)),
        Format::Discord => Ok(discord::render(telling)),
        Format::Teams => Ok(teams::render(telling)),
        Format::Pagerduty => {
            let key = style.routing_key.as_ref().ok_or(Unrenderable::Lacks("routing_key"))?;
            Ok(pagerduty::render(telling, key))
        }
        Format::Ntfy => {
            let place = ntfy::Place::of(&style.url).ok_or(Unrenderable::Lacks("ntfy topic"))?;
            Ok(ntfy::render(telling, &place.topic))
        }
        Format::Cloudevents => Ok(cloudevents::structured(telling)),
        Format::CloudeventsBinary => Ok(cloudevents::binary(telling)),
        Format::Template => {
            let template = style.template.as_ref().ok_or(Unrenderable::Lacks("template"))?;
            template::render(telling, template).map_err(Unrenderable::Template)
        }
    }
}

/// The address that is called: the one written, but for ntfy, whose topics are published to by
/// calling the server with the topic in the body.
pub fn called(format: Format, url: &str) -> Cow<'_, str> {
    match ntfy::Place::of(url).filter(|_| format == Format::Ntfy) {
        Some(place) => Cow::Owned(place.server),
        None => Cow::Borrowed(url),
    }
}

/// What an answer's status means. Only Teams' old connectors say that they failed with a 200.
pub fn status(format: Option<Format>, status: u16, answer: &[u8]) -> u16 {
    if format == Some(Format::Teams) && status == 200 { teams::status(answer) } else { status }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ntfy_calls_another_address_than_the_one_written() {
        let url = "https://push.example.net/desk";
        assert_eq!(called(Format::Ntfy, url), "https://push.example.net/");
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Ntfy) {
            assert_eq!(called(format, url), url);
        }
    }

    #[test]
    fn only_teams_can_fail_with_a_200() {
        let answer = b"Webhook message delivery failed with error: Microsoft Teams endpoint \
            returned HTTP error 429 with ContextId x";
        assert_eq!(status(Some(Format::Teams), 200, answer), 429);
        assert_eq!(status(Some(Format::Teams), 202, answer), 202);
        assert_eq!(status(Some(Format::Slack), 200, answer), 200);
        assert_eq!(status(None, 200, answer), 200);
    }
}

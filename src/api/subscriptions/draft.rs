//! Definitions that can be taken, and the subscriptions that come of them.

use crate::api::once::Call;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::api::random;
use crate::api::subscriptions::shape::Shape;
use crate::api::subscriptions::written::Judge;
use crate::api::subscriptions::written::Pace;
use crate::api::subscriptions::written::Written;
use crate::delivery::signature;
use crate::model::Filter;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::subscription::Credentials;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Secret;
use crate::model::subscription::SigningKey;
use crate::model::subscription::Topics;

/// A definition that can be taken.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) written: Written,
    filter: Filter,
    pace: Pace,
    credentials: Credentials,
    shape: Shape,
}

/// Where a subscription begins.
#[derive(Clone)]
pub(in crate::api) struct Begin {
    pub(in crate::api) now: Time,
    pub(in crate::api) log_end: u64,
    /// The request that makes it, where it has a key of its own.
    pub(in crate::api) call: Option<Call>,
}

impl Judge {
    pub(super) fn draft(&self, written: Written) -> Result<Draft, Vec<Fault>> {
        let mut faults = Vec::new();
        if written.url.is_none() {
            faults.push(Fault::new("/url", "the url that webhooks are sent to is missing"));
        }
        if written.topics.is_none() {
            faults.push(Fault::new("/topics", "say which topics: names, or [\"*\"] for all"));
        }
        let filter = Filter {
            topics: Topics::All,
            min_severity: None,
            keys: Vec::new(),
            langs: Vec::new(),
            natures: Vec::new(),
            expired: false,
        };
        let filter = self.filter(&written, filter, &mut faults);
        let pace = self.check(&written, &mut faults);
        let credentials = written.credentials(&Credentials::default(), &mut faults);
        if let Some(Err(message)) = written.secret.as_ref().map(usable) {
            faults.push(Fault::new("/secret", message));
        }
        let url = written.url.as_deref().unwrap_or_default();
        let shape = self.shape(&written, url, Shape::default(), &mut faults);
        if faults.is_empty() {
            Ok(Draft { written, filter, pace, credentials, shape })
        } else {
            Err(faults)
        }
    }
}

impl Draft {
    /// A new subscription with an id of its own, and a secret of its own if none is given; the
    /// secret is told this once. A request with a key gives each of its definitions the same id
    /// again.
    pub(super) fn begin(
        &self,
        begin: &Begin,
        index: usize,
    ) -> Result<(Subscription, String), Problem> {
        let call = begin.call.as_ref();
        let secret = match &self.written.secret {
            Some(secret) => secret.clone(),
            None => signature::secret_from_random(random()?),
        };
        let told = secret.expose().to_owned();
        let id = match call {
            Some(call) => call.id(index),
            None => random()?,
        };
        let key = SigningKey::new(secret, call.map(|call| call.mark().to_owned()));
        Ok((self.subscription(SubscriptionId::from_random(id), key, begin), told))
    }

    /// The subscription as it would be if it were new.
    pub(super) fn subscription(
        &self,
        id: SubscriptionId,
        key: SigningKey,
        begin: &Begin,
    ) -> Subscription {
        let filter = self.filter.clone();
        Subscription {
            v: Version,
            id,
            url: self.written.url.clone().unwrap_or_default(),
            description: self.written.description.clone().flatten(),
            format: self.shape.format,
            routing_key: self.shape.routing_key.clone(),
            template: self.shape.template.clone(),
            keys: vec![key],
            credentials: self.credentials.clone(),
            filters: vec![FilterVersion { number: 1, effective_after: begin.log_end, filter }],
            ttl: self.pace.ttl.flatten(),
            max_in_flight: self.pace.max_in_flight.unwrap_or_default(),
            rate: self.pace.rate.flatten(),
            paused: false,
            requests: Vec::new(),
            name: None,
            created_at: begin.now,
            updated_at: begin.now,
        }
    }
}

/// Whether a secret of the owner's own can sign; its words do not repeat it.
pub(super) fn usable(secret: &Secret) -> Result<(), String> {
    signature::Key::parse(secret).map(drop).map_err(|bad| {
        format!("{bad}: write whsec_ and the base64 of 24 to 64 random bytes, such as those of `openssl rand -base64 32`")
    })
}

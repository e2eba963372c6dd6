//! A day of many feeds on a clock of its own, against a server that watches who asks.

mod day;
mod paper;
mod share;

use std::time::Duration;

use wirebell::model::SourceId;
use wirebell::source::Feed;

/// A feed of the paper with this number, on a host of its own address.
fn feed(n: usize, port: u16) -> Feed {
    Feed {
        id: SourceId::new(format!("feed-{n}")).unwrap(),
        url: format!("http://{}:{port}/{n}", paper::host(n)),
        name: Some(format!("Paper {n}")),
        owner: None,
        official: false,
        lang: None,
        interval: Duration::from_secs(15 * 60),
        eager: false,
        silent_after: None,
        cap: None,
    }
}

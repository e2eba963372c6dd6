//! One poller, one simulated day.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::Limits;
use wirebell::clock::Clock;
use wirebell::egress;
use wirebell::egress::Client;
use wirebell::egress::Policy;
use wirebell::egress::Resolver;
use wirebell::model::Time;
use wirebell::source;
use wirebell::source::Share;
use wirebell::source::poll::State;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;

use crate::polling::feed;
use crate::polling::paper;
use crate::polling::paper::Asked;
use crate::polling::paper::Papers;

const HOUR: i64 = 3_600_000;

/// Feeds and hours of the day that is simulated.
#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn size() -> (usize, i64) {
    let of = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let feeds = of("WIREBELL_TEST_FEEDS", "48").parse().unwrap();
    (feeds, of("WIREBELL_TEST_HOURS", "24").parse().unwrap())
}

/// A poller under a clock that goes on whenever nothing is under way.
struct Day {
    clock: Clock,
    bus: Embedded,
    share: Share,
    board: Board,
    stop: CancellationToken,
    poller: JoinSet<Result<(), source::Error>>,
}

impl Day {
    fn start(clock: Clock, bus: Embedded, feeds: usize, port: u16) -> Self {
        let settings = egress::Settings {
            connects_per_host: std::num::NonZeroUsize::MAX,
            ..egress::Settings::new(Policy::new(&["127.0.0.0/8"]).unwrap(), Resolver::table(&[]))
        };
        let client = Client::with(settings);
        let (share, board, stop) = (Share::all(), Board::default(), CancellationToken::new());
        let feeds = (0..feeds).map(|n| feed(n, port)).collect();
        let sources = source::Sources { feeds, ..source::Sources::default() };
        let settings = source::Settings {
            sources,
            share: share.clone(),
            clock: clock.clone(),
            board: board.clone(),
            tracer: Tracer::default(),
        };
        let mut poller = JoinSet::new();
        poller.spawn(source::run(settings, bus.clone(), client, stop.clone()));
        Self { clock, bus, share, board, stop, poller }
    }

    /// Lets time pass until then.
    async fn until(&mut self, end: i64) {
        while self.clock.now_ms() < end {
            assert!(self.poller.try_join_next().is_none(), "the poller ended");
            match self.clock.next_wake().filter(|_| self.share.is_idle()) {
                Some(at) => self.clock.set(at.min(end)),
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn close(mut self) -> Embedded {
        self.stop.cancel();
        while let Some(ended) = self.poller.join_next().await {
            ended.unwrap().unwrap();
        }
        self.bus
    }
}

async fn states(bus: &Embedded) -> BTreeMap<String, State> {
    let listed = bus.list(Bucket::Feeds, "").await.unwrap();
    let read = |entry: wirebell::bus::Entry| {
        (entry.key, serde_json::from_slice(&entry.value.unwrap()).unwrap())
    };
    listed.entries.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_many_feeds_is_polite_and_misses_nothing() {
    let (feeds, hours) = size();
    let began: Time = "2024-01-10T00:00:00Z".parse().unwrap();
    let clock = Clock::manual(began.millis());
    let mut tasks = JoinSet::new();
    let (papers, port) = Papers::open(clock.clone(), 1_000, &mut tasks).await;
    let data = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { folder: data.path().to_owned(), limits: Limits::default() };
    let bus = Embedded::open(settings).await.unwrap();
    let mut day = Day::start(clock.clone(), bus, feeds, port);
    let half = began.millis() + hours / 2 * HOUR;
    day.until(half).await;
    let bus = day.close().await;
    let asked_before = papers.asked().len();
    let full = |asked: &[Asked]| asked.iter().filter(|asked| asked.status == 200).count();
    // A restart: what was read stays read.
    let mut day = Day::start(clock.clone(), bus, feeds, port);
    day.until(half + 60_000).await;
    let again = papers.asked().split_off(asked_before);
    assert!(again.len() < feeds / 2, "not everybody is asked anew: {}", again.len());
    day.until(began.millis() + hours * HOUR).await;
    let board = day.board.clone();
    let bus = day.close().await;
    assert_eq!(papers.wrong(), Vec::<String>::new());
    let asked = papers.asked();
    println!("{feeds} feeds, {hours} h: {} requests, {} whole", asked.len(), full(&asked));
    let states = states(&bus).await;
    assert_eq!(states.len(), feeds);
    for n in 0..feeds {
        let mine: Vec<&Asked> = asked.iter().filter(|asked| asked.feed == n).collect();
        check(n, &mine, hours);
        let state = &states[&format!("feed-{n}")];
        let is_dead = n % paper::DIES == 3 && hours >= 20;
        // One that could not be read for hours may have had too little news to have a cadence.
        let is_known = n % paper::FAILS != 5;
        if is_known || !is_dead {
            assert_eq!(state.silent_since.is_some(), is_dead, "feed {n}: {state:?}");
        }
    }
    let said = board.parts().into_iter().find(|(part, _)| *part == "feeds");
    assert_eq!(format!("{said:?}").contains("are silent"), hours >= 20, "{said:?}");
}

/// One feed's requests of the day.
fn check(n: usize, asked: &[&Asked], hours: i64) {
    let name = format!("feed {n}: {asked:?}");
    let quarter = HOUR / 4;
    // Never twice within its interval, and not forgotten.
    for pair in asked.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= quarter * 9 / 10, "{gap} ms between two requests of {name}");
        let most = match pair[0].status {
            429 => quarter * 3,
            500 => quarter * 12,
            _ => quarter * 13 / 10 + paper::PAUSE,
        };
        assert!(gap <= most, "{gap} ms between two requests of {name}");
    }
    let last = asked.last().map_or(0, |asked| asked.at);
    assert!(hours * HOUR - last < HOUR, "{name}");
    // A document once for each of its news, otherwise only a look.
    let mut whole = BTreeSet::new();
    for asked in asked.iter().filter(|asked| asked.status == 200) {
        assert!(whole.insert(asked.story), "news {} twice of {name}", asked.story);
    }
    // Failures back off: fewer requests than the interval would make, and never the same wait.
    let failed: Vec<i64> =
        asked.iter().filter(|asked| asked.status == 500).map(|asked| asked.at).collect();
    for (gaps, times) in failed.windows(3).zip(1..) {
        let (first, second) = (gaps[1] - gaps[0], gaps[2] - gaps[1]);
        assert!(second > first + first / 2, "gap {times} of the failures of {name}");
    }
}

//! Runs workers: the stop signal, the grace period, and the end of one as the end of all.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How the workers ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A worker failed; the others have been stopped.
    #[error("the worker {name} failed")]
    Failed {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A worker ended though nobody asked it to.
    #[error("the worker {0} ended without being asked to")]
    Ended(&'static str),
    /// A worker panicked.
    #[error("the worker {0} panicked")]
    Panicked(&'static str),
    /// Work went on beyond the grace period.
    #[error("still running after the grace period of {grace:?}: {names}")]
    StillRunning {
        /// The grace period.
        grace: Duration,
        /// Who.
        names: String,
    },
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Workers that run until one of them ends or the process is told to stop.
#[derive(Debug)]
pub struct Workers {
    stop: CancellationToken,
    set: JoinSet<Outcome>,
    names: Vec<(tokio::task::Id, &'static str)>,
}

impl Workers {
    /// None yet. `stop` is what they all listen to.
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, set: JoinSet::new(), names: Vec::new() }
    }

    /// Starts one.
    pub fn start<F>(&mut self, name: &'static str, work: F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let handle = self.set.spawn(work);
        self.names.push((handle.id(), name));
    }

    /// Waits until the stop token is set or a worker ends, stops the rest, and waits for them for
    /// the grace period. What is still running then is aborted and named.
    pub async fn run(mut self, grace: Duration) -> Result<(), Error> {
        let first = tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(()),
            ended = self.set.join_next_with_id() => match ended {
                Some(ended) => self.judge(ended, false),
                None => Ok(()),
            },
        };
        self.stop.cancel();
        let rest = tokio::time::timeout(grace, self.drain()).await;
        match (first, rest) {
            (Err(error), _) => Err(error),
            (Ok(()), Ok(rest)) => rest,
            (Ok(()), Err(_)) => {
                let names: Vec<&str> = self.names.iter().map(|(_, name)| *name).collect();
                Err(Error::StillRunning { grace, names: names.join(", ") })
            }
        }
    }

    async fn drain(&mut self) -> Result<(), Error> {
        let mut result = Ok(());
        while let Some(ended) = self.set.join_next_with_id().await {
            let judged = self.judge(ended, true);
            result = result.and(judged);
        }
        result
    }

    fn judge(
        &mut self,
        ended: Result<(tokio::task::Id, Outcome), tokio::task::JoinError>,
        asked: bool,
    ) -> Result<(), Error> {
        let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let name = self.names.iter().find(|(known, _)| *known == id).map_or("?", |(_, n)| *n);
        self.names.retain(|(known, _)| *known != id);
        match ended {
            Ok((_, Ok(()))) if asked || self.stop.is_cancelled() => Ok(()),
            Ok((_, Ok(()))) => Err(Error::Ended(name)),
            Ok((_, Err(source))) => Err(Error::Failed { name, source }),
            Err(_) => Err(Error::Panicked(name)),
        }
    }
}

/// Sets `stop` on SIGTERM or SIGINT; a second signal ends the process at once with 130.
pub async fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    std::process::exit(130)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_fails_stops_the_others_and_is_named() {
        let stop = CancellationToken::new();
        let mut workers = Workers::new(stop.clone());
        let waits = stop.clone();
        workers.start("rules", async move {
            waits.cancelled().await;
            Ok(())
        });
        workers.start("ingest", async { Err("disk gone".into()) });
        let error = workers.run(Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, Error::Failed { name: "ingest", .. }), "{error}");
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_and_an_early_end_are_failures() {
        let mut workers = Workers::new(CancellationToken::new());
        workers.start("rules", async { panic!("broken") });
        let error = workers.run(Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, Error::Panicked("rules")), "{error}");
        let mut workers = Workers::new(CancellationToken::new());
        workers.start("rules", async { Ok(()) });
        let error = workers.run(Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, Error::Ended("rules")), "{error}");
    }

    #[tokio::test]
    async fn who_outlives_the_grace_period_is_named() {
        let stop = CancellationToken::new();
        let mut workers = Workers::new(stop.clone());
        workers.start("notifier", std::future::pending());
        stop.cancel();
        let error = workers.run(Duration::from_millis(5)).await.unwrap_err();
        assert!(error.to_string().contains("notifier"), "{error}");
    }
}

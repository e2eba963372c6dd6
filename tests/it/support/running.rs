//! A desk at work: its processes, a receiver, and a subscription to everything.

use serde_json::Value;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::flow::leases_taken;
use crate::e2e::subscribe;
use crate::e2e::wait_ready;
use crate::support::nats::Server;

/// Processes that are ready, and a receiver that is told everything from now on.
pub(crate) struct Running {
    pub(crate) desk: Desk,
    pub(crate) receiver: Receiver,
    /// All workers in one, or the workers in the order they were named.
    pub(crate) workers: Vec<Process>,
    pub(crate) api: String,
    pub(crate) subscription: String,
    pub(crate) secret: String,
}

impl Running {
    /// All workers in one process.
    pub(crate) async fn alone(desk: Desk) -> Self {
        let process = desk.run();
        Self::with(desk, vec![process]).await
    }

    /// These workers on a server, the api first.
    pub(crate) async fn divided(desk: Desk, workers: &[&str], nats: &Server) -> Self {
        let started: Vec<Process> = workers.iter().map(|w| desk.worker(w, &nats.url())).collect();
        let rules = workers.iter().zip(&started).filter(|(which, _)| **which == "rules");
        rules.for_each(|(_, process)| leases_taken(process));
        Self::with(desk, started).await
    }

    async fn with(desk: Desk, workers: Vec<Process>) -> Self {
        let receiver = Receiver::default();
        let hook = receiver.start().await;
        let api = workers[0].api();
        wait_ready(&api);
        let (subscription, secret) = subscribe(&api, &hook);
        Self { desk, receiver, workers, api, subscription, secret }
    }

    /// What the API answers.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, answer) = ask("GET", &format!("{}{path}", self.api), "", b"").unwrap();
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// What a command that asks the API prints for people.
    pub(crate) fn said(&self, args: &[&str]) -> String {
        let done = self.desk.command(args).args(["--api", &self.api]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Ends every process as an operator does.
    pub(crate) fn stop(&mut self) {
        for worker in &mut self.workers {
            assert_eq!(worker.stop(), Some(0), "{}", worker.log());
        }
    }
}

//! A receiver that answers as it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::any;
use tokio::sync::Barrier;

use crate::e2e::Hook;
use crate::e2e::wait_for;

#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    /// The answer to everything.
    all: Option<u16>,
    /// Answers by sequence.
    of: BTreeMap<u64, u16>,
    /// Requests wait here until as many are open.
    barrier: Option<Arc<Barrier>>,
    taken: Vec<Hook>,
    refused: Vec<Hook>,
    open: usize,
    most_open: usize,
}

impl Scripted {
    /// Starts it; answers its URL.
    pub(crate) async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(take)).with_state(self.clone());
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::runtime::Handle::current().spawn(serving);
        url
    }

    /// Answers everything with this status, or takes everything.
    pub(crate) fn answer_all(&self, status: Option<u16>) {
        self.0.lock().unwrap().all = status;
    }

    /// Answers one sequence with this status, or takes it.
    pub(crate) fn answer(&self, sequence: u64, status: Option<u16>) {
        let of = &mut self.0.lock().unwrap().of;
        match status {
            Some(status) => of.insert(sequence, status),
            None => of.remove(&sequence),
        };
    }

    /// Answers nothing before so many requests are open.
    pub(crate) fn gather(&self, count: usize) {
        self.0.lock().unwrap().barrier = Some(Arc::new(Barrier::new(count)));
    }

    /// Most requests that were open at once.
    pub(crate) fn most_open(&self) -> usize {
        self.0.lock().unwrap().most_open
    }

    /// What was taken, in the order it was answered.
    pub(crate) fn taken(&self) -> Vec<Hook> {
        self.0.lock().unwrap().taken.clone()
    }

    /// What was not taken, in the order it was answered.
    pub(crate) fn refused(&self) -> Vec<Hook> {
        self.0.lock().unwrap().refused.clone()
    }

    /// Waits until so many were taken, repeats included.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Hook> {
        wait_for("webhooks", || Some(self.taken()).filter(|taken| taken.len() >= count))
    }
}

pub(crate) fn sequence(hook: &Hook) -> u64 {
    hook.json()["data"]["event"]["sequence"].as_u64().unwrap()
}

async fn take(State(scripted): State<Scripted>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let hook = Hook { headers, body: body.to_vec() };
    let barrier = {
        let mut script = scripted.0.lock().unwrap();
        script.open += 1;
        script.most_open = script.most_open.max(script.open);
        script.barrier.clone()
    };
    if let Some(barrier) = barrier {
        barrier.wait().await;
    }
    let mut script = scripted.0.lock().unwrap();
    script.open -= 1;
    let status = script.all.or(script.of.get(&sequence(&hook)).copied());
    if status.is_none() { &mut script.taken } else { &mut script.refused }.push(hook);
    status.map_or(StatusCode::OK, |status| StatusCode::from_u16(status).unwrap())
}

//! A receiver of webhooks that kills their sender at a moment of its choice.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;

/// When the sender of a webhook dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// It has connected; the webhook is never read.
    Sending,
    /// The webhook is received whole; the answer is never written.
    Received,
}

/// A webhook as it came.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) id: String,
    pub(super) body: Value,
}

#[derive(Default)]
struct Inner {
    hooks: Vec<Hook>,
    connections: usize,
    /// Who dies, at which connection and when.
    aim: Option<(rustix::process::Pid, usize, Moment)>,
}

/// Takes every webhook, one after the other, on an address of its own.
#[derive(Clone, Default)]
pub(super) struct Receiver(Arc<Mutex<Inner>>);

impl Receiver {
    /// Starts it; answers its URL.
    pub(super) fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A sender that died in mid-request is nothing to stop for.
                let _ = receiver.take(stream.unwrap());
            }
        });
        url
    }

    /// Starts a sender that dies at a connection, counted from 0.
    pub(super) fn kill(&self, start: impl FnOnce() -> Child, at: usize, when: Moment) -> Child {
        // Held while it starts, so that no webhook of it comes too early.
        let mut inner = self.0.lock().unwrap();
        let child = start();
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap());
        inner.aim = Some((pid.unwrap(), at, when));
        child
    }

    fn is_victim(&self, number: usize, moment: Moment) -> bool {
        let mut inner = self.0.lock().unwrap();
        let hit = inner.aim.take_if(|(_, at, when)| *at == number && *when == moment);
        if let Some((pid, ..)) = hit {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        hit.is_some()
    }

    fn take(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let number = {
            let mut inner = self.0.lock().unwrap();
            inner.connections += 1;
            inner.connections - 1
        };
        if self.is_victim(number, Moment::Sending) {
            return Ok(());
        }
        let hook = read(&stream)?;
        self.0.lock().unwrap().hooks.push(hook);
        if self.is_victim(number, Moment::Received) {
            return Ok(());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    }

    /// All that came, in order.
    pub(super) fn hooks(&self) -> Vec<Hook> {
        self.0.lock().unwrap().hooks.clone()
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Hook> {
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some(("webhook-id", value)) => value.clone_into(&mut id),
            Some(("content-length", value)) => length = value.parse().unwrap(),
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Hook { id, body: serde_json::from_slice(&body).unwrap() })
}

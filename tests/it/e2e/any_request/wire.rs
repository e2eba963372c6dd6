//! A connection that is used again and again.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::Answer;
use super::Request;

/// Longest wait for a piece of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Connection {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// None where there is no whole answer, on a new connection too: the old one may have been
    /// closed.
    pub(super) fn send(&mut self, request: &Request) -> Option<Answer> {
        if let Some(stream) = self.stream.take()
            && let Some(answer) = self.exchange(stream, request)
        {
            return Some(answer);
        }
        let stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        self.exchange(BufReader::new(stream), request)
    }

    fn exchange(&mut self, mut stream: BufReader<TcpStream>, request: &Request) -> Option<Answer> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
        for (name, value) in &request.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", request.body.len()).bytes());
        stream.get_mut().write_all(&bytes).ok()?;
        // Who refuses a body answers before all of it was read.
        let _ = stream.get_mut().write_all(&request.body);
        let first = line(&mut stream)?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        loop {
            let line = line(&mut stream)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let empty = request.method == "HEAD" || [204, 304].contains(&status);
        let body = if empty { Vec::new() } else { body(&mut stream, &headers)? };
        if headers.get("connection").is_none_or(|value| value != "close") {
            self.stream = Some(stream);
        }
        Some(Answer { status, headers, body })
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).ok()?;
    let text = String::from_utf8(line).ok()?;
    Some(text.strip_suffix("\r\n")?.to_owned())
}

fn body(stream: &mut BufReader<TcpStream>, headers: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().ok()?, 0);
        stream.read_exact(&mut body).ok()?;
        return Some(body);
    }
    if headers.get("transfer-encoding").is_none_or(|value| value != "chunked") {
        stream.read_to_end(&mut body).ok()?;
        return Some(body);
    }
    loop {
        let size = usize::from_str_radix(&line(stream)?, 16).ok()?;
        let begin = body.len();
        body.resize(begin + size, 0);
        stream.read_exact(&mut body[begin..]).ok()?;
        line(stream)?;
        if size == 0 {
            return Some(body);
        }
    }
}

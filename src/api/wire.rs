//! Connections on which what is no request is answered with a problem too.
//!
//! The HTTP library answers by itself what it cannot read (a broken line, too many headers, a path
//! that is too long), with a status and no body. Nothing of ours has seen the request, and so the
//! answer has no id: by that it is known here, and its body is added.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use axum::http::StatusCode;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::api::problem::Problem;
use crate::telemetry::metric;

/// Longest head of such an answer.
const MAX_HEAD: usize = 256;

/// A connection.
pub(super) struct Wired<S> {
    stream: S,
    /// What is written in place of an answer of the library's own, and how much of it has been.
    instead: (Vec<u8>, usize),
}

impl<S: AsyncWrite + Unpin> Wired<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, instead: (Vec::new(), 0) }
    }

    /// Writes what is written in place of an answer.
    fn drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.instead.0.get(self.instead.1..).filter(|rest| !rest.is_empty())
        {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.1 += written;
        }
        Poll::Ready(Ok(()))
    }
}

/// The answer with its body, where these bytes are one of the library's own.
fn with_body(head: &[u8]) -> Option<Vec<u8>> {
    let text = Some(head).filter(|head| head.len() <= MAX_HEAD).map(str::from_utf8)?.ok()?;
    let head = text.strip_prefix("HTTP/1.1 ")?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let (status, _) = lines.next()?.split_once(' ')?;
    let status = StatusCode::from_u16(status.parse().ok()?).ok()?;
    let rest: Vec<&str> = lines.filter(|line| *line != "content-length: 0").collect();
    let named = rest.iter().any(|line| line.starts_with("x-request-id:"));
    if !status.is_client_error() || named || rest.len() + 2 != head.split("\r\n").count() {
        return None;
    }
    let detail = match status {
        StatusCode::URI_TOO_LONG => "the path and its query are too long: at most 64 KiB",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the headers are too many or too large: at most 100, and 400 KiB"
        }
        _ => "this is no request as HTTP/1.1 has it",
    };
    let (kind, body) = Problem::new(status, detail).text();
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut answer = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16());
    let length = body.len();
    answer.push_str(&format!("content-type: {kind}\r\ncontent-length: {length}\r\n"));
    for line in rest {
        answer.push_str(line);
        answer.push_str("\r\n");
    }
    answer.push_str("\r\n");
    answer.push_str(&body);
    let status = status.as_u16().to_string();
    metrics::counter!(metric::API_REQUESTS, "route" => "none", "status" => status).increment(1);
    Some(answer.into_bytes())
}

impl<S: AsyncRead + Unpin> AsyncRead for Wired<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wired<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.drain(context))?;
        if let Some(answer) = with_body(bytes) {
            self.instead = (answer, 0);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.drain(context))?;
        // Such an answer is a head alone.
        if let [head] = slices
            && let Some(answer) = with_body(head)
        {
            self.instead = (answer, 0);
            return Poll::Ready(Ok(head.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_the_librarys_own_gets_a_body() {
        let own = "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let answer = String::from_utf8(with_body(own.as_bytes()).unwrap()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("connection: close"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.contains("\"status\":414"), "{body}");
        for other in [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\nhello",
            "{\"title\": \"HTTP/1.1 400 Bad Request\"}",
            "",
        ] {
            assert_eq!(with_body(other.as_bytes()), None, "{other}");
        }
    }
}

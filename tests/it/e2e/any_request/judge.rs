//! Whether an answer is one that the document names.

use std::collections::BTreeMap;
use std::io::Read;

use jsonschema::Validator;
use serde_json::Value;

use super::Answer;
use super::Call;
use super::Request;

/// Longest path and query that are read.
const LONG: usize = 65_534;
const PROBLEM: &str = "application/problem+json";

pub(super) struct Judge<'d> {
    document: &'d Value,
    /// By operation, status and media type.
    validators: BTreeMap<(String, u16, String), Validator>,
}

impl<'d> Judge<'d> {
    pub(super) fn new(document: &'d Value) -> Self {
        Self { document, validators: BTreeMap::new() }
    }

    /// What is wrong with an answer, in words.
    pub(super) fn check(
        &mut self,
        call: &Call,
        request: &Request,
        answer: &Answer,
    ) -> Result<(), String> {
        let status = answer.status;
        let kind = answer.headers.get("content-type").map_or("", String::as_str);
        let kind = kind.split(';').next().unwrap_or_default().to_owned();
        let body = unzipped(answer)?;
        let said = || {
            let text: String = String::from_utf8_lossy(&body).chars().take(600).collect();
            format!("{} {}: {status} {kind:?} {text}", call.method, call.path)
        };
        if status >= 500 {
            return Err(format!("it failed: {}", said()));
        }
        // What is too long to be read is answered before it is a request.
        if status == 414 && request.target.len() > LONG {
            return is_problem(status, &kind, &body).map_err(|why| format!("{why}: {}", said()));
        }
        if !answer.headers.contains_key("x-request-id") {
            return Err(format!("it has no id: {}", said()));
        }
        if status >= 400 && request.method != "HEAD" {
            is_problem(status, &kind, &body).map_err(|why| format!("{why}: {}", said()))?;
        }
        if request.method != call.method {
            return beside(request, status).map_err(|why| format!("{why}: {}", said()));
        }
        // A path with an empty id, or with one that ends it, is another path.
        if status == 405 && !answer.headers.contains_key("allow") {
            return Err(format!("it names no methods: {}", said()));
        }
        let told = &call.operation["responses"][status.to_string()];
        if told.is_null() {
            return Err(format!("this status is not documented: {}", said()));
        }
        let content = &told["content"][&kind];
        if content.is_null() {
            if kind.is_empty() && body.is_empty() {
                return Ok(());
            }
            return Err(format!("this media type is not documented: {}", said()));
        }
        if !kind.ends_with("json") || kind == "application/x-ndjson" {
            return Ok(());
        }
        let value: Value = serde_json::from_slice(&body)
            .map_err(|error| format!("it is no JSON, {error}: {}", said()))?;
        let key = (call.operation["operationId"].to_string(), status, kind.clone());
        let validator = self.validators.entry(key).or_insert_with(|| {
            let mut schema = content["schema"].clone();
            schema["components"] = self.document["components"].clone();
            jsonschema::draft202012::new(&schema).unwrap()
        });
        match validator.iter_errors(&value).next() {
            None => Ok(()),
            Some(error) => Err(format!("{}: {error}: {}", error.instance_path(), said())),
        }
    }
}

fn unzipped(answer: &Answer) -> Result<Vec<u8>, String> {
    if answer.headers.get("content-encoding").is_none_or(|coded| coded != "gzip") {
        return Ok(answer.body.clone());
    }
    let mut read = Vec::new();
    let zipped = flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut read);
    zipped.map_err(|error| format!("what is compressed cannot be read: {error}"))?;
    Ok(read)
}

fn is_problem(status: u16, kind: &str, body: &[u8]) -> Result<(), String> {
    // What is neither of these is told as it stands in the document.
    if (status, kind) == (422, "application/json") {
        return Ok(());
    }
    if kind != PROBLEM {
        return Err("an error is no problem".to_owned());
    }
    let problem: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let text = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
    let whole = problem["status"] == status && text("title") && text("type") && text("detail");
    if whole { Ok(()) } else { Err("a problem is not whole".to_owned()) }
}

/// An answer to a method that the document does not name of the path.
fn beside(request: &Request, status: u16) -> Result<(), String> {
    // A path may have `GET` beside this method.
    let as_get = request.method == "HEAD";
    let other = [403, 404, 405, 421].contains(&status);
    // The path may have the method beside this one.
    let beside = ["GET", "POST", "PATCH", "DELETE"].contains(&request.method.as_str());
    if as_get || other || beside { Ok(()) } else { Err("this status fits no method".to_owned()) }
}

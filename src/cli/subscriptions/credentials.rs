//! Secrets on the command line: others can read a process's arguments, so each may be read from a
//! file instead.

use std::path::Path;

use http::Method;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::Invocation;
use crate::cli::args::subscriptions as args;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::local::read_file;
use crate::cli::output::say;
use crate::cli::remote::text;
use crate::cli::subscriptions::path;
use crate::cli::subscriptions::write_secret;

/// Adds what is sent beside the signature, and the subscriber's own secret.
pub(super) fn add(args: &args::Credentials, body: &mut Value) -> Result<(), Failure> {
    let headers = headers(&args.headers)?;
    if !headers.is_empty() {
        body["headers"] = Value::Object(headers);
    }
    if let Some(both) = &args.basic {
        let both = given(both)?;
        let (username, password) = both.split_once(':').ok_or_else(|| {
            Failure::usage("error: --basic: write USER:PASSWORD, or @FILE with both in it")
        })?;
        body["auth"] = json!({"basic": {"username": username, "password": password}});
    }
    if let Some(token) = &args.bearer {
        body["auth"] = json!({"bearer": {"token": given(token)?}});
    }
    if let Some(file) = &args.secret_file {
        body["secret"] = json!(read_text(file)?);
    }
    Ok(())
}

fn headers(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut headers = Map::new();
    for one in given {
        let read = one.strip_prefix('@').map(|file| read_text(Path::new(file))).transpose()?;
        let lines = read.as_deref().unwrap_or(one).lines();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                Failure::usage("error: --header: write 'Name: value', or @FILE with such lines")
            })?;
            let (name, value) = (name.trim().to_owned(), value.trim());
            if headers.insert(name.clone(), json!(value)).is_some() {
                let words = format!("error: --header: {name} is given twice: keep one of them");
                return Err(Failure::usage(words));
            }
        }
    }
    Ok(headers)
}

/// A value, or what the file holds whose name follows an `@`.
fn given(text: &str) -> Result<String, Failure> {
    text.strip_prefix('@').map_or_else(|| Ok(text.to_owned()), |file| read_text(Path::new(file)))
}

fn read_text(file: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read_file(file)?);
    let text = text
        .map_err(|_| Failure::new(1, format!("error: {} is no text in UTF-8", file.display())))?;
    Ok(text.trim().to_owned())
}

/// Prints the new secret; what else there is to say goes to standard error.
pub(super) async fn rotate(
    client: &Client,
    args: &args::Rotate,
    with: &Invocation,
) -> Result<(), Failure> {
    let mut body = json!({});
    if let Some(overlap) = &args.overlap {
        body["overlap"] = json!(overlap);
    }
    if let Some(file) = &args.secret_file {
        body["secret"] = json!(read_text(file)?);
    }
    let mut turned = client.json(Method::POST, &path(&args.id, "/rotate"), Some(&body)).await?;
    match signing(&turned) {
        Some(still) => say(&format!("{still}: give the receiver the new secret before then")),
        None => say("only the new key signs from now on"),
    }
    if let Some(file) = &args.secret_to {
        write_secret(file, text(&turned, "secret"))?;
        say(&format!("secret written to {}", file.display()));
        turned["secret"] = Value::Null;
        if with.output.is_json() {
            with.output.print(&turned, String::new);
        }
        return Ok(());
    }
    with.output.print(&turned, || text(&turned, "secret").to_owned());
    Ok(())
}

/// How many keys sign, where it is more than one.
pub(super) fn signing(one: &Value) -> Option<String> {
    let (keys, until) = (one["signing"]["keys"].as_u64()?, one["signing"]["until"].as_str()?);
    (keys > 1).then(|| format!("still signing with {keys} keys until {until}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_from_the_line_and_from_files_and_are_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "X-One: 1\n\nX-Two:  a: b \n").unwrap();
        let from = format!("@{}", file.display());
        let read = headers(&[from.clone(), "x-three:3".to_owned()]).unwrap();
        assert_eq!(Value::Object(read), json!({"X-One": "1", "X-Two": "a: b", "x-three": "3"}));
        for bad in [vec!["hidden".to_owned()], vec![from, "X-One: hidden".to_owned()]] {
            let failure = headers(&bad).unwrap_err();
            assert!(failure.code == 2 && !format!("{failure:?}").contains("hidden"), "{failure:?}");
        }
        let token = folder.path().join("token");
        std::fs::write(&token, "t-1\n").unwrap();
        assert_eq!(given(&format!("@{}", token.display())).unwrap(), "t-1");
    }
}

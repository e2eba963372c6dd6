//! Every row of the table of queries: the exact spans, or the column of the error.

use serde_json::Value;
use wirebell::rules::TryError;
use wirebell::rules::try_query;

const ROWS: &str = include_str!("../fixtures/query-vectors.jsonl");

#[test]
fn every_query_of_the_table_finds_exactly_what_it_should() {
    let rows: Vec<Value> = ROWS.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(rows.len() >= 461, "{} rows", rows.len());
    let failures: Vec<String> = rows.iter().filter_map(|row| check(row).err()).collect();
    assert!(failures.is_empty(), "{} rows fail\n{}", failures.len(), failures.join("\n"));
}

fn check(row: &Value) -> Result<(), String> {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let body = if row["text"].is_string() { text("text") } else { text("body") };
    let outcome = try_query(text("query"), text("title"), body);
    let about =
        format!("{}: {:.80} on {:.80}{:.80}", text("about"), text("query"), text("title"), body);
    if row["error"] == true {
        return match outcome {
            Err(TryError::Query(e)) => match row["column"].as_u64() {
                Some(column) if column != u64::from(e.at.column) => {
                    Err(format!("{about}: column {column} wanted, {e}"))
                }
                _ if e.message.is_empty() || e.remedy.is_empty() => {
                    Err(format!("{about}: no words"))
                }
                _ => Ok(()),
            },
            Err(e) => Err(format!("{about}: {e}")),
            Ok(found) => Err(format!("{about}: an error wanted, found {found:?}")),
        };
    }
    let found = outcome.map_err(|e| format!("{about}: {e}"))?;
    let spans: Vec<Value> = found
        .iter()
        .map(|e| serde_json::json!({"field": e.field, "start": e.start, "end": e.end}))
        .collect();
    if Value::from(spans.clone()) != row["expect"] {
        return Err(format!("{about}: {} wanted, found {}", row["expect"], Value::from(spans)));
    }
    let all = format!("{}\u{0}{}", text("title"), body);
    match found.iter().find(|e| !all.contains(&e.text)) {
        Some(e) => Err(format!("{about}: {:?} is not quoted from the text", e.text)),
        None => Ok(()),
    }
}

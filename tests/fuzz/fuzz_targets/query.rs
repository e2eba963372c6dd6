//! A query and a text, divided by the first line break: an answer or a refusal that names a place,
//! and evidence that quotes the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirebell::model::Field;
use wirebell::rules::TryError;
use wirebell::rules::try_query;

fuzz_target!(|input: &str| {
    let (query, text) = input.split_once('\n').unwrap_or((input, input));
    let (title, body) = text.split_once('\n').unwrap_or(("", text));
    match try_query(query, title, body) {
        Ok(evidence) => {
            for one in evidence {
                let field = if one.field == Field::Title { title } else { body };
                let length = (one.end - one.start) as usize;
                let slice: String = field.chars().skip(one.start as usize).take(length).collect();
                assert!(length > 0 && slice == one.text, "{one:?}");
            }
        }
        Err(TryError::Query(error)) => {
            let end = query.chars().count() as u32 + 1;
            assert!((1..=end).contains(&error.at.column) && error.at.width >= 1, "{error:?}");
            assert!(!error.message.is_empty() && !error.remedy.is_empty(), "{error:?}");
        }
        Err(TryError::GivenUp) => {}
    }
});

//! The messages that a message refers to: triples `sender,identifier,sent`, divided by spaces.

use crate::feed::cap::MAX_REFERENCES;
use crate::feed::cap::Reference;
use crate::feed::date;

/// Reads them; a broken one is said and costs no other.
pub(super) fn read(text: &str, mut problem: impl FnMut(String)) -> Vec<Reference> {
    let joined = close_up(text);
    let mut found: Vec<Reference> = Vec::new();
    for written in joined.split_whitespace() {
        let fields: Vec<&str> = written.trim_matches([',', ';']).split(',').collect();
        let triples = triples(&fields);
        if triples.is_empty() {
            problem(format!(
                "the reference {written:.100?} is no sender,identifier,sent and was left out"
            ));
        }
        for one in triples {
            if date::read(&one.sent).is_none() {
                let sent = &one.sent;
                problem(format!("the time {sent:.60?} of a reference cannot be read"));
            }
            if found.len() >= MAX_REFERENCES {
                problem(format!("only the first {MAX_REFERENCES} references were read"));
                return found;
            }
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// The text without white space around its commas.
fn close_up(text: &str) -> String {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    fields.join(",")
}

/// One triple, several that commas divide, or one whose identifier has commas; none if it is none.
fn triples(fields: &[&str]) -> Vec<Reference> {
    let is_time = |text: &str| date::read(text).is_some();
    let several = fields.len() > 3
        && fields.len().is_multiple_of(3)
        && fields.iter().skip(2).step_by(3).all(|sent| is_time(sent));
    let each = if several { 3 } else { fields.len() };
    let all = fields.chunks(each.max(1)).map(|fields| match fields {
        [sender, identifier @ .., sent] => {
            let is_one = identifier.len() == 1 || is_time(sent);
            let identifier = identifier.join(",");
            let is_whole = is_one && ![*sender, &identifier, *sent].contains(&"");
            is_whole.then(|| Reference {
                sender: (*sender).to_owned(),
                identifier,
                sent: (*sent).to_owned(),
            })
        }
        _ => None,
    });
    all.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_broken_ones_are_said() {
        let t = "2026-01-18T22:05:02-00:00";
        let u = "2026-01-18T22:09:00-00:00";
        for (text, want, said) in [
            (format!("a,b,{t}"), vec![format!("a|b|{t}")], 0),
            (format!("a,b,{t}\n  c,d,{u} "), vec![format!("a|b|{t}"), format!("c|d|{u}")], 0),
            (format!("broken a,b,{t} x,y"), vec![format!("a|b|{t}")], 2),
            (format!("a, b, {t} a,b,{t}"), vec![format!("a|b|{t}")], 0),
            (format!("a,b,{t},c,d,{u}"), vec![format!("a|b|{t}"), format!("c|d|{u}")], 0),
            (format!("a,b,1,{t}"), vec![format!("a|b,1|{t}")], 0),
            ("a,b,yesterday".to_owned(), vec!["a|b|yesterday".to_owned()], 1),
            (",,".to_owned(), vec![], 1),
            (format!("a,,{t}"), vec![], 1),
            (String::new(), vec![], 0),
        ] {
            let mut problems = Vec::new();
            let found = read(&text, |problem| problems.push(problem));
            let found: Vec<String> =
                found.iter().map(|r| format!("{}|{}|{}", r.sender, r.identifier, r.sent)).collect();
            assert_eq!((found, problems.len()), (want, said), "{text}: {problems:?}");
        }
    }
}

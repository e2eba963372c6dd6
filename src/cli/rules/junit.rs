//! Results of rule tests as JUnit XML: a suite for each rule.

use crate::config::TestCase;

/// The report of all cases, which are in the order of their rules.
pub(super) fn report(cases: &[TestCase]) -> String {
    let failed = |cases: &[TestCase]| cases.iter().filter(|case| case.failure.is_some()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"wirebell\" tests=\"{}\" failures=\"{}\">\n",
        cases.len(),
        failed(cases)
    );
    for suite in cases.chunk_by(|a, b| a.rule == b.rule) {
        let Some(first) = suite.first() else { continue };
        let rule = escape(first.rule.as_str());
        let (tests, failures) = (suite.len(), failed(suite));
        out.push_str(&format!(
            "  <testsuite name=\"{rule}\" tests=\"{tests}\" failures=\"{failures}\">\n"
        ));
        for case in suite {
            let name = escape(&case.name);
            match &case.failure {
                None => out.push_str(&format!(
                    "    <testcase classname=\"{rule}\" name=\"{name}\"/>\n"
                )),
                Some(problem) => out.push_str(&format!(
                    "    <testcase classname=\"{rule}\" name=\"{name}\" file=\"{}\" line=\"{}\">\n      \
                     <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                    escape(&problem.file),
                    problem.line,
                    escape(&problem.message),
                    escape(&problem.to_string())
                )),
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text for attributes and content; characters that XML has no form for are left out.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", u32::from(c))),
            '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => {}
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_rules;

    #[test]
    fn a_report_is_xml_whatever_the_tests_say() {
        let text = "version: 1\nrules:\n  - id: a\n    any: [boat]\n    tests:\n      \
                    should_match: [\"<toy> & \\\"car\\\"\\u0007\", boat]\n      \
                    story: [{article: boat, expect: nothing}]\n  - {id: b, any: x, tests: {should_not_match: [y]}}\n";
        let cases = test_rules(&[("r.yaml".to_owned(), text.to_owned())]).unwrap().cases;
        let report = report(&cases);
        let mut reader = quick_xml::Reader::from_str(&report);
        let mut names = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                    for attribute in tag.attributes() {
                        attribute.unwrap();
                    }
                    names.push(tag.name().as_ref().to_owned());
                }
                _ => {}
            }
        }
        let count = |name: &str| names.iter().filter(|n| *n == name).count();
        assert_eq!(
            (count("testsuite"), count("testcase"), count("failure")),
            (2, 4, 2),
            "{report}"
        );
        assert!(report.contains("tests=\"4\" failures=\"2\""), "{report}");
    }
}

//! A rule file: a rule set that runs its own tests, or problems that each name a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirebell::rules::load;

fuzz_target!(|text: &str| {
    let lines = text.split('\n').count() as u32;
    match load(&[("fuzz.yaml".to_owned(), text.to_owned())]) {
        Ok(set) => drop(set.run_tests()),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!((1..=lines + 1).contains(&problem.line), "{problem}");
                assert!(problem.column >= 1 && !problem.remedy.is_empty(), "{problem}");
            }
        }
    }
});

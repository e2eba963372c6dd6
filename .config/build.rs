//! How the binary is linked.

#[expect(clippy::disallowed_methods, reason = "a build script is told by the environment alone")]
fn main() {
    println!("cargo::rerun-if-changed=.config/build.rs");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    // A position-independent binary has a table of a million bytes that says which addresses move with
    // it. Packed it is a twentieth of that; the C library reads that form since 2.36, and a linker that
    // does not know it says so and goes on.
    if of("CARGO_CFG_TARGET_OS") == "linux" && of("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

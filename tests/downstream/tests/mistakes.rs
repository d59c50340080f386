//! What the compiler says of a newcomer's mistakes: each program of `mistakes/` is refused with a message that has the words it asks
//! for.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "builds the crate once more, some 30 s; `.ci/run` runs it"]
fn the_compiler_names_the_remedy() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..").canonicalize().unwrap();
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes");
    let bins = package.join("src/bin");
    fs::create_dir_all(&bins).unwrap();
    let manifest =
        "[package]\nname = \"mistakes\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n";
    fs::write(package.join("Cargo.toml"), format!("{manifest}deep-rnn = {{ path = {root:?} }}\n")).unwrap();
    if root.join("Cargo.lock").exists() {
        fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    }
    let mut seen = 0;
    for entry in fs::read_dir(here.join("mistakes")).unwrap() {
        let path = entry.unwrap().path();
        let (name, text) = (path.file_stem().unwrap().to_str().unwrap(), fs::read_to_string(&path).unwrap());
        let words: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("// says: ")).collect();
        assert!(!words.is_empty(), "{name} asks for nothing");
        fs::write(bins.join(format!("{name}.rs")), &text).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["check", "--quiet", "--offline", "--bin", name]).current_dir(&package);
        let output = cargo.env("CARGO_TARGET_DIR", package.join("target")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} compiles");
        for word in words {
            assert!(said.contains(word), "{name} should say {word:?}:\n{said}");
        }
        println!("{name}: {}", said.lines().find(|line| line.starts_with("error")).unwrap_or_default());
        seen += 1;
    }
    assert!(seen >= 10);
}

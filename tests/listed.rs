//! Every file of tests is listed in Cargo.toml, since cargo does not look for those in this folder by itself.

use std::fs;
use std::path::Path;

#[test]
fn every_file_is_listed() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifests = [here.join("Cargo.toml"), here.join("../Cargo.toml")].map(|path| fs::read_to_string(path).unwrap());
    let mut files = 0;
    for entry in fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = if name.ends_with(".rs") { name } else { format!("{name}/main.rs") };
        if here.join(&path).exists() {
            files += 1;
            let lines = [format!("path = \"{path}\""), format!("path = \"tests/{path}\"")];
            let listed = manifests.iter().flat_map(|text| text.lines()).any(|line| lines.iter().any(|l| l == line));
            assert!(listed, "tests/{path} is not in tests/Cargo.toml");
        }
    }
    assert!(files > 20, "{files} files");
}

//! Runs an example as a program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// What it printed, and whether it ended well.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) ok: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An empty folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}_{}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The example with these arguments, in `folder`, where it also keeps what it keeps.
pub(crate) fn run(example: &str, arguments: &[&str], folder: &Path) -> Output {
    ended(command(example, arguments, folder).output().unwrap())
}

/// What a program that has ended left.
pub(crate) fn ended(output: std::process::Output) -> Output {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output { ok: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The example, to be started.
pub(crate) fn command(example: &str, arguments: &[&str], folder: &Path) -> Command {
    // target/debug/deps/this_test-… and target/debug/examples/….
    let this = env::current_exe().unwrap();
    let profile = this.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(format!("{example}{}", env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "{} is not there: run `cargo test` as a whole, or `cargo build --example {example}` first",
        program.display()
    );
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for variable in ["XDG_CACHE_HOME", "LOCALAPPDATA"] {
        command.env(variable, folder);
    }
    command
}

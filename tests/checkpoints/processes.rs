//! Stopped in one process and gone on in another.

use std::path::Path;
use std::process::Command;

use deep_rnn::checkpoint::Checkpoints;
use deep_rnn::optim::Adam;

use crate::folder::Folder;
use crate::run::Setting;

const SETTING: Setting = Setting { cell: "lstm", random: true, threads: 2, accumulate: 1 };

/// So many windows more of what is in a folder; the weights then.
fn go_on(folder: &Path, windows: usize) -> Vec<u32> {
    let mut checkpoints = Checkpoints::open(folder).unwrap().keep(2);
    let mut run = SETTING.run(Adam::new(0.01));
    if let Some(snapshot) = checkpoints.latest().unwrap() {
        run.restore(&snapshot);
    }
    (0..windows).for_each(|_| run.window());
    checkpoints.save(&run.snapshot()).unwrap();
    run.weights()
}

#[test]
#[ignore = "a process that a test starts"]
fn child() {
    let folder = std::env::var("DEEP_RNN_TEST_FOLDER").unwrap();
    let windows = std::env::var("DEEP_RNN_TEST_WINDOWS").unwrap().parse().unwrap();
    go_on(folder.as_ref(), windows);
}

#[test]
fn a_new_process_goes_on_with_the_same_bits() {
    let (pieces, whole) = (Folder::new(), Folder::new());
    let mut windows = 0;
    for piece in [1, 17, 30, 2] {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--ignored", "--quiet"])
            .env("DEEP_RNN_TEST_FOLDER", pieces.path())
            .env("DEEP_RNN_TEST_WINDOWS", piece.to_string())
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        windows += piece;
    }
    assert_eq!(go_on(pieces.path(), 5), go_on(whole.path(), windows + 5));
    assert_eq!(pieces.names(), ["checkpoint-00000004.safetensors", "checkpoint-00000005.safetensors"]);
}

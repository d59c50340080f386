//! What is no regular file, or does not stay one.

use std::io::Write;

use deep_rnn::prelude::*;

use crate::folder::Folder;
use crate::measured::{Worst, alone, network};

#[test]
fn folders_devices_and_pipes_are_refused_at_once() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let mut refused = |path: &std::path::Path, message: &str| {
        let error = worst.read(path, network).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains(&*path.to_string_lossy()), "{error}");
    };
    refused(&folder.join("none.safetensors"), "No such file");
    refused(folder.path(), "kind of file: expected a regular file, got a folder");
    if cfg!(unix) {
        for device in ["/dev/zero", "/dev/null", "/dev/stdin"] {
            if std::fs::metadata(device).is_ok_and(|about| !about.is_file()) {
                refused(device.as_ref(), "expected a regular file, got a device, pipe or socket");
            }
        }
        let pipe = folder.join("pipe");
        if std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
            refused(&pipe, "expected a regular file, got a device, pipe or socket");
        }
    }
}

/// A file that grows without end, or is cut off, while it is read: an error or the whole, and no wait.
#[test]
fn a_file_that_changes_while_it_is_read() {
    let _alone = alone();
    let folder = Folder::new();
    let (path, whole) = (folder.join("changing.safetensors"), folder.join("whole.safetensors"));
    let net = Network::<f32>::builder(64).lstm(128).linear(64).build().unwrap();
    net.save(&whole).unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::copy(&whole, &path).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut read, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(bytes.len() as u64 / 2).unwrap();
                file.set_len(bytes.len() as u64 + 1000).unwrap();
                file.write_all(&bytes).unwrap();
                file.set_len(bytes.len() as u64).unwrap();
            }
        });
        for _ in 0..300 {
            match Network::<f32>::load(&path) {
                Ok(_) => read += 1,
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains("changing.safetensors: "), "{error}");
                    refused += 1;
                }
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(refused > 0, "{read} read");
}

/// A sparse file that says it is 1 TiB: nothing of that size is set aside.
#[test]
fn a_file_that_is_mostly_a_hole() {
    let _alone = alone();
    let folder = Folder::new();
    let path = folder.join("hole.safetensors");
    let header = r#"{"0.weight":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}}"#;
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    if file.set_len(8 + header.len() as u64 + (1 << 40)).is_err() {
        println!("not run: no holes in files here");
        return;
    }
    drop(file);
    let mut worst = Worst::default();
    // What is set aside is measured, and may be no multiple of so many bytes.
    let error = worst.read(&path, network).unwrap_err().to_string();
    assert!(error.contains("hole.safetensors: description: expected"), "{error}");
    assert!(worst.bytes < 1 << 20, "{}", worst.bytes);
    std::fs::remove_file(&path).unwrap();
}

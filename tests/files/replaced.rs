//! Saving over something: all or nothing.

use deep_rnn::prelude::*;

use crate::bits::weights;
use crate::folder::Folder;

fn net(seed: u64) -> Network<f32> {
    Network::builder(3).lstm(4).linear(2).seed(seed).build().unwrap()
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = Folder::new();
    let path = folder.join("net.safetensors");
    net(1).save(&path).unwrap();
    let read = Network::<f32>::load(&path).unwrap();
    net(2).save(&path).unwrap();
    assert_eq!(weights(&read), weights(&net(1)));
    // The same path loaded and saved.
    Network::<f32>::load(&path).unwrap().save(&path).unwrap();
    assert_eq!(weights(&Network::<f32>::load(&path).unwrap()), weights(&net(2)));
    assert_eq!(folder.names(), ["net.safetensors"]);
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let folder = Folder::new();
    let below = folder.join("below");
    std::fs::create_dir(&below).unwrap();
    for (path, message) in [
        (below.clone(), "expected a regular file, or none yet, got a folder"),
        (folder.join("none/net.safetensors"), "No such file"),
        (folder.path().join(".."), "expected a regular file, or none yet"),
    ] {
        let error = net(1).save(&path).unwrap_err().to_string();
        assert!(error.contains(message), "{}: {error}", path.display());
    }
    assert_eq!(folder.names(), ["below"]);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_is_followed() {
        let folder = Folder::new();
        let (file, link) = (folder.join("net.safetensors"), folder.join("link.safetensors"));
        net(1).save(&file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink("net.safetensors", &link).unwrap();
        net(2).save(&link).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(weights(&Network::<f32>::load(&file).unwrap()), weights(&net(2)));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        // A link to nothing, to itself, to a device: an error, and the link stays.
        for (name, target) in [("nothing", "gone"), ("itself", "itself"), ("device", "/dev/full")] {
            let link = folder.join(name);
            symlink(target, &link).unwrap();
            assert!(net(2).save(&link).is_err(), "{name}");
            assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink(), "{name}");
        }
        assert_eq!(folder.names(), ["device", "itself", "link.safetensors", "net.safetensors", "nothing"]);
        let error = net(1).save("/dev/full").unwrap_err().to_string();
        assert!(error.contains("/dev/full: target: expected a regular file, or none yet, got a device"), "{error}");
    }

    /// Root may write where nobody else may, so this says something to others only.
    #[test]
    fn a_folder_that_may_not_be_written_to() {
        let folder = Folder::new();
        let path = folder.join("net.safetensors");
        net(1).save(&path).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
        let allowed = std::fs::write(folder.join("probe"), b"").is_ok();
        let result = net(2).save(&path);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let kept = Network::<f32>::load(&path).unwrap();
        if allowed {
            println!("not run: whoever runs this may write anywhere");
        } else {
            assert!(result.unwrap_err().to_string().contains("net.safetensors"));
            assert_eq!(weights(&kept), weights(&net(1)));
            assert_eq!(folder.names(), ["net.safetensors"]);
        }
    }

    /// A disk that is full: a small one in memory, where one can be had.
    #[test]
    fn a_full_disk() {
        use std::process::Command;
        let folder = Folder::new();
        let disk = folder.join("disk");
        std::fs::create_dir(&disk).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&disk).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("not run: no disk of its own can be had here");
            return;
        }
        let path = disk.join("net.safetensors");
        net(1).save(&path).unwrap();
        let large = Network::<f32>::builder(64).lstm(128).build().unwrap();
        let error = large.save(&path).map_err(|error| error.to_string());
        let names: Vec<_> = std::fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let kept = Network::<f32>::load(&path).map(|net| weights(&net));
        Command::new("umount").arg(&disk).status().unwrap();
        assert!(error.unwrap_err().contains("net.safetensors: "));
        assert_eq!(names, ["net.safetensors"]);
        assert_eq!(kept.unwrap(), weights(&net(1)));
    }
}

//! A process that is killed while it saves: the checkpoint before or the new one is there, and nothing else.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use deep_rnn::Error;
use deep_rnn::checkpoint::{Checkpoints, Part, Resume, Snapshot};
use deep_rnn::ndarray::ArrayD;

use crate::folder::Folder;
use crate::fuzz::runs;

/// Something of a size, whose numbers all say how often it was saved.
struct Counted(u64, usize);

impl Resume for Counted {
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("count", self.0);
        part.set_array("numbers", &ArrayD::from_elem(vec![self.1], self.0 as f64).view());
        Ok(part)
    }
    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        self.0 = part.get("count")?;
        let mut numbers = ArrayD::<f64>::zeros(vec![self.1]);
        part.fill_array("numbers", numbers.view_mut())?;
        assert!(numbers.iter().all(|x| *x == self.0 as f64));
        Ok(())
    }
}

const NUMBERS: usize = 50_000;

#[test]
#[ignore = "a process that a test starts"]
fn child() {
    let mut checkpoints = Checkpoints::open(std::env::var("DEEP_RNN_TEST_FOLDER").unwrap()).unwrap().keep(2);
    let mut counted = Counted(0, NUMBERS);
    if let Some(snapshot) = checkpoints.latest().unwrap() {
        snapshot.restore("counted", &mut counted).unwrap();
    }
    println!("ready");
    loop {
        counted.0 += 1;
        let mut snapshot = Snapshot::new();
        snapshot.add("counted", &counted).unwrap();
        checkpoints.save(&snapshot).unwrap();
    }
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_one() {
    let folder = Folder::new();
    let open = || Checkpoints::open(folder.path()).unwrap().keep(2);
    let save_time = {
        let mut checkpoints = open();
        let mut snapshot = Snapshot::new();
        snapshot.add("counted", &Counted(0, NUMBERS)).unwrap();
        let start = Instant::now();
        (0..3).for_each(|_| {
            checkpoints.save(&snapshot).unwrap();
        });
        start.elapsed() / 3
    };
    let kills = (runs() / 1000).max(20);
    let (mut last, mut left_over, mut random) = (0, 0, 1_u64);
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::child", "--ignored", "--nocapture"])
            .env("DEEP_RNN_TEST_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Once it saves, anything from no time to that of three saves.
        let mut out = child.stdout.take().unwrap();
        let (mut text, mut byte) = (String::new(), [0]);
        while !text.ends_with("ready") && out.read(&mut byte).unwrap() > 0 {
            text.push(char::from(byte[0]));
        }
        assert!(text.ends_with("ready"), "{text}");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_nanos((random >> 33) % (3 * save_time.as_nanos() as u64).max(1)));
        child.kill().unwrap();
        child.wait().unwrap();
        left_over += usize::from(folder.names().iter().any(|name| name.starts_with('.')));
        let checkpoints = open();
        assert!(folder.names().iter().all(|name| name.starts_with("checkpoint-")), "{:?}", folder.names());
        let mut counted = Counted(0, NUMBERS);
        let snapshot = checkpoints.latest().unwrap_or_else(|error| panic!("kill {kill}: {error}"));
        snapshot.unwrap().restore("counted", &mut counted).unwrap();
        assert!(counted.0 >= last, "kill {kill}: {} after {last}", counted.0);
        last = counted.0;
    }
    println!("{kills} kills, {last} saves, {left_over} left a file that the next start removed, 0 unreadable");
    assert!(last > 0);
    // A kill between a save and the removal of what is too many leaves one more; the next save that ends removes them all.
    let mut snapshot = Snapshot::new();
    snapshot.add("counted", &Counted(last, NUMBERS)).unwrap();
    open().save(&snapshot).unwrap();
    assert_eq!(folder.names().len(), 2);
}
